"""Half precision stays within the bounds of the design; what "auto" means follows the processor.

bfloat16 is emulated where the processor has no instructions for it, so the pictures are small.
"""

from __future__ import annotations

import copy

import pytest
import torch

from sdr2hdr.bench.random_weights import write_random_weights
from sdr2hdr.colour import to_coded
from sdr2hdr.engine import load_engine, placement
from sdr2hdr.engine.placement import resolve_placement
from sdr2hdr.engine.tile_workers import TileWorkers
from sdr2hdr.engine.tiling import MapBuffers, run_program
from sdr2hdr.engine.torch_backend import MAP_DTYPES, prepare_for_torch
from sdr2hdr.engine.torch_layers import replace_layers
from sdr2hdr.exam.patterns import WRITTEN
from sdr2hdr.networks.collapse import collapse
from sdr2hdr.networks.gpgmnet import GPGMNet, bicubic_upscale
from sdr2hdr.networks.irnet import IRNet
from sdr2hdr.networks.registry import resolve_exactly
from sdr2hdr.options import EngineOptions
from sdr2hdr.signal import HDR10_SIGNAL

FP32 = EngineOptions(device="cpu", backend="torch", precision="fp32")
BF16 = EngineOptions(device="cpu", backend="torch", precision="bf16")

LARGEST_CORRECTION = 0.05
"""What random networks are scaled to: they correct a curve or an enlargement. In bfloat16 IRNet's
own part is off by some 1.5 % of its largest value, so a network of form "direct" could not keep the
bounds."""

RANDOM = {
    "irnet x1": lambda: IRNet(2, 16),
    "irnet x4": lambda: IRNet(2, 16, 4),
    "gpgmnet x2": lambda: GPGMNet(2, modules=2, channels=16),
    "gpgmnet x4": lambda: GPGMNet(4, modules=2, channels=16),
}


AT_LETTERS = {
    "irnet1": (1.0, 3.0),
    "irnet2": (2.0, 3.0),
    "irnet5-x2": (3.0, 7.0),
    "irnet5-x4": (3.0, 7.0),
    "gpgmnet-x2": (1.0, 3.0),
    "gpgmnet-x4": (1.0, 3.0),
}
"""Of each shipped network, the bounds on written pictures, codes. The design's are (1, 3): IRNet
sums up blocks several times as large as what is left of them, and bfloat16 rounds each."""


def assert_within_bounds(
    half: torch.Tensor, exact: torch.Tensor, typical: float = 1.0, worst: float = 3.0
) -> None:
    """Codes of 10 bits at the 99.9th percentile and at the worst sample."""
    distance = ((half - exact) * 1023).abs().flatten()
    assert 0 < distance.max() <= worst
    assert distance.kthvalue(-(-distance.numel() * 999 // 1000)).values <= typical


def test_bf16_of_the_shipped_network_is_within_bounds(picture, batch):
    frame = batch(picture(61, 87))
    exact = load_engine("irnet2", 1, FP32).run(frame).pixels
    assert_within_bounds(load_engine("irnet2", 1, BF16).run(frame).pixels, exact)


@pytest.mark.parametrize("picture_name", ["credits", "page"])
@pytest.mark.parametrize("name", AT_LETTERS)
def test_bf16_at_the_edges_of_letters(name, picture_name, batch):
    """Where corrections are largest, and steep; a sum with 1 in GPGMNet's maps had 5 codes."""
    typical, worst = AT_LETTERS[name]
    scale = resolve_exactly(name).scale
    frame = batch(WRITTEN[picture_name]())
    exact = load_engine(name, scale, FP32).run(frame).pixels
    assert_within_bounds(load_engine(name, scale, BF16).run(frame).pixels, exact, typical, worst)


def test_a_result_that_is_added_to_the_output_is_not_rounded():
    torch.manual_seed(21)
    layer = torch.nn.Conv2d(16, 12, 5, padding=2).requires_grad_(False)
    layer.weight.copy_(layer.weight.bfloat16())
    layer.bias.copy_(layer.bias.bfloat16() + 3)
    features = torch.randn(1, 16, 20, 24).bfloat16().contiguous(memory_format=torch.channels_last)
    exact = copy.deepcopy(layer).double()(features.double())
    for added, steps in ((False, 1.0), (True, 2**-8)):
        layers = torch.nn.ModuleList([copy.deepcopy(layer)])
        replace_layers(layers, torch.bfloat16, unrounded=added)
        apart = float((layers[0](features).double() - exact).abs().max())
        # Half a step of bfloat16 between 4 and 8 is 2**-6.
        assert 0 < apart <= steps * 2**-6
        assert (apart > 2**-8) is not added


def test_bf16_keeps_the_grey_ramp(batch):
    signal = torch.arange(0, 877, 2)[None].repeat_interleave(2, 1) / 876
    ramp = signal.expand(1, 3, 12, -1).contiguous()
    coded = to_coded(load_engine("irnet2", 1, BF16).run(batch(ramp)), HDR10_SIGNAL)
    assert int(coded.luma[0, 6, ::2].to(torch.int32).diff().min()) >= 0
    for plane in (coded.cb, coded.cr):
        assert int((plane.to(torch.int32) - 512).abs().max()) <= 2


@pytest.mark.parametrize("name", RANDOM)
def test_bf16_of_random_networks_is_within_bounds(name, picture):
    torch.manual_seed(21)
    network = RANDOM[name]().eval().requires_grad_(False)
    pixels = picture(33, 40)
    own = network(pixels)
    if isinstance(network, GPGMNet):
        own = own - bicubic_upscale(pixels, network.scale)
    last = [layer for layer in network.modules() if isinstance(layer, torch.nn.Conv2d)][-1]
    last.weight.mul_(LARGEST_CORRECTION / float(own.abs().max()))
    exact = network(pixels)
    program = prepare_for_torch(collapse(network), resolve_placement(BF16))
    half = run_program(program, pixels, 24, MapBuffers(MAP_DTYPES["bf16"]), TileWorkers(1))
    assert_within_bounds(half, exact)


def test_bf16_where_onednn_refuses_it_is_within_bounds(picture, monkeypatch):
    """oneDNN computes bfloat16 from AVX-512 on; it was an error of a processor with AVX2 alone."""

    def refusing(convolution):
        def refuse(features: torch.Tensor, *others: object) -> torch.Tensor:
            assert features.dtype == torch.float32
            return convolution(features, *others)

        return refuse

    mkldnn = torch.ops.mkldnn
    monkeypatch.setattr(mkldnn, "_is_mkldnn_bf16_supported", lambda: False)
    pointwise = refusing(mkldnn._convolution_pointwise)
    monkeypatch.setattr(mkldnn, "_convolution_pointwise", pointwise)
    monkeypatch.setattr(torch, "mkldnn_convolution", refusing(torch.mkldnn_convolution))
    torch.manual_seed(21)
    network = IRNet(2, 16).eval().requires_grad_(False)
    pixels = picture(17, 20)
    network.tail.weight.mul_(LARGEST_CORRECTION / float(network(pixels).abs().max()))
    program = prepare_for_torch(collapse(network), resolve_placement(BF16))
    half = run_program(program, pixels, 24, MapBuffers(MAP_DTYPES["bf16"]), TileWorkers(1))
    assert_within_bounds(half, network(pixels))


@pytest.mark.parametrize(
    ("has_bf16", "backend", "precision"),
    [
        (True, "auto", "bf16"),
        (True, "torch", "bf16"),
        (True, "onnx", "fp32"),
        (False, "auto", "fp32"),
        (False, "onnx", "fp32"),
    ],
)
def test_auto_precision_follows_the_processor(has_bf16, backend, precision, monkeypatch):
    monkeypatch.setattr(placement, "computes_bf16", lambda device: has_bf16)
    found = resolve_placement(EngineOptions(device="cpu", backend=backend))
    assert found.precision == precision
    assert found.backend == ("onnx" if backend == "onnx" else "torch")


@pytest.mark.parametrize(("precision", "expected"), [("auto", "fp32"), ("bf16", "bf16")])
def test_a_network_that_gives_the_picture_itself_is_fp32_unless_asked(
    precision, expected, tmp_path, monkeypatch
):
    monkeypatch.setattr(placement, "computes_bf16", lambda device: True)
    write_random_weights("irnet2", tmp_path)
    options = EngineOptions(device="cpu", precision=precision, weights_dir=tmp_path)
    assert load_engine("irnet2", 1, options).precision == expected
