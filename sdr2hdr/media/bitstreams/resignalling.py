"""Say HDR10 in a coded stream that exists: headers and key frames change, coded slices do not.

Colour that a header leaves out is put in by libavcodec's `hevc_metadata` and `av1_metadata`, which
are given nothing but the header. Chroma siting is never changed: where the samples lie is a fact
of the picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import av.error
from av.bitstream import BitStreamFilterContext
from av.packet import Packet

from sdr2hdr.errors import InputError
from sdr2hdr.media.bitstreams.bits import UNSPECIFIED, HeaderColour
from sdr2hdr.media.bitstreams.hdr10_obu import (
    CONFIGURATION_HEADER_BYTES,
    av1_light_level_offsets,
    obus_in,
    with_hdr_obus,
)
from sdr2hdr.media.bitstreams.hdr10_sei import (
    HdrSei,
    join_units,
    record_length_size,
    record_units,
    record_with,
    sei_messages,
    split_units,
    unit_type,
    with_hdr_sei,
)
from sdr2hdr.media.bitstreams.sequence_header_av1 import SEQUENCE_HEADER

__all__ = ["ColourCodes", "Resignaller"]

_VPS, _SPS = 32, 33
_TEMPORAL_DELIMITER = b"\x12\0"
_AV1C_MARKER = 0x81
_PRORES_MARKER = b"icpf"
_PRORES_COLOUR_AT = 22


@dataclass(frozen=True)
class ColourCodes:
    """H.273 code points of primaries, transfer and matrix."""

    primaries: int
    transfer: int
    matrix: int

    def is_said_by(self, header: HeaderColour | None) -> bool:
        """Whether a header leaves nothing of it out."""
        if header is None:
            return False
        return None not in (header.primaries, header.transfer, header.matrix)


class Resignaller:
    """Rewrites the headers and key frames of one stream.

    Args:
        codec: FFmpeg's name of the codec.
        extradata: The stream's configuration record or headers.
        sei: Mastering display and light levels to say.
        colour: To be put into headers; None leaves them as they are.

    Attributes:
        colour_added: Whether a header has been given colour so far.
    """

    def __init__(
        self, codec: str, extradata: bytes | None, sei: HdrSei, colour: ColourCodes | None
    ) -> None:
        self._codec = codec
        self._record = extradata or b""
        self._sei = sei
        self._colour = colour
        self._known: dict[bytes, bytes] = {}
        self._vps = b""
        self.colour_added = False

    @cached_property
    def extradata(self) -> bytes:
        """The new configuration record.

        Raises:
            InputError: The record cannot be read.
        """
        try:
            if self._codec == "hevc" and self._record:
                units = with_hdr_sei(self._described(record_units(self._record)), self._sei)
                return record_with(self._record, units)
            if self._codec == "av1" and self._record[:1] == bytes((_AV1C_MARKER,)):
                head = CONFIGURATION_HEADER_BYTES
                units = self._with_av1_colour(self._record[head:])
                return self._record[:head] + (with_hdr_obus(units, self._sei) if units else b"")
        except ValueError as error:
            raise InputError(f"The stream's header cannot be read: {error}") from error
        return self._record

    def packet(self, data: bytes, *, is_key: bool) -> bytes:
        """A packet that says HDR10 if it is a key frame or did so before; its slices stay.

        Raises:
            InputError: The packet cannot be read.
        """
        try:
            if self._codec == "hevc":
                return self._hevc_packet(data, is_key=is_key)
            if self._codec == "av1" and (is_key or av1_light_level_offsets(data)):
                return with_hdr_obus(self._with_av1_colour(data), self._sei)
            if self._codec == "prores" and self._colour is not None:
                return self._prores_packet(data, self._colour)
        except ValueError as error:
            raise InputError(f"A frame cannot be read: {error}") from error
        return data

    def _hevc_packet(self, data: bytes, *, is_key: bool) -> bytes:
        length_size = record_length_size(self._record)
        units = split_units(data, length_size)
        changed = self._described(units)
        if is_key or self._says_hdr(units):
            changed = with_hdr_sei(changed, self._sei)
        return data if changed == units else join_units(changed, length_size)

    def _says_hdr(self, units: Sequence[bytes]) -> bool:
        """Whether there are messages that would contradict ours."""
        kinds = {message.kind for message in self._sei.messages}
        return any(message.kind in kinds for unit in units for message in sei_messages(unit))

    def _described(self, units: Sequence[bytes]) -> list[bytes]:
        """The units with colour in every sequence parameter set."""
        if self._colour is None:
            return list(units)
        result: list[bytes] = []
        for unit in units:
            if unit_type(unit) == _VPS:
                self._vps = unit
            result.append(self._with_colour(unit) if unit_type(unit) == _SPS else unit)
        return result

    def _with_colour(self, sps: bytes) -> bytes:
        if sps not in self._known:
            headers = [self._vps, sps] if self._vps else [sps]
            written = self._filtered("hevc", join_units(headers, 0))
            found = [unit for unit in split_units(written, 0) if unit_type(unit) == _SPS]
            self._known[sps] = found[0] if found else sps
            self.colour_added |= self._known[sps] != sps
        return self._known[sps]

    def _with_av1_colour(self, data: bytes) -> bytes:
        if self._colour is None:
            return data
        parts: list[bytes] = []
        for unit in obus_in(data):
            part = data[unit.start : unit.end]
            if unit.kind == SEQUENCE_HEADER:
                if part not in self._known:
                    written = self._filtered("av1", _TEMPORAL_DELIMITER + part)
                    self._known[part] = written[len(_TEMPORAL_DELIMITER) :]
                    self.colour_added |= self._known[part] != part
                part = self._known[part]
            parts.append(part)
        return b"".join(parts)

    def _filtered(self, codec: str, headers: bytes) -> bytes:
        colour = self._colour
        if colour is None:
            return headers
        name = "colour" if codec == "hevc" else "color"
        description = (
            f"{codec}_metadata={name}_primaries={colour.primaries}"
            f":transfer_characteristics={colour.transfer}:matrix_coefficients={colour.matrix}"
        )
        try:
            written = BitStreamFilterContext(description, codec).filter(Packet(headers))
        except av.error.FFmpegError as error:
            raise InputError(f"The stream's header cannot be read: {error.strerror}.") from error
        return b"".join(bytes(packet) for packet in written)

    def _prores_packet(self, data: bytes, colour: ColourCodes) -> bytes:
        """The frame header's colour, where it says none (SMPTE RDD 36:2022, 5.1.1)."""
        end = _PRORES_COLOUR_AT + 3
        if data[4:8] != _PRORES_MARKER or len(data) < end:
            return data
        said = data[_PRORES_COLOUR_AT:end]
        wanted = bytes((colour.primaries, colour.transfer, colour.matrix))
        pairs = zip(said, wanted, strict=True)
        new = bytes(own if old in (0, UNSPECIFIED) else old for old, own in pairs)
        self.colour_added |= new != said
        return data[:_PRORES_COLOUR_AT] + new + data[end:]
