"""The parts of a picture that are judged apart: highlights and shadows of the reference."""

from __future__ import annotations

import torch

from sdr2hdr.colour.channels import weighted_sum
from sdr2hdr.colour.primaries import luminance_coefficients
from sdr2hdr.signal import REFERENCE_WHITE_CD_M2, Primaries

__all__ = ["HIGHLIGHT_ABOVE_CD_M2", "SHADOW_BELOW_CD_M2", "highlights", "luminance", "shadows"]

HIGHLIGHT_ABOVE_CD_M2 = REFERENCE_WHITE_CD_M2
"""Brighter than HDR reference white: lamps, sun, speculars."""

SHADOW_BELOW_CD_M2 = 1.0
"""What an SDR signal below about 0.15 shows (100 cd/m2, gamma 2.4): the deep shadows."""


def luminance(rgb_cd_m2: torch.Tensor) -> torch.Tensor:
    """CIE Y of each pixel.

    Args:
        rgb_cd_m2: (N, 3, H, W), floating, linear BT.2020 R, G, B, cd/m2.

    Returns:
        (N, H, W), cd/m2.
    """
    return weighted_sum(rgb_cd_m2, luminance_coefficients(Primaries.BT2020))[:, 0]


def highlights(reference_cd_m2: torch.Tensor) -> torch.Tensor:
    """Where the reference's luminance is above 203 cd/m2; (N, H, W), bool."""
    return luminance(reference_cd_m2) > HIGHLIGHT_ABOVE_CD_M2


def shadows(reference_cd_m2: torch.Tensor) -> torch.Tensor:
    """Where the reference's luminance is below 1 cd/m2; (N, H, W), bool."""
    return luminance(reference_cd_m2) < SHADOW_BELOW_CD_M2
