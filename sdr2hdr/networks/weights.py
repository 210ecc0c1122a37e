"""Trained weights: where they lie, and how they get into a network without being trusted blindly.

Weights are `<name>.safetensors` beside `<name>.json`, the model card. Nothing is unpickled; the
file's hash must be the card's, and its tensors exactly those of the network.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

from sdr2hdr.errors import WeightsError
from sdr2hdr.networks.card import ModelCard, read_card
from sdr2hdr.networks.registry import build, resolve_exactly
from sdr2hdr.path_kinds import is_folder

if TYPE_CHECKING:
    import torch

    from sdr2hdr.networks.network import Network

__all__ = [
    "WEIGHTS_VARIABLE",
    "card_of",
    "find_card",
    "load_network",
    "weights_files",
    "weights_folder",
]

WEIGHTS_VARIABLE = "SDR2HDR_WEIGHTS"
"""Environment variable that names another folder of weights."""

_PACKAGE = Path(__file__).resolve().parents[1]


def weights_folder(weights_dir: Path | None = None) -> Path:
    """Choose the one folder that weights are read from.

    It is `weights_dir`, else what the environment variable names, else the folder inside the
    installed package, else, where the package is used from its source tree, the one beside it.

    Raises:
        WeightsError: The folder does not exist or cannot be read.
    """
    if weights_dir is not None:
        folder, chosen_by = weights_dir, "--weights-dir"
    elif named := os.environ.get(WEIGHTS_VARIABLE):
        folder, chosen_by = Path(named), WEIGHTS_VARIABLE
    else:
        folder, chosen_by = _PACKAGE / "weights", "the installation"
        source_tree = _PACKAGE.parent
        if not folder.is_dir() and (source_tree / "pyproject.toml").is_file():
            folder = source_tree / "weights"
    try:
        found = "does not exist" if not is_folder(folder) else ""
    except OSError as error:
        # A name that is too long for its file system, for one.
        found = f"cannot be read: {error.strerror}"
    if found:
        raise WeightsError(
            f"Folder of weights {folder}, from {chosen_by}, {found}; "
            f"--weights-dir or {WEIGHTS_VARIABLE} names another."
        )
    return folder


def find_card(name: str, weights_dir: Path | None = None) -> ModelCard | None:
    """Read the card of a network's weights; imports no torch and does not open the weights.

    Args:
        name: A network's own name.
        weights_dir: See `weights_folder`.

    Returns:
        The card, or None if the network has no weights.

    Raises:
        WeightsError: The folder does not exist, or what is there is broken.
        ModelError: There is no such network.
    """
    spec = resolve_exactly(name)
    tensors_path, card_path = weights_files(spec.name, weights_folder(weights_dir))
    if not tensors_path.is_file() and not card_path.is_file():
        return None
    for path in (tensors_path, card_path):
        if not path.is_file():
            raise WeightsError(f"Weights of {name} are incomplete: {path} is missing.")
    card = read_card(card_path)
    for field, found, expected in (
        ("name", card.name, spec.name),
        ("scale", card.scale, spec.scale),
        ("parameters", card.parameters, spec.parameters),
    ):
        if found != expected:
            raise WeightsError(
                f'Model card {card_path}: "{field}" is {found}; expected {expected}.'
            )
    return card


def card_of(name: str, weights_dir: Path | None = None) -> ModelCard:
    """Read the card of a network that must have weights; otherwise as `find_card`.

    Raises:
        WeightsError: There are no weights, or what is there is broken.
        ModelError: There is no such network.
    """
    card = find_card(name, weights_dir)
    if card is None:
        raise WeightsError(
            f"{name} has no weights yet: {name}.safetensors and {name}.json are not in "
            f"{weights_folder(weights_dir)}; "
            f"--weights-dir or {WEIGHTS_VARIABLE} names another folder."
        )
    return card


def load_network(name: str, weights_dir: Path | None = None) -> tuple[Network, ModelCard]:
    """Build a network and fill it with its weights.

    Args:
        name: A network's own name.
        weights_dir: See `weights_folder`.

    Returns:
        The network, float32 on the CPU, in eval mode and without gradients; and its card.

    Raises:
        WeightsError: The weights are missing, corrupted, or not of the network's shape.
        ModelError: There is no such network.
    """
    spec = resolve_exactly(name)
    card = card_of(name, weights_dir)
    path, _ = weights_files(spec.name, weights_folder(weights_dir))
    tensors = _read_tensors(path, card)
    network = build(spec)
    _check_tensors(path, tensors, network.state_dict(), card)
    network.load_state_dict(tensors, strict=True)
    return network.eval().requires_grad_(False), card


def weights_files(name: str, folder: Path) -> tuple[Path, Path]:
    """Where a folder has a network's weights and their card, whether or not they are there."""
    return folder / f"{name}.safetensors", folder / f"{name}.json"


def _read_tensors(path: Path, card: ModelCard) -> dict[str, torch.Tensor]:
    import safetensors
    import safetensors.torch

    try:
        content = path.read_bytes()
    except OSError as error:
        raise WeightsError(f"Weights {path} cannot be read: {error.strerror}.") from error
    found = hashlib.sha256(content).hexdigest()
    if found != card.sha256:
        raise WeightsError(
            f"Weights {path} are corrupted or not those of the model card: SHA-256 is {found}; "
            f"expected {card.sha256}. Install them again, or name another folder (--weights-dir)."
        )
    try:
        return safetensors.torch.load(content)
    except safetensors.SafetensorError as error:
        raise WeightsError(f"Weights {path} are not a safetensors file: {error}.") from error


def _check_tensors(
    path: Path,
    found: dict[str, torch.Tensor],
    expected: dict[str, torch.Tensor],
    card: ModelCard,
) -> None:
    """Compare with the state of a network; half precision becomes single when it is loaded."""
    import torch

    for name in sorted(found.keys() ^ expected.keys()):
        if name in expected:
            raise WeightsError(f'Weights {path} lack the tensor "{name}".')
        raise WeightsError(f'Weights {path} hold "{name}", which the network does not have.')
    for name, tensor in found.items():
        own = expected[name]
        if tensor.shape != own.shape:
            raise WeightsError(
                f'Weights {path}: "{name}" has shape {tuple(tensor.shape)}; '
                f"expected {tuple(own.shape)}."
            )
        stored = getattr(torch, card.storage) if own.is_floating_point() else own.dtype
        if tensor.dtype != stored:
            raise WeightsError(
                f'Weights {path}: "{name}" is {str(tensor.dtype).removeprefix("torch.")}; '
                f"expected {str(stored).removeprefix('torch.')}, as the card says."
            )
        if not torch.isfinite(tensor).all():
            raise WeightsError(f'Weights {path}: "{name}" holds infinities or NaN.')
