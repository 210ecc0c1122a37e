"""A random irnet2 that corrects its curve by as much as a test wants, whatever is shipped."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import safetensors.torch
import torch

from sdr2hdr.bench.random_weights import write_random_weights
from sdr2hdr.networks.card import Form
from sdr2hdr.networks.weights import load_network

__all__ = ["write_random_refinement"]


@torch.no_grad()
def write_random_refinement(
    folder: Path, pixels: torch.Tensor, largest: float, attention_gain: float = 1.0
) -> None:
    """Write weights and card.

    Args:
        folder: Exists.
        pixels: (1, 3, H, W), [0, 1].
        largest: What is added to the curve of `pixels` at most, in PQ.
        attention_gain: Of the gates' last layers.
    """
    write_random_weights("irnet2", folder)
    network, _ = load_network("irnet2", folder)
    state = network.state_dict()
    for name in ("blocks.0.attention.expand.weight", "blocks.1.attention.expand.weight"):
        state[name] = state[name] * attention_gain
    network.load_state_dict(state)
    own = network(pixels)
    mean = own.mean((2, 3), keepdim=True)
    factor = largest / float((own - mean).abs().max())
    # A picture's mean is the curve's affair.
    state["tail.bias"] = (state["tail.bias"] - mean.flatten()) * factor
    state["tail.weight"] = state["tail.weight"] * factor
    content = safetensors.torch.save(state)
    (folder / "irnet2.safetensors").write_bytes(content)
    path = folder / "irnet2.json"
    card = json.loads(path.read_text(encoding="utf-8"))
    card |= {"form": Form.RESIDUAL_BT2446A.value, "sha256": hashlib.sha256(content).hexdigest()}
    path.write_text(json.dumps(card), encoding="utf-8")
