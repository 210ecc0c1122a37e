"""Multi-exposure PSNR: the picture photographed at many exposures, each judged in SDR."""

from __future__ import annotations

import torch

from sdr2hdr.signal import REFERENCE_WHITE_CD_M2

__all__ = ["MPSNR_PEAK", "multi_exposure_squared_error"]

MPSNR_GAMMA = 2.2
MPSNR_PEAK = 255.0

MPSNR_WHITE_CD_M2 = REFERENCE_WHITE_CD_M2
"""Light that exposure 0 shows as white."""

MPSNR_STOPS = tuple(range(-6, 7))
"""The exposures, in stops, the same for every picture so that scores can be compared.

The paper chooses them picture by picture, from almost black to almost white. -6 makes 12 992 cd/m2
white, so that nothing PQ can carry is clipped; +6 makes 3.2 cd/m2 white and shows the shadows.
"""


def multi_exposure_squared_error(
    reference_cd_m2: torch.Tensor, test_cd_m2: torch.Tensor
) -> torch.Tensor:
    """Squared error of each pixel, averaged over all exposures and R, G, B.

    An exposure is 255 (2^stop I / 203)^(1/2.2), clipped to 0 to 255 and not rounded. mPSNR has the
    mean of this over a frame below `MPSNR_PEAK`.

    Args:
        reference_cd_m2: (N, 3, H, W), floating, linear BT.2020 R, G, B, cd/m2, [0, 10000].
        test_cd_m2: Like `reference_cd_m2`.

    Returns:
        (N, H, W), in squared steps of 8 bits, [0, 255^2].

    Source:
        Munkberg, Clarberg, Hasselgren, Akenine-Moller: High Dynamic Range Texture Compression for
        Graphics Hardware, ACM Trans. Graphics 25(3), 2006; the exposures are ours.
    """
    reference = _exposed_at_zero(reference_cd_m2)
    test = _exposed_at_zero(test_cd_m2)
    total = torch.zeros_like(reference[:, 0])
    for stop in MPSNR_STOPS:
        gain = 2.0 ** (stop / MPSNR_GAMMA)
        difference = (reference * gain).clamp_(max=MPSNR_PEAK)
        difference -= (test * gain).clamp_(max=MPSNR_PEAK)
        total += difference.square_().mean(dim=1)
    return total / len(MPSNR_STOPS)


def _exposed_at_zero(light_cd_m2: torch.Tensor) -> torch.Tensor:
    """255 (I / white)^(1/2.2); a stop more is a constant factor on this."""
    relative = (light_cd_m2 / MPSNR_WHITE_CD_M2).clamp_(min=0.0)
    return relative.pow_(1.0 / MPSNR_GAMMA).mul_(MPSNR_PEAK)
