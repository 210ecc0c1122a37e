"""What a network has to reach: to be released at all, and what it aims for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from sdr2hdr.exam.results import ExamResult, MethodResult

__all__ = ["Gate", "Relation", "gates", "is_released"]

Relation = Literal["at least", "at most"]

# Colour contract of the design: what every shipped network must do with greys and colours.
_GREY_CHROMA_CODES = 2.0
_BLACK_CODES = 1.0
_LARGEST_GREY_STEP_CODES = 4.0
_HUE_DEGREES = 3.0

_CURVES_OWN = ("bt2446a", "bt2446c")
"""Down-conversions that a curve undoes exactly."""
_JUDGED_QPS = ("qp27", "qp32", "qp37", "qp42")


@dataclass(frozen=True)
class Gate:
    """One number and its bound.

    Attributes:
        is_required: Without it the weights are a pilot; the others are aims, and those that are
            missed stand in the card as known failures.
    """

    text: str
    is_required: bool
    found: float
    relation: Relation
    wanted: float
    unit: str

    @property
    def is_met(self) -> bool:
        """Whether the number keeps its bound."""
        if self.relation == "at least":
            return self.found >= self.wanted
        return self.found <= self.wanted

    def sentence(self) -> str:
        """For people: what, how much, and what was wanted."""
        unit = f" {self.unit}" if self.unit else ""
        return (
            f"{self.text}: {self.found:.2f}{unit}, wanted {self.relation} {self.wanted:.2f}{unit}"
        )


def is_released(judged: list[Gate]) -> bool:
    """Whether all required gates are met."""
    return all(gate.is_met for gate in judged if gate.is_required)


def gates(result: ExamResult, model: str) -> list[Gate]:
    """Judge a network by an exam that it and the curves were in.

    Args:
        result: All methods.
        model: The network's name.

    Raises:
        ValueError: The network was not examined.
    """
    method = result.network(model)
    if method is None:
        raise ValueError(f"{model} was not examined.")
    others = result.at_scale(method.scale)
    curves = [other for other in others if other.kind == "curve"]
    by_scale = (
        _converting(result, method, curves) if method.scale == 1 else _upscaling(result, method)
    )
    return [*by_scale, *_common(method, curves)]


def _common(method: MethodResult, curves: list[MethodResult]) -> Iterator[Gate]:
    facts = method.facts
    mean = method.anchored().psnr_db
    best = max(curve.anchored().psnr_db for curve in curves)
    yield Gate("mean PSNR over scenes, best curve's", True, mean, "at least", best, "dB")
    rules: tuple[tuple[str, str, Relation, float, str], ...] = (
        ("black_codes", "black", "at most", _BLACK_CODES, "codes"),
        ("grey_chroma_codes", "chroma of greys", "at most", _GREY_CHROMA_CODES, "codes"),
        ("grey_smallest_step_codes", "smallest step of the grey ramp", "at least", 0.0, "codes"),
        (
            "grey_largest_step_codes",
            "largest step of the grey ramp",
            "at most",
            _LARGEST_GREY_STEP_CODES,
            "codes",
        ),
        ("chart_hue_degrees", "hue shift of chart patches", "at most", _HUE_DEGREES, "degrees"),
    )
    for key, text, relation, wanted, unit in rules:
        yield Gate(text, True, facts[key], relation, wanted, unit)
    ramps = facts["saturated_smallest_step_codes"]
    yield Gate("smallest step of saturated ramps", False, ramps, "at least", 0.0, "codes")
    bars = facts["bars_hue_degrees"]
    own = max(curve.facts["bars_hue_degrees"] for curve in curves if curve.model == "bt2446a")
    text = "hue shift of 75 % bars, 3 degrees over bt2446a's"
    yield Gate(text, False, bars, "at most", own + _HUE_DEGREES, "degrees")
    for key, text in (
        ("title_card", "title card"),
        ("end_card", "end card"),
        ("credits", "credits"),
        ("page", "page of text"),
        ("slide", "slide"),
    ):
        white = facts[f"{key}_white_cd_m2"]
        yield Gate(f"white of the {text}", False, white, "at most", 500.0, "cd/m2")
    highlights = method.highlights_cd_m2()
    if highlights:
        dimmest = min(highlights, key=lambda scene: highlights[scene])
        text = f"brightest pixels, scene {dimmest}"
        yield Gate(text, False, highlights[dimmest], "at least", 800.0, "cd/m2")
    crop = facts["crop_difference_codes_p99"]
    yield Gate("512 px crop against the whole frame, p99", False, crop, "at most", 6.0, "codes")


def _converting(
    result: ExamResult, method: MethodResult, curves: list[MethodResult]
) -> Iterator[Gate]:
    """Networks of scale 1 against the curves."""
    graded = next(curve for curve in curves if curve.model == "bt2446a")
    mean = method.anchored().psnr_db
    if method.model == "irnet2" or (larger := result.network("irnet2")) is None:
        best = max(curve.anchored().psnr_db for curve in curves)
        text = "mean PSNR over scenes, best curve's + 1.5 dB"
        yield Gate(text, False, mean, "at least", best + 1.5, "dB")
    else:
        wanted = larger.anchored().psnr_db - 1.0
        yield Gate("mean PSNR over scenes, irnet2's - 1 dB", False, mean, "at least", wanted, "dB")
    of_curves = [curve.by_operator() for curve in curves]
    for operator, found in method.by_operator().items():
        allowed = 2.0 if operator in _CURVES_OWN else 0.0
        wanted = max(curve[operator].psnr_db for curve in of_curves) - allowed
        text = f"mean PSNR over {operator}, best curve's" + (" - 2 dB" if allowed else "")
        yield Gate(text, False, found.psnr_db, "at least", wanted, "dB")
    yield from _on_pairs(method, curves, graded)
    losses, of_graded = method.ladder_loss_db(), graded.ladder_loss_db()
    on_pairs = method.ladder_loss_db("pair ladder")
    graded_on_pairs = graded.ladder_loss_db("pair ladder")
    for qp in _JUDGED_QPS:
        text = f"PSNR lost at {qp.upper()} on scenes, bt2446a's"
        yield Gate(text, False, losses[qp], "at most", of_graded[qp], "dB")
        wanted = min(1.5, graded_on_pairs[qp])
        text = f"PSNR lost at {qp.upper()} on real pairs, least of 1.5 dB and bt2446a's"
        yield Gate(text, False, on_pairs[qp], "at most", wanted, "dB")


def _on_pairs(
    method: MethodResult, curves: list[MethodResult], graded: MethodResult
) -> Iterator[Gate]:
    """Real pairs: never trained on."""
    mean = method.part("pair").psnr_db
    best = max(curve.part("pair").psnr_db for curve in curves)
    text = "mean PSNR over real pairs, best curve's + 1 dB"
    yield Gate(text, False, mean, "at least", best + 1.0, "dB")
    error = method.part("pair").delta_e_itp
    least = min(curve.part("pair").delta_e_itp for curve in curves)
    text = "Delta E ITP over real pairs, best curve's + 2"
    yield Gate(text, False, error, "at most", least + 2.0, "")
    own, of_graded = method.by_pair(), graded.by_pair()
    gains = {name: own[name].psnr_db - of_graded[name].psnr_db for name in own}
    worst = min(gains, key=lambda name: gains[name])
    text = f"worst real pair against bt2446a ({worst})"
    yield Gate(text, True, gains[worst], "at least", -0.5, "dB")
    aligned = graded.aligned_pairs_psnr_db() + 1.0
    text = "mean PSNR over real pairs after the best gain, bt2446a's + 1 dB"
    yield Gate(text, False, method.aligned_pairs_psnr_db(), "at least", aligned, "dB")


def _upscaling(result: ExamResult, method: MethodResult) -> Iterator[Gate]:
    """Super-resolution against bicubic upscaling and the network of scale 1."""
    mean = method.anchored().psnr_db
    for other in result.at_scale(method.scale):
        if other.kind == "upscaled network":
            text = f"mean PSNR over scenes, {other.name} + 0.5 dB"
            yield Gate(text, False, mean, "at least", other.anchored().psnr_db + 0.5, "dB")
    rival = result.network(method.model.replace("gpgmnet", "irnet5"))
    if rival is not None and rival is not method:
        wanted = rival.anchored().delta_e_itp
        text = f"Delta E ITP over scenes, {rival.name}'s"
        yield Gate(text, False, method.anchored().delta_e_itp, "at most", wanted, "")
