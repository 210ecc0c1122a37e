"""Deterministic dither: noise of less than a code before rounding, so that rounding does not band.

It is of the size of the rounding to 10 bits. The steps of an 8-bit source are larger (1 to 7 codes
between neighbours with the curves, widest in the dark) and stay as they are.

The noise is one tile, the same for ever: integers hashed from their place, sharpened (each minus
its neighbours) so that their power lies in fine detail where the eye is least sensitive, and
replaced by their ranks, so that its values are exactly uniform and their mean is exactly zero. Per
frame and plane the tile is shifted by a hash of the frame's time. Integers alone decide, so the
bytes are the same on every machine, device and number of threads.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray

__all__ = ["add_to_chroma", "add_to_luma", "noise"]

_TILE_PX = 128
_MASK = (1 << 64) - 1

# Steele, Lea, Flood: "Fast splittable pseudorandom number generators", OOPSLA 2014 (SplitMix64).
_GOLDEN = 0x9E3779B97F4A7C15
_MIX_1 = 0xBF58476D1CE4E5B9
_MIX_2 = 0x94D049BB133111EB

_BLACK_FADE_CODES = 4.0
_NEUTRAL_FADE_CODES = 1.0


def noise(shape: tuple[int, int, int], pts: tuple[int, ...], plane: int) -> torch.Tensor:
    """The noise of one plane.

    Args:
        shape: Frames, rows, columns.
        pts: Time of each frame, ticks.
        plane: 0 for luma, 1 and 2 for chroma.

    Returns:
        float32 on the CPU, in codes, (-1/2, 1/2), of that shape: rounding is right on average for
        every value.
    """
    _, height, width = shape
    repeats = (-(-height // _TILE_PX), -(-width // _TILE_PX))
    frames = []
    for time in pts:
        key = _hash(time * 4 + plane)
        shift = (key % _TILE_PX, (key >> 32) % _TILE_PX)
        frames.append(torch.roll(_tile(), shift, (0, 1)).repeat(repeats)[:height, :width])
    return torch.stack(frames)


def add_to_luma(
    codes: torch.Tensor, pts: tuple[int, ...], black_code: int, plane: int = 0
) -> torch.Tensor:
    """Add noise to codes that are not yet rounded; black stays exactly black.

    It grows from nothing at black to its full size four codes above.

    Args:
        codes: (N, H, W), floating, in codes; also R', G' or B' planes.
        pts: Time of each frame, ticks.
        black_code: Where the noise vanishes.
        plane: Which plane this is, 0 to 2.

    Returns:
        Same shape.
    """
    return codes + _noise_like(codes, pts, plane) * _black_fade(codes, black_code)


def add_to_chroma(
    codes: torch.Tensor,
    luma_codes: torch.Tensor,
    pts: tuple[int, ...],
    black_code: int,
    neutral_code: int,
    plane: int,
) -> torch.Tensor:
    """Add noise to a chroma plane, none where it is exactly neutral: a grey picture stays grey.

    Args:
        codes: (N, h, w), floating, in codes.
        luma_codes: Luma at the same places, same shape.
        pts: Time of each frame, ticks.
        black_code: Luma where the noise vanishes.
        neutral_code: Chroma where the noise vanishes.
        plane: 1 for Cb, 2 for Cr.

    Returns:
        Same shape.
    """
    fade = ((codes - neutral_code).abs() / _NEUTRAL_FADE_CODES).clamp(max=1.0)
    fade = fade * _black_fade(luma_codes, black_code)
    return codes + _noise_like(codes, pts, plane) * fade


def _noise_like(codes: torch.Tensor, pts: tuple[int, ...], plane: int) -> torch.Tensor:
    frames, height, width = codes.shape
    return noise((frames, height, width), pts, plane).to(codes.device)


def _black_fade(luma_codes: torch.Tensor, black_code: int) -> torch.Tensor:
    return ((luma_codes - black_code) / _BLACK_FADE_CODES).clamp(0.0, 1.0)


def _hash(number: int) -> int:
    value = (number + 1) * _GOLDEN & _MASK
    value = (value ^ value >> 30) * _MIX_1 & _MASK
    value = (value ^ value >> 27) * _MIX_2 & _MASK
    return value ^ value >> 31


@cache
def _tile() -> torch.Tensor:
    """Uniform on (-1/2, 1/2), mean 0, high-passed; (_TILE_PX, _TILE_PX), float32."""
    places = range(_TILE_PX * _TILE_PX)
    ranks = np.array([_hash(place) >> 40 for place in places], dtype=np.int64)
    ranks = _ranks(ranks.reshape(_TILE_PX, _TILE_PX))
    for _ in range(2):
        neighbours = sum(np.roll(ranks, shift, axis) for axis in (0, 1) for shift in (-1, 1))
        ranks = _ranks(4 * ranks - neighbours)
    return torch.from_numpy(((ranks + 0.5) / ranks.size - 0.5).astype(np.float32))


def _ranks(values: NDArray[np.int64]) -> NDArray[np.int64]:
    order = np.argsort(values, axis=None, kind="stable")
    ranks = np.empty(values.size, dtype=np.int64)
    ranks[order] = np.arange(values.size)
    return ranks.reshape(values.shape)
