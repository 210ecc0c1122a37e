"""BT.2446 method C, SDR to HDR: proportional up to 58.5% of SDR white, exponential above."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray

from sdr2hdr.colour.channels import weighted_sum
from sdr2hdr.colour.primaries import luminance_coefficients
from sdr2hdr.colour.transfer import pq_inverse_eotf
from sdr2hdr.curves.display_light import sdr_to_bt2020_linear
from sdr2hdr.signal import HDR_DISPLAY

__all__ = ["INFLECTION_CD_M2", "K1", "K2", "K3", "K4", "bt2446c"]

# Rep. ITU-R BT.2446-1, section 6.1.4; SDR luminance in percent of white, HDR in cd/m2. k2 and k4
# follow from the others, so that the two branches meet with one slope.
_INFLECTION_PERCENT = 58.535046646  # signal 0.8 of SDR white, gamma 2.4
K1 = 0.83802
K3 = 0.74204
INFLECTION_CD_M2 = _INFLECTION_PERCENT / K1
K2 = _INFLECTION_PERCENT * (1.0 - K3)
K4 = _INFLECTION_PERCENT - K2 * math.log(1.0 - K3)


def bt2446c(rgb: torch.Tensor, *, crosstalk: float = 0.0) -> torch.Tensor:
    """Expand SDR to HDR by the inverse of BT.2446 method C.

    SDR white goes to 332.6 cd/m2, 90.66% of its light to 203; colours keep chromaticity.

    The report mixes the channels with a crosstalk matrix, expands the luminance at constant x and
    y, and undoes the matrix. At constant x and y all channels get one gain, so the matrix and its
    inverse cancel; what is left of them is that the gain is read at the mixture's luminance.

    Args:
        rgb: (N, 3, H, W), float32, [0, 1], BT.709 primaries, gamma 2.4.
        crosstalk: The report's alpha, [0, 0.33], for which it leaves the choice open. 0 reads the
            gain at the picture's own luminance; to undo a down-conversion give the alpha that it
            was made with.

    Returns:
        PQ R'G'B' in BT.2020 primaries, same shape, [0, 1].

    Source:
        Rep. ITU-R BT.2446-1, sections 6.1.2 to 6.1.6, inverted as in 6.2.
    """
    light_percent = 100.0 * sdr_to_bt2020_linear(rgb)
    luminance = weighted_sum(light_percent, _mixed_luminance_coefficients(crosstalk))
    gain = _expand(luminance) / torch.where(luminance > 0.0, luminance, 1.0)
    return pq_inverse_eotf(light_percent * gain)


def _mixed_luminance_coefficients(crosstalk: float) -> NDArray[np.floating]:
    """Weights of R, G, B in the luminance after the crosstalk matrix."""
    matrix = (1.0 - 3.0 * crosstalk) * np.eye(3) + crosstalk
    return luminance_coefficients(HDR_DISPLAY.primaries) @ matrix


def _expand(luminance_percent: torch.Tensor) -> torch.Tensor:
    """Turn SDR luminance in percent of white into HDR luminance in cd/m2."""
    above = INFLECTION_CD_M2 * (torch.exp((luminance_percent - K4) / K2) + K3)
    return torch.where(luminance_percent > _INFLECTION_PERCENT, above, luminance_percent / K1)
