"""The exam's results as tables: once for the terminal and for Markdown, and whole for JSON."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from sdr2hdr.exam.frames import Part
from sdr2hdr.exam.gates import gates, is_released
from sdr2hdr.exam.results import ExamResult, MethodResult, Summary

__all__ = ["Table", "markdown", "result_content", "tables"]

_FACTS = {
    "title_card_white_cd_m2": ("title card's white, cd/m2", 0),
    "end_card_white_cd_m2": ("end card's white, cd/m2", 0),
    "credits_white_cd_m2": ("credits' white, cd/m2", 0),
    "page_white_cd_m2": ("page's white, cd/m2", 0),
    "slide_white_cd_m2": ("slide's white, cd/m2", 0),
    "black_codes": ("black off, codes", 0),
    "grey_chroma_codes": ("greys' chroma, codes", 0),
    "grey_smallest_step_codes": ("grey ramp, smallest step", 0),
    "grey_largest_step_codes": ("grey ramp, largest step", 0),
    "saturated_smallest_step_codes": ("saturated ramps, smallest step", 0),
    "chart_hue_degrees": ("chart's hue shift, degrees", 2),
    "bars_hue_degrees": ("75 % bars' hue shift, degrees", 2),
    "crop_difference_codes_p99": ("512 px crop off, codes at p99", 1),
}


@dataclass(frozen=True)
class Table:
    """Text in cells; the first column is words, the others are numbers."""

    title: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def tables(result: ExamResult) -> list[Table]:
    """All tables of an exam, those of each scale together."""
    found = []
    for scale in result.scales():
        methods = result.at_scale(scale)
        where = "" if scale == 1 else f", x{scale}"
        found += [
            _overview(methods, where),
            _operators(methods, where),
            _pairs(methods, where),
            _ladder(methods, where),
            _facts(methods, where),
        ]
    for method in result.methods:
        if method.kind == "network":
            found.append(_gates(result, method))
    return found


def markdown(result: ExamResult) -> str:
    """The tables as a Markdown document."""
    parts = [
        "# Exam",
        f"Set {result.set_name}: {result.scenes} scenes, {result.pairs} real pairs "
        f"(list {result.set_sha256[:12]}). PSNR of PQ R'G'B' in dB, Delta E ITP after BT.2124.",
    ]
    for table in tables(result):
        lines = [f"## {table.title}", "", "| " + " | ".join(table.headings) + " |"]
        lines.append("| --- |" + " ---: |" * (len(table.headings) - 1))
        lines += ["| " + " | ".join(row) + " |" for row in table.rows]
        parts.append("\n".join(lines))
    return "\n\n".join(parts) + "\n"


def result_content(result: ExamResult) -> dict[str, object]:
    """Everything, as JSON has it: sums, facts, gates, and each single answer."""
    return {
        "set": result.set_name,
        "set_sha256": result.set_sha256,
        "scenes": result.scenes,
        "pairs": result.pairs,
        "methods": [_method_content(result, method) for method in result.methods],
    }


def _method_content(result: ExamResult, method: MethodResult) -> dict[str, object]:
    stops, gained_db = method.common_gain()
    content: dict[str, object] = {
        "name": method.name,
        "model": method.model,
        "kind": method.kind,
        "scale": method.scale,
        "scenes": _content(method.anchored()),
        "by_operator": {name: _content(each) for name, each in method.by_operator().items()},
        "pairs": _content(method.part("pair")),
        "pairs_after_best_gain_psnr_db": round(method.aligned_pairs_psnr_db(), 4),
        "pairs_common_gain_stops": stops,
        "pairs_after_common_gain_psnr_db": round(gained_db, 4),
        "psnr_lost_db": _losses(method, "ladder"),
        "psnr_lost_on_pairs_db": _losses(method, "pair ladder"),
        "highlights_cd_m2": {k: round(v, 1) for k, v in method.highlights_cd_m2().items()},
        "facts": {name: round(value, 4) for name, value in method.facts.items()},
        "rows": [_rounded(dataclasses.asdict(row)) for row in method.rows],
    }
    if method.kind == "network":
        judged = gates(result, method.model)
        content["released"] = is_released(judged)
        content["gates"] = [
            _rounded(dataclasses.asdict(gate)) | {"is_met": gate.is_met} for gate in judged
        ]
    return content


def _losses(method: MethodResult, part: Part) -> dict[str, float]:
    return {name: round(loss, 4) for name, loss in method.ladder_loss_db(part).items()}


def _content(summary: Summary) -> dict[str, object]:
    return _rounded(dataclasses.asdict(summary))


def _rounded(content: dict[str, object]) -> dict[str, object]:
    return {name: _four_digits(value) for name, value in content.items() if value is not None}


def _four_digits(value: object) -> object:
    if isinstance(value, tuple):
        return [_four_digits(each) for each in value]
    return round(value, 4) if isinstance(value, float) else value


def _overview(methods: tuple[MethodResult, ...], where: str) -> Table:
    headings = (
        "method",
        "scenes PSNR",
        "worst",
        "SSIM",
        "worst",
        "Delta E ITP",
        "worst",
        "clean PSNR",
        "compressed PSNR",
    )
    rows = []
    for method in methods:
        every = method.anchored()
        rows.append(
            (
                method.name,
                f"{every.psnr_db:.2f}",
                f"{every.worst_psnr_db:.2f}",
                f"{every.ssim:.4f}",
                f"{every.worst_ssim:.4f}",
                f"{every.delta_e_itp:.2f}",
                f"{every.worst_delta_e_itp:.2f}",
                f"{method.part('clean').psnr_db:.2f}",
                f"{method.part('compressed').psnr_db:.2f}",
            )
        )
    return Table(f"Scenes{where}", headings, tuple(rows))


def _operators(methods: tuple[MethodResult, ...], where: str) -> Table:
    """A row for each down-conversion: mean and worst PSNR, SSIM and Delta E ITP of each method."""
    found = [method.by_operator() for method in methods]
    rows = tuple((operator, *(_cell(each[operator]) for each in found)) for operator in found[0])
    title = f"Down-conversions{where}: PSNR mean / worst, SSIM, Delta E ITP"
    return Table(title, ("operator", *(method.name for method in methods)), rows)


def _cell(summary: Summary) -> str:
    return (
        f"{summary.psnr_db:.2f} / {summary.worst_psnr_db:.2f}, {summary.ssim:.3f}, "
        f"{summary.delta_e_itp:.1f}"
    )


def _pairs(methods: tuple[MethodResult, ...], where: str) -> Table:
    found = [method.by_pair() for method in methods]
    rows = [
        (name, *(f"{each[name].psnr_db:.2f}, {each[name].delta_e_itp:.1f}" for each in found))
        for name in found[0]
    ]
    sums = [method.part("pair") for method in methods]
    rows.append(("mean", *(f"{each.psnr_db:.2f}, {each.delta_e_itp:.1f}" for each in sums)))
    rows.append(("mean SSIM", *(f"{each.ssim:.4f}" for each in sums)))
    rows.append(
        ("PSNR after best gain", *(f"{method.aligned_pairs_psnr_db():.2f}" for method in methods))
    )
    gains = [method.common_gain() for method in methods]
    rows.append(("PSNR after one gain for all", *(f"{psnr:.2f}" for _, psnr in gains)))
    rows.append(("that gain, stops", *(f"{stops:+.1f}" for stops, _ in gains)))
    title = f"Real pairs{where}: PSNR, Delta E ITP"
    return Table(title, ("pair", *(method.name for method in methods)), tuple(rows))


def _ladder(methods: tuple[MethodResult, ...], where: str) -> Table:
    rows: list[tuple[str, ...]] = []
    parts: tuple[tuple[Part, str], ...] = (("ladder", "scenes"), ("pair ladder", "real pairs"))
    for part, label in parts:
        found = [method.ladder_loss_db(part) for method in methods]
        rows += [
            (f"{label}, {qp.upper()}", *(f"{each[qp]:.2f}" for each in found)) for qp in found[0]
        ]
    title = f"Compressed input (H.264){where}: PSNR lost against the clean picture, dB"
    return Table(title, ("quantiser", *(method.name for method in methods)), tuple(rows))


def _facts(methods: tuple[MethodResult, ...], where: str) -> Table:
    rows = []
    for key, (label, decimals) in _FACTS.items():
        values = (method.facts.get(key) for method in methods)
        cells = ("-" if value is None else f"{value:.{decimals}f}" for value in values)
        rows.append((label, *cells))
    found = [method.highlights_cd_m2() for method in methods]
    for scene in found[0]:
        cells = (f"{each[scene]:.0f}" for each in found)
        rows.append((f"brightest pixels, {scene}, cd/m2", *cells))
    title = f"Graphics, ramps, colours, highlights{where}"
    return Table(title, ("what", *(method.name for method in methods)), tuple(rows))


def _gates(result: ExamResult, method: MethodResult) -> Table:
    judged = gates(result, method.model)
    rows = tuple(
        (
            gate.text,
            f"{gate.found:.2f}",
            f"{gate.relation} {gate.wanted:.2f}",
            gate.unit,
            "required" if gate.is_required else "aim",
            "yes" if gate.is_met else "no",
        )
        for gate in judged
    )
    title = f"Gates of {method.name}: {'release' if is_released(judged) else 'pilot'}"
    return Table(title, ("gate", "found", "wanted", "unit", "kind", "met"), rows)
