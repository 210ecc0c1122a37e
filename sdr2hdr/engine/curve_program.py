"""Curves as programs of one stage, so that they travel the same road as networks."""

from __future__ import annotations

import torch
from torch import nn

from sdr2hdr.curves import CurveFunction
from sdr2hdr.networks.gpgmnet import bicubic_upscale
from sdr2hdr.networks.stages import INPUT, OUTPUT, Program, Stage

__all__ = ["EnlargedCurve", "curve_program"]

_BICUBIC_HALO_PX = 2


class EnlargedCurve(nn.Module):
    """A curve after bicubic enlargement of the SDR signal."""

    def __init__(self, curve: CurveFunction, scale: int) -> None:
        """Set the curve and its magnification, 1 or more."""
        super().__init__()
        self.curve = curve
        self.scale = scale

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Map R'G'B' (`BT709_DISPLAY`), (N, 3, H, W), to PQ, (N, 3, H x scale, W x scale)."""
        if self.scale != 1:
            # The kernel overshoots at edges; the curve's domain is [0, 1].
            pixels = bicubic_upscale(pixels, self.scale).clamp(0.0, 1.0)
        return self.curve(pixels)


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
