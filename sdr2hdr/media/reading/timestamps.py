"""Give every frame a time: strictly increasing, without gaps of our own making."""

from __future__ import annotations

from fractions import Fraction

from sdr2hdr.errors import Notice

__all__ = ["LARGEST_STEP_BACK_SECONDS", "TimestampRepair", "time_in_ticks"]

LARGEST_STEP_BACK_SECONDS = Fraction(1)
"""A larger one is taken as a new clock (a spliced recording), a smaller one as a slip."""

ROUNDING_SECONDS = Fraction(1, 200_000)
"""How far beside a frame's time a time on the command line may be and still mean that frame."""


def time_in_ticks(seconds: float, time_base: Fraction, start_seconds: Fraction) -> Fraction:
    """A time from the start of the file as a place on the stream's clock, for `pts >= place`.

    Args:
        seconds: As the user wrote it; 33.366667 means the frame at 33.3666....
        time_base: Of the stream.
        start_seconds: Of the file, on the stream's clock.
    """
    # The shortest decimal is what was written; the double itself lies beside it.
    written = Fraction(repr(float(seconds)))
    return (written + start_seconds - ROUNDING_SECONDS) / time_base


class TimestampRepair:
    """Makes the times of frames, taken in presentation order, strictly increasing."""

    def __init__(self, time_base: Fraction, usual_ticks: int, start_pts: int) -> None:
        """Begin a stream.

        Args:
            time_base: Seconds a tick.
            usual_ticks: Duration of a frame that says nothing about it.
            start_pts: Time of the first frame if it has none.
        """
        self._usual_ticks = usual_ticks
        self._largest_step_back = LARGEST_STEP_BACK_SECONDS / time_base
        self._next = start_pts
        self._last: int | None = None
        self._offset = 0
        self.missing = 0
        self.nudged = 0
        self.restarts = 0

    def placed(self, pts: int | None, duration: int) -> int:
        """Time of the next frame.

        Args:
            pts: What the decoder says, None if nothing.
            duration: What the container says, 0 if nothing; ticks.
        """
        if pts is None:
            self.missing += 1
            place = self._next
        else:
            place = pts + self._offset
        if self._last is not None and place <= self._last:
            if self._last - place > self._largest_step_back:
                self.restarts += 1
                self._offset += self._next - place
                place = self._next
            else:
                # Late by a tick is better than lost.
                self.nudged += 1
                place = self._last + 1
        self._last = place
        self._next = place + (duration if duration > 0 else self._usual_ticks)
        return place

    @property
    def count(self) -> int:
        """How many frames were given another time than the file's own."""
        return self.missing + self.nudged + self.restarts

    def notices(self) -> tuple[Notice, ...]:
        """What had to be repaired; not how often, since every part of a film counts anew."""
        found = (
            (self.missing, "no timestamp and were placed one frame's duration after the last"),
            (self.nudged, "no later timestamp than the one before and were moved by a tick"),
            (self.restarts, "a timestamp from a new clock and were joined to the one before"),
        )
        return tuple(
            Notice("warning", f"Timestamps: some frames had {what}.")
            for count, what in found
            if count
        )
