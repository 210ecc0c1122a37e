"""The work of a network, counted in multiply-adds."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from sdr2hdr.networks.irnet import ChannelAttention
from sdr2hdr.networks.network import Network

__all__ = ["macs_per_pixel"]

_SIDE_PX = 256
"""Side of the frame that is counted on; a multiple of what GPGMNet's colour branch divides by."""


def macs_per_pixel(network: Network) -> int:
    """Count a network's multiply-adds per input pixel, computing nothing.

    Counted are the convolutions, and one for each value that an attention averages, as the IRNet
    paper's Table 1 does. Layers on vectors are left out: on a frame they weigh nothing.

    Args:
        network: Left as it is.

    Returns:
        The count on a large frame, rounded.
    """
    shapeless = copy.deepcopy(network).to("meta").eval()
    counts: list[int] = []

    def count_convolution(layer: nn.Module, inputs: tuple[Any, ...], output: torch.Tensor) -> None:
        assert isinstance(layer, nn.Conv2d)
        samples = output.shape[2] * output.shape[3]
        if samples > 1:
            counts.append(layer.weight.numel() * samples)

    def count_average(layer: nn.Module, inputs: tuple[Any, ...], output: torch.Tensor) -> None:
        counts.append(inputs[0].numel())

    counters: dict[type[nn.Module], Callable[[nn.Module, tuple[Any, ...], torch.Tensor], None]] = {
        nn.Conv2d: count_convolution,
        ChannelAttention: count_average,
    }
    for layer in shapeless.modules():
        if type(layer) in counters:
            layer.register_forward_hook(counters[type(layer)])
    with torch.no_grad():
        shapeless(torch.empty(1, 3, _SIDE_PX, _SIDE_PX, device="meta"))
    return round(sum(counts) / _SIDE_PX**2)
