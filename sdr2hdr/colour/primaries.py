"""Colour primaries, and the linear-light matrices that follow from them.

Every primary set here has the same white, D65, so no chromatic adaptation is ever needed.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from sdr2hdr.signal import Primaries

__all__ = [
    "CHROMATICITIES",
    "D65",
    "Chromaticities",
    "luminance_coefficients",
    "rgb_to_rgb_matrix",
    "rgb_to_xyz_matrix",
]

D65 = (0.3127, 0.3290)
"""CIE 1931 x, y of the white of every primary set here (H.273 Table 2)."""


@dataclass(frozen=True)
class Chromaticities:
    """CIE 1931 x, y of the three primaries."""

    red: tuple[float, float]
    green: tuple[float, float]
    blue: tuple[float, float]


CHROMATICITIES = {
    # Rec. ITU-R BT.709-6, item 1.3
    Primaries.BT709: Chromaticities((0.640, 0.330), (0.300, 0.600), (0.150, 0.060)),
    # Rec. ITU-R BT.601-7, 625 lines; H.273 Table 2, code 5
    Primaries.BT601_625: Chromaticities((0.640, 0.330), (0.290, 0.600), (0.150, 0.060)),
    # Rec. ITU-R BT.601-7, 525 lines; SMPTE ST 170; H.273 Table 2, code 6
    Primaries.BT601_525: Chromaticities((0.630, 0.340), (0.310, 0.595), (0.155, 0.070)),
    # Rec. ITU-R BT.2020-2, Table 3
    Primaries.BT2020: Chromaticities((0.708, 0.292), (0.170, 0.797), (0.131, 0.046)),
    # SMPTE EG 432-1 with a D65 white (H.273 Table 2, code 12)
    Primaries.P3_D65: Chromaticities((0.680, 0.320), (0.265, 0.690), (0.150, 0.060)),
}


def _xyz_of(x: float, y: float) -> list[float]:
    return [x / y, 1.0, (1.0 - x - y) / y]


@cache
def rgb_to_xyz_matrix(primaries: Primaries) -> NDArray[np.floating]:
    """Matrix from linear R, G, B to CIE XYZ, where R = G = B = 1 has Y = 1.

    Returns:
        (3, 3), float64, read-only; it multiplies column vectors from the left.

    Source:
        SMPTE RP 177-1993.
    """
    chromaticities = CHROMATICITIES[primaries]
    columns = np.array(
        [
            _xyz_of(*chromaticities.red),
            _xyz_of(*chromaticities.green),
            _xyz_of(*chromaticities.blue),
        ]
    ).T
    matrix = columns * np.linalg.solve(columns, np.array(_xyz_of(*D65)))
    matrix.setflags(write=False)
    return matrix


@cache
def rgb_to_rgb_matrix(source: Primaries, target: Primaries) -> NDArray[np.floating]:
    """Matrix from linear R, G, B of one primary set to another; white stays white.

    Returns:
        (3, 3), float64, read-only; it multiplies column vectors from the left.

    Source:
        Rec. ITU-R BT.2087-0, Annex 1, generalised to any two primary sets with a D65 white.
    """
    matrix = np.linalg.solve(rgb_to_xyz_matrix(target), rgb_to_xyz_matrix(source))
    matrix.setflags(write=False)
    return matrix


def luminance_coefficients(primaries: Primaries) -> NDArray[np.floating]:
    """Weights of linear R, G, B in the luminance Y; (3,), float64, they sum to 1."""
    return rgb_to_xyz_matrix(primaries)[1]
