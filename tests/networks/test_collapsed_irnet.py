"""The collapsed IRNet is the trained one: inside, at borders, and on frames of any size."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from sdr2hdr.engine.placement import Placement
from sdr2hdr.engine.tile_workers import TileWorkers
from sdr2hdr.engine.tiling import MapBuffers, run_program
from sdr2hdr.engine.torch_backend import prepare_for_torch
from sdr2hdr.engine.whole_program import WholeProgram
from sdr2hdr.networks.collapse import collapse
from sdr2hdr.networks.convolution_sum import LinearPair
from sdr2hdr.networks.irnet import IRNet
from sdr2hdr.networks.stages import Stage

SHAPES = [(1, 48, 1), (2, 64, 1), (4, 16, 1), (3, 16, 2), (2, 32, 4)]
SIZES = [(23, 17), (1, 1), (1, 9), (2, 3), (5, 4)]


@pytest.fixture(scope="module", params=SHAPES, ids=lambda s: f"n={s[0]} C={s[1]} x{s[2]}")
def network(request: pytest.FixtureRequest) -> IRNet:
    torch.manual_seed(11)
    network = IRNet(*request.param).double().eval().requires_grad_(False)
    # Fresh biases are zero, and zero padding of a zero map hides a wrong border.
    for name, parameter in network.named_parameters():
        if name.endswith("bias"):
            nn.init.normal_(parameter, std=0.2)
    return network


def random_pixels(frames: int, *size_px: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(4)
    return torch.rand(frames, 3, *size_px, dtype=torch.float64, generator=generator)


@pytest.mark.parametrize("size_px", SIZES, ids=str)
def test_collapsed_is_trained(network, size_px):
    pixels = random_pixels(2, *size_px)
    trained = network(pixels)
    collapsed = WholeProgram(collapse(network), 0)(pixels)
    assert collapsed.shape == trained.shape
    assert (collapsed - trained).abs().max() < 1e-12 * max(1.0, float(trained.abs().max()))


def test_the_borders_are_not_hidden_by_the_interior(network):
    """Each side and corner by itself, against the same pixels further inside a larger frame."""
    pixels = random_pixels(1, 20, 22)
    trained, collapsed = network(pixels), WholeProgram(collapse(network), 0)(pixels)
    edge = 5 * network.scale
    scale = max(1.0, float(trained.abs().max()))
    for part in (
        (slice(None), slice(0, edge)),
        (slice(None), slice(-edge, None)),
        (slice(0, edge), slice(None)),
        (slice(-edge, None), slice(None)),
    ):
        assert (collapsed - trained)[..., part[0], part[1]].abs().max() < 1e-12 * scale
    # The trained form itself gives another border when the frame goes on: there is one to miss.
    inside = network(nn.functional.pad(pixels, (8, 8, 8, 8), mode="reflect"))
    cut = 8 * network.scale
    assert (inside[..., cut:-cut, cut:-cut] - trained)[..., 0, :].abs().max() > 1e-3


@pytest.mark.parametrize("tile_px", [5, 16])
def test_tiles_of_the_collapsed_form_are_the_trained_frame(network, tile_px):
    pixels = random_pixels(1, 21, 27)
    trained = network(pixels)
    tiled = run_program(
        collapse(network), pixels, tile_px, MapBuffers(torch.float64), TileWorkers(2)
    )
    assert (tiled - trained).abs().max() < 1e-12 * max(1.0, float(trained.abs().max()))


def test_no_halo_is_wider_than_needed(network):
    pixels = random_pixels(1, 25, 22)
    program = collapse(network)
    own = MapBuffers(torch.float64)
    whole = run_program(program, pixels, 64, own, TileWorkers(1))
    for index, step in enumerate(program):
        assert isinstance(step, Stage)
        narrow = Stage(
            step.name, step.module, step.maps, step.output, step.halo_px - 1, step.vectors,
            step.scale, step.summary,
        )  # fmt: skip
        changed = (*program[:index], narrow, *program[index + 1 :])
        seamed = run_program(changed, pixels, 12, own, TileWorkers(1))
        assert (seamed - whole).abs().max() > 1e-9, step.name


def test_the_fast_layers_give_the_same(network):
    single = Placement("torch", torch.device("cpu"), "fp32", 1)
    program = collapse(network.float())
    pixels = random_pixels(2, 29, 43).float()
    expected = WholeProgram(program, 0)(pixels)
    fast = run_program(
        prepare_for_torch(program, single), pixels, 16, MapBuffers(torch.float32), TileWorkers(1)
    )
    network.double()
    assert (fast - expected).abs().max() < 2e-5 * max(1.0, float(expected.abs().max()))


@pytest.mark.parametrize("map_dtype", [torch.float32, torch.float16])
def test_any_tile_has_the_bits_of_any_other(map_dtype, network):
    """All but a few samples, where a vector unit takes the last columns another way.

    Both with workers of one thread, as an engine has: several of torch's own round sums otherwise.
    """
    single = Placement("torch", torch.device("cpu"), "fp32", 1)
    program = prepare_for_torch(collapse(network.float()), single)
    pixels = random_pixels(1, 90, 110).float()
    whole = run_program(program, pixels, 512, MapBuffers(map_dtype), TileWorkers(2))
    tiled = run_program(program, pixels, 40, MapBuffers(map_dtype), TileWorkers(2))
    network.double()
    code = float(whole.std()) * 4 / 1023
    assert (tiled - whole).abs().max() <= code
    same = (tiled / code).round() == (whole / code).round()
    assert same.float().mean() >= 0.999


@pytest.mark.parametrize("results", [3, 12, 48])
def test_a_linear_pair_is_both_its_layers(results):
    torch.manual_seed(2)
    first, second = nn.Conv2d(8, 24, 3, padding=1), nn.Conv2d(24, results, 3, padding=1)
    both = nn.Sequential(first, second).double().requires_grad_(False)
    pair = LinearPair(first, second)
    for size_px in SIZES:
        features = torch.randn(2, 8, *size_px, dtype=torch.float64)
        assert (pair(features) - both(features)).abs().max() < 1e-12


def test_collapsing_leaves_the_network_alone(network):
    before = {name: value.clone() for name, value in network.state_dict().items()}
    program = collapse(network)
    for step in program:
        for parameter in step.module.parameters():
            parameter.zero_()
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name]), name
