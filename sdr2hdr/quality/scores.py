"""Every metric of a pair of frames, computed in one pass over bands of rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch

from sdr2hdr.colour.transfer import pq_eotf
from sdr2hdr.quality.delta_e_itp import delta_e_itp
from sdr2hdr.quality.lab import lab_squared_error
from sdr2hdr.quality.mpsnr import MPSNR_PEAK, multi_exposure_squared_error
from sdr2hdr.quality.pairs import ErrorMap, check_pair, row_bands
from sdr2hdr.quality.psnr import (
    YCBCR_PEAK,
    luma_squared_error,
    psnr_from_mse,
    squared_error,
    ycbcr_squared_error,
)
from sdr2hdr.quality.regions import highlights, shadows
from sdr2hdr.quality.ssim import (
    MS_SSIM_SMALLEST_SIDE_PX,
    MS_SSIM_WEIGHTS,
    SSIM_WINDOW_PX,
    ms_ssim_from,
    scale_similarities,
    ssim_from,
)

__all__ = ["METRICS", "Metric", "score"]


@dataclass(frozen=True)
class Metric:
    """What a score is called and how it is read.

    Attributes:
        name: Key in JSON and of `score`.
        label: For people.
        unit: "dB" or nothing.
        decimals: Digits after the point that mean something.
        better: Which end of the scale is good.
    """

    name: str
    label: str
    unit: str
    decimals: int
    better: Literal["higher", "lower"]


_ALL = (
    Metric("psnr_rgb", "PSNR, PQ R'G'B'", "dB", 2, "higher"),
    Metric("psnr_ycbcr", "PSNR, 10-bit Y'CbCr", "dB", 2, "higher"),
    Metric("psnr_luma", "PSNR, 10-bit Y'", "dB", 2, "higher"),
    Metric("ssim", "SSIM", "", 4, "higher"),
    Metric("ms_ssim", "MS-SSIM", "", 4, "higher"),
    Metric("mpsnr", "mPSNR, -6 to +6 stops", "dB", 2, "higher"),
    Metric("delta_e_itp", "Delta E ITP", "", 2, "lower"),
    Metric("lab_mse", "L*a*b* MSE, white 203 cd/m2", "", 2, "lower"),
    Metric("psnr_highlights", "PSNR above 203 cd/m2", "dB", 2, "higher"),
    Metric("delta_e_itp_highlights", "Delta E ITP above 203 cd/m2", "", 2, "lower"),
    Metric("psnr_shadows", "PSNR below 1 cd/m2", "dB", 2, "higher"),
    Metric("delta_e_itp_shadows", "Delta E ITP below 1 cd/m2", "", 2, "lower"),
)

METRICS = {metric.name: metric for metric in _ALL}
"""By name, in the order in which they are shown."""


@dataclass(frozen=True)
class _Pointwise:
    """A metric that is a mean over pixels.

    Attributes:
        error_map: What is averaged.
        of_light: Whether it takes cd/m2 instead of the PQ signal.
        peak: For decibels below it; None leaves the mean as it is.
        region: The pixels of the reference (in cd/m2) that count; None counts all.
    """

    error_map: ErrorMap
    of_light: bool
    peak: float | None
    region: Callable[[torch.Tensor], torch.Tensor] | None = None


_POINTWISE = {
    "psnr_rgb": _Pointwise(squared_error, of_light=False, peak=1.0),
    "psnr_ycbcr": _Pointwise(ycbcr_squared_error, of_light=False, peak=YCBCR_PEAK),
    "psnr_luma": _Pointwise(luma_squared_error, of_light=False, peak=YCBCR_PEAK),
    "mpsnr": _Pointwise(multi_exposure_squared_error, of_light=True, peak=MPSNR_PEAK),
    "delta_e_itp": _Pointwise(delta_e_itp, of_light=True, peak=None),
    "lab_mse": _Pointwise(lab_squared_error, of_light=True, peak=None),
    "psnr_highlights": _Pointwise(squared_error, of_light=False, peak=1.0, region=highlights),
    "delta_e_itp_highlights": _Pointwise(delta_e_itp, of_light=True, peak=None, region=highlights),
    "psnr_shadows": _Pointwise(squared_error, of_light=False, peak=1.0, region=shadows),
    "delta_e_itp_shadows": _Pointwise(delta_e_itp, of_light=True, peak=None, region=shadows),
}


def score(
    reference_pq: torch.Tensor, test_pq: torch.Tensor, metrics: frozenset[str] | None = None
) -> dict[str, torch.Tensor]:
    """Measure each frame against its reference.

    Beside the pictures it needs memory for a band of some rows (and, for MS-SSIM, for a quarter of
    each picture). Per-pixel errors are computed in the pictures' dtype, float32 being enough;
    their sums, and all of SSIM, in float64.

    Args:
        reference_pq: (N, 3, H, W), floating, R'G'B', BT.2020, PQ, [0, 1].
        test_pq: Like `reference_pq`.
        metrics: Names from `METRICS`; None computes all.

    Returns:
        For each name, in the order of `METRICS`, (N,), float64. PSNR is infinite for equal frames.
        Not a number: a frame without highlights or shadows, and SSIM and MS-SSIM of pictures with
        a side below 11 and 176 px.

    Raises:
        ValueError: The pictures do not fit each other, or a name is not known.
    """
    check_pair(reference_pq, test_pq)
    wanted = frozenset(METRICS) if metrics is None else metrics
    if not wanted <= METRICS.keys():
        unknown = ", ".join(sorted(wanted - METRICS.keys()))
        raise ValueError(f"Unknown metrics {unknown}; expected among {', '.join(METRICS)}.")
    found = _pointwise_scores(reference_pq, test_pq, wanted & _POINTWISE.keys())
    found |= _structure_scores(reference_pq, test_pq, wanted)
    return {name: found[name] for name in METRICS if name in wanted}


def _pointwise_scores(
    reference_pq: torch.Tensor, test_pq: torch.Tensor, names: frozenset[str]
) -> dict[str, torch.Tensor]:
    totals = {name: _no_frames(reference_pq, 0.0) for name in names}
    counts = {name: _no_frames(reference_pq, 0.0) for name in names}
    for rows in row_bands(reference_pq):
        band = _Band(reference_pq[..., rows, :], test_pq[..., rows, :])
        for name in names:
            total, count = band.sums(_POINTWISE[name])
            totals[name] += total
            counts[name] += count
    means = {name: totals[name] / counts[name] for name in names}
    return {name: _as_score(mean, _POINTWISE[name].peak) for name, mean in means.items()}


def _as_score(mean: torch.Tensor, peak: float | None) -> torch.Tensor:
    return mean if peak is None else psnr_from_mse(mean, peak)


class _Band:
    """Some rows of both pictures; what several metrics need is computed once."""

    def __init__(self, reference_pq: torch.Tensor, test_pq: torch.Tensor) -> None:
        self._signals = (reference_pq, test_pq)
        self._light: tuple[torch.Tensor, torch.Tensor] | None = None
        self._errors: dict[ErrorMap, torch.Tensor] = {}

    def sums(self, metric: _Pointwise) -> tuple[torch.Tensor, torch.Tensor]:
        """Sum of the error, and number of pixels, of each frame; (N,), float64."""
        error = self._error(metric)
        if metric.region is None:
            pixels = error.new_full((error.shape[0],), error[0].numel(), dtype=torch.float64)
            return error.sum(dim=(1, 2), dtype=torch.float64), pixels
        mask = metric.region(self._light_cd_m2()[0])
        return (error * mask).sum(dim=(1, 2), dtype=torch.float64), mask.sum(dim=(1, 2)).double()

    def _error(self, metric: _Pointwise) -> torch.Tensor:
        if metric.error_map not in self._errors:
            pictures = self._light_cd_m2() if metric.of_light else self._signals
            self._errors[metric.error_map] = metric.error_map(*pictures)
        return self._errors[metric.error_map]

    def _light_cd_m2(self) -> tuple[torch.Tensor, torch.Tensor]:
        if self._light is None:
            reference_pq, test_pq = self._signals
            self._light = (pq_eotf(reference_pq), pq_eotf(test_pq))
        return self._light


def _structure_scores(
    reference_pq: torch.Tensor, test_pq: torch.Tensor, wanted: frozenset[str]
) -> dict[str, torch.Tensor]:
    side_px = min(reference_pq.shape[2:])
    nothing = _no_frames(reference_pq, float("nan"))
    found = {"ssim": nothing, "ms_ssim": nothing}
    if "ms_ssim" in wanted and side_px >= MS_SSIM_SMALLEST_SIDE_PX:
        scales = scale_similarities(reference_pq, test_pq, len(MS_SSIM_WEIGHTS))
        return {"ssim": ssim_from(scales), "ms_ssim": ms_ssim_from(scales)}
    if "ssim" in wanted and side_px >= SSIM_WINDOW_PX:
        found["ssim"] = ssim_from(scale_similarities(reference_pq, test_pq, scales=1))
    return found


def _no_frames(picture: torch.Tensor, value: float) -> torch.Tensor:
    return torch.full((picture.shape[0],), value, dtype=torch.float64, device=picture.device)
