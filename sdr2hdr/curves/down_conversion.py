"""The ways back from HDR to SDR, by name, readable without importing torch.

"bt2446a-report" and "bt2446c" are the report's own down-conversions; "bt2408" and "bt2446a" undo
our curves. `way_back` says which one proves that a method has kept the grade.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from types import MappingProxyType

from sdr2hdr.curves.registry import CURVES, CurveFunction
from sdr2hdr.errors import ModelError

__all__ = ["DOWN_CONVERSIONS", "load_down_conversion", "way_back"]

DOWN_CONVERSIONS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "bt2408": ("bt2408_forward", "bt2408_forward"),
        "bt2446a": ("bt2446a_forward", "bt2446a_undo"),
        "bt2446a-report": ("bt2446a_forward", "bt2446a_forward"),
        "bt2446c": ("bt2446c_forward", "bt2446c_forward"),
    }
)
"""Module and function of each."""

_NETWORKS_WAY_BACK = "bt2446a"


def way_back(method: str) -> str:
    """Name the down-conversion that a method's HDR is judged with.

    A curve has its own. A network is trained around BT.2446-A, so what it changes beyond that
    curve is what is reported.
    """
    return method if method in CURVES else _NETWORKS_WAY_BACK


def load_down_conversion(name: str) -> CurveFunction:
    """Give a function from PQ R'G'B' (`HDR_DISPLAY`) to SDR R'G'B' (`BT709_DISPLAY`).

    Raises:
        ModelError: There is no down-conversion of that name.
    """
    if name not in DOWN_CONVERSIONS:
        raise ModelError(
            f"There is no down-conversion {name!r}; expected one of {', '.join(DOWN_CONVERSIONS)}."
        )
    module, function = DOWN_CONVERSIONS[name]
    return getattr(import_module(f"sdr2hdr.curves.{module}"), function)
