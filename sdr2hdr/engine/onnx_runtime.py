"""ONNX Runtime as every module here takes it: with its telemetry off.

Some builds of it, 1.31.1 for Linux among them, make a number for the machine as soon as they are
loaded, and keep it in the user's cache beside events that are to be sent to their maker. Footage is
often under lock and key: a converter tells nobody what runs where. A variable that the user has set
stays as it is.
"""

from __future__ import annotations

import os

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

# Reads the variable as it is loaded.
import onnxruntime

__all__ = ["onnxruntime"]
