"""Error in CIE L*a*b*, with a white chosen for HDR.

L*a*b* describes surfaces under one white, so a white has to be named: here D65 at 203 cd/m2, the
HDR reference white. Light above it goes on along the same cube root: 1000 cd/m2 grey has L* = 181,
10 000 cd/m2 L* = 409. Delta E ITP is the better judge of what is seen; this one is for comparison
with papers that print it.
"""

from __future__ import annotations

import torch

from sdr2hdr.colour.channels import apply_matrix
from sdr2hdr.colour.primaries import rgb_to_xyz_matrix
from sdr2hdr.signal import REFERENCE_WHITE_CD_M2, Primaries

__all__ = ["lab_squared_error", "rgb_to_lab"]

LAB_WHITE_CD_M2 = REFERENCE_WHITE_CD_M2
"""Luminance of L* = 100."""

# ISO/CIE 11664-4:2019
_KNEE = (6 / 29) ** 3
_SLOPE = (29 / 6) ** 2 / 3
_OFFSET = 4 / 29


def rgb_to_lab(rgb_cd_m2: torch.Tensor) -> torch.Tensor:
    """Turn light into CIE 1976 L*a*b* relative to D65 at 203 cd/m2.

    Args:
        rgb_cd_m2: (N, 3, H, W), floating, linear BT.2020 R, G, B, cd/m2, [0, 10000].

    Returns:
        L* in [0, 409], a*, b*; same shape. Neutral light has a* = b* = 0 within rounding.

    Source:
        ISO/CIE 11664-4:2019.
    """
    matrix = rgb_to_xyz_matrix(Primaries.BT2020)
    white = matrix.sum(axis=1, keepdims=True) * LAB_WHITE_CD_M2
    ratios = apply_matrix(matrix / white, rgb_cd_m2)
    response = torch.where(
        ratios > _KNEE, ratios.clamp(min=_KNEE) ** (1.0 / 3.0), ratios * _SLOPE + _OFFSET
    )
    x, y, z = response.unbind(dim=1)
    return torch.stack((116.0 * y - 16.0, 500.0 * (x - y), 200.0 * (y - z)), dim=1)


def lab_squared_error(reference_cd_m2: torch.Tensor, test_cd_m2: torch.Tensor) -> torch.Tensor:
    """Squared error of each pixel, averaged over L*, a* and b*: a third of Delta E*ab squared.

    Args:
        reference_cd_m2: (N, 3, H, W), floating, linear BT.2020 R, G, B, cd/m2, [0, 10000].
        test_cd_m2: Like `reference_cd_m2`.

    Returns:
        (N, H, W), in squared L*a*b* units.
    """
    return (rgb_to_lab(reference_cd_m2) - rgb_to_lab(test_cd_m2)).square_().mean(dim=1)
