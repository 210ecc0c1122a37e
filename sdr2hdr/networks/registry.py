"""The networks by name. Listing them imports no torch; only building one does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from sdr2hdr.errors import ModelError

if TYPE_CHECKING:
    from sdr2hdr.networks.network import Network

__all__ = [
    "NETWORKS",
    "NetworkKind",
    "NetworkSpec",
    "build",
    "is_network",
    "resolve",
    "resolve_exactly",
]

NetworkKind = Literal["irnet", "gpgmnet"]


@dataclass(frozen=True)
class NetworkSpec:
    """A network's shape, and what it costs.

    Attributes:
        name: What `--model` and the files of its weights are called.
        family: The name that stands for it together with a scale ("gpgmnet" with 4 is
            "gpgmnet-x4").
        scale: Output samples per input sample, along each side.
        blocks: Residual blocks (IRNet) or joint modulated residual modules (GPGMNet).
        channels: Width of the feature maps.
        parameters: Trained numbers.
        macs_per_pixel: Multiply-adds per *input* pixel on a large frame.
    """

    name: str
    family: str
    kind: NetworkKind
    scale: int
    blocks: int
    channels: int
    parameters: int
    macs_per_pixel: int


NETWORKS: tuple[NetworkSpec, ...] = (
    NetworkSpec("irnet1", "irnet1", "irnet", 1, 1, 48, 49_302, 48_720),
    NetworkSpec("irnet2", "irnet2", "irnet", 1, 2, 64, 134_731, 133_120),
    NetworkSpec("irnet5-x2", "irnet5", "irnet", 2, 5, 64, 320_480, 316_672),
    NetworkSpec("irnet5-x4", "irnet5", "irnet", 4, 5, 64, 468_192, 484_864),
    NetworkSpec("gpgmnet-x2", "gpgmnet", "gpgmnet", 2, 5, 64, 768_836, 735_181),
    NetworkSpec("gpgmnet-x4", "gpgmnet", "gpgmnet", 4, 5, 64, 916_548, 1_345_741),
)
"""Every network the program knows, with or without weights."""


def is_network(name: str) -> bool:
    """Whether `name` is a network or a family of networks."""
    return any(name in (spec.name, spec.family) for spec in NETWORKS)


def resolve(name: str, scale: int = 1) -> NetworkSpec:
    """Find the network that `name` means at a scale.

    Args:
        name: A network's own name, or its family's.
        scale: 1 to convert, else the magnification asked for.

    Raises:
        ModelError: There is no such network, or it lacks the scale.
    """
    candidates = [spec for spec in NETWORKS if name in (spec.name, spec.family)]
    if not candidates:
        raise _unknown(name)
    for spec in candidates:
        if spec.scale == scale:
            return spec
    scales = " and ".join(f"x{spec.scale}" for spec in candidates)
    able = " or ".join(spec.name for spec in NETWORKS if spec.scale == scale)
    raise ModelError(
        f'Network "{name}" works at {scales} only, and x{scale} was asked for; '
        + (f"try --model {able}." if able else "no network does that: change --scale.")
    )


def resolve_exactly(name: str) -> NetworkSpec:
    """Find a network by its own name, whatever its scale.

    Raises:
        ModelError: There is no such network, or `name` is a family's, which needs a scale.
    """
    for spec in NETWORKS:
        if spec.name == name:
            return spec
    family = [spec.name for spec in NETWORKS if spec.family == name]
    if family:
        raise ModelError(f'"{name}" stands for {" and ".join(family)}; name one of them.')
    raise _unknown(name)


def build(spec: NetworkSpec) -> Network:
    """Make the network of `spec` with random weights, in training mode."""
    if spec.kind == "irnet":
        from sdr2hdr.networks.irnet import IRNet

        return IRNet(spec.blocks, spec.channels, spec.scale)
    from sdr2hdr.networks.gpgmnet import GPGMNet

    return GPGMNet(spec.scale, spec.blocks, spec.channels)


def _unknown(name: str) -> ModelError:
    known = ", ".join(spec.name for spec in NETWORKS)
    return ModelError(f'Unknown network "{name}"; expected one of {known}.')
