"""GPGMNet collapsed is GPGMNet trained: inside, at borders, and on frames smaller than a halo."""

from __future__ import annotations

from functools import cache

import pytest
import torch
from torch import nn

from sdr2hdr.engine.torch_layers import replace_layers
from sdr2hdr.engine.whole_program import WholeProgram
from sdr2hdr.networks.collapse import collapse
from sdr2hdr.networks.collapsed_gpgmnet import CollapsedPyramid, FrozenStructure
from sdr2hdr.networks.convolution_chain import ConvolutionChain
from sdr2hdr.networks.gpgmnet import GPGMNet, SpatialPyramid
from sdr2hdr.networks.priors import StructureFeatures
from sdr2hdr.networks.stages import Program, Stage

SIZES = [(1, 1), (1, 6), (2, 2), (3, 9), (5, 4), (17, 23), (40, 31)]


def conv(inputs: int, outputs: int, kernel_px: int = 3) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, kernel_px, padding=kernel_px // 2)


def lively(module: nn.Module) -> nn.Module:
    """In float64, with biases and statistics that would show any wrong border."""
    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm2d):
            assert layer.running_mean is not None
            assert layer.running_var is not None
            layer.running_mean.uniform_(-0.3, 0.6)
            layer.running_var.uniform_(0.3, 2.0)
            nn.init.normal_(layer.weight)
    for name, parameter in module.named_parameters():
        if name.endswith("bias"):
            nn.init.normal_(parameter, std=0.3)
    return module.double().eval().requires_grad_(False)


def assert_same(found: torch.Tensor, expected: torch.Tensor) -> None:
    assert found.shape == expected.shape
    assert (found - expected).abs().max() <= 1e-11 * max(1.0, float(expected.abs().max()))


@pytest.fixture(scope="module", params=[(2, 3, 16), (4, 2, 16)], ids=str)
def network(request: pytest.FixtureRequest) -> GPGMNet:
    torch.manual_seed(5)
    scale, modules, channels = request.param
    network = lively(GPGMNet(scale, modules, channels))
    assert isinstance(network, GPGMNet)
    return network


@pytest.fixture(scope="module")
def program(network: GPGMNet) -> Program:
    return collapse(network)


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_collapsed_is_trained(network: GPGMNet, program: Program, size: tuple[int, int]) -> None:
    pixels = torch.rand(2, 3, *size, dtype=torch.float64)
    assert_same(WholeProgram(program, 0)(pixels), network(pixels))


def test_the_network_is_left_as_it_is(network: GPGMNet) -> None:
    before = {name: value.clone() for name, value in network.state_dict().items()}
    own = {value.data_ptr() for value in network.state_dict().values()}
    steps = [step for step in collapse(network) if isinstance(step, Stage)]
    made = [value for step in steps for value in step.module.state_dict().values()]
    assert own.isdisjoint(value.data_ptr() for value in made)
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())


def test_stages_keep_their_names_maps_and_halos(network: GPGMNet) -> None:
    for collapsed, trained in zip(collapse(network), network.program(), strict=True):
        assert collapsed.name == trained.name
        if isinstance(trained, Stage):
            assert isinstance(collapsed, Stage)
            assert collapsed.halo_px == trained.halo_px
            assert (collapsed.maps, collapsed.vectors) == (trained.maps, trained.vectors)


CHAINS = {
    "pair": lambda: [conv(3, 8), conv(8, 8)],
    "x2": lambda: [conv(4, 16), nn.PixelShuffle(2), conv(4, 3)],
    "two shuffles": lambda: [conv(4, 16), nn.PixelShuffle(2), conv(4, 12), nn.PixelShuffle(2)],
    "x4": lambda: [
        *(conv(4, 16), nn.PixelShuffle(2), conv(4, 16), nn.PixelShuffle(2), conv(4, 3)),
    ],
    "alone": lambda: [conv(5, 2)],
    "5-1-3": lambda: [conv(3, 4, 5), conv(4, 4, 1), conv(4, 2)],
}


@cache
def made(name: str) -> tuple[nn.Module, ConvolutionChain]:
    torch.manual_seed(6)
    trained = lively(nn.Sequential(*CHAINS[name]()))
    assert isinstance(trained, nn.Sequential)
    return trained, ConvolutionChain(list(trained))


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("name", CHAINS)
def test_a_chain_is_its_layers(name: str, size: tuple[int, int]) -> None:
    trained, chain = made(name)
    pixels = torch.randn(2, chain.convolution.in_channels, *size, dtype=torch.float64)
    assert_same(chain(pixels), trained(pixels))


def test_the_border_of_a_chain_needs_its_own_weights() -> None:
    torch.manual_seed(6)
    trained = lively(nn.Sequential(conv(3, 8), conv(8, 8)))
    pixels = torch.randn(1, 3, 12, 12, dtype=torch.float64)
    wrong = ConvolutionChain(list(trained)).convolution(pixels) - trained(pixels)
    assert wrong[..., 1:-1, 1:-1].abs().max() < 1e-12
    assert all(wrong.select(a, i).abs().max() > 1e-3 for a in (2, 3) for i in (0, -1))


@pytest.mark.parametrize(
    "layer",
    [nn.ReLU(), nn.Conv2d(4, 4, 3), nn.Conv2d(4, 4, 4, padding=2), nn.Conv2d(4, 4, 1, groups=2)],
    ids=["not linear", "no padding", "even", "groups"],
)
def test_what_cannot_be_multiplied_out_is_refused(layer: nn.Module) -> None:
    with pytest.raises(ValueError, match="expected odd"):
        ConvolutionChain([conv(4, 4), layer])


def test_a_border_two_px_wide_is_refused() -> None:
    with pytest.raises(ValueError, match="reaches 2 px"):
        ConvolutionChain([conv(4, 4), conv(4, 4), conv(4, 4)])


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_norms_fold_forward(size: tuple[int, int]) -> None:
    torch.manual_seed(7)
    trained = lively(StructureFeatures())
    assert isinstance(trained, StructureFeatures)
    # A norm that multiplies with nothing, and one that nearly does.
    norm = trained.get_submodule("blocks.1.2")
    assert isinstance(norm, nn.BatchNorm2d)
    norm.weight[:2] = torch.tensor([0.0, 1e-9])
    pixels = torch.rand(2, 3, *size, dtype=torch.float64)
    assert_same(FrozenStructure(trained)(pixels), trained(pixels))


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_the_pyramid_is_one_kernel(size: tuple[int, int]) -> None:
    torch.manual_seed(8)
    trained = lively(SpatialPyramid(8))
    assert isinstance(trained, SpatialPyramid)
    features = torch.randn(2, 8, *size, dtype=torch.float64)
    assert_same(CollapsedPyramid(trained)(features), trained(features))


@pytest.mark.parametrize("width_px", range(40, 44))
def test_the_pyramid_errs_by_rounding_alone_in_half_precision(width_px: int) -> None:
    """Where rows are a multiple of a kernel's stride, a vector unit has added up other samples."""
    torch.manual_seed(8)
    trained = lively(SpatialPyramid(8))
    assert isinstance(trained, SpatialPyramid)
    features = torch.randn(1, 8, 37, width_px, dtype=torch.float64)
    collapsed = nn.ModuleList([CollapsedPyramid(trained).float()])
    replace_layers(collapsed, torch.bfloat16)
    given = features.bfloat16().contiguous(memory_format=torch.channels_last)
    expected = trained(given.double())
    apart = (collapsed[0](given).double() - expected).abs().max()
    # Each sum is of some hundred products of numbers rounded to 8 bits, and is rounded itself.
    assert apart <= 2**-6 * expected.abs().max()
