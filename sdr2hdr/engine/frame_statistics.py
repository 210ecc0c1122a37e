"""Mean and standard deviation of a whole frame, gathered part by part."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch

__all__ = ["ChannelStatistics", "Moments", "band_moments", "bands", "moments"]


_SLICE_SAMPLES = 1 << 16
"""Measured at once: half a megabyte as float64, which stays in a core's cache. A whole tile's eight
take a third longer."""

_BAND_PX = 1 << 14
"""Of a band on a CPU, at most, if a row is not longer: 8 rows at 1080p. So many values added up in
float32 by one thread are right to 5e-6, those of bfloat16 maps to 1e-5, and a frame's bands
together to more. Two threads measure a map of 64 channels at 1080p in 52 ms by bands of 4 rows, in
39 ms by 8, in 32 ms by 17, which are right to 1.2e-5 only."""

_CUDA_BAND_PX = 1 << 19
"""The same on CUDA, where a band takes some launches and 64 channels a quarter of a gigabyte."""


@dataclass(frozen=True)
class Moments:
    """What a part of a map adds to the statistics of the whole.

    Attributes:
        count: Samples of each channel.
        mean: (N, C), float64.
        squares: Sum of squared deviations from `mean`, (N, C), float64.
    """

    count: int
    mean: torch.Tensor
    squares: torch.Tensor


def moments(part: torch.Tensor) -> Moments:
    """Measure any part of a map, in float64.

    What is computed from float32 maps and rounded to float32 again then has the same bits however
    the frame is cut. Less is not enough: with sums in float32, gates differ in their last bits,
    some roundings between stages go the other way, and after five blocks in bfloat16 5 % of the
    codes of 10 bits are others. A mean a million times the deviation leaves 4 digits of the
    variance, so that one pass is enough.

    Args:
        part: (N, C, h, w), floating, not empty.
    """
    frames, channels, height_px, width_px = part.shape
    rows_px = height_px
    if not part.is_cuda:
        rows_px = max(1, _SLICE_SAMPLES // (frames * channels * width_px))
    sums, squares = [], []
    for rows in part.split(rows_px, dim=2):
        # Rows that lie one after another in memory are four times as fast as two axes of a cut-out.
        if part.stride(1) == 1:
            samples, axis = rows.permute(0, 2, 3, 1).to(torch.float64).flatten(1, 2), 1
        else:
            samples, axis = rows.to(torch.float64).flatten(2), 2
        sums.append(samples.sum(axis))
        # Squared in place, unless that is the caller's own map.
        squared = samples.square() if part.dtype == torch.float64 else samples.square_()
        squares.append(squared.sum(axis))
    count = height_px * width_px
    mean = torch.stack(sums).sum(0) / count
    around = torch.stack(squares).sum(0) - mean.square() * count
    return Moments(count, mean, around.clamp_(min=0.0))


def bands(whole: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """Cut a map from top to bottom into bands of whole rows, by its size and device alone.

    Args:
        whole: (N, C, H, W).
    """
    band_px = _CUDA_BAND_PX if whole.is_cuda else _BAND_PX
    return whole.split(max(1, band_px // whole.shape[3]), dim=2)


def band_moments(band: torch.Tensor) -> Moments:
    """Measure one of a map's `bands`.

    As tiles do not change these, neither do they change how sums in float32 are rounded. So a map
    that is channels last on a CPU is measured by what torch has for batch normalisation: in two
    passes, with such sums (float64 for float64), in less than half of the time of `moments`. More
    threads of torch's own than one, which an engine's workers never have, would round otherwise.

    Args:
        band: (N, C, h, w), floating, not empty.
    """
    if band.is_cuda or band.stride(1) != 1:
        return moments(band)
    # A map's margin lies between its rows.
    band = band.contiguous(memory_format=torch.channels_last)
    _, channels, height_px, width_px = band.shape
    sums_dtype = torch.float64 if band.dtype == torch.float64 else torch.float32
    # Averages that a training would keep; it insists on them.
    means, variances = band.new_zeros(2, channels, dtype=sums_dtype)
    measured = [
        torch.batch_norm_update_stats(frame, means, variances, 0.0) for frame in band.split(1)
    ]
    mean, variance = (torch.stack(of_frames).double() for of_frames in zip(*measured, strict=True))
    count = height_px * width_px
    return Moments(count, mean, variance.mul_(count))


@dataclass(frozen=True)
class ChannelStatistics:
    """Mean and standard deviation of each channel of a map.

    Attributes:
        mean: (N, C), float64.
        standard_deviation: Root of the population variance, (N, C), float64.
    """

    mean: torch.Tensor
    standard_deviation: torch.Tensor

    @staticmethod
    def of(parts: Iterable[Moments]) -> ChannelStatistics:
        """Merge parts, in float64.

        The squares around the whole's mean are those around each part's own, and the parts' means'
        around the whole's. How a map is cut changes the result by float64's rounding, and the same
        cuts in the same order give the same bits.

        Raises:
            ValueError: There are no parts.
        """
        found = tuple(parts)
        if not found:
            raise ValueError("Statistics of no parts were asked for; expected one or more.")
        means, squares = (
            torch.stack([getattr(part, name) for part in found]) for name in ("mean", "squares")
        )
        counts = means.new_tensor([part.count for part in found])[:, None, None]
        count = counts.sum()
        mean = (means * counts).sum(0) / count
        around = squares.sum(0) + ((means - mean).square() * counts).sum(0)
        return ChannelStatistics(mean, (around / count).sqrt())
