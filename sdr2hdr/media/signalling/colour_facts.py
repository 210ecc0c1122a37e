"""What a decision about colour rests on: tags from several places, and facts of the picture."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from sdr2hdr.media.bitstreams.bits import UNSPECIFIED
from sdr2hdr.media.pixel_formats import PixelLayout
from sdr2hdr.media.source import Origin

if TYPE_CHECKING:
    from av.video.codeccontext import VideoCodecContext
    from av.video.frame import VideoFrame

__all__ = ["D10_SIZE_625", "ColourTags", "PictureFacts", "Tag"]

LARGEST_SD_HEIGHT = 576
SMALLEST_HD_WIDTH = 1280
D10_SIZE_625 = (720, 608)
"""Px of 625-line pictures in D-10 (IMX), which codes 32 rows of the vertical blanking as well
(SMPTE ST 356)."""


@dataclass(frozen=True)
class ColourTags:
    """H.273 codes from one place (a decoded frame, the container); 2 or 0 where it is silent.

    Attributes:
        colour_range: As in FFmpeg: 0 unknown, 1 limited, 2 full.
    """

    primaries: int = UNSPECIFIED
    transfer: int = UNSPECIFIED
    matrix: int = UNSPECIFIED
    colour_range: int = 0

    @staticmethod
    def of(described: VideoFrame | VideoCodecContext) -> ColourTags:
        """Those of a decoded frame, or of a stream as its demuxer describes it.

        A decoder that finds no colour in its stream wipes the demuxer's out.
        """
        return ColourTags(
            int(described.color_primaries),
            int(described.color_trc),
            int(described.colorspace),
            int(described.color_range),
        )


@dataclass(frozen=True)
class PictureFacts:
    """What a reading of colour rests on beside the tags.

    Attributes:
        codec: FFmpeg's name of the codec.
        rate: Frames a second, None if unknown.
        siting: Chroma sample location type from the container, None if it does not say.
        has_hdr_metadata: Mastering display, HDR10+, Dolby Vision or the like came with a frame.
    """

    codec: str
    width_px: int
    height_px: int
    rate: Fraction | None
    layout: PixelLayout
    siting: int | None = None
    has_hdr_metadata: bool = False

    @property
    def is_hd(self) -> bool:
        """Taller than 576 rows, or as wide as HD (a film's 1280x536 is HD); D-10 is not."""
        if (self.width_px, self.height_px) == D10_SIZE_625:
            return False
        return self.height_px > LARGEST_SD_HEIGHT or self.width_px >= SMALLEST_HD_WIDTH


@dataclass(frozen=True)
class Tag:
    """One H.273 code, and who says it."""

    code: int
    origin: Origin
