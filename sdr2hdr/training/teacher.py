"""A network with weights of its own, whose answers another one learns."""

from __future__ import annotations

from collections.abc import Callable

import torch

from sdr2hdr.errors import UsageError
from sdr2hdr.networks.registry import NetworkSpec
from sdr2hdr.networks.weights import load_network
from sdr2hdr.training.forms import keep_last_layer_exact, predict

__all__ = ["load_teacher"]


def load_teacher(
    name: str, learner: NetworkSpec, device: torch.device
) -> Callable[[torch.Tensor], torch.Tensor]:
    """Load a network that comes with weights.

    Args:
        name: The teacher's own name.
        learner: Who is to learn from it.
        device: Where it computes.

    Returns:
        From SDR, (N, 3, H, W), to what the teacher makes of it, PQ R'G'B',
        (N, 3, H x scale, W x scale), float32, [0, 1].

    Raises:
        UsageError: It is of another scale.
        ModelError: There is no such network.
        WeightsError: It has no weights.
    """
    network, card = load_network(name)
    if network.scale != learner.scale:
        raise UsageError(
            f'"loss.teacher" is {name}, of scale {network.scale}; expected one of scale '
            f"{learner.scale}, as {learner.name} has (--recipe)."
        )
    network = network.to(device)
    keep_last_layer_exact(network)

    @torch.no_grad()
    def answer(sdr: torch.Tensor) -> torch.Tensor:
        return predict(network, sdr, card.form).clamp_(0.0, 1.0)

    return answer
