"""An exponential moving average of a network's weights, which is what gets judged and kept."""

from __future__ import annotations

import torch
from torch import nn

__all__ = ["WeightAverage"]


class WeightAverage:
    """The average of the weights; buffers (running statistics) are simply copied."""

    def __init__(self, network: nn.Module, decay: float) -> None:
        """Start from the network's present weights."""
        self.decay = decay
        self.updates = 0
        self.tensors = {
            name: tensor.detach().clone() for name, tensor in network.state_dict().items()
        }

    @torch.no_grad()
    def update(self, network: nn.Module) -> None:
        """Move towards the network's weights; early on faster, as there is little to average."""
        self.updates += 1
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        parameters = dict(network.named_parameters())
        for name, tensor in network.state_dict().items():
            own = self.tensors[name]
            if name in parameters:
                own.lerp_(tensor.to(own.dtype), 1.0 - decay)
            else:
                own.copy_(tensor)
