"""Every network, backend and precision at several tiles: how far apart, in codes at 10 bits.

`pytest -rP tests/engine/test_exactness.py` prints the differences.
"""

from __future__ import annotations

import pytest
import torch
from known_network import LARGEST_CORRECTION, MAP_ROUNDING_CODES

from sdr2hdr.engine.graph_cache import GraphCache
from sdr2hdr.engine.onnx_backend import prepare_for_onnx
from sdr2hdr.engine.placement import resolve_placement
from sdr2hdr.engine.tile_workers import TileWorkers
from sdr2hdr.engine.tiling import MapBuffers, run_program
from sdr2hdr.engine.torch_backend import MAP_DTYPES, prepare_for_torch
from sdr2hdr.networks.collapse import collapse
from sdr2hdr.networks.gpgmnet import GPGMNet, bicubic_upscale
from sdr2hdr.networks.irnet import IRNet
from sdr2hdr.networks.network import Network
from sdr2hdr.networks.stages import OUTPUT, Stage
from sdr2hdr.options import BackendName, EngineOptions, PrecisionName

TILES_PX = (16, 24, 40)
WHOLE_PX = 1000

NETWORKS = {
    "irnet1": lambda: IRNet(1, 48),
    "irnet2": lambda: IRNet(2, 64),
    "irnet5-x2": lambda: IRNet(5, 64, 2),
    "irnet5-x4": lambda: IRNet(5, 64, 4),
    "gpgmnet-x2": lambda: GPGMNet(2),
    "gpgmnet-x4": lambda: GPGMNet(4),
    # Exporting a graph takes seconds, and all blocks are alike.
    "irnet1-x4": lambda: IRNet(1, 64, 4),
    "gpgmnet-x4 of 1 module": lambda: GPGMNet(4, modules=1),
}
SHIPPED = list(NETWORKS)[:6]
CASES = [
    *((name, "torch", precision) for name in SHIPPED for precision in ("fp32", "bf16")),
    *((name, "onnx", "fp32") for name in ("irnet1", "irnet2", *list(NETWORKS)[6:])),
]


def build(name: str) -> Network:
    """A network of random weights that corrects its base as much as trained ones do."""
    torch.manual_seed(13)
    network = NETWORKS[name]().eval().requires_grad_(False)
    for parameter_name, parameter in network.named_parameters():
        if parameter_name.endswith("bias"):
            torch.nn.init.normal_(parameter, std=0.1)
    probe = torch.rand(1, 3, 40, 40, generator=torch.Generator().manual_seed(3))
    own = network(probe) - base(network, probe)
    last = [layer for layer in network.modules() if isinstance(layer, torch.nn.Conv2d)][-1]
    assert last.bias is not None
    factor = LARGEST_CORRECTION / float(own.abs().max())
    last.weight.mul_(factor)
    last.bias.mul_(factor)
    return network


def base(network: Network, pixels: torch.Tensor) -> torch.Tensor:
    """What the network corrects: the enlarged picture, or a curve's, for which this stands in."""
    if network.scale == 1:
        return torch.zeros_like(pixels)
    enlarged = bicubic_upscale(pixels, network.scale)
    return enlarged if isinstance(network, GPGMNet) else torch.zeros_like(enlarged)


@pytest.mark.parametrize(("name", "backend", "precision"), CASES)
def test_any_tile_is_the_whole_frame_and_the_trained_network(
    name: str, backend: BackendName, precision: PrecisionName, picture, tmp_path
):
    trained = build(name)
    options = EngineOptions(device="cpu", backend=backend, precision=precision)
    placement = resolve_placement(options)
    layout = torch.channels_last
    if backend == "onnx":
        program = prepare_for_onnx(collapse(trained), placement, GraphCache(tmp_path))
        layout = torch.contiguous_format
    else:
        program = prepare_for_torch(collapse(trained), placement)
    pixels = picture(45, 62)
    workers = TileWorkers(2)

    def run(tile_px: int) -> torch.Tensor:
        buffers = MapBuffers(MAP_DTYPES[placement.precision], layout)
        return run_program(program, pixels, tile_px, buffers, workers)

    # So that the result has the codes of a picture, whose rounding is what counts.
    shown = 0.5 * bicubic_upscale(pixels, trained.scale) + 0.25 - base(trained, pixels)
    whole, exact = run(WHOLE_PX) + shown, trained(pixels) + shown
    worst, typical = distance(whole, exact)
    print(
        f"{name} {backend} {precision} whole frame, to the trained network: {worst:.4f} codes, "
        f"99.9 % within {typical:.4f}"
    )
    if precision == "fp32":
        maps = sum(isinstance(s, Stage) and s.output not in (None, OUTPUT) for s in program)
        assert worst <= maps * MAP_ROUNDING_CODES
    else:
        assert worst <= 3
        assert typical <= 1
    for tile_px in TILES_PX:
        tiled = run(tile_px) + shown
        worst, _ = distance(tiled, whole)
        equal = float((codes(tiled).round() == codes(whole).round()).float().mean())
        print(
            f"{name} {backend} {precision} tiles of {tile_px} px, to the whole frame: "
            f"{worst:.4f} codes, {100 * equal:.3f} % equal when rounded"
        )
        assert worst <= 1
        assert equal >= 0.999


@pytest.mark.parametrize("name", ["irnet1", "irnet2", "gpgmnet-x2", "gpgmnet-x4"])
def test_bf16_leaves_a_ramp_of_grey_smooth(name: str):
    trained = build(name)
    ramp = torch.linspace(0, 1, 256)[None, None, None].expand(1, 3, 16, 256).contiguous()
    results = []
    for precision in ("fp32", "bf16"):
        placement = resolve_placement(EngineOptions(device="cpu", precision=precision))
        program = prepare_for_torch(collapse(trained), placement)
        buffers = MapBuffers(MAP_DTYPES[placement.precision], torch.channels_last)
        results.append(run_program(program, ramp, WHOLE_PX, buffers, TileWorkers(2)))
    steps = codes(results[1] - results[0]).diff(dim=3).abs()
    # Half a code for rounded features; and the correction itself is rounded, on both sides of a
    # step by up to half a unit in its last place.
    rounded = 2 * 2**-9 * LARGEST_CORRECTION * 1023
    assert 0 < steps.max() < 0.5 + rounded


def codes(signal: torch.Tensor) -> torch.Tensor:
    """10-bit full-range codes, not rounded."""
    return signal * 1023


def distance(one: torch.Tensor, other: torch.Tensor) -> tuple[float, float]:
    """The greatest difference and its 99.9th percentile, in codes."""
    apart = codes(one - other).abs().flatten()
    return float(apart.max()), float(apart.kthvalue(-(-apart.numel() * 999 // 1000)).values)
