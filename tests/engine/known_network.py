"""Weights for IRNet-2 that stay the same whatever is shipped.

How far rounding moves a result depends on the weights: on how much they add to the curve. What
shipped weights have to hold themselves is in `test_shipped_methods` and `test_precision`.
"""

from __future__ import annotations

from pathlib import Path

import torch
from random_refinement import write_random_refinement

__all__ = ["LARGEST_CORRECTION", "MAP_ROUNDING_CODES", "write_known_weights"]

LARGEST_CORRECTION = 0.05
"""What these weights add to their curve at most: 51 codes at 10 bits, as trained ones may."""

MAP_ROUNDING_CODES = 2**-11 * LARGEST_CORRECTION * 1023
"""What rounding one map between stages to half precision may move a sample by: half a unit in the
last place of the largest correction. 0.025 codes at 10 bits."""


def write_known_weights(folder: Path, pixels: torch.Tensor) -> None:
    """Write weights and card of a random irnet2 that corrects the curve of `pixels`.

    Args:
        folder: Exists.
        pixels: (1, 3, H, W), [0, 1].
    """
    write_random_refinement(folder, pixels, LARGEST_CORRECTION)
