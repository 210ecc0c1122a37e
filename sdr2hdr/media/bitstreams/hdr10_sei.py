"""HDR10's static metadata inside HEVC streams: read, place and replace its SEI messages.

Messages: mastering display colour volume, 137, and content light level, 144 (Rec. ITU-T H.265
(08/2021), D.2.28 and D.2.35); their syntax: 7.3.5; emulation prevention: 7.4.2; NAL unit types:
Table 7-1; the configuration record: ISO/IEC 14496-15:2022, 8.3.2.1.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sdr2hdr.media.bitstreams.bits import without_emulation

__all__ = [
    "CONTENT_LIGHT_LEVEL",
    "MASTERING_DISPLAY",
    "HdrSei",
    "SeiMessage",
    "content_light_payload",
    "join_units",
    "light_level_offsets",
    "record_length_size",
    "record_unit_places",
    "record_units",
    "record_with",
    "sei_messages",
    "sei_unit",
    "split_units",
    "unit_places",
    "unit_type",
    "with_emulation",
    "with_hdr_sei",
    "with_message_units",
]

MASTERING_DISPLAY = 137
CONTENT_LIGHT_LEVEL = 144

_FIRST_NON_SLICE_TYPE = 32
_PREFIX_SEI_TYPE = 39
_PREFIX_SEI_HEADER = b"\x4e\x01"
_LIGHT_PAYLOAD_BYTES = 4
_RECORD_LENGTH_SIZE_AT = 21
_RECORD_ARRAYS_AT = 22


@dataclass(frozen=True)
class SeiMessage:
    """One SEI message: its payload type, and the payload without emulation prevention."""

    kind: int
    payload: bytes


@dataclass(frozen=True)
class HdrSei:
    """Payloads to put into a stream, in place of any that are there.

    Attributes:
        mastering: 24 bytes as in an `mdcv` box; None leaves what is there.
        light: 4 bytes as in a `clli` box; None leaves what is there.
    """

    mastering: bytes | None
    light: bytes | None

    @property
    def messages(self) -> tuple[SeiMessage, ...]:
        """The messages to place."""
        both = ((MASTERING_DISPLAY, self.mastering), (CONTENT_LIGHT_LEVEL, self.light))
        return tuple(SeiMessage(kind, payload) for kind, payload in both if payload is not None)


def content_light_payload(max_cll: int, max_fall: int) -> bytes:
    """The 4 bytes that SEI 144, `clli` boxes and AV1's metadata have in common."""
    return struct.pack(">2H", max_cll, max_fall)


def unit_type(unit: bytes) -> int:
    """nal_unit_type, -1 for nothing."""
    return unit[0] >> 1 & 0x3F if unit else -1


def with_emulation(payload: bytes) -> bytes:
    """A NAL unit with the bytes 3 that keep start codes out of it."""
    result = bytearray()
    zeros = 0
    for byte in payload:
        if zeros >= 2 and byte <= 3:
            result.append(3)
            zeros = 0
        result.append(byte)
        zeros = zeros + 1 if byte == 0 else 0
    return bytes(result)


def sei_messages(unit: bytes) -> list[SeiMessage]:
    """The messages of a prefix SEI unit; none of any other, and what is cut short is left out."""
    if unit_type(unit) != _PREFIX_SEI_TYPE:
        return []
    plain = without_emulation(unit)
    return [SeiMessage(kind, plain[start:end]) for kind, start, end in _message_places(plain)]


def sei_unit(messages: Sequence[SeiMessage]) -> bytes:
    """A prefix SEI unit of some messages."""
    content = bytearray(_PREFIX_SEI_HEADER)
    for message in messages:
        for number in (message.kind, len(message.payload)):
            content += b"\xff" * (number // 255) + bytes((number % 255,))
        content += message.payload
    return with_emulation(bytes(content) + b"\x80")


def with_hdr_sei(units: Sequence[bytes], sei: HdrSei) -> list[bytes]:
    """An access unit, or a run of headers, with the messages in front of its first slice.

    Args:
        units: NAL units without framing.
        sei: What to say. Messages of the same kinds are taken out, all else stays as it is.
    """
    kinds = {message.kind for message in sei.messages}
    result: list[bytes] = []
    for unit in units:
        if unit_type(unit) == _PREFIX_SEI_TYPE:
            messages = sei_messages(unit)
            kept = [message for message in messages if message.kind not in kinds]
            if len(kept) < len(messages):
                if kept:
                    result.append(sei_unit(kept))
                continue
        result.append(unit)
    return with_message_units(result, [sei_unit([message]) for message in sei.messages])


def with_message_units(units: Sequence[bytes], messages: Sequence[bytes]) -> list[bytes]:
    """An access unit, or a run of headers, with prefix SEI units in front of its first slice."""
    slices = (i for i, unit in enumerate(units) if 0 <= unit_type(unit) < _FIRST_NON_SLICE_TYPE)
    first = next(slices, len(units))
    return [*units[:first], *messages, *units[first:]]


def record_length_size(record: bytes | None) -> int:
    """Bytes of the length before each unit of a stream's packets; 0 means start codes."""
    if record is None or len(record) <= _RECORD_ARRAYS_AT or record[0] != 1:
        return 0
    return (record[_RECORD_LENGTH_SIZE_AT] & 3) + 1


def split_units(data: bytes, length_size: int) -> list[bytes]:
    """NAL units of a packet, or of headers with start codes.

    Raises:
        ValueError: A unit is longer than the data.
    """
    return [data[start:end] for start, end in unit_places(data, length_size)]


def unit_places(data: bytes, length_size: int) -> Iterator[tuple[int, int]]:
    """Start and end of each NAL unit.

    Raises:
        ValueError: A unit is longer than the data.
    """
    if length_size:
        position = 0
        while position < len(data):
            start = position + length_size
            position = start + int.from_bytes(data[position:start], "big")
            if position > len(data):
                raise ValueError(f"A NAL unit at byte {start} ends beyond the packet.")
            yield start, position
        return
    code = data.find(b"\0\0\1")
    while code >= 0:
        start = code + 3
        code = data.find(b"\0\0\1", start)
        end = len(data) if code < 0 else code
        # Zeros before the next start code belong to it.
        yield start, start + len(data[start:end].rstrip(b"\0"))


def join_units(units: Sequence[bytes], length_size: int) -> bytes:
    """Units as a packet, with lengths or with start codes of four bytes."""
    if length_size:
        return b"".join(len(unit).to_bytes(length_size, "big") + unit for unit in units)
    return b"".join(b"\0\0\0\1" + unit for unit in units)


def record_units(record: bytes) -> list[bytes]:
    """All units of an HEVC configuration record or of headers with start codes.

    Raises:
        ValueError: The record is cut short.
    """
    return [record[start:end] for start, end in record_unit_places(record)]


def record_unit_places(record: bytes) -> Iterator[tuple[int, int]]:
    """Start and end of each unit of `record_units`.

    Raises:
        ValueError: The record is cut short.
    """
    if not record_length_size(record):
        yield from unit_places(record, 0)
        return
    position = _RECORD_ARRAYS_AT + 1
    for _ in range(record[_RECORD_ARRAYS_AT]):
        count = int.from_bytes(record[position + 1 : position + 3], "big")
        position += 3
        for _ in range(count):
            start = position + 2
            position = start + int.from_bytes(record[start - 2 : start], "big")
            if position > len(record):
                raise ValueError("The HEVC configuration record is cut short.")
            yield start, position


def record_with(record: bytes, units: Sequence[bytes]) -> bytes:
    """A configuration record, or headers with start codes, that holds other units.

    Args:
        record: Whose general fields are kept.
        units: Parameter sets and SEI, each kind becoming one array.
    """
    if not record_length_size(record):
        return join_units(units, 0)
    kinds = sorted({unit_type(unit) for unit in units})
    arrays = bytearray()
    for kind in kinds:
        members = [unit for unit in units if unit_type(unit) == kind]
        arrays += struct.pack(">BH", kind | _completeness(record, kind), len(members))
        for unit in members:
            arrays += struct.pack(">H", len(unit)) + unit
    return record[:_RECORD_ARRAYS_AT] + bytes((len(kinds),)) + bytes(arrays)


def light_level_offsets(data: bytes, places: Iterator[tuple[int, int]]) -> list[int]:
    """Where the 4 bytes of each content light level message begin.

    Args:
        data: A packet or record.
        places: Start and end of its NAL units.

    Returns:
        Offsets of messages whose payload has no emulation prevention in it.
    """
    found: list[int] = []
    for start, end in places:
        unit = data[start:end]
        if unit_type(unit) != _PREFIX_SEI_TYPE:
            continue
        raw_of_plain = _raw_positions(unit)
        plain = without_emulation(unit)
        for kind, first, last in _message_places(plain):
            if kind != CONTENT_LIGHT_LEVEL or last - first != _LIGHT_PAYLOAD_BYTES:
                continue
            raw = raw_of_plain[first:last]
            if raw[-1] - raw[0] == _LIGHT_PAYLOAD_BYTES - 1:
                found.append(start + raw[0])
    return found


def _message_places(plain: bytes) -> Iterator[tuple[int, int, int]]:
    """Payload type, start and end of each message in a unit without emulation prevention."""
    position = len(_PREFIX_SEI_HEADER)
    # The last byte is the trailing bits.
    while position < len(plain) - 1:
        numbers: list[int] = []
        for _ in range(2):
            number = 0
            while position < len(plain) and plain[position] == 0xFF:
                number += 255
                position += 1
            if position >= len(plain):
                return
            numbers.append(number + plain[position])
            position += 1
        kind, size = numbers
        if position + size > len(plain):
            return
        yield kind, position, position + size
        position += size


def _raw_positions(unit: bytes) -> list[int]:
    """For each byte of the unit without emulation prevention, where it is in the unit."""
    positions: list[int] = []
    zeros = 0
    for index, byte in enumerate(unit):
        if zeros >= 2 and byte == 3:
            zeros = 0
            continue
        positions.append(index)
        zeros = zeros + 1 if byte == 0 else 0
    return positions


def _completeness(record: bytes, kind: int) -> int:
    """The flag of a record's array that says its units are never inside the packets."""
    position = _RECORD_ARRAYS_AT + 1
    for _ in range(record[_RECORD_ARRAYS_AT]):
        head, count = struct.unpack_from(">BH", record, position)
        if head & 0x3F == kind:
            return head & 0x80
        position += 3
        for _ in range(count):
            position += 2 + int.from_bytes(record[position : position + 2], "big")
    return 0
