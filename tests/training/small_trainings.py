"""Trainings of seconds: tiny pictures, one operator."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from sdr2hdr.networks.registry import resolve_exactly
from sdr2hdr.training import loop
from sdr2hdr.training.job import TrainingJob
from sdr2hdr.training.recipe import DataRecipe, OptimiserRecipe, Recipe, ValidationRecipe
from sdr2hdr.training.scenes import Manifest, find_scenes, split_scenes
from sdr2hdr.training.schedule import Budget

__all__ = ["SMALL", "job", "silent"]

SMALL = Recipe(
    form="residual",
    data=DataRecipe(
        height=32, width=48, shard=8, window=2, reuse=1.0, operators={"hard_clip": 1.0}
    ),
    optimiser=OptimiserRecipe(batch=2, learning_rate=2e-3, warm_up_steps=3, ema=0.9),
    validation=ValidationRecipe(height=32, width=48, minutes=1e6, checkpoint_minutes=1e6),
)


def job(data: Path, out: Path, model: str = "irnet1", steps: int = 8, **changes) -> TrainingJob:
    manifest = Manifest(validation=("place_4",))
    split = split_scenes(find_scenes(data, manifest), manifest)
    plain = TrainingJob(
        spec=resolve_exactly(model),
        recipe=SMALL,
        budget=Budget(steps=steps),
        training=split.training,
        validation=split.validation,
        pairs=(),
        watch=(),
        out=out,
        cache=out / "cache",
    )
    return dataclasses.replace(plain, **changes)


def silent(report: loop.Report) -> None:
    pass
