"""Chroma resampling that honours where the samples lie (siting).

Along each direction a chroma sample either sits on the first of its luma samples ("co-sited") or
in the middle of them ("centred"):

    siting     horizontal   vertical (4:2:0 only)
    LEFT       co-sited     centred
    CENTRE     centred      centred
    TOP_LEFT   co-sited     co-sited

All filters are the Catmull-Rom cubic (Keys, a = -1/2), read at the exact distances between the
samples: as it is for upsampling; for downsampling by two, stretched by two and halved; by four
likewise. It reproduces straight lines, so nothing shifts, and when co-sited it is a half-band
filter (by four, a quarter-band filter). Taps, in order:

    up, co-sited     even luma: 1                       odd: -1 9 9 -1 / 16
    up, centred      even luma: -3 29 111 -9 / 128      odd: -9 111 29 -3 / 128
    4:1:1, co-sited  luma 0: 1   1: -9 111 29 -3 / 128   2: -1 9 9 -1 / 16   3: -3 29 111 -9 / 128
    down, co-sited   -1 0 9 16 9 0 -1 / 32
    down, centred    -3 -9 29 111 111 29 -9 -3 / 256

Beyond the picture's edge its last sample is repeated.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch.nn import functional

from sdr2hdr.signal import ChromaSiting, Subsampling

__all__ = ["DOWNSAMPLING_HALO", "UPSAMPLING_HALO", "downsample_chroma", "upsample_chroma"]

UPSAMPLING_HALO = 2
"""Chroma samples that `upsample_chroma` reads beyond those beside its result, either way."""

DOWNSAMPLING_HALO = 4
"""Luma samples that `downsample_chroma` reads beyond those beside its result, either way."""

_HORIZONTAL = -1
_VERTICAL = -2


def _catmull_rom(distance: float) -> float:
    """Keys' cubic convolution kernel with a = -1/2 (IEEE Trans. ASSP 29(6), 1981, eq. 15)."""
    x = abs(distance)
    if x < 1.0:
        return (1.5 * x - 2.5) * x * x + 1.0
    if x < 2.0:
        return ((-0.5 * x + 2.5) * x - 4.0) * x + 2.0
    return 0.0


@dataclass(frozen=True)
class _Filter:
    """Weights of the input samples `first`, `first` + 1, ... around an output sample."""

    first: int
    weights: tuple[float, ...]

    @classmethod
    def at(cls, position: float, stretch: int) -> _Filter:
        """Read the kernel, `stretch` times as wide, around a position between input samples."""
        reach = 2 * stretch
        first = math.floor(position) - reach + 1
        weights = tuple(
            _catmull_rom((first + tap - position) / stretch) / stretch for tap in range(2 * reach)
        )
        return cls(first, weights)


def upsample_chroma(
    plane: torch.Tensor,
    siting: ChromaSiting,
    subsampling: Subsampling,
    height: int,
    width: int,
) -> torch.Tensor:
    """Interpolate a chroma plane at every luma sample; a constant plane is exactly unchanged.

    Args:
        plane: (N, ceil(height / vertical), ceil(width / horizontal)), floating.
        siting: Where the chroma samples lie.
        subsampling: The chroma format of `plane`.
        height: Luma rows, px.
        width: Luma columns, px.

    Returns:
        (N, height, width).
    """
    if subsampling.vertical == 2:
        plane = _enlarge(plane, _VERTICAL, 2, _vertical_offset(siting))[:, :height]
    if subsampling.horizontal > 1:
        times = subsampling.horizontal
        offset = _horizontal_offset(siting, subsampling)
        plane = _enlarge(plane, _HORIZONTAL, times, offset)[:, :, :width]
    return plane


def downsample_chroma(
    plane: torch.Tensor, siting: ChromaSiting, subsampling: Subsampling
) -> torch.Tensor:
    """Filter a full-size chroma plane at the places where its samples will lie.

    A constant plane is exactly unchanged.

    Args:
        plane: (N, H, W), floating.
        siting: Where the chroma samples shall lie.
        subsampling: The chroma format of the result.

    Returns:
        (N, ceil(H / vertical), ceil(W / horizontal)).
    """
    if subsampling.vertical == 2:
        plane = _reduce(plane, _VERTICAL, 2, _vertical_offset(siting))
    if subsampling.horizontal > 1:
        offset = _horizontal_offset(siting, subsampling)
        plane = _reduce(plane, _HORIZONTAL, subsampling.horizontal, offset)
    return plane


def _horizontal_offset(siting: ChromaSiting, subsampling: Subsampling) -> float:
    """Luma samples from the first luma sample to the first chroma sample along a row."""
    return (subsampling.horizontal - 1) / 2.0 if siting is ChromaSiting.CENTRE else 0.0


def _vertical_offset(siting: ChromaSiting) -> float:
    """Luma samples from the first luma sample to the first chroma sample along a column."""
    return 0.0 if siting is ChromaSiting.TOP_LEFT else 0.5


def _enlarge(plane: torch.Tensor, axis: int, times: int, offset: float) -> torch.Tensor:
    filters = [_Filter.at((phase - offset) / times, stretch=1) for phase in range(times)]
    before = max(0, -min(taps.first for taps in filters))
    padded = _replicate(plane, axis, before, 2)
    samples = plane.shape[axis]
    phases = [_convolve(padded, axis, taps, before, samples, step=1) for taps in filters]
    return torch.stack(phases, dim=axis).flatten(axis - 1, axis)


def _reduce(plane: torch.Tensor, axis: int, times: int, offset: float) -> torch.Tensor:
    taps = _Filter.at(offset, stretch=times)
    before = -taps.first
    padded = _replicate(plane, axis, before, len(taps.weights) - before)
    return _convolve(padded, axis, taps, before, -(-plane.shape[axis] // times), step=times)


def _replicate(plane: torch.Tensor, axis: int, before: int, after: int) -> torch.Tensor:
    margins = (before, after, 0, 0) if axis == _HORIZONTAL else (0, 0, before, after)
    return functional.pad(plane[None], margins, mode="replicate")[0]


def _convolve(
    padded: torch.Tensor, axis: int, taps: _Filter, before: int, samples: int, step: int
) -> torch.Tensor:
    """Sum weighted neighbours as heaviest + weight x (neighbour - heaviest).

    As the weights add up to 1 this is the plain sum, but exact wherever all neighbours are equal.
    """

    def neighbour(tap: int) -> torch.Tensor:
        start = before + taps.first + tap
        rows = slice(start, start + step * (samples - 1) + 1, step)
        return padded[..., rows] if axis == _HORIZONTAL else padded[..., rows, :]

    heaviest = max(range(len(taps.weights)), key=lambda tap: taps.weights[tap])
    centre = neighbour(heaviest)
    total = centre.clone()
    for tap, weight in enumerate(taps.weights):
        if weight != 0.0 and tap != heaviest:
            total.add_(neighbour(tap) - centre, alpha=weight)
    return total
