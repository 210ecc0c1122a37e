"""The light of the SDR display, which every curve starts from."""

from __future__ import annotations

import torch

from sdr2hdr.colour.channels import apply_matrix
from sdr2hdr.colour.primaries import rgb_to_rgb_matrix
from sdr2hdr.colour.transfer import bt1886_eotf
from sdr2hdr.signal import BT709_DISPLAY, HDR_DISPLAY

__all__ = ["sdr_to_bt2020_linear"]


def sdr_to_bt2020_linear(rgb: torch.Tensor) -> torch.Tensor:
    """Decode SDR R'G'B' and express its light in BT.2020 primaries.

    Args:
        rgb: (N, 3, H, W), float32, [0, 1], BT.709 primaries, gamma 2.4.

    Returns:
        Linear R, G, B, same shape, [0, 1]; 1.0 is SDR white.

    Source:
        Rec. ITU-R BT.2087-0, Annex 1, with the display's EOTF (BT.1886) and not the camera's OETF.
    """
    matrix = rgb_to_rgb_matrix(BT709_DISPLAY.primaries, HDR_DISPLAY.primaries)
    return apply_matrix(matrix, bt1886_eotf(rgb.clamp(0.0, 1.0)))
