"""What a network is before its first step, if it starts as the curve that it refines or adds to."""

from __future__ import annotations

from torch import nn

from sdr2hdr.networks.gpgmnet import GPGMNet, ModulatedResidualModule
from sdr2hdr.networks.network import Network, initialise_kaiming
from sdr2hdr.training.forms import zero_last_layer

__all__ = ["start_as_curve"]

_RELU, _LINEAR = 0.0, 1.0
"""What follows a layer, by the slope of what is below zero."""

_BRANCH_FACTOR = 0.1
"""Times Kaiming's deviation for what is added to a module's input, and for the map that it is
multiplied with: five modules in a row leave the features as large as they were."""


def start_as_curve(network: Network) -> None:
    """Let a network answer as its curve, in place, and be able to learn what is missing.

    The last layer becomes zero. A GPGMNet gets new weights before that one too: with torch's own
    each layer passes on a third of its input's variance and adds a bias of its own, so that a sixth
    of what the last layer sees depends on the picture; with these it is a half. From torch's own,
    1,400 steps of x4 had learned to answer with zero.
    """
    if isinstance(network, GPGMNet):
        _initialise(network)
    zero_last_layer(network)


def _initialise(network: GPGMNet) -> None:
    """Keep features at one size, let modules be residual blocks, and the priors not speak yet."""
    _draw(network.head, _LINEAR)
    for module in network.body:
        assert isinstance(module, ModulatedResidualModule)
        _draw(module.base[0], _RELU)
        _draw(module.base[2], _LINEAR, _BRANCH_FACTOR)
        for branch in module.pyramid.branches:
            _draw(branch, _LINEAR)
        _draw(module.pyramid.narrow, _LINEAR)
        _draw(module.pyramid.fuse, _LINEAR, _BRANCH_FACTOR)
        for layer in (module.factor, module.shift):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)
        nn.init.ones_(module.factor.bias)
    _draw(network.gather[0], _RELU)
    _draw(network.gather[2], _LINEAR)
    for step in network.upsample:
        assert isinstance(step, nn.Sequential)
        _draw(step[0], _LINEAR)


def _draw(layer: nn.Module, slope: float, factor: float = 1.0) -> None:
    """Kaiming's normal distribution for what follows the layer, times a factor, and no bias."""
    assert isinstance(layer, nn.Conv2d)
    initialise_kaiming(layer, slope)
    layer.weight.data.mul_(factor)
