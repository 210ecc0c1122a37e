"""The pixel formats that can be read: how each one's planes become Y', Cb, Cr or G', B', R'."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path

from sdr2hdr.errors import InputError
from sdr2hdr.signal import Subsampling

__all__ = ["Arrangement", "PixelLayout", "pixel_layout"]


class Arrangement(Enum):
    """How a decoder lays the samples out in memory."""

    PLANAR = "planar"
    """Three planes, Y' Cb Cr or G' B' R'; a fourth (alpha) is left out."""

    SEMI_PLANAR = "semi-planar"
    """Y', then one plane of interleaved Cb and Cr."""

    GREY = "grey"
    """Y' alone (or Y' and alpha); chroma is neutral."""

    PACKED = "packed"
    """One plane, R' G' B' and perhaps alpha or padding side by side."""

    PACKED_PAIRS = "packed pairs"
    """One plane of 4:2:2, two pixels at a time: two Y' and the Cb and Cr that they share."""

    PALETTE = "palette"
    """One plane of numbers of colours, and one of 256 colours: words of alpha, R', G' and B'."""

    BITS = "bits"
    """Y' alone, black or white: eight pixels to a byte, the first in its highest bit."""


@dataclass(frozen=True)
class PixelLayout:
    """What is needed to take a frame apart.

    Attributes:
        shift: Bits that lie unused below the value.
        order: For packed formats, the position of G', B', R' in a pixel, or of the first Y', Cb
            and Cr in a pair of them; the second Y' comes two samples behind the first.
        samples_per_pixel: For packed formats, with alpha or padding.
        is_full_range: For formats whose very name says so ("yuvj420p").
        is_big_endian: The high byte of a sample comes first, as PNG and DPX store them.
        zero_is_white: For bits; else 1 is.
    """

    arrangement: Arrangement
    subsampling: Subsampling
    bit_depth: int
    is_rgb: bool = False
    is_full_range: bool = False
    has_alpha: bool = False
    shift: int = 0
    order: tuple[int, int, int] = (0, 1, 2)
    samples_per_pixel: int = 1
    is_big_endian: bool = False
    zero_is_white: bool = False


def _layouts() -> dict[str, PixelLayout]:
    layouts: dict[str, PixelLayout] = {}
    subsamplings = {
        "420": Subsampling.YUV420,
        "422": Subsampling.YUV422,
        "444": Subsampling.YUV444,
    }
    depths = {"": 8, "10le": 10, "12le": 12, "16le": 16}
    for digits, subsampling in subsamplings.items():
        for suffix, depth in depths.items():
            layouts[f"yuv{digits}p{suffix}"] = PixelLayout(Arrangement.PLANAR, subsampling, depth)
            layouts[f"yuva{digits}p{suffix}"] = PixelLayout(
                Arrangement.PLANAR, subsampling, depth, has_alpha=True
            )
        layouts[f"yuvj{digits}p"] = PixelLayout(
            Arrangement.PLANAR, subsampling, 8, is_full_range=True
        )
    for suffix, depth in depths.items():
        for name, alpha in (("gbrp", False), ("gbrap", True)):
            layouts[f"{name}{suffix}"] = PixelLayout(
                Arrangement.PLANAR, Subsampling.YUV444, depth, is_rgb=True, has_alpha=alpha
            )
        layouts[f"gray{suffix}"] = PixelLayout(Arrangement.GREY, Subsampling.YUV420, depth)
    for name, depth in (("ya8", 8), ("ya16le", 16)):
        layouts[name] = PixelLayout(
            Arrangement.GREY, Subsampling.YUV420, depth, has_alpha=True, samples_per_pixel=2
        )
    layouts["pal8"] = PixelLayout(
        Arrangement.PALETTE, Subsampling.YUV444, 8, is_rgb=True, has_alpha=True
    )
    for name in ("monob", "monow"):
        layouts[name] = PixelLayout(
            Arrangement.BITS,
            Subsampling.YUV444,
            8,
            is_full_range=True,
            zero_is_white=name == "monow",
        )
    for digit, subsampling in (("0", Subsampling.YUV420), ("2", Subsampling.YUV422)):
        for depth in (10, 12, 16):
            layouts[f"p{digit}{depth}le"] = PixelLayout(
                Arrangement.SEMI_PLANAR, subsampling, depth, shift=16 - depth
            )
    layouts["nv12"] = PixelLayout(Arrangement.SEMI_PLANAR, Subsampling.YUV420, 8)
    layouts["nv16"] = PixelLayout(Arrangement.SEMI_PLANAR, Subsampling.YUV422, 8)
    layouts["nv24"] = PixelLayout(Arrangement.SEMI_PLANAR, Subsampling.YUV444, 8)
    # DV of 525 lines (IEC 61834-2, SMPTE ST 314), and JPEG.
    for name, is_full_range in (("yuv411p", False), ("yuvj411p", True)):
        layouts[name] = PixelLayout(
            Arrangement.PLANAR, Subsampling.YUV411, 8, is_full_range=is_full_range
        )
    # QuickTime's "2vuy" and "yuvs" (Apple TN2162), AVI's "UYVY" and "YUY2", which capture cards
    # write, and the second with Cb and Cr swapped. libavcodec makes "yuv2" of QuickTime "yuvs".
    for letters in ("uyvy", "yuyv", "yvyu"):
        layouts[f"{letters}422"] = PixelLayout(
            Arrangement.PACKED_PAIRS,
            Subsampling.YUV422,
            8,
            order=(letters.index("y"), letters.index("u"), letters.index("v")),
            samples_per_pixel=2,
        )
    # Letters in memory order; 0 is padding.
    for letters in ("rgb", "bgr", "rgba", "bgra", "argb", "abgr", "rgb0", "bgr0", "0rgb", "0bgr"):
        name = f"{letters}24" if len(letters) == 3 else letters
        layouts[name] = PixelLayout(
            Arrangement.PACKED,
            Subsampling.YUV444,
            8,
            is_rgb=True,
            has_alpha="a" in letters,
            order=(letters.index("g"), letters.index("b"), letters.index("r")),
            samples_per_pixel=len(letters),
        )
    for letters in ("rgb48le", "rgba64le"):
        layouts[letters] = PixelLayout(
            Arrangement.PACKED,
            Subsampling.YUV444,
            16,
            is_rgb=True,
            has_alpha="a" in letters,
            order=(1, 2, 0),
            samples_per_pixel=4 if "a" in letters else 3,
        )
    swapped = {
        f"{name.removesuffix('le')}be": replace(layout, is_big_endian=True)
        for name, layout in layouts.items()
        if name.endswith("le")
    }
    return layouts | swapped


LAYOUTS = _layouts()


def pixel_layout(name: str, path: Path | None = None) -> PixelLayout:
    """How frames of a pixel format are taken apart.

    Args:
        name: FFmpeg's.
        path: Of the file, for the message where there are several; None where all know it.

    Raises:
        InputError: The format is not among those that can be read.
    """
    try:
        return LAYOUTS[name]
    except KeyError:
        found = "The decoder gives" if path is None else f"{path} decodes to"
        raise InputError(
            f"{found} pixel format {name}; expected 8, 10, 12 or 16-bit Y'CbCr 4:2:0, "
            "4:2:2 or 4:4:4, 8-bit 4:1:1, grey, RGB or a palette, or 1 bit. Convert the file to "
            "one of these without loss first."
        ) from None
