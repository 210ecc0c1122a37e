"""How long a training lasts, and the learning rate on the way."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

from sdr2hdr.training.recipe import OptimiserRecipe

__all__ = ["Budget", "LapClock", "learning_rate"]

_LONGEST_LAP_SECONDS = 60.0
"""A step that seems longer was a pause of the process, and is not training time."""

_LONGEST_WARM_UP = 0.1
"""Share of the budget: of a fine-tuning of minutes the recipes' 300 steps would be the most."""


@dataclass(frozen=True)
class Budget:
    """When a training is over: after a number of steps, perhaps none, or a time.

    Attributes:
        steps: Steps in all; None if time decides.
        seconds: Seconds of training in all, pauses left out; None if steps decide.
    """

    steps: int | None = None
    seconds: float | None = None

    def __post_init__(self) -> None:
        if (self.steps is None) == (self.seconds is None):
            raise ValueError("A budget is either steps or seconds.")

    def share_done(self, step: int, seconds: float) -> float:
        """How much of the training lies behind, [0, 1]."""
        if self.steps is not None:
            return min(1.0, step / self.steps) if self.steps else 1.0
        assert self.seconds is not None
        return min(1.0, seconds / max(1e-9, self.seconds))


class LapClock:
    """Measures laps; one that seems too long was a pause of the process and counts as short."""

    def __init__(self) -> None:
        """Start the first lap."""
        self._last = time.monotonic()

    def lap_seconds(self) -> float:
        """End a lap and start the next."""
        now = time.monotonic()
        lap, self._last = now - self._last, now
        return min(lap, _LONGEST_LAP_SECONDS)


def learning_rate(recipe: OptimiserRecipe, step: int, share_done: float) -> float:
    """A linear warm-up, of at most a tenth of the budget, and half a cosine over the whole of it.

    Args:
        recipe: Highest and final rate, and the warm-up's steps.
        step: From 0.
        share_done: From `Budget.share_done`.
    """
    cosine = 0.5 * (1.0 + math.cos(math.pi * share_done))
    rate = recipe.final_learning_rate + cosine * (recipe.learning_rate - recipe.final_learning_rate)
    warmth = max((step + 1) / max(1, recipe.warm_up_steps), share_done / _LONGEST_WARM_UP)
    return rate * min(1.0, warmth)
