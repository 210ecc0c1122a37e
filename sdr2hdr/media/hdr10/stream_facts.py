"""HDR facts inside the coded stream: HEVC's SPS and SEI, AV1's OBUs, ProRes's frame header.

Written apart from what writes them, so that a mistake there is not made here again.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from itertools import chain

from sdr2hdr.media.bitstreams.bits import EndOfBitsError, said, without_emulation
from sdr2hdr.media.bitstreams.bitstream import (
    header_colour,
    hevc_header_units,
    hevc_packet_units,
)
from sdr2hdr.media.bitstreams.sequence_header_av1 import av1_units, av1c_content
from sdr2hdr.media.hdr10.hdr_facts import CODECS_THAT_SAY_LEVELS, HdrFacts, StoredMastering

__all__ = ["StreamFacts", "mastering_from_st2086", "read_stream_facts"]

HEVC_PREFIX_SEI = 39
SEI_MASTERING = 137
SEI_LIGHT_LEVEL = 144
AV1_METADATA = 5
AV1_LIGHT_LEVEL = 1
AV1_MASTERING = 2
PRORES_MARK_AT = 4
PRORES_COLOUR_AT = 22
PRORES_HEADER_BYTES = 25


@dataclass
class StreamFacts:
    """What the stream's headers and key frames say.

    Attributes:
        facts: The first statement of each kind.
        can_say: Whether this codec has a place for light levels and mastering display.
        levels: Every pair of MaxCLL and MaxFALL that occurs.
        masterings: Every mastering display that occurs.
    """

    facts: HdrFacts = field(default_factory=HdrFacts)
    can_say: bool = False
    levels: list[tuple[int, int]] = field(default_factory=list)
    masterings: list[StoredMastering] = field(default_factory=list)

    def add(self, mastering: StoredMastering | None, levels: tuple[int, int] | None) -> None:
        """Note one statement."""
        if mastering is not None and mastering not in self.masterings:
            self.masterings.append(mastering)
        if levels is not None and levels not in self.levels:
            self.levels.append(levels)
        if self.facts.mastering is None:
            self.facts = replace(self.facts, mastering=mastering)
        if self.facts.max_cll is None and levels is not None:
            self.facts = replace(self.facts, max_cll=levels[0], max_fall=levels[1])


def read_stream_facts(codec: str, extradata: bytes, packets: Iterable[bytes]) -> StreamFacts:
    """Read a stream's own words.

    Args:
        codec: FFmpeg's name: "hevc", "av1", "prores"; others say nothing that is read here.
        extradata: The configuration record or headers.
        packets: Of key frames, whole; each is asked for when the one before it has been read.
    """
    found = StreamFacts(can_say=codec in CODECS_THAT_SAY_LEVELS)
    packets = iter(packets)
    first = next(packets, None)
    header = header_colour(codec, extradata, first)
    if header is not None:
        found.facts = HdrFacts(
            header.primaries,
            header.transfer,
            header.matrix,
            header.is_full_range,
            header.siting,
        )
    if codec == "hevc":
        for unit in hevc_header_units(extradata):
            _read_hevc_sei(unit, found)
    elif codec == "av1":
        _read_av1(av1c_content(extradata), found)
    for packet in () if first is None else chain((first,), packets):
        if codec == "hevc":
            for unit in hevc_packet_units(extradata, packet):
                _read_hevc_sei(unit, found)
        elif codec == "av1":
            _read_av1(packet, found)
        elif codec == "prores" and found.facts.primaries is None:
            found.facts = _prores_header(packet)
    return found


def _read_hevc_sei(unit: bytes, found: StreamFacts) -> None:
    """Messages of a prefix SEI unit (H.265, 7.3.5; payloads D.2.28 and D.2.35)."""
    if len(unit) < 4 or unit[0] >> 1 & 0x3F != HEVC_PREFIX_SEI:
        return
    data = without_emulation(unit)[2:]
    position = 0
    while position + 2 < len(data):
        numbers = []
        for _ in range(2):
            number = 0
            while position < len(data) and data[position] == 0xFF:
                number, position = number + 255, position + 1
            if position >= len(data):
                return
            numbers.append(number + data[position])
            position += 1
        kind, size = numbers
        payload = data[position : position + size]
        position += size
        if kind == SEI_MASTERING and len(payload) >= 24:
            found.add(mastering_from_st2086(payload), None)
        elif kind == SEI_LIGHT_LEVEL and len(payload) >= 4:
            found.add(None, struct.unpack_from(">2H", payload))


def mastering_from_st2086(payload: bytes) -> StoredMastering:
    """Ten integers in green, blue, red order (H.265, D.3.28; the `mdcv` box has the same)."""
    *points, brightest, darkest = struct.unpack_from(">8H2I", payload)
    green, blue, red, white = ((points[i] / 50_000, points[i + 1] / 50_000) for i in range(0, 8, 2))
    return StoredMastering(red, green, blue, white, brightest / 10_000, darkest / 10_000)


def _read_av1(data: bytes, found: StreamFacts) -> None:
    """Metadata units (AV1 specification, 5.8.3, 5.8.4 and 6.7.3, 6.7.4)."""
    try:
        for kind, payload in av1_units(data):
            if kind != AV1_METADATA or not payload:
                continue
            if payload[0] == AV1_LIGHT_LEVEL and len(payload) >= 5:
                found.add(None, struct.unpack_from(">2H", payload, 1))
            elif payload[0] == AV1_MASTERING and len(payload) >= 25:
                *points, brightest, darkest = struct.unpack_from(">8H2I", payload, 1)
                red, green, blue, white = (
                    (points[i] / 65536, points[i + 1] / 65536) for i in range(0, 8, 2)
                )
                mastering = StoredMastering(
                    red, green, blue, white, brightest / 256, darkest / 16384
                )
                found.add(mastering, None)
    except EndOfBitsError:
        return


def _prores_header(packet: bytes) -> HdrFacts:
    """Colour of a frame header (SMPTE RDD 36:2022, 5.1.1, 6.1.1); ProRes has no range flag."""
    mark = packet[PRORES_MARK_AT : PRORES_MARK_AT + 4]
    if mark != b"icpf" or len(packet) < PRORES_HEADER_BYTES:
        return HdrFacts()
    codes = packet[PRORES_COLOUR_AT : PRORES_COLOUR_AT + 3]
    # 0 means that nothing is said, too.
    primaries, transfer, matrix = (said(code) or None for code in codes)
    return HdrFacts(primaries, transfer, matrix)
