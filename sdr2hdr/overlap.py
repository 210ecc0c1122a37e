"""Work done at the same time: stages in threads of their own, joined by bounded queues.

    with Overlap(source, [PipelineStage("a", first), PipelineStage("b", second)]) as results:
        for result in results:
            keep(result)

does what `for item in source: keep(second(first(item)))` does, in the same order, while the source,
each stage and the loop's own body (the sink) work on different items. That pays where the work lets
go of Python's lock, as codecs and tensor kernels do.

A queue holds back whoever is ahead: what is in memory is one item in the hands of the source, of
every stage and of the sink, and `queued` more behind each, however long the work is. Threads sleep
while they wait, and each has a clock, so that a finished run tells which stage set the pace.

Whatever ends the work early (an exception in the source, in a stage or in the loop, a `break`,
Ctrl-C) stops everything at once: who waits is woken, who works ends the item in hand, the source is
closed where it ran, and only then is the block left, so that what the threads used may be closed.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from threading import Condition, Event, Thread
from types import TracebackType
from typing import Any, Literal, Self

__all__ = ["Overlap", "PipelineStage", "StageClock"]


@dataclass(frozen=True)
class PipelineStage:
    """One thing that is done to every item.

    Attributes:
        name: For the clocks, and of the thread.
        work: From an item to what the next stage takes; called in one thread only, in order.
        queued: Results that may wait for the next stage; with 0 they are handed over, and this
            stage starts nothing new before.
    """

    name: str
    work: Callable[[Any], Any]
    queued: int = 1

    def __post_init__(self) -> None:
        if self.queued < 0:
            raise ValueError(f"{self.name} may queue {self.queued} items; expected 0 or more.")


@dataclass(frozen=True)
class StageClock:
    """What one stage spent, as far as it has come.

    Attributes:
        name: The stage's.
        items: Finished ones.
        busy_seconds: On the clock, inside the stage's own work.
        input_seconds: On the clock, waiting for the stage before.
        output_seconds: On the clock, waiting for room behind.
        cpu_seconds: Of the stage's own thread while busy; threads that the work starts itself are
            not in it.
    """

    name: str
    items: int
    busy_seconds: float
    input_seconds: float
    output_seconds: float
    cpu_seconds: float


class Overlap:
    """Runs a source and stages, and gives the results in order to the thread that asks.

    Use it in a `with` block and iterate once; leaving the block stops what is left and waits until
    every thread has ended. If the block is left by an exception, the exception stays what it was.

    Args:
        source: Where the items come from; iterated in a thread of its own, and closed there.
        stages: What is done to them, in order; may be none.
        source_name: For the source's clock.
        sink_name: For the clock of the loop's body.
        queued: Items of the source that may wait for the first stage.
        started: Called first in every thread, with its name, to set what belongs to a thread.
    """

    def __init__(
        self,
        source: Iterable[Any],
        stages: Sequence[PipelineStage] = (),
        *,
        source_name: str = "source",
        sink_name: str = "sink",
        queued: int = 1,
        started: Callable[[str], None] = lambda name: None,
    ) -> None:
        self._source = source
        self._stages = tuple(stages)
        self._started = started
        depths = (queued, *(stage.queued for stage in self._stages))
        self._changed = Condition()
        self._queues = [_Queue(self._changed, depth) for depth in depths]
        names = (source_name, *(stage.name for stage in self._stages), sink_name)
        self._clocks = [_Clock(name) for name in names]
        self._threads: list[tuple[Thread, Event]] = []
        self._error: BaseException | None = None

    @property
    def clocks(self) -> tuple[StageClock, ...]:
        """Of the source, the stages and the sink, in this order; final when the block is left."""
        return tuple(clock.reading() for clock in self._clocks)

    def __enter__(self) -> Self:
        """Start the threads; each has been set up when this returns.

        A failure to set one up is raised by the first wait for a result.
        """
        works = [self._run_source, *(self._stage_runner(i) for i in range(len(self._stages)))]
        try:
            for work, clock in zip(works, self._clocks, strict=False):
                is_set_up, has_ended = Event(), Event()
                thread = Thread(
                    target=self._guarded,
                    args=(work, clock.name, is_set_up, has_ended),
                    name=clock.name,
                )
                self._threads.append((thread, has_ended))
                thread.start()
                is_set_up.wait()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._end()
        if error is None and self._error is not None:
            raise self._error

    def __iter__(self) -> Iterator[Any]:
        """Give the results in order.

        Raises:
            BaseException: Whatever the source or a stage raised first, with its traceback.
        """
        clock, results = self._clocks[-1], self._queues[-1]
        while True:
            item = _END
            with suppress(_Stopped), clock.measure("input"):
                item = results.take()
            if item is _END:
                if self._error is not None:
                    raise self._error
                return
            with clock.measure("busy"):
                yield item
            clock.items += 1
            del item

    def _run_source(self) -> None:
        clock, behind = self._clocks[0], self._queues[0]
        items = iter(self._source)
        try:
            while True:
                with clock.measure("busy"):
                    item = next(items, _END)
                if item is _END:
                    behind.put(_END)
                    return
                clock.items += 1
                with clock.measure("output"):
                    behind.put(item)
                del item
        finally:
            close = getattr(items, "close", None)
            if close is not None:
                close()

    def _stage_runner(self, index: int) -> Callable[[], None]:
        stage, clock = self._stages[index], self._clocks[index + 1]
        before, behind = self._queues[index], self._queues[index + 1]

        def run() -> None:
            while True:
                with clock.measure("input"):
                    item = before.take()
                if item is _END:
                    behind.put(_END)
                    return
                with clock.measure("busy"):
                    item = stage.work(item)
                clock.items += 1
                with clock.measure("output"):
                    behind.put(item)
                # Not kept alive while this thread waits for the next one.
                del item

        return run

    def _guarded(
        self, work: Callable[[], None], name: str, is_set_up: Event, has_ended: Event
    ) -> None:
        try:
            try:
                self._started(name)
            finally:
                is_set_up.set()
            work()
        except _Stopped:
            pass
        except BaseException as error:
            self._stop(error)
        finally:
            has_ended.set()

    def _stop(self, error: BaseException | None = None) -> None:
        with self._changed:
            if self._error is None:
                self._error = error
            for queue in self._queues:
                queue.stop()
            self._changed.notify_all()

    def _end(self) -> None:
        """Stop everything, and come back when every thread has ended, however impatient one is."""
        self._stop()
        interruption: BaseException | None = None
        for thread, has_ended in self._threads:
            if thread.ident is None:
                # It could not be started.
                continue
            while True:
                try:
                    # No join before: up to Python 3.12, one that is interrupted takes the thread
                    # for dead while it runs.
                    has_ended.wait()
                    thread.join()
                    break
                except BaseException as again:
                    # A second Ctrl-C. What the threads use is closed next: they must have ended.
                    interruption = again
        if interruption is not None:
            raise interruption


class _Stopped(Exception):  # noqa: N818 - not an error: the work is over
    """Raised in a thread that waits at a queue when all is to end."""


_END = object()
"""What the source puts last."""


class _Queue:
    """A bounded queue that can be stopped: who waits at it wakes and leaves.

    The standard library's `queue.Queue` can do that only since Python 3.13 (`shutdown`). All
    queues of one `Overlap` share a condition: there is one item a frame, not millions.
    """

    def __init__(self, changed: Condition, depth: int) -> None:
        self._changed = changed
        self._depth = depth
        self._items: deque[Any] = deque()
        self._put = 0
        self._taken = 0
        self._stopped = False

    def put(self, item: Any) -> None:
        """Add an item when there is room; with a depth of 0, leave when it has been taken."""
        with self._changed:
            self._wait(lambda: len(self._items) < max(self._depth, 1))
            self._items.append(item)
            self._put += 1
            number = self._put
            self._changed.notify_all()
            if self._depth == 0:
                self._wait(lambda: self._taken >= number)

    def take(self) -> Any:
        """Remove the oldest item when there is one."""
        with self._changed:
            self._wait(lambda: len(self._items) > 0)
            self._taken += 1
            self._changed.notify_all()
            return self._items.popleft()

    def stop(self) -> None:
        """Let go of what waits; to be called with the condition held."""
        self._stopped = True
        self._items.clear()

    def _wait(self, ready: Callable[[], bool]) -> None:
        self._changed.wait_for(lambda: self._stopped or ready())
        if self._stopped:
            raise _Stopped


class _Clock:
    """Adds up what one thread does; written by that thread alone."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.items = 0
        self._seconds = {"busy": 0.0, "input": 0.0, "output": 0.0}
        self._cpu_seconds = 0.0

    @contextmanager
    def measure(self, what: Literal["busy", "input", "output"]) -> Iterator[None]:
        wall, cpu = time.perf_counter(), time.thread_time()
        try:
            yield
        finally:
            self._seconds[what] += time.perf_counter() - wall
            if what == "busy":
                self._cpu_seconds += time.thread_time() - cpu

    def reading(self) -> StageClock:
        spent = self._seconds
        return StageClock(
            self.name, self.items, spent["busy"], spent["input"], spent["output"], self._cpu_seconds
        )
