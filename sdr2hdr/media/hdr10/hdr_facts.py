"""What one place of a file says about its HDR video, in the units of the standards."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["CODECS_THAT_SAY_LEVELS", "HdrFacts", "StoredMastering"]

CODECS_THAT_SAY_LEVELS = frozenset({"hevc", "av1"})
"""Coded forms whose stream has a place for light levels and mastering display."""


@dataclass(frozen=True)
class StoredMastering:
    """A mastering display just as it is stored, sensible or not (SMPTE ST 2086:2018).

    Attributes:
        red: CIE 1931 x and y; likewise `green`, `blue` and `white`.
        max_luminance_cd_m2: Of white.
        min_luminance_cd_m2: Of black.
    """

    red: tuple[float, float]
    green: tuple[float, float]
    blue: tuple[float, float]
    white: tuple[float, float]
    max_luminance_cd_m2: float
    min_luminance_cd_m2: float

    def is_close_to(self, other: StoredMastering) -> bool:
        """Equal but for the rounding of the coarsest form, AV1's.

        AV1 codes chromaticities in steps of 1/65536, the maximum in steps of 1/256 and the minimum
        in steps of 1/16384 cd/m2 (AV1 specification, 6.7.4); ST 2086 in steps of 0.00002 and
        0.0001.
        """
        mine = (*self.red, *self.green, *self.blue, *self.white)
        others = (*other.red, *other.green, *other.blue, *other.white)
        return (
            all(abs(a - b) <= 4e-5 for a, b in zip(mine, others, strict=True))
            and abs(self.max_luminance_cd_m2 - other.max_luminance_cd_m2) <= 1 / 128
            and abs(self.min_luminance_cd_m2 - other.min_luminance_cd_m2) <= 1.3e-4
        )

    def __str__(self) -> str:
        points = (
            f"{name} {x:.4f},{y:.4f}"
            for name, (x, y) in (
                ("R", self.red),
                ("G", self.green),
                ("B", self.blue),
                ("W", self.white),
            )
        )
        return (
            f"{' '.join(points)}, {self.min_luminance_cd_m2:.4g} to "
            f"{self.max_luminance_cd_m2:g} cd/m2"
        )


@dataclass(frozen=True)
class HdrFacts:
    """Colour as one place says it; None where it is silent ("unspecified" counts as silent).

    Attributes:
        primaries: H.273 code point; likewise `transfer` and `matrix`.
        siting: H.273 chroma sample location type.
        max_cll: MaxCLL, cd/m2.
        max_fall: MaxFALL, cd/m2.
    """

    primaries: int | None = None
    transfer: int | None = None
    matrix: int | None = None
    is_full_range: bool | None = None
    siting: int | None = None
    mastering: StoredMastering | None = None
    max_cll: int | None = None
    max_fall: int | None = None
