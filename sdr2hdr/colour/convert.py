"""Coded planes to the R'G'B' a method takes, and a method's R'G'B' to coded planes."""

from __future__ import annotations

import dataclasses

import torch

from sdr2hdr.colour.channels import apply_matrix
from sdr2hdr.colour.chroma import (
    DOWNSAMPLING_HALO,
    UPSAMPLING_HALO,
    downsample_chroma,
    upsample_chroma,
)
from sdr2hdr.colour.dither import add_to_chroma, add_to_luma
from sdr2hdr.colour.primaries import rgb_to_rgb_matrix
from sdr2hdr.colour.strips import row_strips
from sdr2hdr.colour.transfer import from_linear, to_linear
from sdr2hdr.colour.ycbcr import (
    dequantise,
    highest_code,
    nominal_white_code,
    rgb_to_ycbcr,
    round_codes,
    to_code_scale,
    ycbcr_to_rgb,
)
from sdr2hdr.frames import CodedBatch, RgbBatch
from sdr2hdr.options import SuperWhite
from sdr2hdr.signal import BT709_DISPLAY, CodedSignal, Matrix, RgbSignal, Transfer

__all__ = [
    "pad_to_even",
    "planes_to_rgb",
    "super_white_share",
    "to_coded",
    "to_rgb",
    "white_signal",
]


def to_rgb(batch: CodedBatch, *, super_white: SuperWhite = "clip") -> RgbBatch:
    """Decode SDR planes to R'G'B' in BT.709 primaries and BT.1886 light.

    Args:
        batch: SDR frames: any matrix, range, siting, subsampling and bit depth.
        super_white: What becomes of limited-range codes above nominal white (236 to 254 at
            8 bits). "clip" makes them white. "scale" divides the whole signal so that the highest
            code, (254 - 16) / 219 = 108.7% at 8 bits, becomes 1.0, and nominal white less.

    Returns:
        float32, [0, 1], on the planes' device. Below black and outside BT.709 is clipped. The
        black code is exactly 0.0, and nominal white exactly 1.0 under "clip".

    Raises:
        ValueError: The planes are PQ.
    """
    signal = batch.signal
    if signal.transfer is Transfer.PQ:
        raise ValueError(f"The transfer function is {signal.transfer.value}; expected SDR.")
    pixels = planes_to_rgb(batch)
    if super_white == "scale":
        pixels = pixels.div_(_peak_signal(signal))
    pixels = pixels.clamp_(0.0, 1.0)
    source = RgbSignal(signal.primaries, signal.transfer)
    return RgbBatch(_to_bt709_display(pixels, source), BT709_DISPLAY, batch.timeline)


def white_signal(signal: CodedSignal, super_white: SuperWhite) -> float:
    """R' = G' = B' that `to_rgb` makes of nominal white: 1.0, and less under "scale"."""
    if super_white == "clip":
        return 1.0
    white = torch.full((1, 3, 1, 1), 1.0 / _peak_signal(signal))
    source = RgbSignal(signal.primaries, signal.transfer)
    return float(_to_bt709_display(white, source)[0, 1, 0, 0])


def planes_to_rgb(batch: CodedBatch) -> torch.Tensor:
    """Decode planes to the R'G'B' of their own primaries and transfer.

    Args:
        batch: Any matrix, range, siting, subsampling and bit depth.

    Returns:
        (N, 3, H, W), float32, on the planes' device; nominally [0, 1], not clipped.
    """
    signal, luma = batch.signal, batch.luma
    frames, height, width = luma.shape
    rgb = torch.empty((frames, 3, height, width), device=luma.device)
    for top, bottom in row_strips(height, width, luma.device):
        cb, cr = (
            _upsampled_rows(plane, signal, top, bottom, width) for plane in (batch.cb, batch.cr)
        )
        rows = dequantise(luma[:, top:bottom], signal, chroma=False)
        rgb[:, :, top:bottom] = ycbcr_to_rgb(rows, cb, cr, signal.matrix)
    return rgb


def _upsampled_rows(
    plane: torch.Tensor, signal: CodedSignal, top: int, bottom: int, width: int
) -> torch.Tensor:
    """E'Cb or E'Cr at the luma rows `top` (even) to `bottom`."""
    step = signal.subsampling.vertical
    # The rows that the filter reads, as far as there are any; at the plane's edge it repeats them.
    halo = UPSAMPLING_HALO if step == 2 else 0
    first = max(top // step - halo, 0)
    rows = plane[:, first : -(-bottom // step) + halo]
    up = upsample_chroma(
        dequantise(rows, signal, chroma=True),
        signal.siting,
        signal.subsampling,
        rows.shape[1] * step,
        width,
    )
    return up[:, top - first * step : bottom - first * step]


def _peak_signal(signal: CodedSignal) -> float:
    """E'Y of the highest code: 1 in full range, 1.087 at 8 bits in limited."""
    span = nominal_white_code(signal) - signal.black_code
    return (highest_code(signal) - signal.black_code) / span


def _to_bt709_display(pixels: torch.Tensor, source: RgbSignal) -> torch.Tensor:
    """Re-encode R'G'B' in [0, 1]; exactly the input if it is what is wanted already."""
    if source == BT709_DISPLAY:
        return pixels
    light = to_linear(pixels, source.transfer)
    if source.primaries is not BT709_DISPLAY.primaries:
        matrix = rgb_to_rgb_matrix(source.primaries, BT709_DISPLAY.primaries)
        light = apply_matrix(matrix, light).clamp_(0.0, 1.0)
    return from_linear(light, BT709_DISPLAY.transfer)


def super_white_share(batch: CodedBatch) -> float:
    """Share of luma samples above nominal white (236 and more at 8 bits), [0, 1].

    Full range has no codes there, so its share is 0.
    """
    white = nominal_white_code(batch.signal)
    if white == highest_code(batch.signal) or batch.luma.numel() == 0:
        return 0.0
    above = batch.luma.to(torch.int32) > white
    return int(above.sum()) / batch.luma.numel()


def to_coded(batch: RgbBatch, signal: CodedSignal, *, dither: bool = False) -> CodedBatch:
    """Encode R'G'B' as integer planes, chroma filtered for where its samples lie.

    Args:
        batch: Frames of any size, odd ones too, in the primaries and transfer of `signal`.
        signal: What the codes shall mean.
        dither: Add noise before rounding (see `colour.dither`).

    Returns:
        uint8 planes for 8 bits, else uint16, on the pixels' device.

    Raises:
        ValueError: The frames have other primaries or another transfer than `signal`.
    """
    expected = RgbSignal(signal.primaries, signal.transfer)
    if batch.signal != expected:
        raise ValueError(f"The frames are {batch.signal}; expected {expected}.")
    pixels = batch.pixels.to(torch.float32)
    if dither:
        codes = _code_scale_rows(pixels, signal, 0, pixels.shape[2])
        planes = _dithered(*codes, batch, signal)
        return CodedBatch(*_rounded(planes, signal), signal, batch.timeline)
    frames, _, height, width = pixels.shape
    step = signal.subsampling
    dtype = torch.uint8 if signal.bit_depth == 8 else torch.uint16
    size = (-(-height // step.vertical), -(-width // step.horizontal))
    luma, cb, cr = (
        torch.empty((frames, *plane), dtype=dtype, device=pixels.device)
        for plane in ((height, width), size, size)
    )
    for top, bottom in row_strips(height, width, pixels.device):
        codes = _code_scale_rows(pixels, signal, top, bottom)
        rows = slice(top // step.vertical, -(-bottom // step.vertical))
        luma[:, top:bottom], cb[:, rows], cr[:, rows] = _rounded(codes, signal)
    return CodedBatch(luma, cb, cr, signal, batch.timeline)


def _code_scale_rows(
    pixels: torch.Tensor, signal: CodedSignal, top: int, bottom: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Codes, not yet rounded, of the luma rows `top` (even) to `bottom` and the chroma beside."""
    step = signal.subsampling.vertical
    halo = DOWNSAMPLING_HALO if step == 2 else 0
    first = max(top - halo, 0)
    luma, cb, cr = rgb_to_ycbcr(pixels[:, :, first : bottom + halo], signal.matrix)
    rows = slice((top - first) // step, -(-(bottom - first) // step))
    cb, cr = (
        downsample_chroma(plane, signal.siting, signal.subsampling)[:, rows] for plane in (cb, cr)
    )
    return (
        to_code_scale(luma[:, top - first : bottom - first], signal, chroma=False),
        to_code_scale(cb, signal, chroma=True),
        to_code_scale(cr, signal, chroma=True),
    )


def _rounded(
    codes: tuple[torch.Tensor, torch.Tensor, torch.Tensor], signal: CodedSignal
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    luma, cb, cr = codes
    return (
        round_codes(luma, signal, chroma=False),
        round_codes(cb, signal, chroma=True),
        round_codes(cr, signal, chroma=True),
    )


def _dithered(
    luma: torch.Tensor,
    cb: torch.Tensor,
    cr: torch.Tensor,
    batch: RgbBatch,
    signal: CodedSignal,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Add noise to three planes of codes; chroma reads luma at its own samples' columns and rows.

    With a centred siting those are half a luma sample off, which matters only to where the noise
    fades next to black.
    """
    pts = tuple(time.pts for time in batch.timeline.frames)
    black = signal.black_code
    if signal.matrix is Matrix.RGB:
        first, second, third = (
            add_to_luma(plane, pts, black, number) for number, plane in enumerate((luma, cb, cr))
        )
        return first, second, third
    near = luma[:, :: signal.subsampling.vertical, :: signal.subsampling.horizontal]
    neutral = signal.neutral_chroma_code
    return (
        add_to_luma(luma, pts, black),
        add_to_chroma(cb, near, pts, black, neutral, plane=1),
        add_to_chroma(cr, near, pts, black, neutral, plane=2),
    )


def pad_to_even(batch: CodedBatch) -> CodedBatch:
    """Repeat the last row or column, so that height and width are multiples of 2.

    Returns:
        The batch itself if both are even already. Chroma planes of 4:2:0 never change: the sample
        that an odd picture has for its last column serves the repeated one too.
    """
    _, height, width = batch.luma.shape
    if height % 2 == 0 and width % 2 == 0:
        return batch
    subsampling = batch.signal.subsampling
    target = (height + height % 2, width + width % 2)
    chroma = (-(-target[0] // subsampling.vertical), -(-target[1] // subsampling.horizontal))
    return dataclasses.replace(
        batch,
        luma=_repeat_edges(batch.luma, *target),
        cb=_repeat_edges(batch.cb, *chroma),
        cr=_repeat_edges(batch.cr, *chroma),
    )


def _repeat_edges(plane: torch.Tensor, height: int, width: int) -> torch.Tensor:
    if plane.shape[-2] < height:
        plane = torch.cat((plane, plane[:, -1:]), dim=-2)
    if plane.shape[-1] < width:
        plane = torch.cat((plane, plane[:, :, -1:]), dim=-1)
    return plane
