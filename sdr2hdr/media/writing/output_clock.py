"""The clock of the converted stream: the source's own, from the start of what is converted."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction

from sdr2hdr.frames import FrameTime, Timeline

__all__ = ["OutputClock", "output_time_base"]

_FINEST_TIMESCALE = 1 << 24
"""Ticks a second above which MP4's 32-bit durations would hold less than two minutes."""
_COARSE_TIMESCALE = 1_000_000
_USUAL_TIMESCALE = 10_000


@dataclass(frozen=True)
class OutputClock:
    """Puts frame times of the source on the clock of the output.

    Attributes:
        source_time_base: Seconds a tick of the times that come in.
        time_base: Seconds a tick of the output's.
        shift_ticks: What is taken off every time, in ticks of the output.
    """

    source_time_base: Fraction
    time_base: Fraction
    shift_ticks: int

    @classmethod
    def of(cls, source_time_base: Fraction, shift_seconds: Fraction) -> OutputClock:
        """The clock for frame times in some ticks.

        Args:
            source_time_base: Of the frame times: `OutputVideo.time_base`.
            shift_seconds: What is taken off them: `StreamPlan.shift_seconds`.
        """
        time_base = output_time_base(source_time_base, shift_seconds)
        return cls(source_time_base, time_base, round(shift_seconds / time_base))

    def placed(self, time: FrameTime) -> FrameTime:
        """A frame's time on the output's clock; a duration may round to 0."""
        scale = self.source_time_base / self.time_base
        return FrameTime(round(time.pts * scale) - self.shift_ticks, round(time.duration * scale))

    def timeline(self, timeline: Timeline) -> Timeline:
        """When a player of the finished file shows the frames of a batch.

        Matroska counts in milliseconds and rounds these times once more.

        Raises:
            ValueError: The batch counts in other ticks than this clock was made for.
        """
        if timeline.time_base != self.source_time_base:
            raise ValueError(
                f"Frame times in ticks of {timeline.time_base} s; expected {self.source_time_base}."
            )
        placed = tuple(self.placed(time) for time in timeline.frames)
        return replace(timeline, time_base=self.time_base, frames=placed)


def output_time_base(time_base: Fraction, shift_seconds: Fraction) -> Fraction:
    """The ticks of the output's video: the source's own, as far as a muxer can count in them.

    Args:
        time_base: Of the source's frame times.
        shift_seconds: What will be taken off them; a coarse clock is refined if this does not
            fall on one of its ticks.

    Returns:
        One over a whole number, of which `time_base` is a multiple unless it is finer than a
        2^24th of a second: then a microsecond.
    """
    ticks = time_base.denominator
    if ticks > _FINEST_TIMESCALE:
        return Fraction(1, _COARSE_TIMESCALE)
    if (shift_seconds * ticks).denominator != 1:
        ticks *= -(-_USUAL_TIMESCALE // ticks)
    return Fraction(1, ticks)
