"""Arithmetic on the three channels of a picture tensor."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from numpy.typing import NDArray

__all__ = ["apply_matrix", "weighted_sum"]


def weighted_sum(picture: torch.Tensor, weights: Iterable[float]) -> torch.Tensor:
    """Sum the three channels with weights.

    Additions, not a matrix product: on CUDA a product may be rounded to TF32's 10 bits.

    Args:
        picture: (N, 3, H, W), floating.
        weights: Three.

    Returns:
        (N, 1, H, W).
    """
    first, second, third = (float(weight) for weight in weights)
    total = picture[:, 0:1] * first
    return total.add_(picture[:, 1:2], alpha=second).add_(picture[:, 2:3], alpha=third)


def apply_matrix(matrix: NDArray, picture: torch.Tensor) -> torch.Tensor:
    """Multiply the channel vector of every pixel by a matrix from the left.

    Args:
        matrix: (3, 3).
        picture: (N, 3, H, W), floating.

    Returns:
        (N, 3, H, W).
    """
    return torch.cat([weighted_sum(picture, row) for row in matrix], dim=1)
