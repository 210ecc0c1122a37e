"""Delta E ITP: how visible a difference of colour is on an HDR display."""

from __future__ import annotations

import torch

from sdr2hdr.colour.ictcp import rgb_to_ictcp

__all__ = ["delta_e_itp"]

# Rec. ITU-R BT.2124-0, Annex 1
ITP_SCALE = 720.0
_CT_TO_T = 0.5


def delta_e_itp(reference_cd_m2: torch.Tensor, test_cd_m2: torch.Tensor) -> torch.Tensor:
    """Colour difference of each pixel; 1 is just noticeable to the most critically adapted eye.

    Args:
        reference_cd_m2: (N, 3, H, W), floating, linear BT.2020 R, G, B, cd/m2, [0, 10000].
        test_cd_m2: Like `reference_cd_m2`.

    Returns:
        720 sqrt(dI^2 + dT^2 + dP^2) with T = Ct / 2 and P = Cp, (N, H, W), 0 or more.

    Source:
        Rec. ITU-R BT.2124-0 (01/2019), Annex 1.
    """
    difference = rgb_to_ictcp(reference_cd_m2) - rgb_to_ictcp(test_cd_m2)
    intensity, tritan, protan = difference.unbind(dim=1)
    squares = intensity.square() + (_CT_TO_T * tritan).square() + protan.square()
    return squares.sqrt_().mul_(ITP_SCALE)
