"""HDR10's static metadata inside AV1 streams: place and replace its metadata units.

AV1 Bitstream & Decoding Process Specification: open bitstream units 5.3, metadata 5.8; how it
codes a mastering display 6.7.4; the configuration record: AV1 Codec ISO Media File Format Binding,
2.3.3.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sdr2hdr.media.bitstreams.hdr10_sei import HdrSei
from sdr2hdr.media.bitstreams.sequence_header_av1 import SEQUENCE_HEADER
from sdr2hdr.media.mastering import CHROMATICITY_STEP, LUMINANCE_STEP_CD_M2

__all__ = [
    "CONFIGURATION_HEADER_BYTES",
    "ITUT_T35",
    "METADATA",
    "Obu",
    "av1_light_level_offsets",
    "metadata_unit",
    "obus_in",
    "with_frame_metadata",
    "with_hdr_obus",
]

TEMPORAL_DELIMITER, FRAME_HEADER, METADATA, FRAME = 2, 3, 5, 6
HDR_CLL, HDR_MDCV, ITUT_T35 = 1, 2, 4
CONFIGURATION_HEADER_BYTES = 4

_EXTENSION, _HAS_SIZE = 4, 2
_CHROMATICITY_STEPS = 1 << 16
_MAX_LUMINANCE_STEPS = 1 << 8
_MIN_LUMINANCE_STEPS = 1 << 14


@dataclass(frozen=True)
class Obu:
    """Where an open bitstream unit lies: its type, and offsets of start, payload and end."""

    kind: int
    start: int
    payload: int
    end: int


def obus_in(data: bytes, start: int = 0) -> Iterator[Obu]:
    """The units of a temporal unit; the last may be without a size.

    Raises:
        ValueError: A unit is longer than the data.
    """
    position = start
    while position < len(data):
        header = data[position]
        payload = position + (2 if header & _EXTENSION else 1)
        end = len(data)
        if header & _HAS_SIZE:
            size, payload = _leb128(data, payload)
            end = payload + size
        if end > len(data):
            raise ValueError(f"An open bitstream unit at byte {position} is cut short.")
        yield Obu(header >> 3 & 15, position, payload, end)
        position = end


def with_hdr_obus(data: bytes, sei: HdrSei) -> bytes:
    """A temporal unit with metadata behind its sequence header, in place of what was there.

    Args:
        data: A key frame's packet, or the units of a configuration record.
        sei: What to say, as HEVC would.

    Raises:
        ValueError: The units cannot be read.
    """
    additions = _metadata_units(sei)
    replaced = {kind for kind, _ in additions}
    kept = b"".join(
        data[unit.start : unit.end]
        for unit in obus_in(data)
        if unit.kind != METADATA or _metadata_type(data, unit) not in replaced
    )
    place = 0
    for unit in obus_in(kept):
        if unit.kind == SEQUENCE_HEADER or (unit.kind == TEMPORAL_DELIMITER and not unit.start):
            place = unit.end
    return _inserted(kept, place, [addition for _, addition in additions])


def with_frame_metadata(data: bytes, units: Sequence[bytes]) -> bytes:
    """A temporal unit with metadata in front of its last frame, the one that is shown.

    Those before it are hidden, and some decoders give metadata to the next frame of any kind.

    Args:
        data: A packet.
        units: As `metadata_unit` makes them.

    Raises:
        ValueError: The units of the data cannot be read.
    """
    places = [unit.start for unit in obus_in(data) if unit.kind in (FRAME_HEADER, FRAME)]
    return _inserted(data, places[-1] if places else 0, units)


def metadata_unit(kind: int, payload: bytes) -> bytes:
    """A metadata unit of fewer than 126 bytes of payload."""
    # The trailing bits end in a byte of their own.
    content = bytes((kind,)) + payload + b"\x80"
    return bytes((METADATA << 3 | _HAS_SIZE, len(content))) + content


def av1_light_level_offsets(data: bytes, start: int = 0) -> list[int]:
    """Where the 4 bytes of each content light level begin.

    Args:
        data: A packet, or a configuration record.
        start: Of the first unit.
    """
    return [
        _leb128(data, unit.payload)[1]
        for unit in obus_in(data, start)
        if unit.kind == METADATA and _metadata_type(data, unit) == HDR_CLL
    ]


def _inserted(data: bytes, place: int, units: Sequence[bytes]) -> bytes:
    return data[:place] + b"".join(units) + data[place:]


def _metadata_units(sei: HdrSei) -> list[tuple[int, bytes]]:
    units: list[tuple[int, bytes]] = []
    if sei.light is not None:
        units.append((HDR_CLL, metadata_unit(HDR_CLL, sei.light)))
    if sei.mastering is not None:
        units.append((HDR_MDCV, metadata_unit(HDR_MDCV, _mastering_payload(sei.mastering))))
    return units


def _mastering_payload(mdcv: bytes) -> bytes:
    """ST 2086's integers in AV1's order (red, green, blue, white) and fixed point."""
    green, blue, red, white, luminance = (
        struct.unpack_from(layout, mdcv, offset)
        for layout, offset in ((">2H", 0), (">2H", 4), (">2H", 8), (">2H", 12), (">2I", 16))
    )
    scale = CHROMATICITY_STEP * _CHROMATICITY_STEPS
    points = [
        min(round(coordinate * scale), 0xFFFF)
        for point in (red, green, blue, white)
        for coordinate in point
    ]
    brightest, darkest = (steps * LUMINANCE_STEP_CD_M2 for steps in luminance)
    return struct.pack(
        ">8H2I",
        *points,
        round(brightest * _MAX_LUMINANCE_STEPS),
        round(darkest * _MIN_LUMINANCE_STEPS),
    )


def _metadata_type(data: bytes, unit: Obu) -> int:
    return _leb128(data, unit.payload)[0]


def _leb128(data: bytes, position: int) -> tuple[int, int]:
    """A little-endian base-128 number and the position behind it (4.10.5)."""
    value = 0
    for index in range(8):
        if position >= len(data):
            break
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << 7 * index
        if not byte & 0x80:
            return value, position
    raise ValueError("A number in an open bitstream unit is cut short.")
