"""One-dimensional functions of log luminance, as tables: tone curves become cheap and uniform."""

from __future__ import annotations

from dataclasses import dataclass

import torch

__all__ = ["LUMINANCE_GRID_OCTAVES", "LogTable", "luminance_grid"]

LUMINANCE_GRID_OCTAVES = (-24.0, 20.0)
"""Scene luminance that a table covers, as powers of two; mid-grey is 0.18."""

_SAMPLES = 5633  # 128 an octave


def luminance_grid() -> torch.Tensor:
    """Scene luminances at which tables are sampled, (5633,), float64, in rising order."""
    low, high = LUMINANCE_GRID_OCTAVES
    return torch.exp2(torch.linspace(low, high, _SAMPLES, dtype=torch.float64))


@dataclass(frozen=True)
class LogTable:
    """A function of luminance, linear in log2 of it between its samples.

    Attributes:
        values: One for each luminance of `luminance_grid`, float32. Beyond the grid its ends hold.
    """

    values: torch.Tensor

    def __post_init__(self) -> None:
        if self.values.shape != (_SAMPLES,):
            raise ValueError(f"A table has {tuple(self.values.shape)} values; expected {_SAMPLES}.")

    def __call__(self, luminance: torch.Tensor) -> torch.Tensor:
        """Read the function.

        Args:
            luminance: Any shape, float32, 0 or more.

        Returns:
            Same shape, float32.
        """
        low, high = LUMINANCE_GRID_OCTAVES
        position = torch.log2(luminance.clamp(min=2.0**low))
        position = (position - low) * ((_SAMPLES - 1) / (high - low))
        position = position.clamp(0.0, _SAMPLES - 1.001)
        index = position.to(torch.int64)
        fraction = position - index
        below = self.values[index]
        return below + fraction * (self.values[index + 1] - below)
