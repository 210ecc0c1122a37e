"""What happens to SDR on its way: resizing, noise, 8 bits, 4:2:0, and lossy codecs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np
import torch
from torch.nn import functional

from sdr2hdr.colour import to_coded, to_rgb
from sdr2hdr.frames import STILL_TIMELINE, CodedBatch, RgbBatch
from sdr2hdr.media.encoding.recompress import (
    h264_qp_round_trip,
    h264_round_trip,
    jpeg_round_trip,
    mpeg2_round_trip,
)
from sdr2hdr.media.planes import Planes
from sdr2hdr.signal import (
    BT709_DISPLAY,
    ChromaSiting,
    CodedSignal,
    ColourRange,
    Matrix,
    Primaries,
    Subsampling,
    Transfer,
)
from sdr2hdr.training.randomness import chance, log_uniform, uniform

__all__ = [
    "CLEAN",
    "CodecLoss",
    "Degradation",
    "Resizing",
    "Shares",
    "degrade",
    "draw_degradation",
    "reduce",
]

Resizing = Literal["area", "bicubic", "lanczos"]

_SDR_SIGNAL = CodedSignal(
    matrix=Matrix.BT709,
    colour_range=ColourRange.LIMITED,
    primaries=Primaries.BT709,
    transfer=Transfer.BT1886,
    siting=ChromaSiting.LEFT,
    subsampling=Subsampling.YUV420,
    bit_depth=8,
)


@dataclass(frozen=True)
class CodecLoss:
    """A lossy codec, and how coarse it is: x264's CRF for "h264", a quantiser for the others."""

    codec: Literal["h264", "h264-qp", "mpeg2", "jpeg"]
    level: int


@dataclass(frozen=True)
class Shares:
    """How many of the pictures suffer, each from 0 to 1.

    Attributes:
        compressed: By a codec; of these 7 in 10 by H.264, 1 in 10 by MPEG-2.
        noisy: By noise before quantisation.
        filtered: By a slight blur or sharpening.
        banded: By quantisation to 5 to 7 bits.
        full_chroma: Not at all by 4:2:0: 8-bit R'G'B', as from PNG.
    """

    compressed: float = 0.35
    noisy: float = 0.3
    filtered: float = 0.25
    banded: float = 0.03
    full_chroma: float = 0.1


@dataclass(frozen=True)
class Degradation:
    """What happens to one picture, in this order.

    Attributes:
        resizing: Filter for super-resolution's smaller pictures.
        sharpening: Weight of an unsharp mask; negative blurs.
        noise: Standard deviation, of signal.
        bits: Of the signal before it is coded, if not 8.
        full_chroma: 8-bit R'G'B' without 4:2:0.
        codec: A codec on top.
    """

    resizing: Resizing = "area"
    sharpening: float = 0.0
    noise: float = 0.0
    bits: int | None = None
    full_chroma: bool = False
    codec: CodecLoss | None = None


CLEAN = Degradation()
"""8 bits and 4:2:0, nothing else."""


def draw_degradation(shares: Shares, rng: np.random.Generator) -> Degradation:
    """What happens to a picture, at random."""
    resizings: tuple[Resizing, ...] = ("bicubic", "area", "lanczos")
    codec = _draw_codec(rng) if chance(rng, shares.compressed) else None
    return Degradation(
        resizing=resizings[int(rng.integers(3))],
        sharpening=uniform(rng, (-0.5, 0.6)) if chance(rng, shares.filtered) else 0.0,
        noise=log_uniform(rng, (0.5, 6.0)) / 255.0 if chance(rng, shares.noisy) else 0.0,
        bits=int(rng.integers(5, 8)) if chance(rng, shares.banded) else None,
        full_chroma=codec is None and chance(rng, shares.full_chroma),
        codec=codec,
    )


def _draw_codec(rng: np.random.Generator) -> CodecLoss:
    pick = rng.random()
    if pick < 0.7:
        return CodecLoss("h264", int(rng.integers(18, 41)))
    if pick < 0.9:
        return CodecLoss("jpeg", int(rng.integers(2, 16)))
    return CodecLoss("mpeg2", int(rng.integers(2, 16)))


def degrade(
    sdr: torch.Tensor, degradation: Degradation, scale: int, rng: np.random.Generator
) -> torch.Tensor:
    """Make of an ideal SDR picture the one that a decoder gives.

    Args:
        sdr: (1, 3, H, W), float32, [0, 1], R'G'B', BT.709, gamma 2.4; H and W are multiples of
            2 x scale.
        degradation: What happens.
        scale: How many times smaller the result is along each side.
        rng: Makes the noise.

    Returns:
        (1, 3, H / scale, W / scale), float32, [0, 1], as `colour.to_rgb` decodes it.
    """
    if scale > 1:
        sdr = reduce(sdr, scale, degradation.resizing).clamp(0.0, 1.0)
    if degradation.sharpening:
        sdr = (sdr + degradation.sharpening * (sdr - _softened(sdr))).clamp(0.0, 1.0)
    if degradation.noise:
        sdr = (sdr + degradation.noise * _noise(sdr.shape, rng)).clamp(0.0, 1.0)
    if degradation.bits is not None:
        top = float(2**degradation.bits - 1)
        sdr = torch.round(sdr * top) / top
    if degradation.full_chroma:
        return torch.round(sdr * 255.0) / 255.0
    coded = to_coded(RgbBatch(sdr, BT709_DISPLAY, STILL_TIMELINE), _SDR_SIGNAL)
    if degradation.codec is not None:
        coded = _compressed(coded, degradation.codec)
    return to_rgb(coded).pixels


def reduce(picture: torch.Tensor, scale: int, how: Resizing) -> torch.Tensor:
    """Make a picture smaller by a whole factor.

    Args:
        picture: (N, C, H, W), floating; H and W are multiples of `scale`.
        scale: The factor.
        how: "area" averages squares; "bicubic" is Keys' kernel (a = -0.5) stretched by the factor;
            "lanczos" likewise, with 3 lobes.
    """
    if how == "area":
        return functional.avg_pool2d(picture, scale)
    taps = torch.tensor(_taps(how, scale), dtype=picture.dtype)
    reach = (len(taps) - scale) // 2
    channels = picture.shape[1]
    padded = functional.pad(picture, (reach, reach, reach, reach), mode="replicate")
    row = taps.view(1, 1, 1, -1).expand(channels, 1, 1, -1)
    column = taps.view(1, 1, -1, 1).expand(channels, 1, -1, 1)
    narrow = functional.conv2d(padded, row, stride=(1, scale), groups=channels)
    return functional.conv2d(narrow, column, stride=(scale, 1), groups=channels)


@cache
def _taps(how: Literal["bicubic", "lanczos"], scale: int) -> tuple[float, ...]:
    lobes = 2 if how == "bicubic" else 3
    count = 2 * lobes * scale
    # An even number of taps around the centre of `scale` samples needs equal parity.
    count += (count - scale) % 2
    weights = []
    for tap in range(count):
        x = abs(tap - (count - 1) / 2.0) / scale
        if how == "lanczos":
            weights.append(np.sinc(x) * np.sinc(x / 3.0) if x < 3.0 else 0.0)
        elif x < 1.0:
            weights.append((1.5 * x - 2.5) * x * x + 1.0)
        else:
            weights.append(((-0.5 * x + 2.5) * x - 4.0) * x + 2.0 if x < 2.0 else 0.0)
    total = math.fsum(weights)
    return tuple(float(weight / total) for weight in weights)


def _softened(picture: torch.Tensor) -> torch.Tensor:
    kernel = torch.tensor([0.25, 0.5, 0.25], dtype=picture.dtype)
    weights = (kernel[:, None] * kernel[None, :]).expand(3, 1, 3, 3)
    return functional.conv2d(
        functional.pad(picture, (1, 1, 1, 1), mode="replicate"), weights, groups=3
    )


def _noise(shape: torch.Size, rng: np.random.Generator) -> torch.Tensor:
    """Noise of standard deviation 1, partly shared by the channels, sometimes coarser than 1 px."""
    _, _, height, width = shape
    shared = rng.standard_normal((1, 1, height, width), dtype=np.float32)
    own = rng.standard_normal((1, 3, height, width), dtype=np.float32)
    share = float(rng.random())
    noise = torch.from_numpy(math.sqrt(share) * shared + math.sqrt(1.0 - share) * own)
    if chance(rng, 0.4):
        noise = _softened(noise)
        noise = noise / noise.std().clamp(min=1e-6)
    return noise


def _compressed(coded: CodedBatch, loss: CodecLoss) -> CodedBatch:
    planes = Planes(coded.luma[0].numpy(), coded.cb[0].numpy(), coded.cr[0].numpy())
    if loss.codec == "h264":
        planes = h264_round_trip(planes, loss.level)
    elif loss.codec == "h264-qp":
        planes = h264_qp_round_trip(planes, loss.level)
    elif loss.codec == "mpeg2":
        planes = mpeg2_round_trip(planes, loss.level)
    else:
        planes = jpeg_round_trip(planes, loss.level)
    luma, cb, cr = (torch.from_numpy(p)[None] for p in (planes.luma, planes.cb, planes.cr))
    return CodedBatch(luma, cb, cr, coded.signal, coded.timeline)
