"""Random numbers that depend on a seed and a place alone, never on what was drawn before."""

from __future__ import annotations

import math
import os
from zlib import crc32

import numpy as np

__all__ = ["Interval", "chance", "generator", "log_uniform", "uniform"]

Interval = tuple[float, float]


def generator(seed: int, *place: int | str) -> np.random.Generator:
    """Random numbers for one place (a shard, a step, a frame) of a run."""
    words = [part if isinstance(part, int) else crc32(os.fsencode(part)) for part in place]
    return np.random.default_rng([seed, *words])


def uniform(rng: np.random.Generator, interval: Interval) -> float:
    """A number of the interval, all equally likely."""
    return float(rng.uniform(*interval))


def log_uniform(rng: np.random.Generator, interval: Interval) -> float:
    """A number of the interval, its logarithm uniform; both ends are above 0."""
    low, high = interval
    return math.exp(float(rng.uniform(math.log(low), math.log(high))))


def chance(rng: np.random.Generator, probability: float) -> bool:
    """True with the given probability."""
    return bool(rng.random() < probability)
