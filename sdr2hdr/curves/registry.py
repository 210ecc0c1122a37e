"""The list of curves, readable without importing torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING

from sdr2hdr.errors import ModelError
from sdr2hdr.signal import REFERENCE_WHITE_CD_M2

if TYPE_CHECKING:
    import torch

__all__ = ["CURVES", "Curve", "CurveFunction", "curve_names", "load_curve"]

CurveFunction = Callable[["torch.Tensor"], "torch.Tensor"]
"""From SDR R'G'B' (`BT709_DISPLAY`) to PQ R'G'B' (`HDR_DISPLAY`), both (N, 3, H, W) in [0, 1]."""


@dataclass(frozen=True)
class Curve:
    """A method without weights.

    Attributes:
        name: What the user calls it; also its module here, and the function in that module.
        title: What it does, in a line.
        source: The standard it comes from.
        white_cd_m2: Where SDR white lands.
    """

    name: str
    title: str
    source: str
    white_cd_m2: float

    @property
    def function(self) -> CurveFunction:
        """The curve itself; imports torch."""
        return getattr(import_module(f"sdr2hdr.curves.{self.name}"), self.name)


CURVES: Mapping[str, Curve] = MappingProxyType(
    {
        curve.name: curve
        for curve in (
            Curve(
                name="bt2408",
                title="SDR as it is, its white at HDR reference white",
                source="Rep. ITU-R BT.2408-8, section 5.1.2",
                white_cd_m2=REFERENCE_WHITE_CD_M2,
            ),
            Curve(
                name="bt2446a",
                title="Expansion of luma to 1000 cd/m2, close to how films are graded",
                source="Rep. ITU-R BT.2446-1, section 4.2",
                white_cd_m2=1000.0,
            ),
            Curve(
                name="bt2446c",
                title="Proportional up to skin tones, highlights expanded",
                source="Rep. ITU-R BT.2446-1, section 6.2",
                white_cd_m2=332.58,
            ),
        )
    }
)


def curve_names() -> tuple[str, ...]:
    """Names of all curves."""
    return tuple(CURVES)


def load_curve(name: str) -> CurveFunction:
    """Give the function of a curve.

    Raises:
        ModelError: There is no curve of that name.
    """
    if name not in CURVES:
        raise ModelError(f"There is no curve {name!r}; expected one of {', '.join(CURVES)}.")
    return CURVES[name].function
