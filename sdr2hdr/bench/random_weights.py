"""Weights for a network that has none: random ones, since speed does not depend on them."""

from __future__ import annotations

import hashlib
from pathlib import Path

from sdr2hdr.networks.card import Form, ModelCard, TrainingRun, write_card
from sdr2hdr.networks.registry import build, resolve_exactly
from sdr2hdr.networks.weights import weights_files
from sdr2hdr.signal import BT709_DISPLAY, HDR_DISPLAY

__all__ = ["write_random_weights"]


def write_random_weights(model: str, folder: Path) -> None:
    """Write a network's random weights and their card, in the form whose output is the picture.

    Args:
        model: A network's own name.
        folder: Exists.
    """
    import safetensors.torch
    import torch

    torch.manual_seed(0)
    spec = resolve_exactly(model)
    content = safetensors.torch.save(build(spec).state_dict())
    card = ModelCard(
        name=spec.name,
        title=f"{spec.name} with random weights",
        status="pilot",
        architecture=f"{spec.kind}, {spec.blocks} blocks, {spec.channels} channels",
        parameters=spec.parameters,
        scale=spec.scale,
        input=BT709_DISPLAY,
        output=HDR_DISPLAY,
        form=Form.DIRECT,
        licence="MIT",
        training_data=(),
        training=TrainingRun(machine="none", hours=0.0, steps=0),
        scores=(),
        known_failures=("Untrained: for measuring speed alone.",),
        sha256=hashlib.sha256(content).hexdigest(),
    )
    weights, card_path = weights_files(spec.name, folder)
    weights.write_bytes(content)
    write_card(card_path, card)
