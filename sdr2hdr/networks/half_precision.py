"""Whether half precision works, and whether it pays: without instructions for it, it is slow."""

from __future__ import annotations

import torch

__all__ = ["computes_bf16", "takes_bf16"]


def computes_bf16(device: torch.device) -> bool:
    """Whether `device` multiplies bfloat16 in hardware.

    CPUs do with AVX512-BF16 or AMX, CUDA devices from compute capability 8.0 on.
    """
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    # torch has no public name for these two before version 2.9.
    return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()


def takes_bf16(device: torch.device) -> bool:
    """Whether convolutions can be computed in bfloat16 on `device`, however slowly.

    oneDNN, which computes them on CPUs, emulates it with AVX-512 and refuses it with AVX2.
    """
    if device.type != "cpu" or not torch.backends.mkldnn.is_available():
        return True
    # torch has no public name for this one.
    return torch.ops.mkldnn._is_mkldnn_bf16_supported()
