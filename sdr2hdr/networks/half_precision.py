"""Whether half precision pays: a device without instructions for it computes it in slow motion."""

from __future__ import annotations

import torch

__all__ = ["computes_bf16", "has_amx"]


def computes_bf16(device: torch.device) -> bool:
    """Whether `device` multiplies bfloat16 in hardware.

    CPUs do with AVX512-BF16 or AMX; on others it is emulated, which is slower than float32. CUDA
    devices do from compute capability 8.0 on.
    """
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    # torch has no public name for this one and AMX's before version 2.9.
    return torch.cpu._is_avx512_bf16_supported() or has_amx()


def has_amx() -> bool:
    """Whether the CPU multiplies bfloat16 in tiles of registers (Intel's AMX)."""
    return torch.cpu._is_amx_tile_supported()
