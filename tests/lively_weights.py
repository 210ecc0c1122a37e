"""Weights whose attention follows the picture strongly, whatever is shipped.

What is kept along a shot shows in the result only as far as the network reacts to the whole frame;
trained weights may hardly do.
"""

from __future__ import annotations

from pathlib import Path

import torch
from random_refinement import write_random_refinement

__all__ = ["write_lively_weights"]

GAIN = 30.0
"""Of the gates' last layer."""

LARGEST_CORRECTION = 0.2
"""Of the curve, in PQ."""


def write_lively_weights(folder: Path) -> Path:
    """Write weights and card of a random irnet2 into a folder that exists, and give the folder."""
    picture = torch.rand(1, 3, 48, 64, generator=torch.Generator().manual_seed(1))
    write_random_refinement(folder, picture, LARGEST_CORRECTION, GAIN)
    return folder
