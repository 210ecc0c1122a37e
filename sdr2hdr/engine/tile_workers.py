"""Who computes the tiles of a stage: threads that take one tile each, alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import TypeVar

import torch

__all__ = ["TileWorkers"]

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


class TileWorkers:
    """Threads that compute one tile each with torch's own threads off.

    The other way, one tile at a time with all threads in every layer, meets at a barrier some ten
    times a tile; when anything else runs on the machine (an encoder always does) one late thread
    makes all the others wait. And a tile computed by one thread has the same bits whatever the
    number of threads.
    """

    def __init__(self, threads: int) -> None:
        """Start `threads` threads; with 1, tiles are computed by the thread that asks.

        Raises:
            ValueError: `threads` is less than 1.
        """
        if threads < 1:
            raise ValueError(f"Tiles were given {threads} threads; expected 1 or more.")
        self.threads = threads
        self._executor: ThreadPoolExecutor | None = None
        if threads == 1:
            return
        own = torch.get_num_threads()
        started = Barrier(threads)

        def start(_: int) -> None:
            torch.set_num_threads(1)
            # A thread takes its number only when it is first asked for, and would then take the
            # one that was set last, by any thread.
            torch.get_num_threads()
            started.wait()

        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="tile")
        try:
            # The barrier makes each thread take exactly one of these calls.
            list(self._executor.map(start, range(threads)))
        except BaseException:
            # A signal, or no thread to be had: else those that have come would wait for the others
            # for ever, and the program's end for them.
            started.abort()
            self._executor.shutdown(wait=False)
            raise
        finally:
            # torch keeps the number for each thread, and the last one set for threads yet to come.
            torch.set_num_threads(own)

    def map(self, compute: Callable[[_Item], _Result], items: Iterable[_Item]) -> list[_Result]:
        """Call `compute` on every item, without gradients; results in the order of the items."""

        def without_gradients(item: _Item) -> _Result:
            with torch.inference_mode():
                return compute(item)

        if self._executor is None:
            return [without_gradients(item) for item in items]
        return list(self._executor.map(without_gradients, items))
