"""Collapsed networks: the trained function with neighbouring linear layers multiplied together."""

from __future__ import annotations

from sdr2hdr.networks.collapsed_gpgmnet import collapse_gpgmnet
from sdr2hdr.networks.collapsed_irnet import collapse_irnet
from sdr2hdr.networks.gpgmnet import GPGMNet
from sdr2hdr.networks.irnet import IRNet
from sdr2hdr.networks.network import Network
from sdr2hdr.networks.stages import Program

__all__ = ["collapse"]


def collapse(network: Network) -> Program:
    """Make the program that an engine runs from a trained network.

    Args:
        network: In eval mode; left as it is. Products of weights are computed in float64.

    Returns:
        Stages with weights of their own, of the network's dtype, that compute the same function
        up to rounding. A network without a collapsed form gives its own program.
    """
    if isinstance(network, IRNet):
        return collapse_irnet(network)
    if isinstance(network, GPGMNet):
        return collapse_gpgmnet(network)
    return network.program()
