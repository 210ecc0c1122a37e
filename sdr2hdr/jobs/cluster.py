"""Convert segments on a Dask cluster: processes of this machine, or machines that share storage.

Dask starts and watches the processes and carries messages. Which worker does which segment is
decided here, one segment a worker at a time: a worker is first checked against the plan, and its
threads are all for the one segment.
"""

from __future__ import annotations

import time
import uuid
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sdr2hdr.conversion import Conversion
from sdr2hdr.errors import BackendUnavailableError, Notice, OutputError
from sdr2hdr.jobs.cluster_client import cluster_client
from sdr2hdr.jobs.cluster_worker import Order, Reply, ask_to_stop, convert_segment, fitness
from sdr2hdr.jobs.executor import Outcome, is_failure_of_one_segment
from sdr2hdr.jobs.listener import JobListener
from sdr2hdr.jobs.plan import Plan, Segment
from sdr2hdr.jobs.stopping import DRAIN_SECONDS, StopRequest
from sdr2hdr.options import JobOptions

if TYPE_CHECKING:
    from distributed import Client, Future

__all__ = ["ClusterExecutor", "cluster_executor"]

POLL_SECONDS = 0.5
"""How often signals and the list of workers are looked at."""

STOP_SECONDS = DRAIN_SECONDS + 2.0
"""How long workers may take to end: what a segment may, and the way there and back."""


@contextmanager
def cluster_executor(
    job: JobOptions,
    conversion: Conversion,
    plan: Plan,
    listener: JobListener,
    stop: StopRequest,
) -> Iterator[ClusterExecutor | None]:
    """Reach or start the cluster that a job asks for.

    Args:
        job: Which cluster.
        conversion: As the plan pins it.
        plan: In the work folder already.
        listener: Told which workers are refused.
        stop: Asked whether to end.

    Yields:
        Who converts; None if the job asks for no cluster.

    Raises:
        BackendUnavailableError: As `cluster_client`.
        StoppedError: Likewise.
    """
    if job.cluster is None and job.workers is None:
        yield None
        return
    with cluster_client(job, conversion.options.engine.threads, stop) as client:
        order = _order(conversion, plan, job)
        executor = ClusterExecutor(client, order, listener, stop, is_local=job.workers is not None)
        try:
            yield executor
        finally:
            executor.close()


class ClusterExecutor:
    """Gives each worker one segment at a time; see `Executor`."""

    def __init__(
        self,
        client: Client,
        order: Order,
        listener: JobListener,
        stop: StopRequest,
        *,
        is_local: bool,
    ) -> None:
        self._client = client
        self._order = order
        self._listener = listener
        self._stop = stop
        self._is_local = is_local
        self._waiting: deque[Segment] = deque()
        self._failed_on: dict[int, str] = {}
        self._checks: dict[str, Future] = {}
        self._fit: set[str] = set()
        self._refused: dict[str, str] = {}
        self._busy: dict[str, tuple[Segment, Future]] = {}
        self._news: dict[int, tuple[int, int]] = {}
        self._has_waited = False
        client.subscribe_topic(order.job, self._hear)

    def submit(self, segment: Segment) -> None:
        """Put a segment behind those that wait."""
        self._waiting.append(segment)

    def outcomes(self, on_frames: Callable[[int, int], None]) -> Iterator[Outcome]:
        """Convert what waits; see `Executor`."""
        while self._waiting or self._busy:
            if self._stop.exit_code is not None:
                yield from self._drained(self._stop.exit_code)
                self._stop.check()
            yield from self._lost(self._meet_workers())
            self._hand_out()
            self._wait()
            on_frames(*self._underway())
            yield from self._ended()

    def close(self) -> None:
        """Let workers drop what they have in hand."""
        with suppress(Exception):
            self._client.unsubscribe_topic(self._order.job)
        for _ in self._drained(exit_code=1) if self._busy else ():
            pass
        self._client.cancel([future for _, future in self._busy.values()])

    def _hear(self, event: tuple[float, Any]) -> None:
        """Note how far a segment is; called in the thread of the client's loop."""
        _, said = event
        self._news[said["segment"]] = (said["frames"], said["written_bytes"])

    def _underway(self) -> tuple[int, int]:
        """Frames that are done of unfinished segments, and their bytes on the disk."""
        told = [self._news.get(segment.index, (0, 0)) for segment, _ in self._busy.values()]
        return sum(frames for frames, _ in told), sum(written for _, written in told)

    def _meet_workers(self) -> set[str]:
        """Check workers that are new, and give the addresses of all that are there.

        Raises:
            BackendUnavailableError: The scheduler is gone, or no worker is fit.
        """
        try:
            here = set(self._client.nthreads())  # pyright: ignore[reportArgumentType]
        except (OSError, RuntimeError, ValueError) as error:
            raise _scheduler_lost(error) from error
        for address in here - self._fit - self._refused.keys() - self._checks.keys():
            self._checks[address] = self._client.submit(
                fitness, self._order, workers=[address], pure=False
            )
        for address, check in list(self._checks.items()):
            if address not in here:
                check.cancel()
                del self._checks[address]
            elif check.done():
                del self._checks[address]
                self._judge(address, _refusal(check))
        self._fit &= here
        if here and here <= self._refused.keys():
            raise BackendUnavailableError(
                "No worker of the cluster can do this job. " + " ".join(self._refused.values())
            )
        if not here and not self._is_local and not self._has_waited:
            self._has_waited = True
            self._listener.notice(Notice("warning", "The cluster has no worker; waiting for one."))
        return here

    def _judge(self, address: str, refusal: str) -> None:
        if not refusal:
            self._fit.add(address)
            return
        self._fit.discard(address)
        self._refused[address] = f"Worker {address} is refused: {refusal.removesuffix('.')}."
        self._listener.notice(Notice("warning", self._refused[address]))

    def _lost(self, here: set[str]) -> Iterator[Outcome]:
        """Give up what was in the hands of workers that are gone."""
        for address in [address for address in self._busy if address not in here]:
            segment, future = self._busy.pop(address)
            future.cancel()
            self._news.pop(segment.index, None)
            yield Outcome(segment, error=_worker_lost(address))

    def _hand_out(self) -> None:
        for address in sorted(self._fit - self._busy.keys()):
            if not self._waiting:
                return
            segment = self._next_for(address)
            future = self._client.submit(
                convert_segment, self._order, segment.index, workers=[address], pure=False
            )
            self._busy[address] = (segment, future)

    def _next_for(self, address: str) -> Segment:
        """The next segment, if possible one that has not failed on this very worker."""
        others = (s for s in self._waiting if self._failed_on.get(s.index) != address)
        segment = next(others, self._waiting[0])
        self._waiting.remove(segment)
        return segment

    def _wait(self) -> None:
        """Wait until something has ended, or it is time to look around."""
        from distributed import wait

        futures = [future for _, future in self._busy.values()] + list(self._checks.values())
        if not futures:
            time.sleep(POLL_SECONDS)
            return
        with suppress(TimeoutError), self._client.as_current():
            wait(futures, timeout=POLL_SECONDS, return_when="FIRST_COMPLETED")

    def _ended(self) -> Iterator[Outcome]:
        """What has ended since this was last called."""
        for address, (segment, future) in list(self._busy.items()):
            if not future.done():
                continue
            del self._busy[address]
            self._news.pop(segment.index, None)
            reply = _reply(future, address)
            if reply.refusal:
                self._judge(address, reply.refusal)
                self._waiting.appendleft(segment)
                continue
            if reply.error is None:
                yield Outcome(segment, reply.record)
                continue
            if not is_failure_of_one_segment(reply.error):
                raise reply.error
            self._failed_on[segment.index] = address
            yield Outcome(segment, error=reply.error)

    def _drained(self, exit_code: int) -> Iterator[Outcome]:
        """Ask workers to end, and give what they still finish."""
        # Nobody is met any more, and a check that has ended would end every wait at once.
        self._checks.clear()
        with suppress(Exception):
            self._client.run(
                ask_to_stop,
                self._order.job,
                exit_code,
                workers=list(self._busy),
                on_error="ignore",
            )
        end = time.monotonic() + STOP_SECONDS
        while self._busy and time.monotonic() < end:
            self._wait()
            for address, (segment, future) in list(self._busy.items()):
                if future.done():
                    del self._busy[address]
                    reply = _reply(future, address)
                    if reply.record is not None:
                        yield Outcome(segment, reply.record)


def _order(conversion: Conversion, plan: Plan, job: JobOptions) -> Order:
    """The order of a job, with paths that do not depend on where a worker was started."""
    options = conversion.options
    engine = replace(options.engine, weights_dir=_absolute(options.engine.weights_dir))
    return Order(
        job=f"sdr2hdr-{uuid.uuid4().hex}",
        source=conversion.source.path.absolute(),
        target=conversion.target.absolute(),
        options=replace(
            options,
            engine=engine,
            temp_dir=_absolute(options.temp_dir),
            # The client's business: its folder need not be there for workers.
            light_log=None,
        ),
        plan_key=plan.key,
        allow_mixed=job.allow_mixed,
    )


def _absolute(path: Path | None) -> Path | None:
    return None if path is None else path.absolute()


def _refusal(check: Future) -> str:
    """Why a worker is not fit; "" if it is."""
    if check.status == "finished":
        return check.result()
    # Most often: sdr2hdr is not installed there, or another version is.
    error = check.exception() if check.status == "error" else None
    return f"it cannot run this version of sdr2hdr ({error or check.status})"


def _reply(future: Future, address: str) -> Reply:
    if future.status == "finished":
        return future.result()
    if future.status == "error":
        error = future.exception()
        return Reply(error=error if isinstance(error, Exception) else _worker_lost(address))
    return Reply(error=_worker_lost(address))


def _worker_lost(address: str) -> OutputError:
    return OutputError(
        f"Worker {address} was lost while it converted this; expected it to stay. Often it was "
        "killed for want of memory: fewer --workers, or --max-memory."
    )


def _scheduler_lost(error: Exception) -> BackendUnavailableError:
    return BackendUnavailableError(
        f"The connection to the Dask scheduler is lost ({error}). What is finished is kept, and "
        "the same command goes on with it."
    )
