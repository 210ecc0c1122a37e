"""The output's clock for the packets that are copied, and what a time range leaves of them."""

from __future__ import annotations

from fractions import Fraction

from av.packet import Packet
from av.stream import Stream

from sdr2hdr.media.copying.stream_plan import StreamPlan

__all__ = ["PacketClock"]

_MILLISECOND = Fraction(1, 1000)


class PacketClock:
    """Puts packets of the source on the output's clock, those of each stream in their order.

    Attributes:
        repaired: Packets whose decoding time had to be moved, because it did not increase, by more
            than a millisecond.
    """

    def __init__(self, plan: StreamPlan) -> None:
        """Start the clock of an output.

        Args:
            plan: Says the time range, and how far the output's clock is from the source's.
        """
        self._plan = plan
        self._is_matroska = plan.container_format == "matroska"
        self._last_dts: dict[int, int] = {}
        self._ends: dict[int, Fraction] = {}
        self.repaired = 0

    def seconds(self, ticks: int | None, packet: Packet) -> Fraction | None:
        """A time of a packet of the source on the output's clock, None if it has none."""
        return None if ticks is None else ticks * packet.time_base - self._plan.shift_seconds

    def place(self, packet: Packet, target: Stream, lasts: Fraction | None = None) -> bool:
        """Put a packet on the output's clock; False if the time range leaves it out.

        Each time is rounded once, from the exact difference, so nothing accumulates.

        Args:
            packet: Of the source.
            target: The output's stream.
            lasts: Seconds, of a packet that begins where the one before it ends, unless it says
                another time; None takes what it says.
        """
        ticks, shift = target.time_base, self._plan.shift_seconds
        last = self._last_dts.get(packet.stream.index)
        if ticks is None:
            raise ValueError(f"Stream {target.index} of the output has no clock.")
        pts = self.seconds(packet.dts if packet.pts is None else packet.pts, packet)
        if pts is None:
            pts = -shift if last is None else (last + 1) * ticks
        dts = self.seconds(packet.dts, packet)
        dts = pts if dts is None else dts
        duration = (packet.duration or 0) * packet.time_base
        if lasts is not None:
            end = self._ends.get(packet.stream.index, pts)
            # A tick of the source's clock, half of either time, is its rounding, which Matroska may
            # keep.
            is_rounded = not self._is_matroska and abs(pts - end) <= packet.time_base
            if packet.pts is None or is_rounded:
                pts = dts = end
            self._ends[packet.stream.index], duration = pts + lasts, lasts
        kept = self._clip(pts, duration, is_subtitle=packet.stream.type == "subtitle")
        if kept is None:
            return False
        dts, (pts, duration) = max(dts, dts + kept[0] - pts), kept
        packet.time_base = ticks
        packet.pts, packet.dts = round(pts / ticks), round(dts / ticks)
        # What lasts no time at the end of an MP4 lies outside its edit list, and is not read.
        packet.duration = max(round(duration / ticks), 0 if self._is_matroska else 1)
        self._keep_order(packet, last)
        return True

    def _keep_order(self, packet: Packet, last: int | None) -> None:
        """Move a packet whose decoding time does not increase; Matroska lets times be equal."""
        dts = packet.dts or 0
        if last is not None:
            first = last if self._is_matroska else last + 1
            if dts < first:
                # Packets shorter than the source's ticks have equal times and no fault.
                self.repaired += (first - dts) * packet.time_base > _MILLISECOND
                dts = packet.dts = first
                packet.pts = max(packet.pts or 0, dts)
        self._last_dts[packet.stream.index] = dts

    def _clip(
        self, pts: Fraction, duration: Fraction, *, is_subtitle: bool
    ) -> tuple[Fraction, Fraction] | None:
        """Keep what starts in the time range; cut subtitles to it; leave out the rest.

        Returns:
            Start and duration on the output's clock, None for what is left out.
        """
        start, end = self._plan.start_seconds, self._plan.end_seconds
        if end is not None and pts >= end:
            return None
        if start is not None and pts < start:
            if not is_subtitle or pts + duration <= start:
                return None
            pts, duration = start, pts + duration - start
        if end is not None and is_subtitle:
            duration = min(duration, end - pts)
        return pts, duration
