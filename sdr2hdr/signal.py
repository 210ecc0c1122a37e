"""What the numbers of a video signal mean: primaries, transfer, matrix, range, siting.

Values of the enumerations are the code points of Rec. ITU-T H.273 (07/2021), Tables 2, 3 and 4,
wherever one exists, so that a tag read from a file and a member here are the same thing.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, IntEnum

__all__ = [
    "BT709_DISPLAY",
    "HDR10_CODES",
    "HDR10_SIGNAL",
    "HDR_DISPLAY",
    "REFERENCE_WHITE_CD_M2",
    "SDR_WHITE_CD_M2",
    "ChromaSiting",
    "CodedSignal",
    "ColourRange",
    "Matrix",
    "Primaries",
    "RgbSignal",
    "Subsampling",
    "Transfer",
]

REFERENCE_WHITE_CD_M2 = 203.0
"""HDR reference white, 58% PQ (Rep. ITU-R BT.2408-8, section 2.1)."""

SDR_WHITE_CD_M2 = 100.0
"""White of the reference SDR display (Rec. ITU-R BT.2035)."""


class Primaries(IntEnum):
    """Colour primaries (H.273 Table 2); every one here has a D65 white point."""

    BT709 = 1
    BT601_625 = 5
    BT601_525 = 6
    BT2020 = 9
    P3_D65 = 12


class Transfer(Enum):
    """How signal becomes light on the display.

    For SDR this is the display's side, not the camera's: H.273 codes 1, 6, 14 and 15 name camera
    curves, and pictures made with any of them are graded on a BT.1886 display.
    """

    BT1886 = "bt1886"
    GAMMA22 = "gamma22"
    GAMMA28 = "gamma28"
    SRGB = "srgb"
    PQ = "pq"


class Matrix(IntEnum):
    """Matrix coefficients (H.273 Table 4). BT601 stands for codes 5 and 6, which are equal."""

    RGB = 0
    BT709 = 1
    BT601 = 6
    BT2020_NCL = 9


class ColourRange(Enum):
    """Limited ("video", black at 16 x 2^(n-8)) or full (black at 0) quantisation."""

    LIMITED = "limited"
    FULL = "full"


class ChromaSiting(Enum):
    """Where a subsampled chroma sample lies among its luma samples (H.273 Figure 10, for 4:2:0).

    The value is H.273's chroma sample location type.
    """

    LEFT = 0
    CENTRE = 1
    TOP_LEFT = 2


class Subsampling(Enum):
    """Chroma format; the value is (horizontal, vertical) luma samples per chroma sample."""

    YUV420 = (2, 2)
    YUV422 = (2, 1)
    YUV411 = (4, 1)
    YUV444 = (1, 1)

    @property
    def horizontal(self) -> int:
        """Luma samples per chroma sample along a row."""
        return self.value[0]

    @property
    def vertical(self) -> int:
        """Luma samples per chroma sample along a column."""
        return self.value[1]


@dataclass(frozen=True)
class CodedSignal:
    """What the integers of a Y'CbCr (or G'B'R') picture mean.

    With `Matrix.RGB` the planes "Y', Cb, Cr" hold G', B', R' (H.273 equation 38 ff.).
    """

    matrix: Matrix
    colour_range: ColourRange
    primaries: Primaries
    transfer: Transfer
    siting: ChromaSiting
    subsampling: Subsampling
    bit_depth: int

    def __post_init__(self) -> None:
        if self.bit_depth not in (8, 10, 12, 16):
            raise ValueError(f"Bit depth is {self.bit_depth}; expected 8, 10, 12 or 16.")
        if self.matrix is Matrix.RGB and self.subsampling is not Subsampling.YUV444:
            raise ValueError(f"RGB planes are never subsampled; found {self.subsampling.name}.")

    @property
    def black_code(self) -> int:
        """Luma code of black: 0, or 16 x 2^(n-8) in limited range (Rec. ITU-R BT.709-6, 4.5)."""
        return 0 if self.colour_range is ColourRange.FULL else 16 << (self.bit_depth - 8)

    @property
    def neutral_chroma_code(self) -> int:
        """Chroma code of no colour: 2^(n-1)."""
        return 1 << (self.bit_depth - 1)


@dataclass(frozen=True)
class RgbSignal:
    """What the numbers 0 to 1 of a non-linear R'G'B' picture mean."""

    primaries: Primaries
    transfer: Transfer


BT709_DISPLAY = RgbSignal(Primaries.BT709, Transfer.BT1886)
"""What every method takes: BT.709 primaries, BT.1886 light (gamma 2.4)."""

HDR_DISPLAY = RgbSignal(Primaries.BT2020, Transfer.PQ)
"""What every method gives: BT.2020 primaries, ST 2084 (PQ), 1.0 = 10 000 cd/m2."""

HDR10_SIGNAL = CodedSignal(
    matrix=Matrix.BT2020_NCL,
    colour_range=ColourRange.LIMITED,
    primaries=Primaries.BT2020,
    transfer=Transfer.PQ,
    siting=ChromaSiting.TOP_LEFT,
    subsampling=Subsampling.YUV420,
    bit_depth=10,
)
"""HDR10 as it is delivered: BT.2100 PQ, 10-bit limited 4:2:0, chroma top-left (type 2)."""

HDR10_CODES = 876
"""From its black, 64, to its white, 940 (Rec. ITU-R BT.2100-2, Table 9)."""
