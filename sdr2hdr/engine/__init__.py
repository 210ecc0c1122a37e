"""Where methods are computed: tiling, precision, and the torch and ONNX Runtime backends."""

from __future__ import annotations

from sdr2hdr.engine.engine import Engine, load_engine

__all__ = ["Engine", "load_engine"]
