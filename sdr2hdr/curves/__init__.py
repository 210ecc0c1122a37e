"""Curves: methods without weights, one module a standard, in torch that ONNX can express.

Importing this package does not import torch; `load_curve` does.
"""

from __future__ import annotations

from sdr2hdr.curves.registry import CURVES, Curve, CurveFunction, curve_names, load_curve

__all__ = ["CURVES", "Curve", "CurveFunction", "curve_names", "load_curve"]
