"""Results made up by hand, so that sums and gates can be checked on paper."""

from __future__ import annotations

from sdr2hdr.exam.results import COMMON_GAINS_STOPS, ExamResult, MethodResult, Row
from sdr2hdr.networks.registry import resolve_exactly

GOOD_FACTS = {
    "black_codes": 0.0,
    "grey_chroma_codes": 1.0,
    "grey_smallest_step_codes": 0.0,
    "grey_largest_step_codes": 3.0,
    "saturated_smallest_step_codes": 0.0,
    "bars_hue_degrees": 2.0,
    "chart_hue_degrees": 1.0,
    "title_card_white_cd_m2": 300.0,
    "end_card_white_cd_m2": 300.0,
    "credits_white_cd_m2": 300.0,
    "page_white_cd_m2": 300.0,
    "slide_white_cd_m2": 300.0,
    "crop_difference_codes_p99": 2.0,
}


def rows(anchored_db: float, pair_db: float, lost_db: float) -> tuple[Row, ...]:
    """Two operators, clean and compressed, a ladder, and two pairs; every score alike."""
    found = [
        Row(part, "room", operator, anchored_db, 0.9, 10.0, brightest_cd_m2=900.0)
        for part in ("clean", "compressed")
        for operator in ("bt2446a", "hable")
    ]
    for part in ("ladder", "pair ladder"):
        found.append(Row(part, "room", "clean", 40.0, 0.9, 10.0))
        found += [
            Row(part, "room", f"qp{qp}", 40.0 - lost_db, 0.9, 10.0) for qp in (22, 27, 32, 37, 42)
        ]
    found += [
        Row("pair", name, name, pair_db, 0.8, 20.0, pair_db + 2.0, 0.5, by_gain)
        for name, by_gain in (("one", _peaked(pair_db, -0.2)), ("two", _peaked(pair_db, -1.0)))
    ]
    return tuple(found)


def _peaked(psnr_db: float, best_stops: float) -> tuple[float, ...]:
    return tuple(psnr_db - (stops - best_stops) ** 2 for stops in COMMON_GAINS_STOPS)


def exam_result(
    model: str = "irnet2",
    anchored_db: float = 42.0,
    pair_db: float = 31.0,
    lost_db: float = 0.5,
    **facts: float,
) -> ExamResult:
    """Three curves at 38, 40 and 36 dB, on pairs all at 28 dB, and a network."""
    scale = resolve_exactly(model).scale
    prefix = "" if scale == 1 else "bicubic + "
    methods = [
        MethodResult(prefix + name, name, "curve", scale, rows(db, 28.0, 1.0), GOOD_FACTS)
        for name, db in (("bt2408", 38.0), ("bt2446a", 40.0), ("bt2446c", 36.0))
    ]
    own = rows(anchored_db, pair_db, lost_db)
    methods.append(MethodResult(model, model, "network", scale, own, GOOD_FACTS | facts))
    return ExamResult("made up", "0" * 64, 1, 2, tuple(methods))
