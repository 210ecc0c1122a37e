"""Weights of earlier trainings, to train on from them or from their mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import safetensors.torch
import torch

from sdr2hdr.errors import InputError
from sdr2hdr.networks.network import Network

__all__ = ["load_start_weights"]

_TAIL = "tail."
_ENLARGING_LAYERS = ("upsample.", _TAIL)
"""Beginnings of the names of what differs between scales of a network."""


def load_start_weights(paths: Sequence[Path], network: Network) -> None:
    """Fill a network with the mean of the weights in these files.

    Weights of the same network at another scale fill what it has in common with that one; its tail,
    which reads and writes other grids, and what only it has stay as they are.

    Args:
        paths: Safetensors, 1 or more. The mean of weights that one training reached by different
            turns is often better than each of them.
        network: Changed in place.

    Raises:
        InputError: A file cannot be read, is of another network, or holds infinities or NaN.

    Source:
        Wortsman et al., "Model soups: averaging weights of multiple fine-tuned models improves
        accuracy without increasing inference time", ICML 2022, Table 2, the uniform soup.
    """
    own = network.state_dict()
    found = [_read(path, own) for path in paths]
    # In float64, and back to what the network has: batch norms count batches in whole numbers.
    mean = {
        name: torch.stack([each[name].double() for each in found]).mean(0).to(tensor.dtype)
        for name, tensor in own.items()
    }
    network.load_state_dict(mean)


def _read(path: Path, own: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """A tensor for each of the network's own, of the same shape, on its device."""
    try:
        tensors = safetensors.torch.load_file(path)
    except (OSError, safetensors.SafetensorError) as error:
        raise InputError(f"{path} cannot be read as weights (--start-from): {error}") from error
    if tensors.keys() != own.keys() and all(
        name in tensors for name in own if not name.startswith(_ENLARGING_LAYERS)
    ):
        common = tensors.keys() & {name for name in own if not name.startswith(_TAIL)}
        tensors = {**own, **{name: tensors[name] for name in common}}
    differing = sorted(
        {name for name in tensors.keys() & own.keys() if tensors[name].shape != own[name].shape}
        | (tensors.keys() ^ own.keys())
    )
    if differing:
        raise InputError(
            f"{path} does not hold weights of this network (--start-from): {len(differing)} "
            f"tensors are missing, too many or of another shape, {differing[0]} among them."
        )
    for name, tensor in tensors.items():
        if not torch.isfinite(tensor).all():
            raise InputError(f'{path}: "{name}" holds infinities or NaN (--start-from).')
    return {name: tensors[name].to(tensor.device) for name, tensor in own.items()}
