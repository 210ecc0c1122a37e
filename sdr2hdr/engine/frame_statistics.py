"""Mean and standard deviation of a whole frame, gathered tile by tile."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch

__all__ = ["ChannelStatistics", "Moments", "moments"]


_SLICE_SAMPLES = 1 << 16
"""Measured at once: half a megabyte as float64, which stays in a core's cache. A whole tile's eight
take a third longer."""


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

    def merged(self, other: Moments) -> Moments:
        """Those of both parts together.

        Source:
            Chan, Golub, LeVeque, "Updating formulae and a pairwise algorithm for computing sample
            variances", COMPSTAT 1982, equation 2.1.
        """
        count = self.count + other.count
        shift = other.mean - self.mean
        return Moments(
            count,
            self.mean + shift * (other.count / count),
            self.squares + other.squares + shift.square() * (self.count * other.count / count),
        )


def moments(part: torch.Tensor) -> Moments:
    """Measure a part of a map, in float64.

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
        """Merge parts in their order, in float64.

        How a map is cut changes the result by float64's rounding, and the same cuts in the same
        order give the same bits.

        Raises:
            ValueError: There are no parts.
        """
        whole: Moments | None = None
        for part in parts:
            whole = part if whole is None else whole.merged(part)
        if whole is None:
            raise ValueError("Statistics of no parts were asked for; expected one or more.")
        return ChannelStatistics(whole.mean, (whole.squares / whole.count).sqrt())
