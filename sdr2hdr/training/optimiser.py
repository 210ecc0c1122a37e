"""AdamW with a rate of its own for the last layer."""

from __future__ import annotations

import torch

from sdr2hdr.networks.network import Network
from sdr2hdr.training.forms import last_layer
from sdr2hdr.training.recipe import OptimiserRecipe

__all__ = ["make_optimiser", "set_rate"]

_FACTOR = "factor"


def make_optimiser(network: Network, recipe: OptimiserRecipe) -> torch.optim.AdamW:
    """Make the optimiser of all parameters of a network, in two groups: the last layer's own."""
    last = list(last_layer(network).parameters())
    others = [each for each in network.parameters() if all(each is not own for own in last)]
    groups = [
        {"params": others, _FACTOR: 1.0},
        {"params": last, _FACTOR: recipe.last_layer_rate},
    ]
    return torch.optim.AdamW(groups, lr=recipe.learning_rate, weight_decay=recipe.weight_decay)


def set_rate(optimiser: torch.optim.AdamW, rate: float) -> None:
    """Let what `make_optimiser` made learn at a rate, the last layer at its own multiple of it."""
    for group in optimiser.param_groups:
        group["lr"] = rate * group[_FACTOR]
