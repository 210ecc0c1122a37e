"""Random camera and grade: exposure, white balance, contrast, saturation, flare, vignette."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from sdr2hdr.colour.channels import weighted_sum
from sdr2hdr.colour.primaries import luminance_coefficients
from sdr2hdr.signal import Primaries
from sdr2hdr.training.randomness import chance, log_uniform, uniform

__all__ = ["MID_GREY", "Grade", "apply_grade", "bt2020_luminance", "draw_grade"]

MID_GREY = 0.18
"""Luminance that graded pictures have in the middle; 1.0 is about a white sheet."""

_DARKEST = 1e-7
_KEY_LIMITS_STOPS = (-4.0, 1.7)


@dataclass(frozen=True)
class Grade:
    """What camera and colourist do to a scene, in this order.

    Attributes:
        gain: Exposure.
        white_balance: Factors of R, G, B.
        contrast: Exponent of luminance around mid-grey.
        saturation: Factor of the distance from grey.
        flare: Light added everywhere, relative to white.
        vignette: Loss at the corners, [0, 1].
    """

    gain: float = 1.0
    white_balance: tuple[float, float, float] = (1.0, 1.0, 1.0)
    contrast: float = 1.0
    saturation: float = 1.0
    flare: float = 0.0
    vignette: float = 0.0


def bt2020_luminance(light: torch.Tensor) -> torch.Tensor:
    """Luminance of linear BT.2020 light: (N, 3, H, W) to (N, 1, H, W)."""
    return weighted_sum(light, luminance_coefficients(Primaries.BT2020))


def draw_grade(light: torch.Tensor, rng: np.random.Generator) -> Grade:
    """A random grade that suits a picture.

    Exposure puts either the mean of log luminance near mid-grey, or the highlights near white: so
    night stays dark as often as not.

    Args:
        light: (1, 3, H, W), linear BT.2020, any exposure.
        rng: Decides.
    """
    luminance = bt2020_luminance(light).flatten()
    luminance = luminance[luminance > _DARKEST]
    if luminance.numel() == 0:
        return Grade()
    key = float(torch.exp2(torch.log2(luminance).mean()))
    bright = float(torch.quantile(luminance, uniform(rng, (0.9, 0.995))))
    if chance(rng, 0.5):
        stops = float(np.log2(MID_GREY)) + float(rng.normal(-0.3, 0.8))
        gain = 2.0**stops / key
    else:
        gain = 2.0 ** uniform(rng, (-1.0, 2.0)) / bright
    lowest, highest = (MID_GREY * 2.0**stops / key for stops in _KEY_LIMITS_STOPS)
    tint = 0.05 if chance(rng, 0.85) else 0.2
    return Grade(
        gain=float(np.clip(gain, lowest, highest)),
        white_balance=(
            float(np.exp(rng.normal(0.0, tint))),
            1.0,
            float(np.exp(rng.normal(0.0, tint))),
        ),
        contrast=float(np.exp(rng.normal(0.0, 0.1))),
        saturation=float(np.clip(rng.normal(1.0, 0.2), 0.0, 1.6)) if chance(rng, 0.97) else 0.0,
        flare=log_uniform(rng, (1e-4, 4e-3)) if chance(rng, 0.25) else 0.0,
        vignette=uniform(rng, (0.1, 0.5)) if chance(rng, 0.1) else 0.0,
    )


def apply_grade(light: torch.Tensor, grade: Grade) -> torch.Tensor:
    """Grade a picture.

    Args:
        light: (1, 3, H, W), float32, linear BT.2020, 0 or more.
        grade: What to do.

    Returns:
        Same shape, 0 or more, mid-grey about 0.18.
    """
    factors = torch.tensor(grade.white_balance, dtype=light.dtype)[None, :, None, None]
    light = light * (factors * grade.gain)
    if grade.vignette:
        light = light * _falloff(light.shape[2], light.shape[3], grade.vignette)
    luminance = bt2020_luminance(light)
    if grade.contrast != 1.0:
        factor = (luminance / MID_GREY).clamp(min=1e-6) ** (grade.contrast - 1.0)
        light, luminance = light * factor, luminance * factor
    light = (luminance + grade.saturation * (light - luminance)).clamp_(min=0.0)
    return light + grade.flare


def _falloff(height: int, width: int, loss: float) -> torch.Tensor:
    y = torch.linspace(-1.0, 1.0, height)[:, None]
    x = torch.linspace(-1.0, 1.0, width)[None, :]
    return 1.0 - loss * ((x.square() + y.square()) / 2.0)
