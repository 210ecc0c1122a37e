"""Bring decoded HDR pictures to the form that is compared: R'G'B', BT.2020 primaries, PQ."""

from __future__ import annotations

import numpy as np
import torch

from sdr2hdr.colour.channels import apply_matrix
from sdr2hdr.colour.convert import planes_to_rgb
from sdr2hdr.colour.primaries import CHROMATICITIES, D65, rgb_to_rgb_matrix
from sdr2hdr.colour.transfer import pq_eotf, pq_inverse_eotf
from sdr2hdr.frames import CodedBatch, RgbBatch
from sdr2hdr.signal import HDR_DISPLAY, Primaries, Transfer

__all__ = ["light_to_pq", "pq_rgb", "primaries_of_chromaticities"]

CHROMATICITY_TOLERANCE = 0.002
"""x and y as files store them, rounded, still name a set of primaries."""


def pq_rgb(batch: CodedBatch) -> RgbBatch:
    """Decode PQ planes.

    Args:
        batch: PQ frames of any matrix, range, primaries, siting, subsampling and bit depth.

    Returns:
        float32, [0, 1]; what lies outside is clipped. Other primaries than BT.2020 are converted in
        linear light.

    Raises:
        ValueError: The planes are not PQ.
    """
    signal = batch.signal
    if signal.transfer is not Transfer.PQ:
        raise ValueError(f"The transfer function is {signal.transfer.value}; expected PQ.")
    pixels = planes_to_rgb(batch).clamp_(0.0, 1.0)
    if signal.primaries is not Primaries.BT2020:
        pixels = light_to_pq(pq_eotf(pixels), signal.primaries, white_cd_m2=1.0)
    return RgbBatch(pixels, HDR_DISPLAY, batch.timeline)


def light_to_pq(light: torch.Tensor, primaries: Primaries, white_cd_m2: float) -> torch.Tensor:
    """Encode linear light as BT.2020 PQ.

    Args:
        light: (N, 3, H, W), floating, linear R, G, B; may be infinite.
        primaries: Those of `light`.
        white_cd_m2: Luminance of R = G = B = 1, cd/m2.

    Returns:
        R'G'B', same shape, [0, 1]; colours outside BT.2020 and light above 10 000 cd/m2 are
        clipped.
    """
    # Two infinite channels would meet with opposite signs in the matrix, and be no number.
    highest = torch.finfo(light.dtype).max
    light_cd_m2 = (light * white_cd_m2).clamp_(-highest, highest)
    if primaries is not Primaries.BT2020:
        matrix = rgb_to_rgb_matrix(primaries, Primaries.BT2020)
        light_cd_m2 = apply_matrix(matrix, light_cd_m2)
    return pq_inverse_eotf(light_cd_m2)


def primaries_of_chromaticities(chromaticities: tuple[float, ...]) -> Primaries | None:
    """Name the primaries that a file describes by numbers.

    Args:
        chromaticities: x and y of red, green, blue and white, 8 numbers.

    Returns:
        The set whose every coordinate is within 0.002; None if there is none.
    """
    for primaries, known in CHROMATICITIES.items():
        expected = (*known.red, *known.green, *known.blue, *D65)
        if np.allclose(chromaticities, expected, rtol=0.0, atol=CHROMATICITY_TOLERANCE):
            return primaries
    return None
