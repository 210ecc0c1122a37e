"""How far a prediction is from its target."""

from __future__ import annotations

import torch

from sdr2hdr.colour.ictcp import rgb_to_ictcp
from sdr2hdr.colour.transfer import pq_eotf
from sdr2hdr.training.recipe import LossRecipe

__all__ = ["total_loss"]

_SMALLEST_LOSS = 1e-3
"""Added before the logarithm: a code of 10 bits, more or less, is near enough."""

_DARKEST_SIGNAL = 0.02
"""PQ signal, 0.013 cd/m2, below which colour is not judged: the slope of PQ is infinite at 0."""


def total_loss(prediction: torch.Tensor, target: torch.Tensor, recipe: LossRecipe) -> torch.Tensor:
    """The weighted sum of the parts that a recipe names.

    Args:
        prediction: PQ R'G'B', (N, 3, H, W), float32, not clipped.
        target: Like `prediction`, [0, 1].
        recipe: Weights of the parts.

    Returns:
        A scalar.
    """
    error = prediction - target
    loss = recipe.l1 * _of_pictures(error.abs())
    if recipe.l2:
        loss = loss + recipe.l2 * _of_pictures(error.square())
    if recipe.gradient:
        across = _of_pictures((error[..., 1:] - error[..., :-1]).abs())
        down = _of_pictures((error[..., 1:, :] - error[..., :-1, :]).abs())
        loss = loss + recipe.gradient * 0.5 * (across + down)
    if recipe.ictcp:
        loss = loss + recipe.ictcp * _ictcp_error(prediction, target)
    if recipe.logarithmic:
        loss = torch.log(loss + _SMALLEST_LOSS) + recipe.plain * loss
    return loss.mean()


def _of_pictures(errors: torch.Tensor) -> torch.Tensor:
    """The mean of each picture: (N, C, H, W) to (N,)."""
    return errors.mean((1, 2, 3))


def _ictcp_error(prediction: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Mean of |dI| + |dCt| / 2 + |dCp|, as in Rec. ITU-R BT.2124 but not squared; (N,)."""
    difference = (_ictcp(prediction) - _ictcp(target)).abs()
    return (difference[:, 0] + 0.5 * difference[:, 1] + difference[:, 2]).mean((1, 2))


def _ictcp(signal: torch.Tensor) -> torch.Tensor:
    return rgb_to_ictcp(pq_eotf(signal.clamp(_DARKEST_SIGNAL, 1.0)))
