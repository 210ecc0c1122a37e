"""Graphs of stages: what is recorded when, copied where, and bounded; recording itself is faked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
import torch
from torch import nn

from sdr2hdr.engine.cuda_graphs import GraphedStage, StageGraphs, graphs_for
from sdr2hdr.engine.placement import Placement
from sdr2hdr.engine.tile_workers import TileWorkers
from sdr2hdr.engine.tiling import MapBuffers, run_program
from sdr2hdr.engine.torch_backend import prepare_for_torch
from sdr2hdr.networks.collapse import collapse
from sdr2hdr.networks.gpgmnet import GPGMNet
from sdr2hdr.networks.irnet import IRNet
from sdr2hdr.networks.network import Network
from sdr2hdr.networks.stages import INPUT, OUTPUT, Program, Stage

CPU = Placement("torch", torch.device("cpu"), "fp32", 1)


@dataclass
class FakeCapture:
    """Records like CUDA: the same addresses are read and written again, whatever was passed since.

    Attributes:
        captures: How many computations were recorded.
        replays: How often one was done again.
        error: Raised instead of recording.
    """

    captures: int = 0
    replays: int = 0
    error: RuntimeError | None = None
    results: list[torch.Tensor] = field(default_factory=list)

    def capture(
        self, compute: Callable[[], torch.Tensor]
    ) -> tuple[Callable[[], None], torch.Tensor]:
        if self.error is not None:
            raise self.error
        self.captures += 1
        result = compute().clone()
        # A recording computes nothing: what lies here before the first replay is no result.
        result.fill_(float("nan"))
        self.results.append(result)

        def replay() -> None:
            self.replays += 1
            for other in self.results:
                # Whoever reads a result later than the next call reads nonsense.
                other.fill_(float("nan"))
            result.copy_(compute())

        return replay, result


def make_graphs(most_graphs: int = 32) -> tuple[StageGraphs, FakeCapture]:
    capture = FakeCapture()
    return StageGraphs(lambda: capture, most_graphs), capture


class Doubling(nn.Module):
    """Counts its calls with tensors of its own, as a recording has them."""

    def __init__(self) -> None:
        super().__init__()
        self.shapes: list[tuple[int, ...]] = []

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        assert pixels.is_contiguous(memory_format=torch.channels_last)
        self.shapes.append(tuple(pixels.shape))
        return pixels * 2


def frame(graphs: StageGraphs, module: nn.Module, *inputs: torch.Tensor) -> list[torch.Tensor]:
    """One frame of tiles; each result is read before the next tile."""
    graphs.begin_frame(100, 100)
    return [graphs.run(0, module, [value]).clone() for value in inputs]


NETWORKS = {
    "irnet n=2": lambda: IRNet(2, 16),
    "irnet n=1 x4": lambda: IRNet(1, 16, 4),
    "gpgmnet x2": lambda: GPGMNet(2, modules=2, channels=8),
}


@pytest.fixture(scope="module", params=list(NETWORKS))
def network(request: pytest.FixtureRequest) -> Network:
    torch.manual_seed(5)
    network = NETWORKS[request.param]().eval().requires_grad_(False)
    for name, parameter in network.named_parameters():
        if name.endswith("bias"):
            nn.init.normal_(parameter, std=0.1)
    return network


@pytest.fixture(autouse=True)
def one_thread():
    """Tiles of a few samples gain nothing from more; `own_threads` puts the number back."""
    torch.set_num_threads(1)


def run(program: Program, pixels: torch.Tensor, tile_px: int, buffers: MapBuffers) -> torch.Tensor:
    return run_program(program, pixels, tile_px, buffers, TileWorkers(1))


@pytest.mark.parametrize("tile_px", [16, 23, 64])
def test_graphs_give_the_same_bits(network, picture, tile_px):
    program = prepare_for_torch(collapse(network), CPU)
    graphs, capture = make_graphs(64)
    wrapped = graphs.wrap(program)
    buffers = MapBuffers(torch.float16)
    for number in range(4):
        pixels = (picture(37, 51) * (1 - 0.2 * number)).contiguous()
        graphs.begin_frame(37, 51)
        expected = run(program, pixels, tile_px, MapBuffers(torch.float16))
        assert torch.equal(run(wrapped, pixels, tile_px, buffers), expected)
        assert (capture.replays > 0) == (number > 0)
    assert graphs.count == capture.captures
    assert graphs.refusal is None


def test_a_frame_smaller_than_the_bound_runs_on_graphs_alone(network, picture):
    program = prepare_for_torch(collapse(network), CPU)
    stages = sum(isinstance(step, Stage) for step in program)
    graphs, capture = make_graphs()
    wrapped = graphs.wrap(program)
    for _ in range(3):
        graphs.begin_frame(20, 24)
        run(wrapped, picture(20, 24), 32, MapBuffers())
    assert capture.captures == stages
    assert capture.replays == 2 * stages


def test_nothing_is_recorded_in_the_first_frame():
    graphs, capture = make_graphs()
    module = Doubling()
    tile = torch.rand(1, 3, 8, 8).contiguous(memory_format=torch.channels_last)
    (result,) = frame(graphs, module, tile)
    assert torch.equal(result, tile * 2)
    assert (graphs.count, capture.captures) == (0, 0)
    frame(graphs, module, tile)
    assert (graphs.count, capture.captures, capture.replays) == (1, 1, 1)
    frame(graphs, module, tile)
    assert (graphs.count, capture.captures, capture.replays) == (1, 1, 2)


def test_only_the_most_frequent_shapes_have_graphs():
    graphs, capture = make_graphs(most_graphs=2)
    module = Doubling()
    rare, often, most = (torch.rand(1, 3, 8, width) for width in (5, 6, 7))
    tiles = (rare, often, most, most, often, most)
    for _ in range(3):
        results = frame(graphs, module, *tiles)
        assert all(torch.equal(found, tile * 2) for found, tile in zip(results, tiles, strict=True))
        module.shapes, last = [], module.shapes
    assert graphs.count == capture.captures == 2
    assert last.count(tuple(rare.shape)) == 1
    assert capture.replays == 2 * 5


def test_a_shape_that_the_first_frame_did_not_have_gets_no_graph():
    graphs, capture = make_graphs()
    for width in (8, 8, 9, 9):
        tile = torch.rand(1, 3, 8, width)
        (result,) = frame(graphs, Doubling(), tile)
        assert torch.equal(result, tile * 2)
    assert capture.captures == 1


def test_another_frame_size_lets_all_graphs_go():
    made: list[FakeCapture] = []

    def new_capture() -> FakeCapture:
        made.append(FakeCapture())
        return made[-1]

    graphs = StageGraphs(new_capture)
    for size_px in ((4, 4), (4, 4), (6, 6), (6, 6), (4, 4)):
        graphs.begin_frame(*size_px)
        graphs.run(0, Doubling(), [torch.rand(1, 3, *size_px)])
        assert graphs.count <= 1
    assert graphs.count == 0
    # A graph's memory belongs to what recorded it.
    assert [capture.captures for capture in made] == [1, 1]


def test_stages_and_types_are_told_apart():
    graphs, capture = make_graphs()

    class Typed(nn.Module):
        def __init__(self, factor: float) -> None:
            super().__init__()
            self.factor = factor

        def forward(self, features: torch.Tensor, vector: torch.Tensor) -> torch.Tensor:
            return features.float() * vector[:, :, None, None] * self.factor

    modules = (Typed(2.0), Typed(3.0))
    for _ in range(2):
        graphs.begin_frame(8, 8)
        for number, module in enumerate(modules):
            for dtype in (torch.float32, torch.float16):
                features = torch.rand(1, 4, 8, 8).to(dtype)
                vector = torch.rand(1, 4)
                found = graphs.run(number, module, [features, vector])
                assert torch.equal(found, module(features, vector))
    assert capture.captures == 4


def test_inputs_of_all_graphs_share_the_memory_of_the_largest():
    graphs, _ = make_graphs()
    seen: list[torch.Tensor] = []

    class Looking(nn.Module):
        def forward(self, pixels: torch.Tensor) -> torch.Tensor:
            seen.append(pixels)
            return pixels + 1

    tiles = [torch.rand(1, 4, 16, width) for width in (8, 32, 16)]
    for _ in range(2):
        seen.clear()
        frame(graphs, Looking(), *tiles)
    memory = {pixels.untyped_storage().data_ptr() for pixels in seen}
    assert len(memory) == 1
    assert seen[0].untyped_storage().nbytes() == 4 * 16 * 32 * 4


def test_tiles_may_come_as_they_are_cut_out():
    graphs, _ = make_graphs()
    whole = torch.rand(1, 8, 20, 20).contiguous(memory_format=torch.channels_last)
    cut = whole[:, :, 3:9, 4:12]
    for _ in range(3):
        (found,) = frame(graphs, Doubling(), cut)
        assert torch.equal(found, cut * 2)


def test_what_cannot_be_recorded_is_computed_all_the_same_and_said():
    graphs, capture = make_graphs()
    capture.error = RuntimeError("operation not permitted when stream is capturing")
    tile = torch.rand(1, 3, 8, 8)
    for _ in range(4):
        (found,) = frame(graphs, Doubling(), tile)
        assert torch.equal(found, tile * 2)
    assert graphs.refusal == "operation not permitted when stream is capturing"
    assert graphs.count == 0


def test_a_shortage_of_memory_is_no_refusal():
    graphs, capture = make_graphs()
    tile = torch.rand(1, 3, 8, 8)
    frame(graphs, Doubling(), tile)
    # Ending a recording that failed raises another error on top.
    shortage = torch.OutOfMemoryError("CUDA out of memory")
    capture.error = RuntimeError("capture was invalidated")
    capture.error.__context__ = shortage
    with pytest.raises(torch.OutOfMemoryError):
        frame(graphs, Doubling(), tile)
    assert graphs.refusal is None
    capture.error = None
    for _ in range(2):
        (found,) = frame(graphs, Doubling(), tile)
    assert torch.equal(found, tile * 2)
    assert graphs.count == 1


def test_only_torch_on_cuda_has_graphs():
    assert graphs_for(CPU) is None
    assert graphs_for(Placement("onnx", torch.device("cuda:0"), "fp16", 1)) is None
    assert graphs_for(Placement("torch", torch.device("cuda:0"), "fp16", 1)) is not None


def test_wrapping_keeps_all_but_the_module():
    graphs, _ = make_graphs()
    stage = Stage("double", Doubling(), (INPUT,), OUTPUT, 3)
    (wrapped,) = graphs.wrap((stage,))
    assert isinstance(wrapped, Stage)
    assert isinstance(wrapped.module, GraphedStage)
    assert (wrapped.name, wrapped.maps, wrapped.output, wrapped.halo_px) == (
        "double",
        (INPUT,),
        OUTPUT,
        3,
    )
