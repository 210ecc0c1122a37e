"""Tiled is whole: at any tile size, odd frames, frames smaller than a tile or than a halo."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from sdr2hdr.engine.tile_workers import TileWorkers
from sdr2hdr.engine.tiling import MapBuffers, run_program, tiles
from sdr2hdr.networks.collapse import collapse
from sdr2hdr.networks.gpgmnet import GPGMNet
from sdr2hdr.networks.irnet import IRNet
from sdr2hdr.networks.network import Network
from sdr2hdr.networks.stages import INPUT, OUTPUT, Program, Stage

NETWORKS = {
    "irnet n=1 C=48": lambda: IRNet(1, 48),
    "irnet n=2 C=64": lambda: IRNet(2, 64),
    "irnet n=3 C=16 x2": lambda: IRNet(3, 16, 2),
    "irnet n=2 C=32 x4": lambda: IRNet(2, 32, 4),
    "gpgmnet x2": lambda: GPGMNet(2, modules=3, channels=16),
    "gpgmnet x4": lambda: GPGMNet(4, modules=2, channels=16),
}


@pytest.fixture(scope="module", params=list(NETWORKS))
def network(request: pytest.FixtureRequest) -> Network:
    torch.manual_seed(7)
    network = NETWORKS[request.param]().double().eval().requires_grad_(False)
    # Fresh biases are zero, and zero padding of a zero map hides a wrong border.
    for name, parameter in network.named_parameters():
        if name.endswith("bias"):
            nn.init.normal_(parameter, std=0.1)
    return network


@pytest.fixture(scope="module")
def workers() -> TileWorkers:
    return TileWorkers(2)


def run(program: Program, pixels: torch.Tensor, tile_px: int, workers: TileWorkers):
    return run_program(program, pixels, tile_px, MapBuffers(pixels.dtype), workers)


@pytest.mark.parametrize("tile_px", [3, 16, 29, 64])
def test_tiled_is_whole_in_float64(network, picture, workers, tile_px):
    pixels = picture(37, 51).double()
    whole = network(pixels)
    tiled = run(network.program(), pixels, tile_px, workers)
    assert tiled.shape == whole.shape
    assert (tiled - whole).abs().max() < 1e-10 * max(1.0, float(whole.abs().max()))


@pytest.mark.parametrize(("height_px", "width_px"), [(1, 1), (1, 40), (33, 2), (5, 7)])
def test_frames_smaller_than_the_halo(network, picture, workers, height_px, width_px):
    pixels = picture(height_px, width_px).double()
    whole = network(pixels)
    tiled = run(network.program(), pixels, 4, workers)
    assert (tiled - whole).abs().max() < 1e-10 * max(1.0, float(whole.abs().max()))


def test_a_batch_is_its_frames(network, picture, workers):
    pixels = torch.cat((picture(20, 24), picture(20, 24).flip(3) * 0.5)).double()
    tiled = run(network.program(), pixels, 9, workers)
    for index in range(2):
        alone = run(network.program(), pixels[index : index + 1], 9, workers)
        torch.testing.assert_close(tiled[index], alone[0], rtol=1e-10, atol=1e-10)


def test_one_px_of_halo_less_is_seen(network, picture, workers):
    pixels = picture(37, 51).double()
    whole = run(network.program(), pixels, 16, workers)
    for index, step in enumerate(network.program()):
        # The last stage's halo is rounded up to whole input px where it enlarges.
        if not isinstance(step, Stage) or step.scale > 1:
            continue
        program = list(network.program())
        program[index] = replace(step, halo_px=step.halo_px - 1)
        seamed = run(tuple(program), pixels, 16, workers)
        assert (seamed - whole).abs().max() > 1e-9, step.name


@pytest.mark.parametrize("tile_px", [32, 48, 128])
def test_pilot_tiled_is_whole_in_float32(irnet2, picture, workers, tile_px):
    pixels = picture(101, 147)
    whole = codes(irnet2(pixels))
    tiled = codes(run(irnet2.program(), pixels, tile_px, workers))
    assert (tiled - whole).abs().max() <= 1
    assert (tiled == whole).float().mean() >= 0.999


def test_gpgmnet_tiled_is_whole_in_float32(gpgmnet, picture, workers):
    pixels = picture(61, 75)
    whole = codes(gpgmnet(pixels))
    tiled = codes(run(gpgmnet.program(), pixels, 32, workers))
    assert (tiled - whole).abs().max() <= 1
    assert (tiled == whole).float().mean() >= 0.999


def test_bits_do_not_depend_on_the_number_of_threads(irnet2, picture):
    pixels = picture(101, 147)
    two = run(irnet2.program(), pixels, 48, TileWorkers(2))
    three = run(irnet2.program(), pixels, 48, TileWorkers(3))
    assert torch.equal(two, three)


def test_workers_leave_the_threads_of_torch_alone():
    before = torch.get_num_threads()
    TileWorkers(before + 1)
    assert torch.get_num_threads() == before


def test_an_error_in_a_tile_is_raised(picture, workers):
    class Broken(nn.Module):
        def forward(self, pixels: torch.Tensor) -> torch.Tensor:
            raise RuntimeError("a tile failed")

    program = (Stage("broken", Broken(), (INPUT,), OUTPUT, 0),)
    with pytest.raises(RuntimeError, match="a tile failed"):
        run(program, picture(20, 20), 8, workers)


def test_buffers_hold_the_blocks_of_one_frame_and_are_used_again(irnet2, picture, workers):
    buffers = MapBuffers()
    for height_px in (40, 40, 30):
        run_program(irnet2.program(), picture(height_px, 50), 16, buffers, workers)
        assert buffers.values == 2 * 64 * height_px * 50


def test_gpgmnet_holds_two_maps_however_many_modules(gpgmnet, picture, workers):
    buffers = MapBuffers()
    run_program(gpgmnet.program(), picture(40, 50), 16, buffers, workers)
    assert buffers.values == 2 * 64 * 40 * 50


@pytest.mark.parametrize(
    ("height_px", "width_px", "tile_px", "halo_px"),
    [(1, 1, 1, 0), (1080, 1920, 128, 2), (37, 51, 8, 12), (7, 300, 64, 3)],
)
@pytest.mark.parametrize("grid_px", [1, 4])
def test_cores_cover_the_frame_once(height_px, width_px, tile_px, halo_px, grid_px):
    covered = torch.zeros(height_px, width_px)
    for tile in tiles(height_px, width_px, tile_px, halo_px, grid_px=grid_px):
        core, source = tile.core, tile.source
        assert 1 <= core.height <= tile_px
        assert 1 <= core.width <= tile_px
        covered[core.top : core.bottom, core.left : core.right] += 1
        assert source.top == max(0, core.top - halo_px) // grid_px * grid_px
        assert 0 <= source.left <= max(0, core.left - halo_px)
        assert source.left % grid_px == 0
        assert source.bottom == min(height_px, core.bottom + halo_px)
        assert min(width_px, core.right + halo_px) <= source.right <= width_px
        assert source.width - halo_px * 2 - core.width < 4 + 2 * grid_px
        assert source.width % 4 == 0 or width_px % 4 != 0
        at_border = (source.top == 0, source.bottom == height_px, source.left == 0)
        assert tile.sides == (*at_border, source.right == width_px)
    assert torch.equal(covered, torch.ones(height_px, width_px))


def test_a_tile_inside_the_frame_is_spared_the_border(picture, workers):
    network = IRNet(1, 16).double().eval()
    asked = []
    *blocks, last = collapse(network)
    assert isinstance(last, Stage)

    class Listening(nn.Module):
        def forward(self, *inputs, sides):
            asked.append(sides)
            return last.module(*inputs, sides=sides)

    program = (*blocks, replace(last, module=Listening()))
    pixels = picture(30, 30).double()
    with torch.inference_mode():
        tiled = run(program, pixels, 10, workers)
        whole = network(pixels)
    assert asked.count((False, False, False, False)) == 1
    assert sum(map(sum, asked)) == 4 * 3
    assert (tiled - whole).abs().max() < 1e-10


@pytest.mark.parametrize(
    "arguments", [(0, 4, 4, 0), (4, 4, 0, 0), (4, 4, 4, -1), (4, 4, 4, 0, 0, 0, 0)]
)
def test_impossible_tiles_are_refused(arguments):
    with pytest.raises(ValueError, match="expected 1 or more"):
        list(tiles(*arguments))


def codes(signal: torch.Tensor) -> torch.Tensor:
    """10-bit full-range codes."""
    return (signal * 1023).round()
