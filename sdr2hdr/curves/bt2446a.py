"""BT.2446 method A, SDR to HDR: an expansion of luma to 1000 cd/m2."""

from __future__ import annotations

import torch

from sdr2hdr.colour.channels import weighted_sum
from sdr2hdr.colour.transfer import BT1886_GAMMA, bt1886_inverse_eotf, gamma_to_pq, power
from sdr2hdr.colour.ycbcr import LUMA_COEFFICIENTS
from sdr2hdr.curves.display_light import sdr_to_bt2020_linear
from sdr2hdr.signal import Matrix

__all__ = ["COLOUR_GAIN", "PEAK_CD_M2", "bt2446a", "expand_luma"]

PEAK_CD_M2 = 1000.0

# Rep. ITU-R BT.2446-1, Table 4: the exponent of luma is a quadratic in luma (0 to 255), one below
# the knee and one above.
_KNEE = 70.0
_LOW = (1.8712e-5, -2.7334e-3, 1.3141)
_HIGH = (2.8305e-6, -7.4622e-4, 1.2528)
COLOUR_GAIN = 1.075


def bt2446a(rgb: torch.Tensor) -> torch.Tensor:
    """Expand SDR to HDR by BT.2446 method A.

    SDR white goes to 999.5 cd/m2, half signal to 76. Luma is expanded in the gamma 2.4 domain, and
    both colour differences are multiplied by 1.075 Y'HDR / Y'SDR, which adds saturation.

    Args:
        rgb: (N, 3, H, W), float32, [0, 1], BT.709 primaries, gamma 2.4.

    Returns:
        PQ R'G'B' in BT.2020 primaries, same shape, [0, 1], at most 1000 cd/m2.

    Source:
        Rep. ITU-R BT.2446-1, section 4.2 and Table 4.
    """
    sdr = bt1886_inverse_eotf(sdr_to_bt2020_linear(rgb))
    k = LUMA_COEFFICIENTS[Matrix.BT2020_NCL]
    luma = weighted_sum(sdr, (k.red, k.green, k.blue))
    luma_hdr = expand_luma(luma)
    colour = COLOUR_GAIN * luma_hdr / torch.where(luma > 0.0, luma, 1.0)
    # E'Cb and E'Cr are multiples of B' - Y' and R' - Y', so scaling them scales C' - Y' of all
    # three channels alike, and the matrix to Y'CbCr and back cancels.
    hdr = (sdr - luma).mul_(colour).add_(luma_hdr).clamp_(0.0, 1.0)
    return gamma_to_pq(hdr, BT1886_GAMMA, PEAK_CD_M2)


def expand_luma(luma: torch.Tensor) -> torch.Tensor:
    """Expand gamma 2.4 luma, [0, 1] of SDR white to [0, 1] of 1000 cd/m2."""
    code = luma * 255.0
    exponent = torch.where(code > _KNEE, _quadratic(code, _HIGH), _quadratic(code, _LOW))
    return power(code, exponent) / 1000.0


def _quadratic(x: torch.Tensor, coefficients: tuple[float, float, float]) -> torch.Tensor:
    a, b, c = coefficients
    return (a * x + b) * x + c
