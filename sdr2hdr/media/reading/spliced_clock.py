"""Join the clocks of a recording that was spliced, the same way for every stream.

The clock of MPEG-TS and MPEG-PS starts anywhere. Where recordings were put together, or a disc
goes on with its next cell, it jumps, and jumps for all streams at once. Everybody who reads packets
takes them through here, so that picture, sound and subtitles are moved by the same amount.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from av.packet import Packet

from sdr2hdr.errors import Notice
from sdr2hdr.media.opening import demuxed
from sdr2hdr.media.reading.streams import is_cover_art
from sdr2hdr.media.reading.timestamps import LARGEST_STEP_BACK_SECONDS

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.stream import Stream

__all__ = ["SplicedClock", "starts_anywhere", "streams_with"]

CLOCK_STARTS_ANYWHERE = frozenset({"mpegts", "mpeg", "vob", "dvd", "svcd", "vcd", "wtv"})

LONGEST_SILENCE_SECONDS = Fraction(10)
"""A step forward is a new clock if it is longer and no stream has anything in between. Times follow
each other within 0.7 s (Rec. ITU-T H.222.0, 2.7.4)."""

HALF_A_TURN_SECONDS = Fraction(1 << 32, 90_000)
"""A longer step forward is one back, which libavformat has taken for the clock's turn: it counts
90,000 ticks a second in 33 bits (Rec. ITU-T H.222.0, 2.4.3.7)."""

LONGEST_REORDERING_SECONDS = Fraction(10)
"""A picture is not shown later after its decoding (Rec. ITU-T H.222.0, 2.4.2.6): where two times of
a packet are further apart, one of them is damaged."""

MOST_WAITING = 1000
"""Packets that wait for the video to reach the new clock; they are read in the file's order, in
which streams lie about a second apart."""


def starts_anywhere(format_name: str) -> bool:
    """Whether times of a format, as libavformat names it, count from anywhere, and may jump."""
    return bool(CLOCK_STARTS_ANYWHERE & set(format_name.split(",")))


def streams_with(container: InputContainer, wanted: Iterable[Stream]) -> list[Stream]:
    """The streams that `SplicedClock.demuxed` reads to place the packets of some of them.

    Pictures and sound tell a jump of the clock from a gap in one stream.
    """
    indices = {stream.index for stream in wanted}
    if starts_anywhere(container.format.name):
        indices |= _timed(container)
    return [stream for stream in container.streams if stream.index in indices]


class SplicedClock:
    """Moves packets onto one clock that does not jump.

    Args:
        container: The file.
        video_index: Of the stream whose frames follow each other without a gap where clocks are
            joined.

    Attributes:
        joined_at: For each new clock, when its first frame is shown, seconds of the joined clock.
    """

    def __init__(self, container: InputContainer, video_index: int) -> None:
        self._container = container
        self._can_jump = starts_anywhere(container.format.name)
        self._timed = _timed(container)
        self._video = video_index
        self._offsets = deque([Fraction(0)], maxlen=2)
        self._own_offset: dict[int, Fraction] = {}
        self._last: dict[int, Fraction] = {}
        self._steps: dict[int, Fraction] = {}
        self._waiting: list[Packet[Any]] = []
        self.joined_at: list[Fraction] = []

    def demuxed(self, wanted: Iterable[Stream]) -> Iterator[Packet[Any]]:
        """Read on, and give the packets of some streams, moved; also those that flush decoders."""
        indices = {stream.index for stream in wanted}
        for packet in demuxed(self._container, streams_with(self._container, wanted)):
            yield from (each for each in self.placed(packet) if each.stream.index in indices)

    def placed(self, packet: Packet[Any]) -> Iterator[Packet[Any]]:
        """Take a packet, and give those whose place is known now, moved.

        Packets come in the file's order, those of all `streams_with` among them.
        """
        if self._can_jump:
            self._mend_times(packet)
        seconds = _seconds(packet)
        if not self._can_jump or seconds is None:
            yield packet
            return
        index = packet.stream.index
        offset = self._known_offset(index, seconds)
        is_joined = offset is None and index == self._video
        if is_joined:
            offset = self._join(packet, seconds)
        if offset is None:
            self._waiting.append(packet)
            if len(self._waiting) > MOST_WAITING:
                yield from self.rest()
            return
        yield self._moved(packet, seconds, offset)
        if is_joined:
            yield from self.rest()

    def rest(self) -> Iterator[Packet[Any]]:
        """Give what still waits: the video has joined its clock, or does not come any more."""
        waiting, self._waiting = self._waiting, []
        for packet in waiting:
            seconds = _seconds(packet) or Fraction(0)
            offset = self._known_offset(packet.stream.index, seconds)
            if offset is None:
                offset = self._join(packet, seconds)
            yield self._moved(packet, seconds, offset)

    def notices(self, start_seconds: Fraction) -> tuple[Notice, ...]:
        """What was joined, counted from the start of the file."""
        if not self.joined_at:
            return ()
        # Every part of a film that reaches this place says the same.
        first = float(self.joined_at[0] - start_seconds)
        text = (
            f"The file's clock jumps, first at {first:.3f} s: it was put together from several "
            "recordings. What follows is joined to what comes before, alike in all streams."
        )
        return (Notice("warning", text),)

    def _mend_times(self, packet: Packet[Any]) -> None:
        """Keep a time that damage has changed from being taken for a new clock."""
        index, pts, dts = packet.stream.index, packet.pts, packet.dts
        if index not in self._last or pts is None or dts is None:
            return
        if abs(pts - dts) * packet.time_base <= LONGEST_REORDERING_SECONDS:
            return
        if self._known_offset(index, pts * packet.time_base) is None:
            packet.pts = dts
        else:
            place = self._last[index] + self._steps.get(index, Fraction(0))
            packet.dts = min(pts, round((place - self._own_offset[index]) / packet.time_base))

    def _known_offset(self, index: int, seconds: Fraction) -> Fraction | None:
        """What moves a packet onto the joined clock, None if it has a new one.

        At a joint the streams change over one after another, and none of them changes back.
        """
        if index not in self._timed or index not in self._last:
            # Subtitles and data are sparse, and a stream may begin late: the video is near by.
            near = self._last.get(self._video, seconds + self._offsets[-1])
            return min(self._offsets, key=lambda offset: abs(seconds + offset - near))
        last, latest = self._last[index], max(self._last.values())
        longest = LONGEST_SILENCE_SECONDS if len(self._timed) > 1 else HALF_A_TURN_SECONDS
        own, newest = self._own_offset[index], self._offsets[-1]
        steps_back = [(own, LARGEST_STEP_BACK_SECONDS)]
        if own != newest:
            # Sound that goes on behind the last picture overlaps that of the next recording.
            is_video = index == self._video
            longest_overlap = LARGEST_STEP_BACK_SECONDS if is_video else LONGEST_SILENCE_SECONDS
            steps_back.append((newest, longest_overlap))
        possible = [
            offset
            for offset, step_back in steps_back
            if last - seconds - offset <= step_back and seconds + offset - latest <= longest
        ]
        if len(possible) < 2:
            return possible[0] if possible else None
        # The old clock and the new one are so near that both could be meant.
        return min(possible, key=lambda offset: abs(seconds + offset - last))

    def _join(self, packet: Packet[Any], seconds: Fraction) -> Fraction:
        index = packet.stream.index
        offset = self._last[index] + self._steps.get(index, Fraction(0)) - seconds
        self._offsets.append(offset)
        shown = seconds if packet.pts is None else packet.pts * packet.time_base
        self.joined_at.append(shown + offset)
        return offset

    def _moved(self, packet: Packet[Any], seconds: Fraction, offset: Fraction) -> Packet[Any]:
        index = packet.stream.index
        if index in self._timed:
            place = seconds + offset
            if packet.duration:
                self._steps[index] = packet.duration * packet.time_base
            elif index in self._last:
                self._steps[index] = place - self._last[index]
            self._last[index] = place
            self._own_offset[index] = offset
        ticks = round(offset / packet.time_base)
        if ticks:
            packet.pts = None if packet.pts is None else packet.pts + ticks
            packet.dts = None if packet.dts is None else packet.dts + ticks
        return packet


def _timed(container: InputContainer) -> set[int]:
    """Indices of the streams that have something to show or to play at any time."""
    return {
        stream.index
        for stream in container.streams
        if stream.type in ("video", "audio") and not is_cover_art(stream)
    }


def _seconds(packet: Packet[Any]) -> Fraction | None:
    """When a packet is decoded, by its own clock; None for one that flushes a decoder."""
    ticks = packet.pts if packet.dts is None else packet.dts
    return None if ticks is None or not packet.size else ticks * packet.time_base
