"""Every way of cutting a network must compute the same function."""

from __future__ import annotations

import pytest
import torch

from sdr2hdr.engine.whole_program import WholeProgram
from sdr2hdr.networks.gpgmnet import GPGMNet
from sdr2hdr.networks.irnet import IRNet
from sdr2hdr.networks.network import Network
from sdr2hdr.networks.stages import INPUT, OUTPUT, FrameStep, Program, Stage

NETWORKS = {
    "irnet1": lambda: IRNet(1, 48),
    "irnet2": lambda: IRNet(2, 64),
    "irnet3-x2": lambda: IRNet(3, 16, 2),
    "irnet5-x4": lambda: IRNet(5, 16, 4),
    "gpgmnet-x2": lambda: GPGMNet(2, modules=3, channels=16),
    "gpgmnet-x4": lambda: GPGMNet(4, modules=2, channels=16),
}


@pytest.fixture(params=NETWORKS, name="network")
def _network(request: pytest.FixtureRequest) -> Network:
    torch.manual_seed(5)
    network = NETWORKS[request.param]().double()
    # Random statistics, so that batch normalisation in eval mode is not the identity.
    for layer in network.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            assert layer.running_mean is not None
            assert layer.running_var is not None
            layer.running_mean.uniform_(-0.3, 0.3)
            layer.running_var.uniform_(0.5, 2.0)
    for name, parameter in network.named_parameters():
        if name.endswith("bias"):
            torch.nn.init.normal_(parameter, std=0.1)
    return network.eval()


def _run_in_tiles(program: Program, pixels: torch.Tensor, tile_px: int) -> torch.Tensor:
    """Run each stage tile by tile, with its halo, and put the tiles together."""
    maps = {INPUT: pixels}
    vectors = {}
    height, width = pixels.shape[2:]
    for step in program:
        if isinstance(step, FrameStep):
            vectors[step.vector] = step.module(pixels)
            continue
        result = None
        halo, scale = step.halo_px, step.scale
        read = [vectors[v] for v in step.vectors]
        for top in range(0, height, tile_px):
            for left in range(0, width, tile_px):
                bottom, right = min(top + tile_px, height), min(left + tile_px, width)
                y, x = max(top - halo, 0), max(left - halo, 0)
                cut = [maps[m][:, :, y : bottom + halo, x : right + halo] for m in step.maps]
                tile = step.module(*cut, *read)
                if result is None:
                    shape = (*tile.shape[:2], height * scale, width * scale)
                    result = torch.full(shape, torch.nan, dtype=pixels.dtype)
                result[
                    :, :, top * scale : bottom * scale, left * scale : right * scale
                ] = tile[
                    :, :, (top - y) * scale : (bottom - y) * scale,
                    (left - x) * scale : (right - x) * scale,
                ]  # fmt: skip
        assert result is not None
        if step.summary is not None:
            deviation = result.std(dim=(2, 3), correction=0)
            vectors[step.summary.vector] = step.summary.module(result.mean((2, 3)), deviation)
        if step.output is not None:
            assert step.output not in step.maps
            maps[step.output] = result
    return maps[OUTPUT]


@pytest.mark.parametrize("size", [(17, 23), (1, 1), (2, 37), (40, 36)])
def test_program_is_the_network(network: Network, size: tuple[int, int]) -> None:
    pixels = torch.rand(2, 3, *size, dtype=torch.float64)
    with torch.no_grad():
        expected = network(pixels)
    found = WholeProgram(network.program(), 0)(pixels)
    assert found.shape == (2, 3, size[0] * network.scale, size[1] * network.scale)
    assert (found - expected).abs().max() <= 1e-12 * max(1.0, float(expected.abs().max()))


@pytest.mark.parametrize("tile_px", [7, 16])
def test_tiles_with_their_halos_are_the_whole_frame(network: Network, tile_px: int) -> None:
    pixels = torch.rand(1, 3, 33, 38, dtype=torch.float64)
    with torch.no_grad():
        expected = network(pixels)
        found = _run_in_tiles(network.program(), pixels, tile_px)
    assert (found - expected).abs().max() <= 1e-11 * max(1.0, float(expected.abs().max()))


def test_no_halo_is_wider_than_needed(network: Network) -> None:
    """With one sample less, each stage alone goes wrong."""
    pixels = torch.rand(1, 3, 33, 38, dtype=torch.float64)
    program = network.program()
    with torch.no_grad():
        expected = network(pixels)
        for index, step in enumerate(program):
            if not isinstance(step, Stage):
                continue
            narrow = Stage(
                step.name, step.module, step.maps, step.output, step.halo_px - 1, step.vectors,
                step.scale, step.summary,
            )  # fmt: skip
            changed = (*program[:index], narrow, *program[index + 1 :])
            found = _run_in_tiles(changed, pixels, 12)
            assert (found - expected).abs().max() > 1e-9, step.name


def test_stages_share_the_networks_parameters(network: Network) -> None:
    own = {id(p) for p in network.parameters()}
    program = network.program()
    modules = [step.module for step in program]
    modules += [step.summary.module for step in program if isinstance(step, Stage) and step.summary]
    shared = {id(p) for module in modules for p in module.parameters()}
    assert shared == own


def test_every_step_reads_only_what_an_earlier_one_wrote(network: Network) -> None:
    maps, vectors = {INPUT}, set()
    program = network.program()
    for step in program:
        if isinstance(step, FrameStep):
            vectors.add(step.vector)
            continue
        assert set(step.maps) <= maps
        assert set(step.vectors) <= vectors
        if step.output is not None:
            maps.add(step.output)
        if step.summary is not None:
            vectors.add(step.summary.vector)
    last = program[-1]
    assert isinstance(last, Stage)
    assert (last.output, last.scale) == (OUTPUT, network.scale)
