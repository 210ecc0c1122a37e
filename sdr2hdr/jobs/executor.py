"""Who converts segments: this process, one after another, or others."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from sdr2hdr.errors import (
    DiskFullError,
    InputError,
    OutputError,
    SourceChangedError,
    VerificationError,
)
from sdr2hdr.jobs.plan import Segment
from sdr2hdr.jobs.records import SegmentRecord

__all__ = ["Executor", "LocalExecutor", "Outcome", "is_failure_of_one_segment"]


@dataclass(frozen=True)
class Outcome:
    """What became of one attempt: a record, or an error that concerns this segment alone."""

    segment: Segment
    record: SegmentRecord | None = None
    error: Exception | None = None


class Executor(Protocol):
    """Converts segments, in any order."""

    def submit(self, segment: Segment) -> None:
        """Take a segment in; allowed while outcomes are awaited."""
        ...

    def outcomes(self, on_frames: Callable[[int, int], None]) -> Iterator[Outcome]:
        """Give every attempt's outcome as it comes, until nothing is left.

        Args:
            on_frames: To be told how many frames of all unfinished segments are done, and what of
                them is on the disk.

        Raises:
            Exception: What concerns the whole job.
        """
        ...


class LocalExecutor:
    """Converts in this thread; each segment has all cores."""

    def __init__(
        self, perform: Callable[[Segment, Callable[[int, int], None]], SegmentRecord]
    ) -> None:
        self._perform = perform
        self._waiting: deque[Segment] = deque()

    def submit(self, segment: Segment) -> None:
        """Put a segment behind those that wait."""
        self._waiting.append(segment)

    def outcomes(self, on_frames: Callable[[int, int], None]) -> Iterator[Outcome]:
        """Convert what waits; see `Executor`."""
        while self._waiting:
            segment = self._waiting.popleft()
            try:
                outcome = Outcome(segment, self._perform(segment, on_frames))
            except Exception as error:
                if not is_failure_of_one_segment(error):
                    raise
                outcome = Outcome(segment, error=error)
            yield outcome


def is_failure_of_one_segment(error: BaseException) -> bool:
    """Whether the other segments may still be converted after this error."""
    # A broken pipe is no file's: whoever was to be told of progress has left.
    if isinstance(error, (SourceChangedError, DiskFullError, BrokenPipeError)):
        return False
    return isinstance(error, (InputError, OutputError, VerificationError, OSError))
