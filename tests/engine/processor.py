"""What this processor lacks."""

from __future__ import annotations

import pytest
import torch

from sdr2hdr.networks.half_precision import takes_bf16

__all__ = ["needs_bf16"]

needs_bf16 = pytest.mark.skipif(
    not takes_bf16(torch.device("cpu")), reason="this processor cannot compute bfloat16"
)
