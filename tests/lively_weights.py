"""Weights whose attention follows the picture strongly, whatever is shipped.

What is kept along a shot shows in the result only as far as the network reacts to the whole frame;
trained weights may hardly do.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import safetensors.torch
import torch

from sdr2hdr.bench.random_weights import write_random_weights
from sdr2hdr.networks.card import Form
from sdr2hdr.networks.weights import load_network

__all__ = ["write_lively_weights"]

GAIN = 30.0
"""Of the gates' last layer."""

LARGEST_CORRECTION = 0.2
"""Of the curve, in PQ."""


@torch.no_grad()
def write_lively_weights(folder: Path) -> Path:
    """Write weights and card of a random irnet2 into a folder that exists, and give the folder."""
    write_random_weights("irnet2", folder)
    network, _ = load_network("irnet2", folder)
    state = network.state_dict()
    for name in ("blocks.0.attention.expand.weight", "blocks.1.attention.expand.weight"):
        state[name] = state[name] * GAIN
    network.load_state_dict(state)
    picture = torch.rand(1, 3, 48, 64, generator=torch.Generator().manual_seed(1))
    correction = network(picture)
    mean = correction.mean((2, 3), keepdim=True)
    factor = LARGEST_CORRECTION / float((correction - mean).abs().max())
    state["tail.bias"] = (state["tail.bias"] - mean.flatten()) * factor
    state["tail.weight"] = state["tail.weight"] * factor
    content = safetensors.torch.save(state)
    (folder / "irnet2.safetensors").write_bytes(content)
    path = folder / "irnet2.json"
    card = json.loads(path.read_text(encoding="utf-8"))
    card |= {"form": Form.RESIDUAL_BT2446A.value, "sha256": hashlib.sha256(content).hexdigest()}
    path.write_text(json.dumps(card), encoding="utf-8")
    return folder
