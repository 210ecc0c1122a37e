"""BT.2408 undone: HDR whose SDR white lies at HDR reference white, shown as SDR."""

from __future__ import annotations

import torch

from sdr2hdr.colour.channels import apply_matrix
from sdr2hdr.colour.primaries import rgb_to_rgb_matrix
from sdr2hdr.colour.transfer import bt1886_inverse_eotf, pq_eotf
from sdr2hdr.signal import BT709_DISPLAY, HDR_DISPLAY, REFERENCE_WHITE_CD_M2

__all__ = ["bt2408_forward"]


def bt2408_forward(pq: torch.Tensor) -> torch.Tensor:
    """Divide light by 203 cd/m2 and clip: the inverse of `bt2408`.

    Args:
        pq: (N, 3, H, W), float32, PQ R'G'B' in BT.2020 primaries, [0, 1].

    Returns:
        SDR R'G'B' in BT.709 primaries, gamma 2.4, same shape, [0, 1].

    Source:
        Rep. ITU-R BT.2408-8, section 5.1.2, inverted.
    """
    matrix = rgb_to_rgb_matrix(HDR_DISPLAY.primaries, BT709_DISPLAY.primaries)
    light = apply_matrix(matrix, pq_eotf(pq) / REFERENCE_WHITE_CD_M2)
    return bt1886_inverse_eotf(light.clamp(0.0, 1.0))
