"""Convert segments until all are finished or have failed for good."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from sdr2hdr.conversion import Conversion
from sdr2hdr.errors import PartialFailureError
from sdr2hdr.jobs.executor import Executor, LocalExecutor, Outcome
from sdr2hdr.jobs.listener import JobListener, SegmentNews
from sdr2hdr.jobs.perform import perform
from sdr2hdr.jobs.plan import Plan, Segment
from sdr2hdr.jobs.records import FinishedSegment, SegmentRecord
from sdr2hdr.jobs.settings import asked_for
from sdr2hdr.jobs.source_identity import SourceWatch
from sdr2hdr.jobs.space import SpaceWatch
from sdr2hdr.jobs.stopping import Drain, StopRequest
from sdr2hdr.jobs.work_folder import WorkFolder
from sdr2hdr.pipeline import Progress

__all__ = ["ATTEMPTS", "JobRun", "run_segments"]

ATTEMPTS = 3
"""How often a segment is tried in one run. What passes by itself (a network that was away) has
passed by the end of the others; what does not will not at a fourth try."""

LONGEST_MESSAGE_SEGMENTS = 5


@dataclass(frozen=True)
class JobRun:
    """What the parts of a run share.

    Attributes:
        conversion: As prepared; while segments are made and merged, as the plan pins it.
        folder: The work folder.
        listener: Hears how it goes.
        stop: Asked whether to end.
        started: Of `time.monotonic`.
        asked: What the command asks for, as `settings.asked_for` gives it.
    """

    conversion: Conversion
    folder: WorkFolder
    listener: JobListener
    stop: StopRequest
    started: float
    asked: str

    @classmethod
    def of(
        cls,
        conversion: Conversion,
        listener: JobListener,
        stop: StopRequest,
        given: Plan | None = None,
    ) -> JobRun:
        """A run that begins now.

        Args:
            conversion: As prepared.
            listener: Hears how it goes.
            stop: Asked whether to end.
            given: A plan that the command names.
        """
        folder = WorkFolder.of(conversion.target, conversion.options.temp_dir)
        asked = asked_for(conversion, given)
        return cls(conversion, folder, listener, stop, time.monotonic(), asked)

    @property
    def elapsed_seconds(self) -> float:
        """Since the run began."""
        return time.monotonic() - self.started


def run_segments(
    run: JobRun,
    plan: Plan,
    segments: Iterable[Segment],
    finished: dict[int, FinishedSegment],
    executor: Executor | None = None,
) -> list[FinishedSegment]:
    """Convert what is missing of some segments.

    Args:
        run: What is done, and who hears of it.
        plan: Of the whole job.
        segments: The ones that are wanted.
        finished: Those among them that need not be done, by index.
        executor: Who converts; None is this process.

    Returns:
        All that are wanted, in order.

    Raises:
        PartialFailureError: Some failed for good, and all others are finished.
        Sdr2HdrError: Something that concerns the whole job; or the error of the first segment if
            none at all could be converted.
    """
    wanted = list(segments)
    loop = _Loop(run, plan, wanted, dict(finished))
    loop.work(executor or LocalExecutor(loop.perform_here))
    return [loop.finished[segment.index] for segment in wanted]


class _Loop:
    def __init__(
        self,
        run: JobRun,
        plan: Plan,
        wanted: list[Segment],
        finished: dict[int, FinishedSegment],
    ) -> None:
        self.finished = finished
        self._run = run
        self._plan = plan
        self._missing = [segment for segment in wanted if segment.index not in finished]
        self._frame_count = sum(segment.frame_count for segment in wanted)
        self._frames = sum(done.frame_count for done in finished.values())
        self._bytes = sum(done.size_bytes for done in finished.values())
        self._resumed_frames = self._frames
        self._told = (0, 0)
        self._space = SpaceWatch(run.conversion, run.folder.path, plan.frame_count)
        self._space.add(self._frames, self._bytes)
        self._started = time.monotonic()
        self._watch: SourceWatch | None = None
        self._attempts: Counter[int] = Counter()
        self._failed: dict[int, tuple[Segment, Exception]] = {}

    def work(self, executor: Executor) -> None:
        for segment in self._missing:
            executor.submit(segment)
        if self._missing:
            self._check_room()
            self._tell_progress(0, 0)
        for outcome in executor.outcomes(self._tell_progress):
            if outcome.record is not None:
                self._finish(outcome.segment, outcome.record)
            elif self._fail(outcome):
                executor.submit(outcome.segment)
        self._check_failures()

    def perform_here(self, segment: Segment, tell: Callable[[int, int], None]) -> SegmentRecord:
        """Convert a segment in this process, and tell every frame."""
        self._run.stop.check()
        drain = Drain(self._run.stop, segment.frame_count)

        def on_frames(frames: int, written_bytes: int) -> None:
            tell(frames, written_bytes)
            drain.check(frames)

        if self._watch is None:
            self._watch = SourceWatch(self._run.conversion.source.path)
        return perform(
            self._run.conversion, self._plan, segment, self._run.folder, on_frames, self._watch
        )

    def _check_room(self) -> None:
        """Look at the disk while segments are missing; in a cluster, those under way among them."""
        missing = [s.frame_count for s in self._missing if s.index not in self.finished]
        if not missing:
            return
        warning = self._space.check(max(missing))
        if warning is not None:
            self._run.listener.notice(warning)

    def _finish(self, segment: Segment, record: SegmentRecord) -> None:
        self.finished[segment.index] = record.finished
        self._frames += segment.frame_count
        self._bytes += record.size_bytes
        self._space.add(segment.frame_count, record.size_bytes)
        self._run.listener.segment(self._news(segment, seconds=record.seconds))
        self._tell_progress(0, 0)
        self._check_room()

    def _fail(self, outcome: Outcome) -> bool:
        """Take note of a failure; whether to try again.

        Raises:
            Exception: The failure, where source or work is gone: no other segment would do better.
        """
        segment, error = outcome.segment, outcome.error
        if error is None:
            raise ValueError(f"Segment {segment.index} has neither a record nor an error.")
        run = self._run
        if not (run.conversion.source.path.exists() and run.folder.plan_path.exists()):
            raise error
        self._attempts[segment.index] += 1
        will_retry = self._attempts[segment.index] < ATTEMPTS
        if not will_retry:
            self._failed[segment.index] = (segment, error)
        self._run.listener.segment(self._news(segment, error=str(error), will_retry=will_retry))
        return will_retry

    def _check_failures(self) -> None:
        if not self._failed:
            return
        failed = [self._failed[index] for index in sorted(self._failed)]
        if not self.finished:
            raise failed[0][1]
        said = [f"{self._words(segment)}: {error}" for segment, error in failed]
        more = len(said) - LONGEST_MESSAGE_SEGMENTS
        raise PartialFailureError(
            f"{len(failed)} of {len(self._plan.segments)} segments failed {ATTEMPTS} times each: "
            + " ".join(said[:LONGEST_MESSAGE_SEGMENTS])
            + (f" And {more} more." if more > 0 else "")
            + f" The others are finished and kept in {self._run.folder.path}; the same command "
            "tries these again."
        )

    def _words(self, segment: Segment) -> str:
        news = self._news(segment)
        end = "the end" if news.end_seconds is None else f"{news.end_seconds:.3f} s"
        return (
            f"segment {segment.index}, frames {segment.first_frame} to {segment.end_frame - 1} "
            f"({news.start_seconds:.3f} s to {end})"
        )

    def _news(
        self,
        segment: Segment,
        *,
        seconds: float | None = None,
        error: str = "",
        will_retry: bool = False,
    ) -> SegmentNews:
        tick, offset = self._plan.time_base, self._run.conversion.source.start_seconds
        end = segment.end_pts
        return SegmentNews(
            segment=segment,
            start_seconds=float(segment.start_pts * tick - offset),
            end_seconds=None if end is None else float(end * tick - offset),
            seconds=seconds,
            error=error,
            will_retry=will_retry,
        )

    def _tell_progress(self, frames: int, written_bytes: int) -> None:
        """Say how far all is; a segment that is tried again counts as far as it had come."""
        told_frames, told_bytes = self._told
        frames = max(self._frames + frames, told_frames)
        written_bytes = max(self._bytes + written_bytes, told_bytes)
        self._told = (frames, written_bytes)
        self._run.listener.progress(
            Progress(
                frames=frames,
                frame_count=self._frame_count,
                elapsed_seconds=time.monotonic() - self._started,
                written_bytes=written_bytes,
                stage="convert",
                resumed_frames=self._resumed_frames,
            )
        )
