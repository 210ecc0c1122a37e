"""H.273 code points: what they stand for here, and which are HDR or wide gamut already."""

from __future__ import annotations

from sdr2hdr.media.bitstreams.bits import UNSPECIFIED
from sdr2hdr.signal import ChromaSiting, ColourRange, Matrix, Primaries, Transfer

__all__ = [
    "AV_RANGES",
    "HLG_CODE",
    "MATRICES",
    "NEAREST_SITINGS",
    "PQ_CODE",
    "PRIMARIES",
    "TRANSFERS",
    "UNKNOWN_CODES",
    "WIDE_MATRICES",
    "WIDE_PRIMARIES",
    "WIDE_TRANSFERS",
    "matrix_name",
    "primaries_name",
    "transfer_name",
]

UNKNOWN_CODES = frozenset({UNSPECIFIED, 3})
"""Unspecified, and reserved 3; 0 is reserved too, but for the matrix, where it is RGB."""

PRIMARIES = {
    1: Primaries.BT709,
    5: Primaries.BT601_625,
    6: Primaries.BT601_525,
    7: Primaries.BT601_525,
    22: Primaries.BT601_525,
}
"""H.273 (07/2021), Table 2. 7 (SMPTE 240M) equals 6; 22 is within 0.016 of it in x and y."""

WIDE_PRIMARIES = frozenset({9, 10, 11, 12})

TRANSFERS = {
    1: Transfer.BT1886,
    4: Transfer.GAMMA22,
    5: Transfer.GAMMA28,
    6: Transfer.BT1886,
    7: Transfer.BT1886,
    13: Transfer.SRGB,
    14: Transfer.BT1886,
    15: Transfer.BT1886,
}
"""H.273 (07/2021), Table 3: camera curves are shown on a BT.1886 display."""

PQ_CODE, HLG_CODE = 16, 18
"""H.273 (07/2021), Table 3: SMPTE ST 2084, ARIB STD-B67."""
WIDE_TRANSFERS = frozenset({PQ_CODE, HLG_CODE})

MATRICES = {0: Matrix.RGB, 1: Matrix.BT709, 5: Matrix.BT601, 6: Matrix.BT601}
"""H.273 (07/2021), Table 4."""

WIDE_MATRICES = frozenset({9, 10, 14, 15})

NEAREST_SITINGS = {
    0: ChromaSiting.LEFT,
    1: ChromaSiting.CENTRE,
    2: ChromaSiting.TOP_LEFT,
    3: ChromaSiting.TOP_LEFT,
    4: ChromaSiting.LEFT,
    5: ChromaSiting.CENTRE,
}
"""Of H.273's chroma sample location types (Figure 10): 3, top, lies half a column of luma away from
the one taken; 4, bottom left, and 5, bottom, half a row."""

AV_RANGES = {ColourRange.LIMITED: 1, ColourRange.FULL: 2}
"""libavutil's AVColorRange."""

PRIMARIES_NAMES = {
    1: "BT.709",
    4: "BT.470 System M",
    5: "BT.601 (625 lines)",
    6: "BT.601 (525 lines)",
    7: "SMPTE 240M",
    8: "generic film",
    9: "BT.2020",
    10: "XYZ (SMPTE ST 428-1)",
    11: "DCI-P3",
    12: "P3-D65",
    22: "EBU Tech 3213 / P22 phosphors",
}
TRANSFER_NAMES = {
    1: "BT.709",
    4: "gamma 2.2",
    5: "gamma 2.8",
    6: "BT.601",
    7: "SMPTE 240M",
    8: "linear",
    9: "logarithmic 100:1",
    10: "logarithmic 316:1",
    11: "xvYCC (IEC 61966-2-4)",
    12: "BT.1361 extended gamut",
    13: "sRGB",
    14: "BT.2020 10 bits",
    15: "BT.2020 12 bits",
    16: "PQ (SMPTE ST 2084)",
    17: "SMPTE ST 428-1",
    18: "HLG (ARIB STD-B67)",
}
MATRIX_NAMES = {
    0: "RGB",
    1: "BT.709",
    4: "FCC",
    5: "BT.601 (625 lines)",
    6: "BT.601",
    7: "SMPTE 240M",
    8: "YCgCo",
    9: "BT.2020 non-constant luminance",
    10: "BT.2020 constant luminance",
    11: "SMPTE ST 2085",
    12: "chromaticity-derived non-constant luminance",
    13: "chromaticity-derived constant luminance",
    14: "ICtCp",
    15: "IPT-PQ-C2",
}


def primaries_name(code: int) -> str:
    """What a code of H.273 Table 2 stands for, with the code itself if it is not known."""
    return PRIMARIES_NAMES.get(code, f"code {code}")


def transfer_name(code: int) -> str:
    """What a code of H.273 Table 3 stands for."""
    return TRANSFER_NAMES.get(code, f"code {code}")


def matrix_name(code: int) -> str:
    """What a code of H.273 Table 4 stands for."""
    return MATRIX_NAMES.get(code, f"code {code}")
