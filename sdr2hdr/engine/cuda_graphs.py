"""Stages recorded as CUDA graphs, so that a tile costs one launch and not one for each kernel.

A stage is some ten to forty small kernels, and a fast device may be done with one before Python has
started the next. A recorded graph starts them all at once, but only with the shapes and the
addresses it was recorded with. So inputs are copied to where the graph reads them, and a graph
serves one stage and one shape of tile.

A frame has few shapes of tiles (see `tiling.tiles`). In the first frame of a size nothing is
recorded, and shapes are counted; from the second on the most frequent ones have graphs, and what
is rarer is computed kernel by kernel. A frame of another size lets all graphs go, as it does the
maps' memory. The kernels are the same either way, and so should be the bits.

On the device a graph keeps its result (a tile's map: 33 MB for 64 channels of 512 px in half
precision), all graphs share the memory of their inputs, and all share that of what is between. That
is sound as they run one after another, in one stream.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import torch
from torch import nn

from sdr2hdr.engine.placement import Placement
from sdr2hdr.networks.stages import FrameStep, Program, Stage

__all__ = [
    "MOST_GRAPHS",
    "CudaCapture",
    "GraphCapture",
    "GraphedStage",
    "StageGraphs",
    "graphs_for",
]

MOST_GRAPHS = 32
"""Graphs of all stages together. A frame cut into more than three rows and columns has four shapes
of tiles at most, unless they differ by a pixel; the longest network has seven stages."""

_WARM_UP_RUNS = 3
"""Runs before recording, in the stream that records: libraries take their memory in the first ones.
As many as PyTorch's notes on CUDA semantics advise."""

_ALIGNMENT_BYTES = 512
"""Where inputs begin; torch's own allocations begin at multiples of this, and kernels are chosen by
alignment among other things."""

_Key = tuple[int, tuple[tuple[torch.Size, torch.dtype], ...]]


class GraphCapture(Protocol):
    """Records computations; all that one object has recorded run in turn, never at once."""

    def capture(
        self, compute: Callable[[], torch.Tensor]
    ) -> tuple[Callable[[], None], torch.Tensor]:
        """Record a computation.

        Args:
            compute: Reads tensors that stay where they are, and gives a new one.

        Returns:
            What does it again in the current stream, and the tensor that has the result then.
        """
        ...


class CudaCapture:
    """`GraphCapture` on a CUDA device."""

    def __init__(self, device: torch.device) -> None:
        """Set the device."""
        self._device = device
        self._pool = torch.cuda.graph_pool_handle()
        self._stream = torch.cuda.Stream(device)

    def capture(
        self, compute: Callable[[], torch.Tensor]
    ) -> tuple[Callable[[], None], torch.Tensor]:
        """See `GraphCapture`."""
        with torch.cuda.device(self._device):
            current = torch.cuda.current_stream()
            self._stream.wait_stream(current)
            with torch.cuda.stream(self._stream):
                for _ in range(_WARM_UP_RUNS):
                    compute()
            current.wait_stream(self._stream)
            graph = torch.cuda.CUDAGraph()
            # Other threads copy planes meanwhile, which the default mode would not let them.
            with torch.cuda.graph(
                graph,
                pool=self._pool,
                stream=self._stream,
                capture_error_mode="thread_local",
            ):
                result = compute()
        return graph.replay, result


@dataclass(frozen=True)
class _Graph:
    """A recorded stage.

    Attributes:
        inputs: Where it reads; shared with other graphs.
        replay: Computes it.
        result: Where it writes.
    """

    inputs: tuple[torch.Tensor, ...]
    replay: Callable[[], None]
    result: torch.Tensor


class StageGraphs:
    """The graphs of an engine's stages.

    Attributes:
        refusal: Why a stage could not be recorded, after which no more are; None if all went well.
    """

    def __init__(
        self, new_capture: Callable[[], GraphCapture], most_graphs: int = MOST_GRAPHS
    ) -> None:
        """Begin without any.

        Args:
            new_capture: Makes what records; again after all graphs were let go.
            most_graphs: Bound of their number.
        """
        self.refusal: str | None = None
        self._new_capture = new_capture
        self._most_graphs = most_graphs
        self._stages = 0
        self._size_px: tuple[int, int] | None = None
        self.forget()

    @property
    def count(self) -> int:
        """How many graphs there are."""
        return len(self._graphs)

    def wrap(self, program: Program) -> Program:
        """Let the stages of a program be computed by graphs.

        Args:
            program: Prepared for torch on a CUDA device. Its steps on whole frames stay as they
                are.
        """
        return tuple(
            step if isinstance(step, FrameStep) else self._wrapped(step) for step in program
        )

    def begin_frame(self, height_px: int, width_px: int) -> None:
        """Say that the next tiles are a new frame's."""
        if self._size_px != (height_px, width_px):
            self.forget()
            self._size_px = (height_px, width_px)
        elif self._wanted is None:
            frequent = self._seen.most_common(self._most_graphs)
            self._wanted = {key for key, _ in frequent}
            sizes_bytes = [_layout(key)[1] for key in self._wanted]
            self._input_bytes = max(sizes_bytes, default=0)

    def forget(self) -> None:
        """Let all graphs and their memory go; the next frame is as the first one."""
        self._size_px = None
        self._seen: Counter[_Key] = Counter()
        self._wanted: set[_Key] | None = None
        self._graphs: dict[_Key, _Graph] = {}
        self._capture: GraphCapture | None = None
        self._input_bytes = 0
        self._input_memory: torch.Tensor | None = None

    @torch.inference_mode()
    def run(self, stage: int, module: nn.Module, inputs: Sequence[torch.Tensor]) -> torch.Tensor:
        """Compute a stage of a tile.

        Args:
            stage: Its number.
            module: Computes it.
            inputs: Maps (N, C, h, w) and vectors (N, K), all on one device.

        Returns:
            The result; the next call writes over it, so its reader has to be in the same stream.
        """
        key = (stage, tuple((value.shape, value.dtype) for value in inputs))
        graph = self._graphs.get(key)
        if graph is None and self._wanted is not None and key in self._wanted:
            graph = self._recorded(key, module, inputs)
        if graph is None:
            if self._wanted is None:
                self._seen[key] += 1
            return module(*(_laid_out(value) for value in inputs))
        for own, value in zip(graph.inputs, inputs, strict=True):
            own.copy_(value)
        graph.replay()
        return graph.result

    def _wrapped(self, stage: Stage) -> Stage:
        self._stages += 1
        # A graph does the same work wherever in the frame its tile is.
        module = GraphedStage(self, self._stages - 1, stage.module)
        return replace(stage, module=module, asks_sides=False, copies_maps=True)

    def _recorded(
        self, key: _Key, module: nn.Module, inputs: Sequence[torch.Tensor]
    ) -> _Graph | None:
        """Record a stage; None where that is not possible."""
        if self.refusal is not None:
            return None
        if self._capture is None:
            self._capture = self._new_capture()
        own = self._own_inputs(key, inputs[0].device)
        for mine, value in zip(own, inputs, strict=True):
            # The first runs are on true pictures: some values are slow or not numbers.
            mine.copy_(value)
        try:
            replay, result = self._capture.capture(lambda: module(*own))
        except RuntimeError as error:
            shortage = _shortage_of_memory(error)
            self.forget()
            if shortage is not None:
                raise shortage from error
            self.refusal = str(error)
            return None
        graph = self._graphs[key] = _Graph(own, replay, result)
        return graph

    def _own_inputs(self, key: _Key, device: torch.device) -> tuple[torch.Tensor, ...]:
        if self._input_memory is None:
            self._input_memory = torch.empty(self._input_bytes, dtype=torch.uint8, device=device)
        starts, _ = _layout(key)
        own = []
        for (shape, dtype), start in zip(key[1], starts, strict=True):
            end = start + math.prod(shape) * dtype.itemsize
            values = self._input_memory[start:end].view(dtype)
            if len(shape) == 4:
                frames, channels, height_px, width_px = shape
                channels_last = values.view(frames, height_px, width_px, channels)
                own.append(channels_last.permute(0, 3, 1, 2))
            else:
                own.append(values.view(shape))
        return tuple(own)


class GraphedStage(nn.Module):
    """A stage's module, computed by a graph where there is one for the tile's shape."""

    def __init__(self, graphs: StageGraphs, number: int, module: nn.Module) -> None:
        """Wrap `module`, the stage of that number."""
        super().__init__()
        self.module = module
        self._graphs = graphs
        self._number = number

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
        """Map what the module takes to what it gives; see `StageGraphs.run` for how long."""
        return self._graphs.run(self._number, self.module, inputs)


def graphs_for(placement: Placement) -> StageGraphs | None:
    """Graphs where there is something to gain, on torch's backend on CUDA; else None."""
    if placement.backend != "torch" or placement.device.type != "cuda":
        return None
    device = placement.device
    return StageGraphs(lambda: CudaCapture(device))


def _laid_out(value: torch.Tensor) -> torch.Tensor:
    """A map in channels last, which it mostly is already; a vector as it is."""
    return value.contiguous(memory_format=torch.channels_last) if value.ndim == 4 else value


def _layout(key: _Key) -> tuple[list[int], int]:
    """Where the inputs of a graph begin in their memory, and how much of it they take, bytes."""
    starts, end = [], 0
    for shape, dtype in key[1]:
        starts.append(end)
        size_bytes = math.prod(shape) * dtype.itemsize
        end += -(-size_bytes // _ALIGNMENT_BYTES) * _ALIGNMENT_BYTES
    return starts, end


def _shortage_of_memory(error: BaseException | None) -> torch.OutOfMemoryError | None:
    """The shortage behind an error: ending a recording that has failed raises one of its own."""
    while error is not None:
        if isinstance(error, torch.OutOfMemoryError):
            return error
        error = error.__context__
    return None
