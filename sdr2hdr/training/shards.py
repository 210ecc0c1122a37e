"""Pairs on disk: made ahead by another process, read by the training loop without waiting.

Shard k of a run depends on the recipe, the scenes' files and the seed alone. The loop at step t
reads from a window of shards that is decided by t alone, so a run is the same however fast shards
are made, and a resumed run makes again what it lacks.
"""

from __future__ import annotations

import hashlib
import json
import math
import multiprocessing
import os
import shutil
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch

from sdr2hdr.errors import OutputError, Sdr2HdrError
from sdr2hdr.heap import keep_large_blocks
from sdr2hdr.interrupts import interrupts_kept_from_new_processes
from sdr2hdr.training.randomness import generator
from sdr2hdr.training.recipe import DataRecipe
from sdr2hdr.training.scenes import Scene, file_state
from sdr2hdr.training.stored_pairs import open_pairs, store_pairs, to_floats, to_integers
from sdr2hdr.training.synthesis import (
    Pair,
    PairFiles,
    PairSource,
    RealPairs,
    SyntheticPairs,
)

__all__ = ["PairPlan", "Shards", "Window", "make_shard"]

_NICENESS = 19
_LOCK_NAME = "lock"

_AHEAD = 3
"""Shards made beyond the current window."""


@dataclass(frozen=True)
class PairPlan:
    """All that decides what is in the shards; it can be sent to another process.

    Attributes:
        scenes: To make pairs from; may be empty if there are `pairs`.
        pairs: The user's own; may be empty.
        scale: The network's.
    """

    scenes: tuple[Scene, ...]
    pairs: tuple[PairFiles, ...]
    recipe: DataRecipe
    scale: int
    seed: int

    def fingerprint(self) -> str:
        """A hash of the plan and of its files' states: shards of another are not used.

        Raises:
            InputError: A file cannot be read.
        """
        pairs = (path for pair in self.pairs for path in (pair.sdr, pair.hdr))
        files = [file_state(path) for path in (*(scene.path for scene in self.scenes), *pairs)]
        content = {**asdict(self), "files": files}
        text = json.dumps(content, sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def source(self) -> PairSource:
        """What makes the pairs.

        Raises:
            InputError: A file cannot be read.
        """
        synthetic = SyntheticPairs(self.scenes, self.recipe, self.scale) if self.scenes else None
        real = RealPairs(self.pairs, self.recipe, self.scale) if self.pairs else None
        if synthetic is None or real is None:
            source = synthetic or real
            if source is None:
                raise ValueError("A plan needs scenes or pairs.")
            return source
        return _Both(synthetic, real, self.recipe.pairs)


@dataclass(frozen=True)
class _Both:
    synthetic: PairSource
    real: PairSource
    real_share: float

    def draw(self, rng: np.random.Generator) -> Pair:
        source = self.real if rng.random() < self.real_share else self.synthetic
        return source.draw(rng)


@dataclass(frozen=True)
class Window:
    """The shards [first, end) that a step reads from."""

    first: int
    end: int

    @classmethod
    def at(cls, step: int, batch: int, recipe: DataRecipe) -> Window:
        """The window of a step: it grows from one shard, then moves on as pairs are used up."""
        end = 1 + math.floor(step * batch / (recipe.reuse * recipe.shard))
        return cls(max(0, end - recipe.window), end)


def make_shard(source: PairSource, plan: PairPlan, index: int, folder: Path) -> None:
    """Make one shard and put it into the cache, whole or not at all.

    Raises:
        InputError: A picture cannot be read.
        OutputError: The folder cannot be written to.
    """
    count, scale = plan.recipe.shard, plan.scale
    height, width = plan.recipe.height, plan.recipe.width
    sdr = np.empty((count, 3, height // scale, width // scale), np.uint16)
    hdr = np.empty((count, 3, height, width), np.uint16)
    for place in range(count):
        pair = source.draw(generator(plan.seed, "shard", index, place))
        sdr[place] = to_integers(pair.sdr)
        hdr[place] = to_integers(pair.hdr)
    try:
        store_pairs(sdr, hdr, _shard_folder(folder, index))
    except OSError as error:
        raise OutputError(
            f"Training pairs cannot be written to {folder}: {error.strerror} (--cache)."
        ) from error


def _shard_folder(folder: Path, index: int) -> Path:
    return folder / f"shard_{index:06d}"


class Shards:
    """The loop's side: asks for batches, and keeps a process making shards ahead of it."""

    def __init__(self, plan: PairPlan, folder: Path, batch: int) -> None:
        """Prepare a cache folder.

        Args:
            plan: What to make.
            folder: Where shards lie, in a folder for each plan: trainings may share it. Of one
                plan, each that is at work at the same time has a folder of its own.
            batch: Pairs a step.

        Raises:
            InputError: A file of the plan cannot be read.
        """
        self._plan = plan
        self._folder = folder / plan.fingerprint()
        self._lock: BinaryIO | None = None
        self._batch = batch
        self._maps: dict[int, tuple[np.ndarray, np.ndarray]] = {}
        self._context = multiprocessing.get_context("spawn")
        self._wanted = self._context.Array("q", [0, 0])
        self._errors = self._context.SimpleQueue()
        self._process: Any = None

    def __enter__(self) -> Shards:
        self._folder, self._lock = _claimed(self._folder)
        return self

    def __exit__(self, *exception: object) -> None:
        self._maps.clear()
        if self._process is not None:
            self._process.terminate()
            self._process.join()
        if self._lock is not None:
            self._lock.close()

    def batch(
        self, step: int, waiting: Callable[[], None] | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The pairs of a step.

        Args:
            step: From 0.
            waiting: Called every half second while a shard is not there yet; may raise.

        Returns:
            SDR (B, 3, H / scale, W / scale) and HDR (B, 3, H, W), float32, [0, 1].

        Raises:
            Sdr2HdrError: The process that makes shards has ended: with its own error, as an
                InputError where a picture cannot be read, if it was one that it expected.
        """
        window = Window.at(step, self._batch, self._plan.recipe)
        self._require(window, waiting)
        rng = generator(self._plan.seed, "batch", step)
        total = (window.end - window.first) * self._plan.recipe.shard
        places = rng.integers(0, total, self._batch)
        chosen = [divmod(int(place), self._plan.recipe.shard) for place in places]
        maps = [self._maps[window.first + shard] for shard, _ in chosen]
        sdr = np.stack([pair[0][place] for pair, (_, place) in zip(maps, chosen, strict=True)])
        hdr = np.stack([pair[1][place] for pair, (_, place) in zip(maps, chosen, strict=True)])
        return to_floats(sdr), to_floats(hdr)

    def _require(self, window: Window, waiting: Callable[[], None] | None) -> None:
        self._wanted[0], self._wanted[1] = window.first, window.end + _AHEAD
        for index in [index for index in self._maps if index < window.first]:
            del self._maps[index]
            shutil.rmtree(_shard_folder(self._folder, index), ignore_errors=True)
        for index in range(window.first, window.end):
            if index in self._maps:
                continue
            folder = _shard_folder(self._folder, index)
            while not folder.is_dir():
                self._keep_producing()
                time.sleep(0.1)
                if waiting is not None:
                    waiting()
            self._maps[index] = open_pairs(folder)
        self._keep_producing()

    def _keep_producing(self) -> None:
        if self._process is None:
            self._process = self._context.Process(
                target=_produce,
                args=(self._plan, self._folder, self._wanted, self._errors),
                daemon=True,
            )
            with interrupts_kept_from_new_processes():
                self._process.start()
        elif not self._process.is_alive():
            if not self._errors.empty():
                raise self._errors.get()
            raise Sdr2HdrError(
                f"The process that makes training pairs ended with code {self._process.exitcode}; "
                "its own message is above."
            )


def _claimed(folder: Path) -> tuple[Path, BinaryIO]:
    """Make the folder of a plan, and drop unfinished shards.

    A training removes shards that it is through with: where one is at work in the folder, the next
    free name is taken.

    Returns:
        The folder, and the file whose lock is held until it is closed.
    """
    place, number = folder, 0
    while (lock := _locked(place)) is None:
        number += 1
        place = folder.with_name(f"{folder.name}.{number}")
    for shard in place.glob("shard_*.tmp"):
        shutil.rmtree(shard)
    return place, lock


def _locked(folder: Path) -> BinaryIO | None:
    """Make a folder and lock it; None if another training has. Without locks each may have it."""
    folder.mkdir(parents=True, exist_ok=True)
    lock = (folder / _LOCK_NAME).open("wb")
    if sys.platform == "win32":
        return lock
    import fcntl

    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        return None
    except OSError:
        # A file system that has none.
        return lock
    return lock


def _produce(plan: PairPlan, folder: Path, wanted: Any, errors: Any) -> None:
    """Make the shards that are wanted and not there, until the parent is gone.

    An error of the program's own goes into `errors`, for the parent to raise.
    """
    if hasattr(os, "nice"):
        os.nice(max(0, _NICENESS - os.nice(0)))
    keep_large_blocks()
    torch.set_num_threads(1)
    threading.Thread(target=_end_with_the_parent, daemon=True).start()
    try:
        _make_what_is_wanted(plan, folder, wanted)
    except Sdr2HdrError as error:
        errors.put(error)
        sys.exit(error.exit_code)


def _end_with_the_parent() -> None:
    """End in the midst of a shard: one takes minutes, and a training that goes on makes it too."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _make_what_is_wanted(plan: PairPlan, folder: Path, wanted: Any) -> None:
    source = plan.source()
    while True:
        missing = [
            index
            for index in range(wanted[0], wanted[1])
            if not _shard_folder(folder, index).is_dir()
        ]
        if missing:
            make_shard(source, plan, missing[0], folder)
        else:
            time.sleep(0.5)
