"""Colour and cropping as the container says them, where libavformat does not hand them on.

A decoder that finds no colour in its stream may wipe out what the container said (ProRes and
H.265 do), and PyAV shows neither chroma siting nor cropping. Boxes: ISO/IEC 14496-12:2022, 12.1.4
(`clap`) and 12.1.5 (`colr`); elements: RFC 9559, 5.1.4.1.28.8 to .11 (cropping) and .16 (colour).
"""

from __future__ import annotations

import mmap
import struct
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from sdr2hdr.media.bitstreams.bits import UNSPECIFIED
from sdr2hdr.media.containers import matroska_elements as matroska
from sdr2hdr.media.containers.ebml import Element, elements_named, uint_in
from sdr2hdr.media.containers.format_names import is_matroska, is_mp4
from sdr2hdr.media.containers.isobmff import boxes_of_sample_entry, sample_entries, track_box
from sdr2hdr.media.containers.matroska_tracks import is_video, track_entries
from sdr2hdr.media.mapped_file import mapped
from sdr2hdr.media.signalling.colour_facts import ColourTags

if TYPE_CHECKING:
    from av.video.stream import VideoStream

__all__ = ["ContainerPicture", "Hidden", "container_picture"]

SAMPLE_ENTRY_SIZE_AT = 32
"""Where a visual sample entry has width and height (ISO/IEC 14496-12:2022, 12.1.3.2)."""
CLAP = struct.Struct(">IIIIiIiI")
"""Width, height, and the centre's way to the right and down, each as two numbers of a fraction."""
HDR_BOXES = frozenset({b"mdcv", b"SmDm", b"dvcC", b"dvvC", b"dvwC"})
"""Mastering display metadata and Dolby Vision configurations."""


@dataclass(frozen=True)
class Hidden:
    """How much of the coded picture a player is told not to show at each side, px.

    MP4 counts in fractions, and may even ask for more than there is: then a side is negative.
    """

    left: Fraction = Fraction(0)
    top: Fraction = Fraction(0)
    right: Fraction = Fraction(0)
    bottom: Fraction = Fraction(0)

    def __bool__(self) -> bool:
        return any((self.left, self.top, self.right, self.bottom))


@dataclass(frozen=True)
class ContainerPicture:
    """What the container itself says.

    Attributes:
        siting: H.273 chroma sample location type, None if it does not say.
        has_hdr_metadata: It holds mastering-display metadata or a Dolby Vision configuration.
        hidden: What it crops; libavcodec and we do not.
    """

    tags: ColourTags = field(default_factory=ColourTags)
    siting: int | None = None
    has_hdr_metadata: bool = False
    hidden: Hidden = field(default_factory=Hidden)


def container_picture(
    path: Path, container: str, stream: VideoStream, place: int
) -> ContainerPicture:
    """Read an MP4, MOV or Matroska file's own description of a video track.

    Args:
        path: The file.
        container: libavformat's name of its format.
        stream: The track.
        place: Its place among the file's video streams, cover art included.

    Returns:
        Nothing but unknowns for other formats, and where the description cannot be read.
    """
    try:
        with mapped(path) as data:
            if is_mp4(container):
                return _from_sample_entry(data, stream.id)
            if is_matroska(container):
                return _from_track_entry(data, place)
    except (OSError, ValueError, struct.error, IndexError, StopIteration):
        pass
    return ContainerPicture()


def _from_sample_entry(data: mmap.mmap, track_id: int) -> ContainerPicture:
    entry = next(sample_entries(data, track_box(data, track_id)))
    tags, has_hdr, hidden = ColourTags(), False, Hidden()
    for box in boxes_of_sample_entry(data, entry):
        has_hdr = has_hdr or box.name in HDR_BOXES
        if box.name == b"colr":
            tags = _colr(data[box.content : box.end]) or tags
        elif box.name == b"clap":
            size = struct.unpack_from(">2H", data, entry.start + SAMPLE_ENTRY_SIZE_AT)
            hidden = _clap(data[box.content : box.end], *size)
    return ContainerPicture(tags, None, has_hdr, hidden)


def _colr(content: bytes) -> ColourTags | None:
    kind = content[:4]
    if kind not in (b"nclc", b"nclx"):
        return None
    primaries, transfer, matrix = struct.unpack_from(">3H", content, 4)
    colour_range = 0
    if kind == b"nclx" and len(content) > 10:
        colour_range = 2 if content[10] & 0x80 else 1
    return ColourTags(primaries, transfer, matrix, colour_range)


def _clap(content: bytes, width_px: int, height_px: int) -> Hidden:
    """The clean aperture: its size, and how far its centre lies from the picture's."""
    if len(content) < CLAP.size:
        return Hidden()
    numbers = CLAP.unpack_from(content)
    if 0 in numbers[1::2]:
        return Hidden()
    width, height, right_px, down_px = (
        Fraction(numbers[at], numbers[at + 1]) for at in range(0, 8, 2)
    )
    across, down = (width_px - width) / 2, (height_px - height) / 2
    return Hidden(across + right_px, down + down_px, across - right_px, down - down_px)


def _from_track_entry(data: mmap.mmap, place: int) -> ContainerPicture:
    videos = [entry for entry in track_entries(data) if is_video(data, entry)]
    video = next(elements_named(data, videos[place], matroska.VIDEO), None)
    return ContainerPicture() if video is None else _video_element(data, video)


def _video_element(data: mmap.mmap, video: Element) -> ContainerPicture:
    sides = (matroska.CROP_LEFT, matroska.CROP_TOP, matroska.CROP_RIGHT, matroska.CROP_BOTTOM)
    hidden = Hidden(*(Fraction(uint_in(data, video, side, 0)) for side in sides))
    colour = next(elements_named(data, video, matroska.COLOUR), None)
    found = ContainerPicture() if colour is None else _colour_element(data, colour)
    return replace(found, hidden=hidden)


def _colour_element(data: mmap.mmap, colour: Element) -> ContainerPicture:
    colour_range = uint_in(data, colour, matroska.RANGE, 0)
    tags = ColourTags(
        uint_in(data, colour, matroska.PRIMARIES, UNSPECIFIED),
        uint_in(data, colour, matroska.TRANSFER, UNSPECIFIED),
        uint_in(data, colour, matroska.MATRIX, UNSPECIFIED),
        colour_range if colour_range in (matroska.LIMITED_RANGE, matroska.FULL_RANGE) else 0,
    )
    siting = (
        uint_in(data, colour, matroska.SITING_ACROSS, 0),
        uint_in(data, colour, matroska.SITING_DOWN, 0),
    )
    has_mastering = any(elements_named(data, colour, matroska.MASTERING))
    return ContainerPicture(tags, matroska.SITINGS.get(siting), has_mastering)
