"""What every network is to the rest of the program: a module that can also be cut into stages."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import nn

from sdr2hdr.networks.stages import Program

__all__ = ["Network", "initialise_kaiming"]


class Network(nn.Module, ABC):
    """A network from R'G'B' to R'G'B'.

    Attributes:
        scale: Output samples per input sample, along each side.
    """

    scale: int

    @abstractmethod
    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Compute whole frames at once: the reference for every other way of running it.

        Args:
            pixels: (N, 3, H, W), floating, [0, 1].

        Returns:
            (N, 3, H x scale, W x scale), same dtype, not clipped.
        """

    @abstractmethod
    def program(self) -> Program:
        """The same function (in eval mode) as stages, which share this network's parameters."""


def initialise_kaiming(network: nn.Module, negative_slope: float) -> None:
    """Draw the weights of convolutions and linear layers from Kaiming's normal distribution.

    Biases become zero. Both depend on torch's global random state.

    Args:
        network: Changed in place.
        negative_slope: Slope of the leaky ReLU that follows the layers.

    Source:
        He et al., "Delving deep into rectifiers", ICCV 2015, section 2.2 (fan-in).
    """
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(layer.weight, a=negative_slope)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
