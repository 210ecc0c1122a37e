"""Weights for IRNet-2 that stay the same whatever is shipped.

How far rounding moves a result depends on the weights: on how much they add to the curve. What
shipped weights have to hold themselves is in `test_shipped_methods` and `test_precision`.
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

__all__ = ["LARGEST_CORRECTION", "MAP_ROUNDING_CODES", "write_known_weights"]

LARGEST_CORRECTION = 0.05
"""What these weights add to their curve at most: 51 codes at 10 bits, as trained ones may."""

MAP_ROUNDING_CODES = 2**-11 * LARGEST_CORRECTION * 1023
"""What rounding one map between stages to half precision may move a sample by: half a unit in the
last place of the largest correction. 0.025 codes at 10 bits."""


@torch.no_grad()
def write_known_weights(folder: Path, pixels: torch.Tensor) -> None:
    """Write weights and card of a random irnet2 that corrects the curve of `pixels`.

    Args:
        folder: Exists.
        pixels: (1, 3, H, W), [0, 1].
    """
    write_random_weights("irnet2", folder)
    network, _ = load_network("irnet2", folder)
    state = network.state_dict()
    own = network(pixels)
    mean = own.mean((2, 3), keepdim=True)
    factor = LARGEST_CORRECTION / float((own - mean).abs().max())
    # A picture's mean is the curve's affair.
    state["tail.bias"] = (state["tail.bias"] - mean.flatten()) * factor
    state["tail.weight"] = state["tail.weight"] * factor
    content = safetensors.torch.save(state)
    (folder / "irnet2.safetensors").write_bytes(content)
    path = folder / "irnet2.json"
    card = json.loads(path.read_text(encoding="utf-8"))
    card |= {"form": Form.RESIDUAL_BT2446A.value, "sha256": hashlib.sha256(content).hexdigest()}
    path.write_text(json.dumps(card), encoding="utf-8")
