"""What a network is before its first step, and how far that step goes."""

import pytest
import torch

from sdr2hdr.networks.gpgmnet import GPGMNet
from sdr2hdr.networks.registry import build, resolve_exactly
from sdr2hdr.training.forms import last_layer
from sdr2hdr.training.initialisation import start_as_curve
from sdr2hdr.training.optimiser import make_optimiser, set_rate
from sdr2hdr.training.recipe import OptimiserRecipe


def _seen_by_the_last_layer(network, pixels):
    seen = []
    handle = network.tail.register_forward_pre_hook(lambda layer, given: seen.append(given[0]))
    with torch.no_grad():
        network(pixels)
    handle.remove()
    return seen[0]


@pytest.mark.parametrize("scale", [2, 4])
def test_the_last_layer_of_a_new_gpgmnet_sees_the_picture(scale):
    torch.manual_seed(0)
    network = GPGMNet(scale).eval()
    picture = torch.rand(1, 3, 24, 32)

    def share_of_the_picture():
        features = _seen_by_the_last_layer(network, picture)
        of_grey = _seen_by_the_last_layer(network, torch.full_like(picture, 0.5))
        return float((features - of_grey).norm() / features.norm())

    before = share_of_the_picture()
    start_as_curve(network)
    assert share_of_the_picture() > 2.0 * before


@pytest.mark.parametrize("scale", [2, 4])
def test_a_new_gpgmnet_keeps_its_features_at_one_size(scale):
    torch.manual_seed(0)
    network = GPGMNet(scale).eval()
    start_as_curve(network)
    sizes = []
    for part in (network.head, *network.body, network.gather, network.upsample):
        part.register_forward_hook(lambda *about: sizes.append(float(about[-1].square().mean())))
    with torch.no_grad():
        network(torch.rand(1, 3, 24, 32))
    assert max(sizes) < 3.0 * min(sizes)


@pytest.mark.parametrize("name", ["irnet1", "gpgmnet-x2"])
def test_the_last_layer_learns_at_its_own_rate(name):
    network = build(resolve_exactly(name))
    optimiser = make_optimiser(network, OptimiserRecipe(last_layer_rate=0.125))
    set_rate(optimiser, 1e-3)
    before = {name: value.detach().clone() for name, value in network.named_parameters()}
    for parameter in network.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimiser.step()
    last = {id(parameter) for parameter in last_layer(network).parameters()}
    assert len(last) == 2
    for name, value in network.named_parameters():
        expected = 1e-3 * (0.125 if id(value) in last else 1.0)
        step = (before[name] - value.detach()).double()
        torch.testing.assert_close(step, torch.full_like(step, expected), rtol=1e-2, atol=1e-7)
