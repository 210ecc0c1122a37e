"""End a long job when the user asks for it, losing as little as possible."""

from __future__ import annotations

import time

from sdr2hdr.errors import StoppedError

__all__ = ["DRAIN_SECONDS", "Drain", "StopRequest"]

DRAIN_SECONDS = 8.0
"""How long a segment may still take and be finished. Docker waits 10 s between SIGTERM and
SIGKILL, most schedulers 30 s or more."""


class StopRequest:
    """Set from a signal handler, and looked at while a job runs.

    Attributes:
        exit_code: What the program shall end with; None as long as nobody wants it to end.
    """

    def __init__(self) -> None:
        self.exit_code: int | None = None

    def ask(self, exit_code: int) -> None:
        """Ask the job to end."""
        self.exit_code = exit_code

    def check(self) -> None:
        """End the job if that was asked for.

        Raises:
            StoppedError: It was.
        """
        if self.exit_code is not None:
            raise StoppedError("Stopped.", self.exit_code)


class Drain:
    """Decides for one segment, frame by frame, whether it is still finished after a request."""

    def __init__(self, request: StopRequest, frame_count: int) -> None:
        self._request = request
        self._frame_count = frame_count
        self._started = time.monotonic()
        self._asked: float | None = None

    def check(self, frames: int) -> None:
        """Go on if nobody wants an end, or if the segment will be finished soon.

        Args:
            frames: How many are done.

        Raises:
            StoppedError: The segment is dropped.
        """
        if self._request.exit_code is None:
            return
        now = time.monotonic()
        if self._asked is None:
            self._asked = now
        left_seconds = (now - self._started) / max(frames, 1) * (self._frame_count - frames)
        if now + left_seconds - self._asked > DRAIN_SECONDS:
            self._request.check()
