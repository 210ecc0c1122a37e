"""Tell black from picture, give or take the noise of coding."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np

from sdr2hdr.frames import CodedBatch, Rectangle
from sdr2hdr.media.planes import Planes
from sdr2hdr.signal import CodedSignal, Matrix

__all__ = ["RINGING_PX", "is_black_outside", "is_bright", "not_black"]

LUMA_TOLERANCE = 3
CHROMA_TOLERANCE = 3
"""Codes at 8 bits within which a sample counts as black; coding noise stays below."""

LONE_TOLERANCE = 8
"""The same for a sample of which none beside, above or below is outside the first two tolerances:
the noise of a film has many such, and nothing that is meant to be seen is one faint sample."""

RINGING_PX = 16
RINGING_LUMA_TOLERANCE = 16
RINGING_CHROMA_TOLERANCE = 8
"""The same so near to the picture: a codec's block across the edge spills into the bar."""


def is_black_outside(batch: CodedBatch, active: Rectangle) -> list[bool]:
    """For each frame, whether everything outside the rectangle is black.

    Args:
        batch: Frames of the size that `active` was found in.
        active: As `detect_active_picture` gives it.
    """
    height, width = batch.luma.shape[1:]
    near = Rectangle(
        max(0, active.top - RINGING_PX),
        max(0, active.left - RINGING_PX),
        min(height, active.bottom + RINGING_PX),
        min(width, active.right + RINGING_PX),
    )
    signal = batch.signal
    across, down = signal.subsampling.value
    seen = np.zeros(len(batch.timeline), bool)
    for strip in _strips(batch.luma.cpu().numpy(), near, 1, 1):
        seen |= _shows_light(strip, signal).any((1, 2))
    for strip in _strips(batch.luma.cpu().numpy(), active, 1, 1):
        seen |= is_bright(strip, signal, RINGING_LUMA_TOLERANCE).any((1, 2))
    for plane in (batch.cb, batch.cr):
        for strip in _strips(plane.cpu().numpy(), near, across, down):
            seen |= _shows_colour(strip, signal).any((1, 2))
        for strip in _strips(plane.cpu().numpy(), active, across, down):
            seen |= _is_coloured(strip, signal, RINGING_CHROMA_TOLERANCE).any((1, 2))
    return [not value for value in seen.tolist()]


def not_black(planes: Planes, signal: CodedSignal) -> np.ndarray:
    """(H, W) map of what is not black, a chroma sample counting for all pixels it covers."""
    seen = _shows_light(planes.luma, signal)
    height, width = seen.shape
    across, down = signal.subsampling.value
    for plane in (planes.cb, planes.cr):
        coloured = _shows_colour(plane, signal)
        seen |= coloured.repeat(down, 0).repeat(across, 1)[:height, :width]
    return seen


def is_bright(luma: np.ndarray, signal: CodedSignal, tolerance: int) -> np.ndarray:
    """Where luma is above black by more than a number of codes at 8 bits."""
    return luma > signal.black_code + (tolerance << (signal.bit_depth - 8))


def _strips(planes: np.ndarray, hole: Rectangle, across: int, down: int) -> Iterator[np.ndarray]:
    """The four parts of (N, h, w) around a rectangle.

    Args:
        planes: Any plane of the frames.
        hole: In luma px.
        across: Luma px a sample of `planes`, along a row.
        down: The same along a column.
    """
    top, bottom = hole.top // down, -(-hole.bottom // down)
    left, right = hole.left // across, -(-hole.right // across)
    yield planes[:, :top]
    yield planes[:, bottom:]
    yield planes[:, top:bottom, :left]
    yield planes[:, top:bottom, right:]


def _is_coloured(plane: np.ndarray, signal: CodedSignal, tolerance: int) -> np.ndarray:
    if signal.matrix is Matrix.RGB:
        return is_bright(plane, signal, tolerance)
    neutral, codes = signal.neutral_chroma_code, tolerance << (signal.bit_depth - 8)
    return (plane > neutral + codes) | (plane < neutral - codes)


def _shows_light(luma: np.ndarray, signal: CodedSignal) -> np.ndarray:
    """Where luma, (..., H, W), is not black, but for lone faint samples."""
    return _without_lone(partial(is_bright, luma, signal), LUMA_TOLERANCE)


def _shows_colour(plane: np.ndarray, signal: CodedSignal) -> np.ndarray:
    """Where chroma, (..., h, w), is not neutral, but for lone faint samples."""
    return _without_lone(partial(_is_coloured, plane, signal), CHROMA_TOLERANCE)


def _without_lone(outside: Callable[[int], np.ndarray], tolerance: int) -> np.ndarray:
    """Where samples are outside a tolerance and either not faint or with one like them beside them.

    Args:
        outside: Gives the map of what is outside a number of codes at 8 bits.
        tolerance: The number.
    """
    found = outside(tolerance)
    if not found.any():
        return found
    backed = outside(LONE_TOLERANCE)
    backed[..., 1:] |= found[..., :-1]
    backed[..., :-1] |= found[..., 1:]
    backed[..., 1:, :] |= found[..., :-1, :]
    backed[..., :-1, :] |= found[..., 1:, :]
    return found & backed
