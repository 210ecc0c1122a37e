"""Programs on ONNX Runtime: each stage a graph of its own, on a CPU, CUDA or TensorRT."""

from __future__ import annotations

import copy
import ctypes
import os
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import nn

from sdr2hdr.engine.graph_cache import GraphCache, module_key
from sdr2hdr.engine.onnx_graph import module_to_onnx
from sdr2hdr.engine.onnx_runtime import onnxruntime
from sdr2hdr.engine.placement import Placement
from sdr2hdr.errors import BackendUnavailableError
from sdr2hdr.networks.stages import INPUT, OUTPUT, FrameStep, Program, Stage

__all__ = ["prepare_for_onnx"]

_EXAMPLE_SIDE_PX = 48
_RESULT = "result"
_NUMPY_TYPES = {torch.float32: np.float32, torch.float16: np.float16}


def prepare_for_onnx(
    program: Program, placement: Placement, cache: GraphCache | None = None
) -> Program:
    """Replace the stages of a program with ONNX graphs.

    Summaries and steps that look at the whole frame stay in torch: they are small. In fp16 the last
    stage is an fp32 graph all the same, as on torch.

    Args:
        program: Modules in eval mode, float32, on the CPU; left as they are.
        placement: Of the ONNX backend.
        cache: Where graphs are kept; None is the user's.

    Returns:
        A program whose modules take maps of any dtype.

    Raises:
        BackendUnavailableError: ONNX Runtime does not start on the device.
    """
    cache = cache or GraphCache()
    prepared: list[Stage | FrameStep] = []
    examples = _example_inputs(program)
    for step in copy.deepcopy(program):
        if isinstance(step, FrameStep):
            step.module.to(placement.device)
            prepared.append(step)
            continue
        if step.summary is not None:
            step.summary.module.to(placement.device)
        half = placement.precision == "fp16" and step.output != OUTPUT
        dtype = torch.float16 if half else torch.float32
        graph = _graph(step, examples[step.name], dtype, cache)
        module = _OnnxStage(graph, step.scale, placement, dtype)
        prepared.append(replace(step, module=module, asks_sides=False))
    return tuple(prepared)


def _example_inputs(program: Program) -> dict[str, list[torch.Tensor]]:
    """What each stage is called with, by running the program on two small frames."""
    pixels = torch.full((2, 3, _EXAMPLE_SIDE_PX, _EXAMPLE_SIDE_PX + 8), 0.5)
    maps, vectors = {INPUT: pixels}, dict[str, torch.Tensor]()
    examples: dict[str, list[torch.Tensor]] = {}
    with torch.no_grad():
        for step in program:
            if isinstance(step, FrameStep):
                vectors[step.vector] = step.module(pixels)
                continue
            inputs = [*(maps[name] for name in step.maps), *(vectors[v] for v in step.vectors)]
            examples[step.name] = inputs
            result = step.module(*inputs)
            if step.output is not None:
                maps[step.output] = result
            if step.summary is not None:
                variance, mean = torch.var_mean(result, dim=(2, 3), correction=0)
                vectors[step.summary.vector] = step.summary.module(mean, variance.sqrt())
    return examples


def _graph(
    stage: Stage, examples: Sequence[torch.Tensor], dtype: torch.dtype, cache: GraphCache
) -> bytes:
    module = stage.module.to(dtype)
    names = [*stage.maps, *stage.vectors]

    def make() -> bytes:
        inputs = [example.to(dtype) for example in examples]
        return module_to_onnx(module, inputs, names, _RESULT).SerializeToString()

    return cache.get(module_key(module, stage.name), make)


class _OnnxStage(nn.Module):
    """A stage whose graph ONNX Runtime computes, on memory that torch owns."""

    def __init__(self, graph: bytes, scale: int, placement: Placement, dtype: torch.dtype) -> None:
        super().__init__()
        self.session = _session(graph, placement)
        self.input_names = [value.name for value in self.session.get_inputs()]
        self.channels = int(self.session.get_outputs()[0].shape[1])
        self.scale = scale
        self.dtype = dtype
        self.device = placement.device

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
        frames, _, height_px, width_px = inputs[0].shape
        result = torch.empty(
            (frames, self.channels, height_px * self.scale, width_px * self.scale),
            dtype=self.dtype,
            device=self.device,
        )
        own = [value.to(self.dtype).contiguous() for value in inputs]
        binding = self.session.io_binding()
        for name, value in zip(self.input_names, own, strict=True):
            binding.bind_input(name, *self._place(value))
        binding.bind_output(_RESULT, *self._place(result))
        if self.device.type == "cuda":
            # The two libraries have their own queues of work.
            torch.cuda.current_stream(self.device).synchronize()
        self.session.run_with_iobinding(binding)
        if self.device.type == "cuda":
            binding.synchronize_outputs()
        return result

    def _place(self, value: torch.Tensor) -> tuple[str, int, Any, tuple[int, ...], int]:
        element = _NUMPY_TYPES[self.dtype]
        return (
            self.device.type,
            self.device.index or 0,
            element,
            tuple(value.shape),
            value.data_ptr(),
        )


def _session(graph: bytes, placement: Placement) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    # Each tile is computed by one thread; see `tile_workers`.
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    providers = _providers(placement.device)
    try:
        session = onnxruntime.InferenceSession(graph, options, providers=providers)
    except Exception as error:  # ONNX Runtime's own errors have no common base.
        raise BackendUnavailableError(
            f"ONNX Runtime {onnxruntime.__version__} does not start on {placement.device}: "
            f"{error}. --backend torch does without it."
        ) from error
    found = session.get_providers()
    if placement.device.type == "cuda" and "CUDAExecutionProvider" not in found:
        raise BackendUnavailableError(
            f"ONNX Runtime {onnxruntime.__version__} cannot use {placement.device} and offers "
            f"{', '.join(found)}; expected CUDA and cuDNN of the versions it was built for. "
            "--backend torch or --device cpu does without them."
        )
    return session


def _providers(device: torch.device) -> list[str | tuple[str, dict[str, str]]]:
    """What may compute on a device, best first."""
    if device.type == "cpu":
        return ["CPUExecutionProvider"]
    index = str(device.index or 0)
    providers: list[str | tuple[str, dict[str, str]]] = [
        ("CUDAExecutionProvider", {"device_id": index, "use_tf32": "0"}),
        "CPUExecutionProvider",
    ]
    if _has_tensorrt():
        tensorrt = ("TensorrtExecutionProvider", {"device_id": index} | _kept_engines())
        providers.insert(0, tensorrt)
    return providers


def _kept_engines() -> dict[str, str]:
    """TensorRT's options that keep its engines; none where no folder takes them."""
    try:
        folder = GraphCache().folder / "tensorrt"
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return {}
    return {
        "trt_engine_cache_enable": "1",
        "trt_engine_cache_path": str(folder),
        "trt_timing_cache_enable": "1",
        "trt_timing_cache_path": str(folder),
    }


def _has_tensorrt() -> bool:
    """Whether the provider is built in and TensorRT's own library is here to load."""
    if "TensorrtExecutionProvider" not in onnxruntime.get_available_providers():
        return False
    library = "nvinfer_10.dll" if os.name == "nt" else "libnvinfer.so.10"
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True
