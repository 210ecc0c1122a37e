"""What a job tells whoever started it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sdr2hdr.errors import Notice
from sdr2hdr.jobs.plan import Plan, Segment
from sdr2hdr.pipeline import Progress

__all__ = ["JobListener", "SegmentNews"]


@dataclass(frozen=True)
class SegmentNews:
    """What became of an attempt at a segment.

    Attributes:
        start_seconds: When its first frame is shown, on the source's clock; likewise
            `end_seconds`, None for the last segment.
        seconds: That it took; None if it failed.
        error: Why it failed, "" if it is finished.
        will_retry: Whether it is tried again.
    """

    segment: Segment
    start_seconds: float
    end_seconds: float | None
    seconds: float | None
    error: str = ""
    will_retry: bool = False


class JobListener:
    """Hears how a job goes; every method may be left as it is."""

    def notice(self, notice: Notice) -> None:
        """Something that the user should know now."""

    def progress(self, progress: Progress) -> None:
        """How far it has come; often."""

    def planned(self, plan: Plan, resumed_segments: int) -> None:
        """The plan is there, and so many segments of it are finished already."""

    def segment(self, news: SegmentNews) -> None:
        """An attempt at a segment has ended."""

    def merging(self, segments: int) -> None:
        """All segments are finished and become one file."""

    def published(self, target: Path) -> None:
        """The output has its name."""
