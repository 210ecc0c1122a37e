"""Where and how precisely a method is computed: what was asked for, against what is here."""

from __future__ import annotations

import importlib.util
import re
from dataclasses import dataclass
from typing import Literal

import torch

from sdr2hdr.errors import BackendUnavailableError
from sdr2hdr.networks.half_precision import computes_bf16
from sdr2hdr.options import EngineOptions

__all__ = ["Placement", "resolve_placement"]


@dataclass(frozen=True)
class Placement:
    """A backend, a device and a precision that are available together.

    Attributes:
        precision: Of the network's convolutions, but for those that `prepare_for_torch` leaves out;
            statistics and curves are float32 always; what lies between stages is kept in half
            precision always.
        threads: Threads on a CPU.
    """

    backend: Literal["torch", "onnx"]
    device: torch.device
    precision: Literal["fp32", "bf16", "fp16"]
    threads: int


def resolve_placement(options: EngineOptions) -> Placement:
    """Decide what "auto" means on this machine, and refuse what is not here.

    "auto" is the first CUDA device if there is one, and fp16 there; on a CPU bf16 where it has
    instructions for it (torch alone computes with them), else fp32. "auto" threads are torch's
    choice: one for each core, or what `OMP_NUM_THREADS` says. The answers depend on what the
    machine has and never on a measurement, so that a job gives the same bytes again.

    "auto" is the torch backend everywhere. On AVX2 it takes 0.56 of ONNX Runtime's time (IRNet-2
    collapsed, fp32, 480x270 in tiles of 128 px, two threads, on a busy machine), and ONNX Runtime
    first exports its graphs, which takes seconds and is kept. For the trained form on AVX-512 in
    fp32 it was the other way, 0.7 to 0.8 of torch's time, but before torch computed a tile a thread
    and a collapsed network; torch in bf16 was faster than both.

    Raises:
        BackendUnavailableError: The backend, device or precision asked for is not available.
    """
    backend = "torch" if options.backend == "auto" else options.backend
    if backend == "onnx" and importlib.util.find_spec("onnxruntime") is None:
        raise BackendUnavailableError(
            "ONNX Runtime is not installed; expected the package onnxruntime-gpu or onnxruntime. "
            "Install it, or use --backend torch."
        )
    device = _device(options.device, backend)
    on_cpu = device.type == "cpu"
    precision = options.precision
    if precision == "auto":
        precision = _fastest_precision(device, backend)
    if precision == "fp16" and on_cpu:
        raise BackendUnavailableError(
            "Precision fp16 was asked for on a CPU, which computes it in slow motion; expected "
            "fp32" + (" or bf16" if backend == "torch" else "") + " (--precision) or a CUDA device "
            "(--device)."
        )
    if precision == "bf16" and backend == "onnx":
        raise BackendUnavailableError(
            "Precision bf16 was asked for, which ONNX Runtime lacks the convolutions for; expected "
            "fp32" + ("" if on_cpu else " or fp16") + " (--precision) or --backend torch."
        )
    return Placement(backend, device, precision, options.threads or torch.get_num_threads())


def _fastest_precision(
    device: torch.device, backend: Literal["torch", "onnx"]
) -> Literal["fp32", "bf16", "fp16"]:
    if device.type == "cuda":
        return "fp16"
    return "bf16" if backend == "torch" and computes_bf16(device) else "fp32"


def _device(asked: str, backend: Literal["torch", "onnx"]) -> torch.device:
    if asked == "auto":
        here = torch.cuda.is_available() and (backend == "torch" or _onnx_runtime_has_cuda())
        return torch.device("cuda:0" if here else "cpu")
    if asked == "cpu":
        return torch.device("cpu")
    match = re.fullmatch(r"cuda(?::(\d+))?", asked)
    if match is None:
        raise BackendUnavailableError(
            f'Device "{asked}" is unknown; expected auto, cpu, cuda or cuda:N (--device).'
        )
    if not torch.cuda.is_available():
        raise BackendUnavailableError(
            f'Device "{asked}" was asked for, but torch {torch.__version__} finds no CUDA device; '
            "expected a CUDA build of torch and a working driver, or --device cpu."
        )
    index, count = int(match[1] or 0), torch.cuda.device_count()
    if index >= count:
        raise BackendUnavailableError(
            f'Device "{asked}" was asked for; this machine has {count}, cuda:0 to '
            f"cuda:{count - 1} (--device)."
        )
    if backend == "onnx" and not _onnx_runtime_has_cuda():
        raise BackendUnavailableError(
            f'Device "{asked}" was asked for, but the ONNX Runtime installed here is built without '
            "CUDA; expected the package onnxruntime-gpu, --backend torch or --device cpu."
        )
    return torch.device("cuda", index)


def _onnx_runtime_has_cuda() -> bool:
    from sdr2hdr.engine.onnx_runtime import onnxruntime

    return "CUDAExecutionProvider" in onnxruntime.get_available_providers()
