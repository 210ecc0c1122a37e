"""Stages that overlap: order, bounds, and every way to end."""

from __future__ import annotations

import os
import signal
import threading
import traceback
import weakref
from collections.abc import Iterator

import pytest

from sdr2hdr.overlap import Overlap, PipelineStage

WAIT_SECONDS = 30.0
"""Longer than any test waits: a test that would hang fails instead."""


class Source:
    """Counts up, and knows how far it was read and whether it was closed."""

    def __init__(self, count: int | None = None, fail_at: int | None = None) -> None:
        self.count = count
        self.fail_at = fail_at
        self.given = 0
        self.closed_in: str | None = None

    def __iter__(self) -> Iterator[int]:
        try:
            while self.count is None or self.given < self.count:
                if self.given == self.fail_at:
                    raise OSError("the source broke")
                self.given += 1
                yield self.given - 1
        finally:
            self.closed_in = threading.current_thread().name


def add_one(item: int) -> int:
    return item + 1


def double(item: int) -> int:
    return item * 2


def fail_at_two(item: int) -> int:
    if item == 2:
        raise ArithmeticError("two is too many")
    return item


STAGES = [PipelineStage("add", add_one), PipelineStage("double", double)]


@pytest.fixture(autouse=True)
def no_thread_is_left():
    before = set(threading.enumerate())
    yield
    assert set(threading.enumerate()) <= before


@pytest.mark.parametrize("queued", [0, 1, 5])
@pytest.mark.parametrize("count", [0, 1, 2, 50])
def test_results_come_in_order_and_are_those_of_a_plain_loop(count, queued):
    stages = [
        PipelineStage("add", add_one, queued=queued),
        PipelineStage("double", double, queued=queued),
    ]
    source = Source(count)
    with Overlap(source, stages, queued=queued) as results:
        assert list(results) == [2 * (item + 1) for item in range(count)]
    assert source.closed_in == "source"


def test_without_stages_the_source_runs_ahead_alone():
    with Overlap(range(5)) as results:
        assert list(results) == [0, 1, 2, 3, 4]


def test_every_stage_has_a_thread_of_its_own_and_one_only():
    seen: dict[str, set[str]] = {"a": set(), "b": set()}

    def noting(name: str):
        def work(item: int) -> int:
            seen[name].add(threading.current_thread().name)
            return item

        return work

    stages = [PipelineStage(name, noting(name)) for name in seen]
    with Overlap(range(20), stages) as results:
        for _ in results:
            pass
    assert seen == {"a": {"a"}, "b": {"b"}}


def test_stages_really_work_at_the_same_time():
    """Each stage waits until the other one works too; one after the other they would wait for ever.

    The first works on item 1 while the second works on item 0.
    """
    both = threading.Barrier(2)

    def first(item: int) -> int:
        if item == 1:
            both.wait(WAIT_SECONDS)
        return item

    def second(item: int) -> int:
        if item == 0:
            both.wait(WAIT_SECONDS)
        return item

    with Overlap(range(2), [PipelineStage("a", first), PipelineStage("b", second)]) as results:
        assert list(results) == [0, 1]


@pytest.mark.parametrize("queued", [0, 1, 3])
def test_whoever_is_ahead_is_held_back(queued):
    """With a sink that never asks again, the source gives what fits, and not one item more."""
    source = Source()
    stages = [PipelineStage("a", add_one, queued=queued), PipelineStage("b", add_one, queued)]
    # In the hands of the source, of two stages and of the sink, and what may wait between them.
    # Handed over (0), the source's item and the stage's are one until the stage takes it.
    most = 4 + 3 * queued
    with Overlap(source, stages, queued=queued) as results:
        next(iter(results))
        never = threading.Event()
        for _ in range(int(WAIT_SECONDS / 0.05)):
            never.wait(0.05)
            if source.given >= most:
                break
        # Everything that can move has moved; whatever comes now would be one too many.
        never.wait(0.2)
        assert source.given == most


def test_a_result_is_let_go_while_the_next_is_awaited():
    class Frame:
        pass

    alive: list[weakref.ref[Frame]] = []

    def make(item: int) -> Frame:
        if item == 1:
            # The frame before has been used and dropped by the sink.
            assert dropped.wait(WAIT_SECONDS)
            assert alive[0]() is None
        frame = Frame()
        alive.append(weakref.ref(frame))
        return frame

    dropped = threading.Event()
    with Overlap(range(2), [PipelineStage("make", make)]) as results:
        frames = iter(results)
        frame = next(frames)
        del frame
        threading.Timer(0.1, dropped.set).start()
        assert isinstance(next(frames), Frame)


@pytest.mark.parametrize("place", [0, 1, 2])
def test_an_exception_in_a_stage_stops_all_and_reaches_the_caller(place):
    stages = [PipelineStage(f"stage {i}", lambda item: item) for i in range(3)]
    stages[place] = PipelineStage("failing", fail_at_two)
    source = Source()
    got = []
    with (
        pytest.raises(ArithmeticError, match="two is too many") as caught,
        Overlap(source, stages) as results,
    ):
        got.extend(results)
    assert got in ([], [0], [0, 1])
    frames = [frame.name for frame in traceback.extract_tb(caught.value.__traceback__)]
    assert "fail_at_two" in frames
    assert source.closed_in == "source"


def test_an_exception_in_the_source_reaches_the_caller_with_its_traceback():
    source = Source(fail_at=3)
    with pytest.raises(OSError, match="the source broke") as caught, Overlap(source, STAGES) as all:
        list(all)
    frames = [frame.name for frame in traceback.extract_tb(caught.value.__traceback__)]
    assert "__iter__" in frames
    assert source.closed_in == "source"


def test_an_exception_keeps_its_cause():
    def fail(item: int) -> int:
        raise ValueError("outside") from KeyError("inside")

    with (
        pytest.raises(ValueError, match="outside") as caught,
        Overlap(range(3), [PipelineStage("fail", fail)]) as results,
    ):
        list(results)
    assert isinstance(caught.value.__cause__, KeyError)


def test_an_exception_in_the_loop_stops_all_and_stays_itself():
    source = Source()
    with pytest.raises(RuntimeError, match="disk full"), Overlap(source, STAGES) as results:
        for item in results:
            if item == 6:
                raise RuntimeError("disk full")
    assert source.closed_in == "source"


def test_an_exception_while_the_source_is_closed_is_not_lost():
    def items() -> Iterator[int]:
        try:
            while True:
                yield 0
        finally:
            raise OSError("cannot be closed")

    with pytest.raises(OSError, match="cannot be closed"), Overlap(items(), STAGES) as results:
        for _ in results:
            break


def test_leaving_early_closes_the_source_where_it_ran():
    source = Source()
    with Overlap(source, STAGES) as results:
        for item in results:
            if item >= 6:
                break
    assert source.closed_in == "source"
    assert source.given < 20


def test_leaving_without_asking_ends_too():
    source = Source()
    with Overlap(source, STAGES):
        pass
    assert source.given < 20


def test_the_block_is_left_only_when_no_thread_works_any_more():
    entered, release = threading.Event(), threading.Event()
    ended = []

    def slow(item: int) -> int:
        entered.set()
        assert release.wait(WAIT_SECONDS)
        ended.append(item)
        return item

    with Overlap(range(3), [PipelineStage("slow", slow)]):
        assert entered.wait(WAIT_SECONDS)
        threading.Timer(0.1, release.set).start()
    assert ended == [0]


def interrupt() -> None:
    os.kill(os.getpid(), signal.SIGINT)


@pytest.fixture
def ctrl_c_raises():
    """As in a terminal: what a shell starts in the background ignores Ctrl-C, tests included."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("ctrl_c_raises")
@pytest.mark.parametrize("times", [1, 2])
def test_ctrl_c_while_the_caller_waits_for_a_slow_stage(times):
    """The item in hand is ended, then everything; a second Ctrl-C does not leave threads behind."""
    entered, release = threading.Event(), threading.Event()

    def slow(item: int) -> int:
        entered.set()
        assert release.wait(WAIT_SECONDS)
        return item

    def press() -> None:
        assert entered.wait(WAIT_SECONDS)
        for _ in range(times):
            interrupt()
            pause.wait(0.2)
        release.set()

    pause = threading.Event()
    source = Source()
    fingers = threading.Thread(target=press)
    with pytest.raises(KeyboardInterrupt), Overlap(source, [PipelineStage("slow", slow)]) as all:
        fingers.start()
        list(all)
    fingers.join()
    assert source.closed_in == "source"


def test_sigterm_turned_into_an_exception_ends_it_too():
    class Terminated(BaseException):
        pass

    def terminate(number: int, frame: object) -> None:
        raise Terminated

    before = signal.signal(signal.SIGTERM, terminate)
    source = Source()
    try:
        with pytest.raises(Terminated), Overlap(source, STAGES) as results:
            for _ in results:
                os.kill(os.getpid(), signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert source.closed_in == "source"


def test_each_thread_is_set_up_first():
    started = []
    with Overlap(
        range(3),
        STAGES,
        started=lambda name: started.append((name, threading.current_thread().name)),
    ) as results:
        list(results)
    assert sorted(started) == [(name, name) for name in ("add", "double", "source")]


def test_a_failure_to_set_up_is_raised():
    def fail(name: str) -> None:
        raise OSError("no such device")

    with pytest.raises(OSError, match="no such device"), Overlap(range(3), started=fail) as results:
        list(results)


def test_clocks_tell_who_worked_and_who_waited():
    def spin(item: int) -> int:
        return sum(range(20_000)) * 0 + item

    with Overlap(
        range(10),
        [PipelineStage("spin", spin)],
        source_name="decode",
        sink_name="encode",
    ) as results:
        for _ in results:
            pass
    clocks = {clock.name: clock for clock in results.clocks}
    assert list(clocks) == ["decode", "spin", "encode"]
    assert [clock.items for clock in clocks.values()] == [10, 10, 10]
    assert clocks["spin"].cpu_seconds > 0
    assert clocks["spin"].busy_seconds > 0
    assert clocks["encode"].input_seconds > 0
    assert clocks["encode"].output_seconds == 0
    assert clocks["decode"].input_seconds == 0


def test_a_queue_shorter_than_nothing_is_refused():
    with pytest.raises(ValueError, match="-1 items"):
        PipelineStage("a", add_one, queued=-1)
