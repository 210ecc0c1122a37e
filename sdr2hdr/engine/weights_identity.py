"""Tell one set of weights from another."""

from __future__ import annotations

from pathlib import Path

from sdr2hdr.networks.registry import is_network
from sdr2hdr.networks.weights import find_card

__all__ = ["weights_identity"]


def weights_identity(method: str, weights_dir: Path | None) -> str | None:
    """The hash of a method's weights and the form they are used in; None for curves.

    Args:
        method: Its own name, as `Engine.name`.
        weights_dir: Folder of the weights; None is the installed ones.

    Raises:
        WeightsError: The weights are not there, or their card is broken.
    """
    if not is_network(method):
        return None
    card = find_card(method, weights_dir)
    return None if card is None else f"{card.sha256}, {card.form.name.lower()}"
