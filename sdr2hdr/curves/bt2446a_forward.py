"""BT.2446 method A, HDR to SDR: as the report writes it, and the exact undoing of our curve.

The report's two directions are not each other's inverse: its SDR to HDR is fitted to what its HDR
to SDR does, amplifies colour by 1.075 where the other divides by 1.1, and does not give back the
luma that the other takes from reds. So a proof that nothing was lost needs the curve's own inverse.
"""

from __future__ import annotations

import math
from functools import cache

import torch

from sdr2hdr.colour.channels import apply_matrix, weighted_sum
from sdr2hdr.colour.primaries import rgb_to_rgb_matrix
from sdr2hdr.colour.transfer import bt1886_eotf, bt1886_inverse_eotf, pq_eotf
from sdr2hdr.colour.ycbcr import LUMA_COEFFICIENTS
from sdr2hdr.curves.bt2446a import COLOUR_GAIN, PEAK_CD_M2, expand_luma
from sdr2hdr.signal import BT709_DISPLAY, HDR_DISPLAY, SDR_WHITE_CD_M2, Matrix

__all__ = ["bt2446a_forward", "bt2446a_undo", "compress_luma"]

# Rep. ITU-R BT.2446-1, section 4.1 and Table 2: tone mapping of luma in a perceptual domain, then
# the colour differences.
_KNEE, _SHOULDER = 0.7399, 0.9909
_LOW_SLOPE = 1.0770
_MIDDLE = (-1.1510, 2.7811, -0.6302)
_TOP = (0.5000, 0.5000)
_COLOUR_LOSS = 1.1
_RED_LOSS = 0.1

_TABLE_STEPS = 1 << 14


def bt2446a_forward(pq: torch.Tensor) -> torch.Tensor:
    """Compress HDR of 1000 cd/m2 to SDR by BT.2446 method A.

    Args:
        pq: (N, 3, H, W), float32, PQ R'G'B' in BT.2020 primaries, [0, 1]; light above 1000 cd/m2
            is clipped.

    Returns:
        SDR R'G'B' in BT.709 primaries, gamma 2.4, same shape, [0, 1]; colours outside BT.709 are
        clipped.

    Source:
        Rep. ITU-R BT.2446-1, section 4.1.
    """
    hdr = _hdr_signal(pq)
    k = LUMA_COEFFICIENTS[Matrix.BT2020_NCL]
    luma = weighted_sum(hdr, (k.red, k.green, k.blue))
    luma_sdr = compress_luma(luma, PEAK_CD_M2)
    colour = luma_sdr / (_COLOUR_LOSS * torch.where(luma > 0.0, luma, 1.0))
    differences = colour * (hdr - luma)
    cr = differences[:, 0:1] / k.cr_span
    return _to_bt709(luma_sdr - (_RED_LOSS * cr).clamp(min=0.0) + differences)


def bt2446a_undo(pq: torch.Tensor) -> torch.Tensor:
    """Give back the SDR from which `bt2446a` made this HDR.

    Exact but for the colours that `bt2446a` clipped at 0 or 1000 cd/m2.

    Args:
        pq: As for `bt2446a_forward`.

    Returns:
        As `bt2446a_forward`.
    """
    hdr = _hdr_signal(pq)
    k = LUMA_COEFFICIENTS[Matrix.BT2020_NCL]
    luma_hdr = weighted_sum(hdr, (k.red, k.green, k.blue))
    luma = _undo_expansion(luma_hdr)
    colour = luma / (COLOUR_GAIN * torch.where(luma_hdr > 0.0, luma_hdr, 1.0))
    return _to_bt709(luma + colour * (hdr - luma_hdr))


def _hdr_signal(pq: torch.Tensor) -> torch.Tensor:
    return bt1886_inverse_eotf((pq_eotf(pq) / PEAK_CD_M2).clamp(max=1.0))


def _to_bt709(signal: torch.Tensor) -> torch.Tensor:
    matrix = rgb_to_rgb_matrix(HDR_DISPLAY.primaries, BT709_DISPLAY.primaries)
    light = apply_matrix(matrix, bt1886_eotf(signal))
    return bt1886_inverse_eotf(light.clamp(0.0, 1.0))


def compress_luma(luma: torch.Tensor, peak_cd_m2: float) -> torch.Tensor:
    """Tone map gamma 2.4 luma, [0, 1] of an HDR peak to [0, 1] of SDR white."""
    rho_hdr = 1.0 + 32.0 * (peak_cd_m2 / 10_000.0) ** (1.0 / 2.4)
    rho_sdr = 1.0 + 32.0 * (SDR_WHITE_CD_M2 / 10_000.0) ** (1.0 / 2.4)
    perceptual = torch.log1p((rho_hdr - 1.0) * luma) / math.log(rho_hdr)
    a, b, c = _MIDDLE
    slope, offset = _TOP
    above = torch.where(
        perceptual < _SHOULDER, (a * perceptual + b) * perceptual + c, slope * perceptual + offset
    )
    compressed = torch.where(perceptual <= _KNEE, _LOW_SLOPE * perceptual, above)
    return torch.expm1(compressed * math.log(rho_sdr)) / (rho_sdr - 1.0)


@cache
def _expansion_table() -> torch.Tensor:
    """`expand_luma` at equal steps of SDR luma; rises strictly."""
    luma = torch.linspace(0.0, 1.0, _TABLE_STEPS + 1, dtype=torch.float64)
    return expand_luma(luma).cummax(dim=0).values.to(torch.float32)


def _undo_expansion(luma_hdr: torch.Tensor) -> torch.Tensor:
    table = _expansion_table().to(luma_hdr.device)
    index = torch.searchsorted(table, luma_hdr.contiguous()).clamp(1, _TABLE_STEPS)
    below, above = table[index - 1], table[index]
    share = (luma_hdr - below) / (above - below).clamp(min=1e-12)
    return ((index - 1) + share.clamp(0.0, 1.0)) / _TABLE_STEPS
