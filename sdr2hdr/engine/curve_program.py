"""Curves as programs of one stage, so that they travel the same road as networks."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from sdr2hdr.curves import CurveFunction
from sdr2hdr.networks.collapsed_gpgmnet import BicubicPhases
from sdr2hdr.networks.stages import INPUT, OUTPUT, Program, Stage

__all__ = ["EnlargedCurve", "curve_program"]

_BICUBIC_HALO_PX = 2

_STRIP_PX = 1 << 15
"""Computed at once. A curve is a dozen passes over its picture, and 0.4 MB stay in a core's cache:
for a tile of 528 x 528 px that halves the time."""


class EnlargedCurve(nn.Module):
    """A curve after bicubic enlargement of the SDR signal."""

    def __init__(self, curve: CurveFunction, scale: int) -> None:
        """Set the curve and its magnification, 1 or more."""
        super().__init__()
        self.curve = curve
        self.scale = scale
        self.phases = None if scale == 1 else BicubicPhases(scale, torch.float32)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Map R'G'B' (`BT709_DISPLAY`), (N, 3, H, W), to PQ, (N, 3, H x scale, W x scale)."""
        if self.phases is not None:
            # The kernel overshoots at edges; the curve's domain is [0, 1].
            pixels = F.pixel_shuffle(self.phases(pixels), self.scale).clamp_(0.0, 1.0)
        # Networks want channels last; a curve, which takes the planes one by one, loses a third.
        pixels = pixels.contiguous()
        height_px, width_px = pixels.shape[2:]
        if pixels.is_cuda or torch.compiler.is_exporting() or height_px * width_px <= _STRIP_PX:
            return self.curve(pixels)
        strips = pixels.split(max(1, _STRIP_PX // width_px), dim=2)
        return torch.cat([self.curve(strip) for strip in strips], dim=2)


def curve_program(curve: CurveFunction, scale: int) -> Program:
    """Make a curve a program."""
    return (
        Stage(
            name="curve",
            module=EnlargedCurve(curve, scale),
            maps=(INPUT,),
            output=OUTPUT,
            halo_px=0 if scale == 1 else _BICUBIC_HALO_PX,
            scale=scale,
        ),
    )
