"""What is measured of an answer: against a reference, and on made-up pictures against the rules."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from sdr2hdr.colour import to_coded
from sdr2hdr.colour.channels import weighted_sum
from sdr2hdr.colour.ictcp import hue_degrees, rgb_to_ictcp
from sdr2hdr.colour.primaries import luminance_coefficients
from sdr2hdr.colour.transfer import pq_eotf, pq_inverse_eotf
from sdr2hdr.curves.display_light import sdr_to_bt2020_linear
from sdr2hdr.exam.methods import ExamMethod
from sdr2hdr.exam.patterns import (
    PATCH_PX,
    RAMP_STEP_PX,
    WRITTEN,
    chart,
    colour_bars,
    grey_ramp,
    saturated_ramps,
)
from sdr2hdr.exam.results import COMMON_GAINS_STOPS
from sdr2hdr.exam.sets import ExamScene
from sdr2hdr.frames import STILL_TIMELINE, RgbBatch
from sdr2hdr.quality.scores import score
from sdr2hdr.quality.summary import PSNR_CEILING_DB
from sdr2hdr.signal import HDR10_CODES, HDR10_SIGNAL, HDR_DISPLAY, Primaries
from sdr2hdr.training.degradation import CLEAN, degrade
from sdr2hdr.training.synthesis import SceneStore
from sdr2hdr.training.validation import psnr_db, show_scene

__all__ = [
    "Scores",
    "best_gain_stops",
    "brightest_cd_m2",
    "compare",
    "crop_difference_codes",
    "pattern_facts",
    "psnr_by_gain",
    "with_gain",
]

_METRICS = frozenset({"psnr_rgb", "ssim", "delta_e_itp"})

_GAIN_STOPS = 2.5
"""Gains are looked for within so many stops up and down."""
_GAIN_SAMPLES = 120_000
_BRIGHTEST_PX = 20
"""Lamps are small: a share of the frame would miss them, and a single pixel may be a spark."""
_LUMINANCE_JUDGED_CD_M2 = 1.0
"""Below it a step of a code is a large change of hue."""

_WHOLE_PX = (1080, 1920)
_CROP_PX = 512
_BORDER_PX = 16
"""Left out at a crop's edges, where the network sees padding instead of the frame."""


@dataclass(frozen=True)
class Scores:
    """How near an answer is: PSNR of PQ R'G'B' in dB (at most 100), SSIM, mean Delta E ITP."""

    psnr_db: float
    ssim: float
    delta_e_itp: float


def compare(reference_pq: torch.Tensor, answer_pq: torch.Tensor) -> Scores:
    """Measure an answer, both (1, 3, H, W), float32, [0, 1]."""
    found = score(reference_pq, answer_pq, _METRICS)
    return Scores(
        min(float(found["psnr_rgb"]), PSNR_CEILING_DB),
        float(found["ssim"]),
        float(found["delta_e_itp"]),
    )


def with_gain(answer_pq: torch.Tensor, stops: float) -> torch.Tensor:
    """Multiply the light of an answer."""
    return _coded(pq_eotf(answer_pq), stops)


def _coded(light_cd_m2: torch.Tensor, stops: float) -> torch.Tensor:
    """Light as a PQ signal after a gain."""
    return pq_inverse_eotf((light_cd_m2 * 2.0**stops).clamp(max=10_000.0))


def best_gain_stops(reference_pq: torch.Tensor, answer_pq: torch.Tensor) -> float:
    """The one gain of light that brings an answer nearest to the reference in PSNR, in stops.

    A look that is only darker or brighter than the reference's is a matter of taste; what is left
    after the gain is error.
    """
    stride = max(1, int((reference_pq[0, 0].numel() / _GAIN_SAMPLES) ** 0.5))
    reference = reference_pq[:, :, ::stride, ::stride]
    light_cd_m2 = pq_eotf(answer_pq[:, :, ::stride, ::stride])

    def error(stops: float) -> float:
        return float((_coded(light_cd_m2, stops) - reference).square().mean(dtype=torch.float64))

    middle, reach = 0.0, _GAIN_STOPS
    while reach > 0.004:
        steps = [middle + reach * (index - 4) / 4.0 for index in range(9)]
        middle = min(steps, key=error)
        reach /= 4.0
    return middle


def psnr_by_gain(reference_pq: torch.Tensor, answer_pq: torch.Tensor) -> tuple[float, ...]:
    """PSNR of PQ R'G'B' in dB after each of `COMMON_GAINS_STOPS`."""
    light_cd_m2 = pq_eotf(answer_pq)
    return tuple(psnr_db(_coded(light_cd_m2, stops), reference_pq) for stops in COMMON_GAINS_STOPS)


def brightest_cd_m2(pq: torch.Tensor) -> float:
    """Mean light, max(R, G, B), of the 20 brightest pixels of a frame."""
    light = pq_eotf(pq).amax(dim=1).flatten()
    return float(light.topk(min(_BRIGHTEST_PX, light.numel())).values.mean())


def pattern_facts(method: ExamMethod) -> dict[str, float]:
    """What a method does with black, ramps, bars, a colour chart and written pictures.

    Returns:
        By name: codes are those of 10-bit HDR10, hue shifts degrees in ICtCp at the answer's own
        luminance, whites cd/m2.
    """
    facts = _grey_facts(method)
    ramps = saturated_ramps()
    luma = _luma(method, ramps)
    rows = luma.shape[0] // 6
    middle = luma[rows // 2 :: rows, _centres(RAMP_STEP_PX, luma.shape[1], method.scale)]
    facts["saturated_smallest_step_codes"] = float(middle.diff(dim=1).min())
    for name, pattern in (("bars", colour_bars()), ("chart", chart())):
        facts[f"{name}_hue_degrees"] = _hue_shift_degrees(method, pattern)
    for name, written in WRITTEN.items():
        light = pq_eotf(method.answer(written())).amax(dim=1)
        facts[f"{name}_white_cd_m2"] = float(torch.quantile(light.flatten(), 0.99))
    return facts


def _grey_facts(method: ExamMethod) -> dict[str, float]:
    answer = method.answer(grey_ramp())
    coded = to_coded(RgbBatch(answer, HDR_DISPLAY, STILL_TIMELINE), HDR10_SIGNAL)
    luma = coded.luma[0].to(torch.int32)
    steps = luma[luma.shape[0] // 2, _centres(RAMP_STEP_PX, luma.shape[1], method.scale)].diff()
    chroma = torch.stack((coded.cb, coded.cr)).to(torch.int32)
    black = _luma(method, torch.zeros(1, 3, 48, 64))
    return {
        "black_codes": float((black - 64).abs().max()),
        "grey_chroma_codes": float((chroma - 512).abs().max()),
        "grey_smallest_step_codes": float(steps.min()),
        "grey_largest_step_codes": float(steps.max()),
    }


def _luma(method: ExamMethod, sdr: torch.Tensor) -> torch.Tensor:
    answer = RgbBatch(method.answer(sdr), HDR_DISPLAY, STILL_TIMELINE)
    return to_coded(answer, HDR10_SIGNAL).luma[0].to(torch.int32)


def _centres(step_px: int, length_px: int, scale: int) -> torch.Tensor:
    """The middle column of each step."""
    return torch.arange(step_px * scale // 2, length_px, step_px * scale)


def _hue_shift_degrees(method: ExamMethod, patches: torch.Tensor) -> float:
    """Largest change of hue from the SDR's chromaticity, compared at the answer's luminance."""
    half = PATCH_PX // 2
    sdr = patches[:, :, half::PATCH_PX, half::PATCH_PX]
    half, side = half * method.scale, PATCH_PX * method.scale
    answer = pq_eotf(method.answer(patches))[:, :, half::side, half::side]
    source = sdr_to_bt2020_linear(sdr)
    weights = luminance_coefficients(Primaries.BT2020)
    level = weighted_sum(answer, weights)
    source = source * (level / weighted_sum(source, weights).clamp(min=1e-9))
    shift = hue_degrees(rgb_to_ictcp(answer)) - hue_degrees(rgb_to_ictcp(source.clamp(min=0.0)))
    shift = (shift + 180.0) % 360.0 - 180.0
    return float(shift.abs()[level[:, 0] >= _LUMINANCE_JUDGED_CD_M2].max())


def crop_difference_codes(method: ExamMethod, scenes: Sequence[ExamScene]) -> float:
    """How much a 512 px crop's answer differs from that part of the whole 1080p frame's.

    Args:
        method: HDR sizes are meant: at scale 4 the crop of SDR has 128 px.
        scenes: Each is shown at 1920x1080 and cropped in the middle and at two corners.

    Returns:
        99th percentile of the absolute difference of R', G', B', in 10-bit codes; the largest of
        all crops.
    """
    scale = method.scale
    side, border = _CROP_PX // scale, _BORDER_PX
    height, width = (size // scale for size in _WHOLE_PX)
    places = ((0, 0), ((height - side) // 2, (width - side) // 2), (height - side, width - side))
    store = SceneStore([each.scene for each in scenes])
    largest = 0.0
    for index, each in enumerate(scenes):
        picture = store.pictures(index)[0]
        pair, rng = show_scene(picture, each.scene.name, "bt2446a", *_WHOLE_PX)
        sdr = degrade(pair.sdr, CLEAN, scale, rng)
        whole = method.answer(sdr)
        for top, left in places:
            crop = method.answer(sdr[:, :, top : top + side, left : left + side])
            rows = slice(top * scale + border, (top + side) * scale - border)
            columns = slice(left * scale + border, (left + side) * scale - border)
            inside = crop[:, :, border:-border, border:-border]
            difference = (inside - whole[:, :, rows, columns]).abs().flatten()
            # `quantile` refuses more than 16 million values, and sorts what it is given.
            place = max(1, round(0.99 * difference.numel()))
            largest = max(largest, float(difference.kthvalue(place).values) * HDR10_CODES)
    return largest
