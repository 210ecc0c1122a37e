"""BT.2408: SDR shown in HDR as it is, its white at HDR reference white."""

from __future__ import annotations

import torch

from sdr2hdr.colour.transfer import pq_inverse_eotf
from sdr2hdr.curves.display_light import sdr_to_bt2020_linear
from sdr2hdr.signal import REFERENCE_WHITE_CD_M2

__all__ = ["bt2408"]


def bt2408(rgb: torch.Tensor) -> torch.Tensor:
    """Map SDR to PQ display-referred: linear light is multiplied, nothing else.

    SDR white goes to 203 cd/m2, and so does everything in proportion; colours keep chromaticity.

    Args:
        rgb: (N, 3, H, W), float32, [0, 1], BT.709 primaries, gamma 2.4.

    Returns:
        PQ R'G'B' in BT.2020 primaries, same shape, [0, 1].

    Source:
        Rep. ITU-R BT.2408-8, section 5.1.2, without the optional adjustment of gamma.
    """
    return pq_inverse_eotf(sdr_to_bt2020_linear(rgb) * REFERENCE_WHITE_CD_M2)
