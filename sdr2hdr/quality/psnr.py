"""Peak signal-to-noise ratio of the PQ signal, on R'G'B' and on 10-bit Y'CbCr."""

from __future__ import annotations

import dataclasses

import torch

from sdr2hdr.colour.ycbcr import quantise, rgb_to_ycbcr
from sdr2hdr.signal import HDR10_SIGNAL, Subsampling

__all__ = [
    "YCBCR_PEAK",
    "luma_squared_error",
    "psnr_from_mse",
    "squared_error",
    "ycbcr_squared_error",
]

YCBCR_PEAK = 1023.0
"""Peak of the 10-bit planes: the largest number of 10 bits, though limited range ends below."""

_YCBCR_SIGNAL = dataclasses.replace(HDR10_SIGNAL, subsampling=Subsampling.YUV444)


def psnr_from_mse(mean_squared_error: torch.Tensor, peak: float) -> torch.Tensor:
    """Turn mean squared errors into decibels below a peak.

    Args:
        mean_squared_error: Any shape, floating, 0 or more, in the square of the peak's unit.
        peak: The signal's largest value.

    Returns:
        10 lg(peak^2 / error), same shape, dB; infinite where the error is 0.
    """
    return 10.0 * torch.log10(peak**2 / mean_squared_error)


def squared_error(reference: torch.Tensor, test: torch.Tensor) -> torch.Tensor:
    """Squared error of each pixel, averaged over R', G', B'.

    Of the PQ signal, below a peak of 1, it makes the "PSNR" of the literature on inverse tone
    mapping (HDRTV1K and after).

    Args:
        reference: (N, 3, H, W), floating.
        test: Like `reference`.

    Returns:
        (N, H, W).
    """
    return (reference - test).square().mean(dim=1)


def ycbcr_squared_error(reference_pq: torch.Tensor, test_pq: torch.Tensor) -> torch.Tensor:
    """Squared difference of the 10-bit codes of each pixel, averaged over Y', Cb, Cr.

    The codes are BT.2020 non-constant luminance, limited range, 4:4:4, rounded to whole numbers.

    Args:
        reference_pq: (N, 3, H, W), floating, R'G'B', BT.2020, PQ, [0, 1].
        test_pq: Like `reference_pq`.

    Returns:
        (N, H, W), float32, in squared codes.

    Source:
        Rec. ITU-R BT.2100-2, Tables 6 (non-constant luminance) and 9 (quantisation).
    """
    return (_codes(reference_pq) - _codes(test_pq)).square_().mean(dim=1)


def luma_squared_error(reference_pq: torch.Tensor, test_pq: torch.Tensor) -> torch.Tensor:
    """Squared difference of the 10-bit luma codes; otherwise as `ycbcr_squared_error`."""
    return (_codes(reference_pq)[:, 0] - _codes(test_pq)[:, 0]).square_()


def _codes(rgb_pq: torch.Tensor) -> torch.Tensor:
    luma, cb, cr = rgb_to_ycbcr(rgb_pq, _YCBCR_SIGNAL.matrix)
    planes = [
        quantise(luma, _YCBCR_SIGNAL, chroma=False),
        quantise(cb, _YCBCR_SIGNAL, chroma=True),
        quantise(cr, _YCBCR_SIGNAL, chroma=True),
    ]
    return torch.stack([plane.to(torch.float32) for plane in planes], dim=1)
