"""Find every place of a finished file that says MaxCLL and MaxFALL, to the byte.

Boxes: ISO/IEC 14496-12:2022, 12.1.6 (`clli`); elements: RFC 9559, 5.1.4.1.28.16.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from av.stream import Discard

from sdr2hdr.media.bitstreams.hdr10_obu import CONFIGURATION_HEADER_BYTES, av1_light_level_offsets
from sdr2hdr.media.bitstreams.hdr10_sei import (
    light_level_offsets,
    record_length_size,
    record_unit_places,
    unit_places,
)
from sdr2hdr.media.containers import matroska_elements as matroska
from sdr2hdr.media.containers.container_trial import codec_name
from sdr2hdr.media.containers.ebml import CRC_32, elements_in, elements_named, find_element
from sdr2hdr.media.containers.format_names import is_matroska
from sdr2hdr.media.containers.isobmff import boxes_of_sample_entry, sample_entries, track_box
from sdr2hdr.media.containers.matroska_tracks import video_track
from sdr2hdr.media.hdr10.hdr_facts import CODECS_THAT_SAY_LEVELS
from sdr2hdr.media.mapped_file import mapped
from sdr2hdr.media.opening import demuxed, open_input
from sdr2hdr.media.reading.streams import choose_video

if TYPE_CHECKING:
    from av.packet import Packet

__all__ = ["Checksum", "LevelPlace", "LevelPlaces", "find_level_places"]

BLOCK_HEADER_BYTES = 64
"""Generously: what lies between a packet's position and its data in Matroska."""
LEVELS_BYTES = 4

Where = Literal["container", "stream header", "frames"]
What = Literal["both", "max_cll", "max_fall"]


@dataclass(frozen=True)
class LevelPlace:
    """Bytes that hold a level, or both: MaxCLL, then MaxFALL, two bytes each."""

    where: Where
    what: What
    offset: int
    size: int


@dataclass(frozen=True)
class Checksum:
    """A Matroska CRC-32: where its four bytes are, and the end of what lies behind and counts."""

    offset: int
    end: int

    @property
    def start(self) -> int:
        """Where the bytes begin that it is taken over."""
        return self.offset + 4


@dataclass(frozen=True)
class LevelPlaces:
    """All places in one file.

    Attributes:
        codec: FFmpeg's name of the video's codec.
        key_frames: How many there are, None where the codec's stream has no light levels.
        key_frames_without: How many of them do not say the levels.
        checksums: Of whatever holds a place.
    """

    codec: str
    places: tuple[LevelPlace, ...]
    key_frames: int | None
    key_frames_without: int
    checksums: tuple[Checksum, ...]


def find_level_places(path: Path) -> LevelPlaces:
    """Look through an MP4, MOV or Matroska file whose headers and frames are not encrypted.

    Raises:
        InputError: The file cannot be read.
        ValueError: Its structure is not as its format demands.
    """
    with mapped(path) as data, open_input(path) as container:
        stream, _, _ = choose_video(container, None, str(path))
        codec = codec_name(stream)
        in_matroska = is_matroska(container.format.name)
        if in_matroska:
            number = list(container.streams.video).index(stream)
            places = list(_matroska_places(data, codec, number))
        else:
            places = list(_sample_entry_places(data, codec, stream.id))
        key_frames, without = None, 0
        if codec in CODECS_THAT_SAY_LEVELS:
            key_frames = 0
            extradata = stream.codec_context.extradata
            for other in container.streams:
                if other is not stream:
                    other.discard = Discard.all
            for packet in demuxed(container, [stream]):
                if not packet.size:
                    continue
                found = _frame_places(data, packet, codec, extradata)
                key_frames += packet.is_keyframe
                without += packet.is_keyframe and not found
                places += found
        checksums = tuple(_checksums(data, places)) if in_matroska else ()
        return LevelPlaces(codec, tuple(places), key_frames, without, checksums)


def _frame_places(
    data: mmap.mmap, packet: Packet, codec: str, extradata: bytes | None
) -> list[LevelPlace]:
    content = bytes(packet)
    if codec == "hevc":
        units = unit_places(content, record_length_size(extradata))
        offsets = light_level_offsets(content, units)
    else:
        offsets = av1_light_level_offsets(content)
    if not offsets:
        return []
    position = -1
    if packet.pos is not None and packet.pos >= 0:
        end = packet.pos + BLOCK_HEADER_BYTES + len(content)
        position = data.find(content, packet.pos, end)
    if position < 0:
        raise ValueError(f"The frame at {packet.pos} is not stored as it is read.")
    return [LevelPlace("frames", "both", position + at, LEVELS_BYTES) for at in offsets]


def _header_places(data: mmap.mmap, codec: str, start: int, end: int) -> Iterator[LevelPlace]:
    record = data[start:end]
    offsets: list[int] = []
    if codec == "hevc":
        offsets = light_level_offsets(record, record_unit_places(record))
    elif codec == "av1":
        offsets = av1_light_level_offsets(record, CONFIGURATION_HEADER_BYTES)
    for offset in offsets:
        yield LevelPlace("stream header", "both", start + offset, LEVELS_BYTES)


def _sample_entry_places(data: mmap.mmap, codec: str, track_id: int) -> Iterator[LevelPlace]:
    for entry in sample_entries(data, track_box(data, track_id)):
        for box in boxes_of_sample_entry(data, entry):
            if box.name == b"clli":
                yield LevelPlace("container", "both", box.content, LEVELS_BYTES)
            elif box.name in (b"hvcC", b"av1C"):
                yield from _header_places(data, codec, box.content, box.end)


def _matroska_places(data: mmap.mmap, codec: str, number: int) -> Iterator[LevelPlace]:
    entry = video_track(data, number)
    for private in elements_named(data, entry, matroska.CODEC_PRIVATE):
        yield from _header_places(data, codec, private.content, private.end)
    for video in elements_named(data, entry, matroska.VIDEO):
        for colour in elements_named(data, video, matroska.COLOUR):
            for element in elements_in(data, colour.content, colour.end):
                size = element.end - element.content
                if element.identifier == matroska.MAX_CLL:
                    yield LevelPlace("container", "max_cll", element.content, size)
                elif element.identifier == matroska.MAX_FALL:
                    yield LevelPlace("container", "max_fall", element.content, size)


def _checksums(data: mmap.mmap, places: list[LevelPlace]) -> Iterator[Checksum]:
    """The checksums that change with the places: of the tracks and of clusters."""
    offsets = sorted(place.offset for place in places)
    (segment,) = find_element(data, matroska.SEGMENT)
    number = 0
    for element in elements_in(data, segment.content, segment.end):
        while number < len(offsets) and offsets[number] < element.content:
            number += 1
        if number == len(offsets):
            return
        holds_places = element.identifier in (matroska.TRACKS, matroska.CLUSTER)
        if offsets[number] >= element.end or not holds_places:
            continue
        first = next(elements_in(data, element.content, element.end))
        if first.identifier == CRC_32:
            yield Checksum(first.content, element.end)
