"""BT.2446 method C, HDR to SDR: proportional up to skin tones, logarithmic above."""

from __future__ import annotations

import torch

from sdr2hdr.colour.channels import apply_matrix, weighted_sum
from sdr2hdr.colour.primaries import luminance_coefficients, rgb_to_rgb_matrix
from sdr2hdr.colour.transfer import bt1886_inverse_eotf, pq_eotf
from sdr2hdr.curves.bt2446c import INFLECTION_CD_M2, K1, K2, K3, K4
from sdr2hdr.signal import BT709_DISPLAY, HDR_DISPLAY

__all__ = ["bt2446c_forward", "compress_luminance"]


def bt2446c_forward(pq: torch.Tensor) -> torch.Tensor:
    """Compress HDR to SDR by BT.2446 method C, without crosstalk: the inverse of `bt2446c`.

    The report's crosstalk matrix, whose strength it leaves open, is 0 in `bt2446c` too, and its
    optional chroma correction above reference white is left out: with either, the way back from
    our own curve would not end where it began. At constant x and y all channels get one gain.

    Args:
        pq: (N, 3, H, W), float32, PQ R'G'B' in BT.2020 primaries, [0, 1].

    Returns:
        SDR R'G'B' in BT.709 primaries, gamma 2.4, same shape, [0, 1]. What is above SDR white
        (332.6 cd/m2) or outside BT.709 is clipped.

    Source:
        Rep. ITU-R BT.2446-1, sections 6.1.3 to 6.1.6.
    """
    light_cd_m2 = pq_eotf(pq)
    luminance = weighted_sum(light_cd_m2, luminance_coefficients(HDR_DISPLAY.primaries))
    gain = compress_luminance(luminance) / torch.where(luminance > 0.0, luminance, 1.0)
    matrix = rgb_to_rgb_matrix(HDR_DISPLAY.primaries, BT709_DISPLAY.primaries)
    light = apply_matrix(matrix, light_cd_m2 * (gain / 100.0))
    return bt1886_inverse_eotf(light.clamp(0.0, 1.0))


def compress_luminance(luminance_cd_m2: torch.Tensor) -> torch.Tensor:
    """Turn HDR luminance in cd/m2 into SDR luminance in percent of white."""
    relative = (luminance_cd_m2 / INFLECTION_CD_M2).clamp(min=1.0)
    above = K2 * torch.log(relative - K3) + K4
    return torch.where(luminance_cd_m2 > INFLECTION_CD_M2, above, luminance_cd_m2 * K1)
