"""What a worker of a Dask cluster does: check itself against the plan once, then convert segments.

A worker takes nothing from the client but an order that is small: the source, the plan and the
segments lie in storage that all see.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sdr2hdr.conversion import Conversion
from sdr2hdr.errors import OutputError, Sdr2HdrError
from sdr2hdr.jobs.perform import check_source, perform
from sdr2hdr.jobs.plan import Plan
from sdr2hdr.jobs.records import SegmentRecord
from sdr2hdr.jobs.settings import check_same_machine, pinned_conversion
from sdr2hdr.jobs.source_identity import SourceWatch
from sdr2hdr.jobs.stopping import Drain, StopRequest
from sdr2hdr.jobs.work_folder import WorkFolder
from sdr2hdr.media.encoding.encoders import choose_encoder
from sdr2hdr.options import ConvertOptions

if TYPE_CHECKING:
    from distributed import Worker

__all__ = ["Order", "Reply", "ask_to_stop", "convert_segment", "dask_setup", "fitness"]

NEWS_SECONDS = 0.5
"""Between two words of a worker about its frames: as often as a progress bar is worth redrawing."""

CODECS_FREE_OF_THREADS = frozenset({"hevc"})
"""Encoders whose bytes do not depend on their threads, so that a worker may use its own share: x265
as it is told here (see `hevc_encoder`). The others use as many as the plan says."""

_MOST_JOBS = 4
"""That a worker keeps ready at once: several clients may give their segments in turns."""


@dataclass(frozen=True)
class Order:
    """What a worker must know of a job.

    Attributes:
        job: Name of this run, unlike that of any other.
        source: Absolute, where every worker finds it; likewise `target`.
        options: Where to take the options from that a plan does not hold.
        plan_key: Of the plan in the work folder.
        allow_mixed: Convert though this machine may give other bytes.
    """

    job: str
    source: Path
    target: Path
    options: ConvertOptions
    plan_key: str
    allow_mixed: bool

    @property
    def folder(self) -> WorkFolder:
        """Where plan and segments lie."""
        return WorkFolder.of(self.target, self.options.temp_dir)


@dataclass(frozen=True)
class Reply:
    """What became of an order: a record, a refusal of this worker, or an error.

    Errors come as values: a raised one would be logged with its traceback on the worker, and most
    are the user's business alone.
    """

    record: SegmentRecord | None = None
    refusal: str = ""
    error: Exception | None = None


@dataclass(frozen=True)
class _Post:
    """A worker that is ready for a job."""

    conversion: Conversion
    plan: Plan
    plan_file: tuple[int, int]
    watch: SourceWatch


class _RefusedError(Exception):
    """This worker cannot do the job."""


def dask_setup(worker: Worker) -> None:
    """Let a local worker outlive the signals that every process of a command gets.

    A terminal sends Ctrl-C and its own end to all of them, and schedulers and service managers send
    SIGTERM so. The command asks its workers to end when it has heard; one that is gone by then
    loses its segment, and is waited for. What takes the command away takes the workers as well.

    Dask calls this in each worker that is started with this module as a preload.
    """
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        # Windows has no SIGHUP.
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)


def fitness(order: Order) -> str:
    """Why this worker cannot do a job, in words; "" if it can."""
    try:
        _post(order)
    except _RefusedError as refused:
        return str(refused)
    return ""


def convert_segment(order: Order, index: int) -> Reply:
    """Convert a segment of the plan into the work folder, and send news of its frames."""
    from distributed import get_worker

    worker = get_worker()
    try:
        post = _post(order)
        return Reply(record=_converted(order, post, index, worker))
    except _RefusedError as refused:
        return Reply(refusal=str(refused))
    except Exception as error:
        return Reply(error=error)


def ask_to_stop(job: str, exit_code: int) -> None:
    """Ask this worker to end a job in good order; for `Client.run`."""
    _stop_request(job).ask(exit_code)


def _converted(order: Order, post: _Post, index: int, worker: Worker) -> SegmentRecord:
    segment = post.plan.segments[index]
    stop = _stop_request(order.job)
    stop.check()
    drain = Drain(stop, segment.frame_count)
    told = time.monotonic()

    def on_frames(frames: int, written_bytes: int) -> None:
        nonlocal told
        now = time.monotonic()
        if now - told >= NEWS_SECONDS or frames == segment.frame_count:
            told = now
            _check_plan_file(order, post)
            worker.log_event(order.job, news(index, frames, written_bytes))
        drain.check(frames)

    return perform(post.conversion, post.plan, segment, order.folder, on_frames, post.watch)


def news(index: int, frames: int, written_bytes: int) -> Mapping[str, Any]:
    """How far a segment is, as it goes over the wire."""
    return {"segment": index, "frames": frames, "written_bytes": written_bytes}


@lru_cache(maxsize=_MOST_JOBS)
def _stop_request(job: str) -> StopRequest:
    """The one of this process for a job."""
    return StopRequest()


@lru_cache(maxsize=_MOST_JOBS)
def _post(order: Order) -> _Post:
    """Prepare this process for a job: once, since networks take seconds to load.

    Raises:
        _RefusedError: It cannot do the job, or would give other bytes.
    """
    from distributed import get_worker

    folder, threads = order.folder, get_worker().state.nthreads
    try:
        plan_file = _identity(folder.plan_path)
        plan = folder.plan()
        if plan_file is None or plan is None or plan.key != order.plan_key:
            raise _RefusedError(
                f"it does not find the plan in {folder.path}; expected storage that all workers "
                "see under the same path"
            )
        local = replace(
            order.options,
            read=replace(order.options.read, threads=threads),
            engine=replace(order.options.engine, threads=threads),
        )
        watch = SourceWatch(order.source)
        conversion = pinned_conversion(order.source, order.target, plan, local)
        check_source(conversion, plan)
        if not order.allow_mixed:
            check_same_machine(plan, conversion)
    except Sdr2HdrError as error:
        raise _RefusedError(str(error)) from error
    return _Post(_with_encoder_threads(conversion, threads), plan, plan_file, watch)


def _with_encoder_threads(conversion: Conversion, threads: int) -> Conversion:
    encode = conversion.options.encode
    if choose_encoder(encode, conversion.target).name not in CODECS_FREE_OF_THREADS:
        return conversion
    options = replace(conversion.options, encode=replace(encode, threads=threads))
    return replace(conversion, options=options)


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns


def _check_plan_file(order: Order, post: _Post) -> None:
    """Let go of work that nobody wants any more.

    A client that was killed leaves its workers busy. What they finish helps the next run, unless
    that has begun another plan in the same folder.
    """
    if _identity(order.folder.plan_path) != post.plan_file:
        raise OutputError(
            f"The plan in {order.folder.path} is gone or another one; expected that of key "
            f"{order.plan_key[:12]}."
        )
