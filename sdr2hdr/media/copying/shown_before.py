"""Bitmap subtitles that a time range finds on the screen: of them only the beginning has a time.

A text subtitle says how long it lasts, and is cut to the range by its own times. A PGS subtitle
lasts until another packet takes it away, a DVD subtitle as long as its commands say.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from math import ceil

from av.packet import Packet

from sdr2hdr.media.containers.container_trial import codec_name
from sdr2hdr.media.copying.display_sets import PGS_CODEC, PGS_COMPOSITION

__all__ = ["ShownBefore"]

_PGS_STATE, _PGS_OBJECTS = 10, 13
"""Where a composition segment says whether it leans on earlier ones, and how much it shows."""
_DVD_TICK = Fraction(1024, 90_000)
_DVD_STOP, _DVD_END = 0x02, 0xFF
_DVD_COMMAND_BYTES = {0x00: 1, 0x01: 1, 0x03: 3, 0x04: 3, 0x05: 7, 0x06: 5}
"""Length of a command with its code; any other one ends the reading."""


class ShownBefore:
    """Holds what bitmap subtitles show, and gives it back at the start of the range.

    Args:
        start_seconds: Of the range, on the clock of the packets.
    """

    def __init__(self, start_seconds: Fraction) -> None:
        self._start = start_seconds
        self._held: dict[int, list[Packet]] = {}
        self._is_shown: dict[int, bool] = {}

    def holds(self, packet: Packet) -> bool:
        """Whether a packet is kept here, or is known not to be needed; others go their way."""
        codec = codec_name(packet.stream)
        if codec not in (PGS_CODEC, "dvd_subtitle") or packet.duration:
            return False
        if packet.pts is None or packet.pts * packet.time_base >= self._start:
            return False
        data, index = bytes(packet), packet.stream.index
        if codec == "dvd_subtitle":
            self._hold_dvd(index, packet, data)
        else:
            self._hold_pgs(index, packet, data)
        return True

    def released(self) -> Iterator[Packet]:
        """The packets of what is on the screen, with the start of the range as their time."""
        for packets in self._held.values():
            for packet in packets:
                packet.pts = packet.dts = ceil(self._start / packet.time_base)
                yield packet
        self._held.clear()

    def _hold_pgs(self, index: int, packet: Packet, data: bytes) -> None:
        """Matroska has a whole display set in a packet, MPEG-TS one of its segments."""
        if data[0] == PGS_COMPOSITION and len(data) > _PGS_OBJECTS:
            self._is_shown[index] = data[_PGS_OBJECTS] > 0
            if data[_PGS_STATE] or not self._is_shown[index]:
                self._held[index] = []
        if self._is_shown.get(index):
            self._held.setdefault(index, []).append(packet)

    def _hold_dvd(self, index: int, packet: Packet, data: bytes) -> None:
        lasts = _dvd_seconds(data)
        self._held[index] = []
        begins = (packet.pts or 0) * packet.time_base
        if lasts is None or begins + lasts > self._start:
            self._held[index].append(packet)


def _dvd_seconds(data: bytes) -> Fraction | None:
    """From its time on until a DVD subtitle goes away; None if nothing in it says when."""
    at = int.from_bytes(data[2:4])
    while at + 4 <= len(data):
        date, following = int.from_bytes(data[at : at + 2]), int.from_bytes(data[at + 2 : at + 4])
        command = at + 4
        while command < len(data) and data[command] != _DVD_END:
            if data[command] == _DVD_STOP:
                return date * _DVD_TICK
            command += _DVD_COMMAND_BYTES.get(data[command], len(data))
        if following <= at:
            return None
        at = following
    return None
