"""A network's correction added to its curve, tile by tile, so that no frame is kept for either."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import nn

from sdr2hdr.networks.stages import INPUT, OUTPUT, Program, Sides, Stage

__all__ = ["add_curve"]


def add_curve(network: Program, curve: Program) -> Program:
    """Let the last stage of a network give the sum of its own result and a curve's.

    Args:
        network: Prepared for its backend; its last stage reads the input first.
        curve: One stage, prepared for torch in fp32, of the network's scale, on its device.

    Raises:
        ValueError: The two do not fit.
    """
    last = network[-1]
    if not isinstance(last, Stage) or last.output != OUTPUT or last.maps[0] != INPUT:
        raise ValueError("The network does not end in a stage that reads the input first.")
    (own,) = curve
    if not isinstance(own, Stage) or own.maps != (INPUT,) or own.scale != last.scale:
        raise ValueError(f"The curve is no stage of scale {last.scale} on the input.")
    joined = replace(
        last,
        module=_OnCurve(last.module, own.module),
        halo_px=max(last.halo_px, own.halo_px),
    )
    return (*network[:-1], joined)


class _OnCurve(nn.Module):
    """Takes what the network's stage takes, the input first."""

    def __init__(self, network: nn.Module, curve: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.curve = curve

    def forward(self, pixels: torch.Tensor, *others: torch.Tensor, **about: Sides) -> torch.Tensor:
        return self.curve(pixels).add_(self.network(pixels, *others, **about))
