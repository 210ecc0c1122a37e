"""ICtCp, the space in which hue and colour differences of HDR pictures are judged."""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray

from sdr2hdr.colour.channels import apply_matrix
from sdr2hdr.colour.transfer import pq_eotf, pq_inverse_eotf

__all__ = ["hue_degrees", "ictcp_to_rgb", "rgb_to_ictcp"]

_RGB_TO_LMS = np.array([[1688, 2146, 262], [683, 2951, 462], [99, 309, 3688]]) / 4096
"""Rec. ITU-R BT.2100-2, Table 7."""

_LMS_TO_ICTCP = np.array([[2048, 2048, 0], [6610, -13613, 7003], [17933, -17390, -543]]) / 4096
"""Rec. ITU-R BT.2100-2, Table 7, for PQ."""


@cache
def _lms_to_rgb() -> NDArray[np.floating]:
    return np.linalg.inv(_RGB_TO_LMS)


@cache
def _ictcp_to_lms() -> NDArray[np.floating]:
    return np.linalg.inv(_LMS_TO_ICTCP)


def rgb_to_ictcp(rgb_cd_m2: torch.Tensor) -> torch.Tensor:
    """Turn light into ICtCp.

    Args:
        rgb_cd_m2: (N, 3, H, W), floating, linear BT.2020 R, G, B, cd/m2, [0, 10000].

    Returns:
        I in [0, 1], Ct and Cp in [-0.5, 0.5]; same shape.

    Source:
        Rec. ITU-R BT.2100-2, Table 7.
    """
    return apply_matrix(_LMS_TO_ICTCP, pq_inverse_eotf(apply_matrix(_RGB_TO_LMS, rgb_cd_m2)))


def ictcp_to_rgb(ictcp: torch.Tensor) -> torch.Tensor:
    """Undo `rgb_to_ictcp`; colours outside BT.2020 come out with negative light."""
    return apply_matrix(_lms_to_rgb(), pq_eotf(apply_matrix(_ictcp_to_lms(), ictcp)))


def hue_degrees(ictcp: torch.Tensor) -> torch.Tensor:
    """Angle of the colour in the Ct, Cp plane.

    Args:
        ictcp: (N, 3, H, W), floating.

    Returns:
        (N, H, W), degrees from the Ct axis towards Cp, (-180, 180]; 0 for neutral.
    """
    return torch.rad2deg(torch.atan2(ictcp[:, 2], ictcp[:, 1]))
