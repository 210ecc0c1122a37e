"""Hold what is written against what was planned: no frame missing, none twice."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

from sdr2hdr.errors import VerificationError
from sdr2hdr.frames import FrameTime

__all__ = ["PlannedFrames"]


class PlannedFrames:
    """Takes packets in decoding order and frames off the plan as they come.

    Only frames that are behind others which came before their turn are kept.

    Args:
        times: When each frame is shown, in ticks of the output, increasing.
        time_base: Seconds a tick.

    Attributes:
        seen: Frames taken so far.
    """

    def __init__(self, times: Iterable[FrameTime], time_base: Fraction) -> None:
        self._times = iter(times)
        self._time_base = time_base
        self._upcoming: deque[FrameTime] = deque()
        self._waiting: dict[int, FrameTime] = {}
        self._last_pts: int | None = None
        self.seen = 0

    def peek(self, count: int) -> list[FrameTime]:
        """The next frames that are to be shown, fewer at the end of the film; none is taken."""
        while len(self._upcoming) < count and (time := next(self._times, None)) is not None:
            self._upcoming.append(time)
        return list(self._upcoming)[:count]

    def take(self, pts: int, path: Path) -> tuple[FrameTime, list[FrameTime]]:
        """Take the frame of a packet.

        Args:
            pts: When it is shown.
            path: Of the segment that it is in, for messages.

        Returns:
            The frame, and the frames that became known with it, in presentation order.

        Raises:
            VerificationError: No such frame was planned, or it was seen before.
        """
        shown: list[FrameTime] = []
        while pts not in self._waiting and (self._last_pts is None or self._last_pts < pts):
            if not self.peek(1):
                break
            time = self._lasting(self._upcoming.popleft())
            shown.append(time)
            self._waiting[time.pts] = time
            self._last_pts = time.pts
        found = self._waiting.pop(pts, None)
        if found is None:
            raise VerificationError(
                f"{path} has a frame at {self._seconds(pts)}, where none was planned or one is "
                "already; expected every frame once."
            )
        self.seen += 1
        return found, shown

    def _lasting(self, time: FrameTime) -> FrameTime:
        """A frame of unknown duration lasts as long as the one before it; players skip it else."""
        if time.duration > 0:
            return time
        return FrameTime(time.pts, 1 if self._last_pts is None else time.pts - self._last_pts)

    def check_none_left(self, path: Path) -> None:
        """At the end of a segment: all frames before its last one are there.

        Raises:
            VerificationError: One is missing.
        """
        if self._waiting:
            missing = min(self._waiting)
            raise VerificationError(
                f"{path} ends and the frame at {self._seconds(missing)} is missing "
                f"({len(self._waiting)} in all); expected every frame once."
            )

    def check_all_seen(self) -> None:
        """At the end of the film.

        Raises:
            VerificationError: Frames are missing.
        """
        for time in self.peek(1):
            raise VerificationError(
                f"The segments end before {self._seconds(time.pts)}, where a frame was planned; "
                "expected every frame once."
            )

    def _seconds(self, pts: int) -> str:
        return f"{float(pts * self._time_base):.6f} s"
