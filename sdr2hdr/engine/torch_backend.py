"""Programs on torch: the reference on a CPU in fp32, and half precision where it does no harm."""

from __future__ import annotations

import contextlib
import copy
from dataclasses import replace

import torch
from torch import nn

from sdr2hdr.engine.placement import Placement
from sdr2hdr.engine.torch_layers import has_fast_layers, joins_maps, replace_layers
from sdr2hdr.networks.stages import (
    GIVES_OUTPUT,
    OUTPUT,
    FrameStep,
    Program,
    Sides,
    Stage,
)

__all__ = ["MAP_DTYPES", "prepare_for_torch", "reproducible_kernels"]

MAP_DTYPES = {"fp32": torch.float16, "bf16": torch.bfloat16, "fp16": torch.float16}
"""What the maps between stages are kept in, by precision of the arithmetic. Those of fp32 take half
the room in float16, which moves samples by a few tenths of a code of 10 bits at most."""


def prepare_for_torch(program: Program, placement: Placement) -> Program:
    """Copy a program to where it is computed.

    In half precision only convolutions are computed in half, and not those that carry the picture
    to the output, whose codes half precision could not tell apart (`GIVES_OUTPUT`). On CUDA, and
    where torch has no fast layers, all of the last stage is fp32, and autocast does the rest.

    Args:
        program: Modules in eval mode, float32; left as they are.
        placement: Of the torch backend.

    Returns:
        A program whose modules take maps of any dtype.
    """
    half = None if placement.precision == "fp32" else MAP_DTYPES[placement.precision]
    is_fast = placement.device.type == "cpu" and has_fast_layers()
    prepared: list[Stage | FrameStep] = []
    # One deep copy of the whole: layers that stages have in common stay so.
    for step in copy.deepcopy(program):
        step.module.to(placement.device).to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        is_last = isinstance(step, Stage) and step.output == OUTPUT
        is_half = half is not None and isinstance(step, Stage)
        if is_fast:
            is_half = is_half and (not is_last or hasattr(step.module, GIVES_OUTPUT))
            replace_layers(step.module, half if half is not None and is_half else torch.float32)
        if isinstance(step, FrameStep):
            prepared.append(step)
            continue
        if step.summary is not None:
            step.summary.module.to(placement.device)
        if half is None or (is_last and not (is_fast and is_half)):
            # Fast layers convert maps as they read them.
            converts = is_fast and step.reads_once
            module = step.module if converts else _InSinglePrecision(step.module)
            step = replace(step, module=module, copies_maps=True)
        elif is_fast:
            step = replace(step, copies_maps=joins_maps(step.module))
        else:
            step = replace(step, module=_InHalfPrecision(step.module, half))
        prepared.append(step)
    return tuple(prepared)


def reproducible_kernels(device: torch.device) -> contextlib.AbstractContextManager[None]:
    """While it holds, CUDA convolutions are deterministic, and fp32 is not TensorFloat-32."""
    if device.type != "cuda":
        return contextlib.nullcontext()
    return torch.backends.cudnn.flags(
        enabled=True, benchmark=False, deterministic=True, allow_tf32=False
    )


class _InSinglePrecision(nn.Module):
    """A stage computed in fp32, whatever its maps are kept in, and however they were cut out."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, *inputs: torch.Tensor, **about: Sides) -> torch.Tensor:
        return self.module(*(_single(value) for value in inputs), **about)


def _single(value: torch.Tensor) -> torch.Tensor:
    if value.ndim != 4:
        return value.float()
    value = value.to(torch.float32, memory_format=torch.channels_last)
    return value.contiguous(memory_format=torch.channels_last)


class _InHalfPrecision(nn.Module):
    """A stage whose convolutions are computed in half precision."""

    def __init__(self, module: nn.Module, dtype: torch.dtype) -> None:
        super().__init__()
        self.module = module
        self.dtype = dtype

    def forward(self, *inputs: torch.Tensor, **about: Sides) -> torch.Tensor:
        # No cache: it would keep halves of the weights alive for as long as an outer context holds.
        with torch.autocast(inputs[0].device.type, self.dtype, cache_enabled=False):
            return self.module(*inputs, **about)
