"""Hold the exam: every method answers every frame."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain

from sdr2hdr.exam.frames import (
    LADDER_QPS,
    ExamFrame,
    anchored_frames,
    ladder_frames,
    pair_frames,
    pair_ladder_frames,
)
from sdr2hdr.exam.measures import (
    best_gain_stops,
    brightest_cd_m2,
    compare,
    crop_difference_codes,
    pattern_facts,
    psnr_by_gain,
    with_gain,
)
from sdr2hdr.exam.methods import ExamMethod
from sdr2hdr.exam.results import ExamResult, MethodResult, Row
from sdr2hdr.exam.sets import ExamSet
from sdr2hdr.training.tone_curves import OPERATORS
from sdr2hdr.training.validation import psnr_db

__all__ = ["CROP_SCENES", "HIGHLIGHT_CD_M2", "frame_count", "hold_exam"]

HIGHLIGHT_CD_M2 = 800.0
"""Where the reference reaches this, a method's own highlights are looked at."""

CROP_SCENES = 2
"""Scenes that are shown at 1920x1080 too."""


def frame_count(exam: ExamSet, methods: Sequence[ExamMethod]) -> int:
    """How often `hold_exam` will call `advance`."""
    of_a_scene = 2 * len(OPERATORS) + 1 + len(LADDER_QPS)
    frames = len(exam.scenes) * of_a_scene + len(exam.pairs) * (2 + len(LADDER_QPS))
    return frames * len({method.scale for method in methods}) + len(methods)


def hold_exam(
    exam: ExamSet, methods: Sequence[ExamMethod], advance: Callable[[], None]
) -> ExamResult:
    """Show every frame to every method of its scale.

    Args:
        exam: The pictures.
        methods: At least one.
        advance: Called after each frame, and after the made-up pictures of each method.
    """
    rows: dict[str, list[Row]] = {_key(method): [] for method in methods}
    lights = {each.scene.name for each in exam.scenes if each.has_lights}
    for scale in sorted({method.scale for method in methods}):
        answering = [method for method in methods if method.scale == scale]
        frames = chain(
            anchored_frames(exam.scenes, scale),
            ladder_frames(exam.scenes, scale),
            pair_frames(exam.pairs, scale),
            pair_ladder_frames(exam.pairs, scale),
        )
        for frame in frames:
            for method in answering:
                rows[_key(method)].append(_row(method, frame, lights))
            advance()
    results = []
    for method in methods:
        facts = pattern_facts(method)
        if method.kind == "network":
            crops = crop_difference_codes(method, exam.scenes[:CROP_SCENES])
            facts["crop_difference_codes_p99"] = crops
        results.append(
            MethodResult(
                method.name,
                method.model,
                method.kind,
                method.scale,
                tuple(rows[_key(method)]),
                facts,
            )
        )
        advance()
    return ExamResult(exam.name, exam.sha256, len(exam.scenes), len(exam.pairs), tuple(results))


def _key(method: ExamMethod) -> str:
    return f"{method.name} x{method.scale}"


def _row(method: ExamMethod, frame: ExamFrame, lights: set[str]) -> Row:
    reference = frame.pair.hdr
    answer = method.answer(frame.pair.sdr)
    scores = compare(reference, answer)
    aligned = gain = by_gain = brightest = None
    if frame.part == "pair":
        gain = best_gain_stops(reference, answer)
        aligned = psnr_db(with_gain(answer, gain), reference)
        by_gain = psnr_by_gain(reference, answer)
    is_lit = frame.part == "clean" and frame.scene in lights
    if is_lit and brightest_cd_m2(reference) >= HIGHLIGHT_CD_M2:
        brightest = brightest_cd_m2(answer)
    return Row(
        frame.part,
        frame.scene,
        frame.group,
        scores.psnr_db,
        scores.ssim,
        scores.delta_e_itp,
        aligned,
        gain,
        by_gain,
        brightest,
    )
