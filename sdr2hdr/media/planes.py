"""Take a decoded frame apart into integer planes; nothing is converted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from av.video.frame import VideoFrame

from sdr2hdr.media.pixel_formats import Arrangement, PixelLayout

__all__ = ["Planes", "frame_planes"]


@dataclass(frozen=True)
class Planes:
    """Copies of a frame's planes, uint8 for 8 bits, else uint16 in the machine's own byte order.

    Attributes:
        luma: (H, W): Y', or G' of RGB.
        cb: (ceil(H / vertical), ceil(W / horizontal)): Cb, or B'.
        cr: Like `cb`: Cr, or R'.
    """

    luma: np.ndarray
    cb: np.ndarray
    cr: np.ndarray


def frame_planes(frame: VideoFrame, layout: PixelLayout) -> Planes:
    """Copy the planes out of a decoder's frame, whatever their line stride.

    Args:
        frame: A frame of the pixel format that `layout` describes.
        layout: From `pixel_layout(frame.format.name)`.
    """
    height, width = frame.height, frame.width
    rows = -(-height // layout.subsampling.vertical)
    columns = -(-width // layout.subsampling.horizontal)
    if layout.arrangement is Arrangement.PLANAR:
        luma = _samples(frame, 0, height, width, 1, layout)[..., 0]
        cb = _samples(frame, 1, rows, columns, 1, layout)[..., 0]
        cr = _samples(frame, 2, rows, columns, 1, layout)[..., 0]
    elif layout.arrangement is Arrangement.SEMI_PLANAR:
        luma = _samples(frame, 0, height, width, 1, layout)[..., 0]
        chroma = _samples(frame, 1, rows, columns, 2, layout)
        cb, cr = chroma[..., 0], chroma[..., 1]
    elif layout.arrangement is Arrangement.GREY:
        luma = _samples(frame, 0, height, width, layout.samples_per_pixel, layout)[..., 0]
        cb = np.full((rows, columns), 1 << (layout.bit_depth - 1), luma.dtype)
        cr = cb.copy()
    elif layout.arrangement is Arrangement.PACKED_PAIRS:
        pairs = _samples(frame, 0, rows, columns, 2 * layout.samples_per_pixel, layout)
        first, *chroma = layout.order
        # An odd width leaves the last pair's second Y' without a pixel.
        luma = pairs[..., first::2].reshape(height, -1)[:, :width]
        cb, cr = (pairs[..., position] for position in chroma)
    elif layout.arrangement is Arrangement.PALETTE:
        colours = np.frombuffer(memoryview(frame.planes[1]), np.uint32)
        words = colours[_samples(frame, 0, height, width, 1, layout)[..., 0]]
        luma, cb, cr = ((words >> bits & 0xFF).astype(np.uint8) for bits in (8, 0, 16))
    elif layout.arrangement is Arrangement.BITS:
        eights = _samples(frame, 0, height, -(-width // 8), 1, layout)[..., 0]
        bits = np.unpackbits(eights, axis=1)[:, :width]
        luma = np.where(bits == layout.zero_is_white, np.uint8(0), np.uint8(255))
        cb = np.full((rows, columns), 128, np.uint8)
        cr = cb.copy()
    else:
        pixels = _samples(frame, 0, height, width, layout.samples_per_pixel, layout)
        luma, cb, cr = (pixels[..., position] for position in layout.order)
    if layout.shift:
        luma, cb, cr = luma >> layout.shift, cb >> layout.shift, cr >> layout.shift
    # ascontiguousarray would hand back a view of libav's buffer where nothing has to move.
    native = luma.dtype.newbyteorder("=")
    return Planes(*(np.array(plane, native, order="C", copy=True) for plane in (luma, cb, cr)))


def _samples(
    frame: VideoFrame, index: int, rows: int, columns: int, per_pixel: int, layout: PixelLayout
) -> np.ndarray:
    """View one plane as (rows, columns, per_pixel); valid as long as the frame is."""
    plane = frame.planes[index]
    words = ">u2" if layout.is_big_endian else "<u2"
    dtype = np.dtype(np.uint8 if layout.bit_depth == 8 else words)
    stride = plane.line_size
    # PyAV's buffer begins at the lowest address, a bottom-up picture's first row at the last.
    first = (rows - 1) * -stride if stride < 0 else 0
    return np.ndarray(
        (rows, columns, per_pixel),
        dtype,
        buffer=memoryview(plane),
        offset=first,
        strides=(stride, per_pixel * dtype.itemsize, dtype.itemsize),
    )
