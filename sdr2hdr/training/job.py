"""What a training is started with."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sdr2hdr.errors import UsageError
from sdr2hdr.networks.registry import NetworkSpec
from sdr2hdr.training.recipe import Recipe
from sdr2hdr.training.scenes import Scene
from sdr2hdr.training.schedule import Budget
from sdr2hdr.training.synthesis import PairFiles

__all__ = ["TrainingJob"]


@dataclass(frozen=True)
class TrainingJob:
    """Everything a training is started with.

    Attributes:
        spec: The network.
        training: Scenes to make pairs from; may be empty with `pairs`.
        validation: Scenes held out; may be empty with `pairs`.
        pairs: The user's own pairs; trained on.
        watch: Real pairs that are only looked at: neither trained on nor used to choose weights.
        out: Folder of this training.
        cache: Folder of shards and validation frames.
        resume: Go on from the checkpoint in `out`, if there is one.
        start_from: Weights to begin with, of the network or its other scale: their mean; none are
            random ones.
        threads: Of the loop; None leaves torch's choice.

    Raises:
        UsageError: A size in the recipe is no multiple of 2 x the network's scale.
    """

    spec: NetworkSpec
    recipe: Recipe
    budget: Budget
    training: tuple[Scene, ...]
    validation: tuple[Scene, ...]
    pairs: tuple[PairFiles, ...]
    watch: tuple[PairFiles, ...]
    out: Path
    cache: Path
    resume: bool = False
    start_from: tuple[Path, ...] = ()
    threads: int | None = None

    def __post_init__(self) -> None:
        step_px = 2 * self.spec.scale
        for name in ("data", "validation"):
            part = getattr(self.recipe, name)
            if part.height % step_px or part.width % step_px:
                raise UsageError(
                    f'The recipe\'s "{name}" is of {part.width}x{part.height} px; expected '
                    f"multiples of {step_px} px for {self.spec.name} (--recipe)."
                )

    def fingerprint(self) -> str:
        """A hash of what must be the same when a training goes on.

        Only what differs from the defaults counts, so that a recipe may get new keys.
        """
        recipe, plain = asdict(self.recipe), asdict(Recipe())
        parts = {
            key: _differences(recipe[key], plain[key])
            for key in ("form", "seed", "data", "loss", "optimiser")
        }
        text = json.dumps(parts | {"model": self.spec.name}, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def _differences(found: Any, plain: Any) -> Any:
    if not isinstance(found, dict) or not isinstance(plain, dict):
        return found
    return {
        key: _differences(value, plain.get(key))
        for key, value in found.items()
        if key not in plain or value != plain[key]
    }
