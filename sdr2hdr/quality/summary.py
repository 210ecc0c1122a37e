"""Scores over a clip: the mean of each metric, and its worst frame."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from sdr2hdr.quality.scores import METRICS, Metric

__all__ = ["PSNR_CEILING_DB", "ClipScores", "MetricSummary"]

PSNR_CEILING_DB = 100.0
"""Equal frames count as this in a mean, which one infinite value would make meaningless."""


@dataclass(frozen=True)
class MetricSummary:
    """One metric over a clip.

    Attributes:
        mean: Over the frames that have a score, each counting the same.
        worst: The lowest score, or the highest where lower is better.
        worst_frame: The first frame with that score, counted from 0.
        frames: How many frames have a score; a frame without highlights has none for them.
    """

    metric: Metric
    mean: float
    worst: float
    worst_frame: int
    frames: int


@dataclass
class ClipScores:
    """Takes the scores of one frame after another."""

    frames: int = 0
    _scores: dict[str, list[tuple[int, float]]] = field(default_factory=dict, repr=False)

    def add(self, scores: Mapping[str, float]) -> dict[str, float | None]:
        """Take the scores of the next frame.

        Args:
            scores: By name of `METRICS`; not a number means that the frame has none.

        Returns:
            The same as they count: PSNR at most 100 dB, None for those that the frame lacks.
        """
        counted = {name: _counted(METRICS[name], value) for name, value in scores.items()}
        for name, value in counted.items():
            entries = self._scores.setdefault(name, [])
            if value is not None:
                entries.append((self.frames, value))
        self.frames += 1
        return counted

    def summarise(self) -> dict[str, MetricSummary | None]:
        """Sum up each metric that was given, in the order of `METRICS`; None without any score."""
        return {
            name: _summary(METRICS[name], self._scores[name])
            for name in METRICS
            if name in self._scores
        }


def _counted(metric: Metric, value: float) -> float | None:
    if math.isnan(value):
        return None
    return min(value, PSNR_CEILING_DB) if metric.unit == "dB" else value


def _summary(metric: Metric, entries: list[tuple[int, float]]) -> MetricSummary | None:
    if not entries:
        return None
    sign = 1.0 if metric.better == "higher" else -1.0
    worst_frame, worst = min(entries, key=lambda entry: sign * entry[1])
    mean = math.fsum(value for _, value in entries) / len(entries)
    return MetricSummary(metric, mean, worst, worst_frame, len(entries))
