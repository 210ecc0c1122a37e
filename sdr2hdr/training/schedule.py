"""How long a training lasts, and the learning rate on the way."""

from __future__ import annotations

import math
from dataclasses import dataclass

from sdr2hdr.training.recipe import OptimiserRecipe

__all__ = ["Budget", "learning_rate"]


@dataclass(frozen=True)
class Budget:
    """When a training is over: after a number of steps, or a time.

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
            return min(1.0, step / max(1, self.steps))
        assert self.seconds is not None
        return min(1.0, seconds / max(1e-9, self.seconds))


def learning_rate(recipe: OptimiserRecipe, step: int, share_done: float) -> float:
    """A linear warm-up, and half a cosine over the whole budget.

    Args:
        recipe: Highest and final rate, and the warm-up's steps.
        step: From 0.
        share_done: From `Budget.share_done`.
    """
    cosine = 0.5 * (1.0 + math.cos(math.pi * share_done))
    rate = recipe.final_learning_rate + cosine * (recipe.learning_rate - recipe.final_learning_rate)
    return rate * min(1.0, (step + 1) / max(1, recipe.warm_up_steps))
