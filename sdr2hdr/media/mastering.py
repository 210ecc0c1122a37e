"""The display that HDR10 video says it was graded on (SMPTE ST 2086)."""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass

from sdr2hdr.errors import UsageError

__all__ = [
    "BT2020_1000",
    "CHROMATICITY_STEP",
    "LUMINANCE_STEP_CD_M2",
    "MASTERING_DISPLAYS",
    "P3_D65_1000",
    "P3_D65_4000",
    "Chromaticity",
    "MasteringDisplay",
    "mastering_display",
]

CHROMATICITY_STEP = 0.00002
"""ST 2086: chromaticity coordinates are coded in steps of 0.00002."""
LUMINANCE_STEP_CD_M2 = 0.0001
"""ST 2086: luminances are coded in steps of 0.0001 cd/m2."""

Chromaticity = tuple[float, float]
"""CIE 1931 x and y."""


@dataclass(frozen=True)
class MasteringDisplay:
    """Primaries, white and luminance range of a mastering display.

    Attributes:
        red: x and y, each [0, 1]; likewise `green`, `blue` and `white`.
        max_luminance_cd_m2: Brightest white, above `min_luminance_cd_m2`.
        min_luminance_cd_m2: Darkest black.

    Raises:
        ValueError: A coordinate or luminance cannot be coded, or the range is empty.

    Source:
        SMPTE ST 2086:2018, clause 5 (what is stored) and its coding steps, which Rec. ITU-T
        H.265 D.3.28 and ISO/IEC 14496-12 `mdcv` repeat.
    """

    red: Chromaticity
    green: Chromaticity
    blue: Chromaticity
    white: Chromaticity
    max_luminance_cd_m2: float
    min_luminance_cd_m2: float

    def __post_init__(self) -> None:
        for name in ("red", "green", "blue", "white"):
            if not all(0 <= coordinate <= 1 for coordinate in getattr(self, name)):
                raise ValueError(
                    f"Chromaticity of {name} is {getattr(self, name)}; expected 0 to 1."
                )
        low, high = self.min_luminance_cd_m2, self.max_luminance_cd_m2
        if not 0 <= low < high < (1 << 32) * LUMINANCE_STEP_CD_M2:
            raise ValueError(
                f"Mastering luminance is {low} to {high} cd/m2; expected 0 <= min < max."
            )

    def coded(self) -> tuple[int, ...]:
        """The ten integers of ST 2086, in the order that streams and boxes store them.

        Returns:
            x and y of green, blue, red and white in steps of 0.00002, then the maximum and the
            minimum luminance in steps of 0.0001 cd/m2.
        """
        points = (self.green, self.blue, self.red, self.white)
        return (
            *(round(coordinate / CHROMATICITY_STEP) for point in points for coordinate in point),
            round(self.max_luminance_cd_m2 / LUMINANCE_STEP_CD_M2),
            round(self.min_luminance_cd_m2 / LUMINANCE_STEP_CD_M2),
        )

    def x265_text(self) -> str:
        """The display as x265's `master-display` takes it.

        >>> P3_D65_1000.x265_text()
        'G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,1)'
        """
        return "G({},{})B({},{})R({},{})WP({},{})L({},{})".format(*self.coded())

    def svt_text(self) -> str:
        """The display as SVT-AV1's `mastering-display` takes it: in plain numbers.

        >>> P3_D65_1000.svt_text()
        'G(0.265,0.69)B(0.15,0.06)R(0.68,0.32)WP(0.3127,0.329)L(1000,0.0001)'
        """
        points = (self.green, self.blue, self.red, self.white)
        numbers = [coordinate for point in points for coordinate in point]
        numbers += [self.max_luminance_cd_m2, self.min_luminance_cd_m2]
        return "G({},{})B({},{})R({},{})WP({},{})L({},{})".format(
            *(f"{number:.8g}" for number in numbers)
        )

    def mdcv_payload(self) -> bytes:
        """The 24 bytes inside an ISO base media `mdcv` box.

        Source:
            ISO/IEC 14496-12:2022, MasteringDisplayColourVolumeBox.
        """
        return struct.pack(">8H2I", *self.coded())


_D65: Chromaticity = (0.3127, 0.3290)
_P3: tuple[Chromaticity, Chromaticity, Chromaticity] = (
    (0.680, 0.320),
    (0.265, 0.690),
    (0.150, 0.060),
)
_BT2020: tuple[Chromaticity, Chromaticity, Chromaticity] = (
    (0.708, 0.292),
    (0.170, 0.797),
    (0.131, 0.046),
)

P3_D65_1000 = MasteringDisplay(*_P3, _D65, 1000.0, 0.0001)
"""What our methods are made for: at most 1000 cd/m2, colours of today's grading displays."""
P3_D65_4000 = MasteringDisplay(*_P3, _D65, 4000.0, 0.005)
BT2020_1000 = MasteringDisplay(*_BT2020, _D65, 1000.0, 0.0001)

MASTERING_DISPLAYS: Mapping[str, MasteringDisplay] = {
    "p3-d65-1000": P3_D65_1000,
    "p3-d65-4000": P3_D65_4000,
    "bt2020-1000": BT2020_1000,
}
"""Displays by name; P3 as in SMPTE RP 431-2 with D65 white, BT.2020 as in Rec. ITU-R BT.2020-2."""

_VALUES = re.compile(
    r"G\((\d+),(\d+)\)B\((\d+),(\d+)\)R\((\d+),(\d+)\)WP\((\d+),(\d+)\)L\((\d+),(\d+)\)"
)


def mastering_display(text: str) -> MasteringDisplay:
    """The display of a name, or of values in the form that x265 takes.

    Args:
        text: A key of `MASTERING_DISPLAYS`, or "G(x,y)B(x,y)R(x,y)WP(x,y)L(max,min)" in ST 2086's
            steps of 0.00002 and 0.0001 cd/m2.

    Raises:
        UsageError: It is neither, or the values are impossible.

    >>> mastering_display(P3_D65_1000.x265_text()) == P3_D65_1000
    True
    """
    named = MASTERING_DISPLAYS.get(text.lower())
    if named is not None:
        return named
    match = _VALUES.fullmatch(re.sub(r"\s", "", text))
    if match is None:
        raise UsageError(
            f"The mastering display is {text!r}; expected one of {', '.join(MASTERING_DISPLAYS)}, "
            'or values such as "' + P3_D65_1000.x265_text() + '" (--mastering).'
        )
    codes = [int(group) for group in match.groups()]
    # Divided rather than multiplied by the step, so that 34000 is 0.68 and not its neighbour.
    x_y = [code / 50_000 for code in codes[:8]]
    try:
        return MasteringDisplay(
            green=(x_y[0], x_y[1]),
            blue=(x_y[2], x_y[3]),
            red=(x_y[4], x_y[5]),
            white=(x_y[6], x_y[7]),
            max_luminance_cd_m2=codes[8] / 10_000,
            min_luminance_cd_m2=codes[9] / 10_000,
        )
    except ValueError as error:
        raise UsageError(f"{error} --mastering sets it.") from error
