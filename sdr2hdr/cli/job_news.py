"""How a job goes, on the console: messages for people, events for scripts, and progress."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from sdr2hdr.cli.console import Console
from sdr2hdr.errors import Notice
from sdr2hdr.jobs.listener import JobListener
from sdr2hdr.wording import how_many

if TYPE_CHECKING:
    from sdr2hdr.jobs.listener import SegmentNews
    from sdr2hdr.jobs.plan import Plan
    from sdr2hdr.pipeline import Progress

__all__ = ["ConsoleListener"]


class ConsoleListener(JobListener):
    """Tells the console what a job tells."""

    def __init__(
        self, console: Console, source: Path, on_progress: Callable[[Progress], None]
    ) -> None:
        """Listen.

        Args:
            console: Where to say it.
            source: Which input it is about.
            on_progress: Shows progress.
        """
        self._console = console
        self._source = source
        self._on_progress = on_progress

    def notice(self, notice: Notice) -> None:
        """See `JobListener`."""
        self._console.notice(notice, self._source)

    def progress(self, progress: Progress) -> None:
        """See `JobListener`."""
        self._on_progress(progress)

    def planned(self, plan: Plan, resumed_segments: int) -> None:
        """See `JobListener`."""
        shots, segments = len(plan.shots), len(plan.segments)
        if resumed_segments:
            self._console.say(
                f"{self._source}: going on; {resumed_segments} of {segments} segments are finished."
            )
        else:
            self._console.detail(
                f"plan: {how_many(plan.frame_count, 'frame')}, {how_many(shots, 'shot')}, "
                f"{how_many(segments, 'segment')}"
            )
        if self._console.json:
            self._console.event(
                "planned",
                {
                    "input": str(self._source),
                    "frames": plan.frame_count,
                    "shots": shots,
                    "segments": segments,
                    "resumed_segments": resumed_segments,
                },
            )

    def segment(self, news: SegmentNews) -> None:
        """See `JobListener`."""
        segment = news.segment
        place = f"segment {segment.index}, frames {segment.first_frame} to {segment.end_frame - 1}"
        if news.error:
            again = "; it will be tried again" if news.will_retry else ""
            self._console.say(f"warning: {self._source}: {place} failed{again}: {news.error}")
        else:
            self._console.detail(f"{place}: {news.seconds:.1f} s")
        if self._console.json:
            self._console.event(
                "segment",
                {
                    "input": str(self._source),
                    "segment": segment.index,
                    "first_frame": segment.first_frame,
                    "frames": segment.frame_count,
                    "start_seconds": round(news.start_seconds, 6),
                    "end_seconds": None if news.end_seconds is None else round(news.end_seconds, 6),
                    "state": _state(news),
                    "seconds": news.seconds,
                    **({"text": news.error} if news.error else {}),
                },
            )

    def merging(self, segments: int) -> None:
        """See `JobListener`."""
        self._console.detail(f"joining {how_many(segments, 'segment')}")
        if self._console.json:
            self._console.event("merge", {"input": str(self._source), "segments": segments})


def _state(news: SegmentNews) -> str:
    if not news.error:
        return "finished"
    return "retried" if news.will_retry else "failed"
