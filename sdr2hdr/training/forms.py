"""From a network to the picture it stands for: its output, and what its form adds."""

from __future__ import annotations

from functools import partial

import torch
from torch import nn

from sdr2hdr.curves.bt2446a import bt2446a
from sdr2hdr.networks.card import Form
from sdr2hdr.networks.gpgmnet import bicubic_upscale
from sdr2hdr.networks.half_precision import computes_bf16
from sdr2hdr.networks.irnet import IRNet
from sdr2hdr.networks.network import Network
from sdr2hdr.training.folding import folded_forward

__all__ = ["base_picture", "keep_last_layer_exact", "predict", "zero_last_layer"]


def base_picture(sdr: torch.Tensor, form: Form, scale: int) -> torch.Tensor | None:
    """What the network's output is added to.

    Args:
        sdr: (N, 3, H, W), float32, [0, 1], BT.709, gamma 2.4.
        form: The network's form.
        scale: The network's scale.

    Returns:
        PQ R'G'B', (N, 3, H x scale, W x scale), or None if the output is the picture itself.
    """
    if form is not Form.RESIDUAL_BT2446A:
        return None
    with torch.no_grad():
        enlarged = sdr if scale == 1 else bicubic_upscale(sdr, scale).clamp(0.0, 1.0)
        return bt2446a(enlarged)


def predict(network: Network, sdr: torch.Tensor, form: Form) -> torch.Tensor:
    """Compute whole frames, inside in bfloat16 where the device has it.

    Args:
        network: On the device of `sdr`; in training mode IRNet's linear layers are folded.
        sdr: (N, 3, H, W), float32, [0, 1].
        form: The network's form.

    Returns:
        PQ R'G'B', (N, 3, H x scale, W x scale), float32, not clipped.
    """
    half = computes_bf16(sdr.device)
    given = bt2446a(sdr) if form is Form.REFINEMENT_BT2446A else sdr
    with torch.autocast(sdr.device.type, dtype=torch.bfloat16, enabled=half):
        if network.training and isinstance(network, IRNet):
            output = folded_forward(network, given)
        else:
            output = network(given)
    output = output.to(torch.float32)
    base = base_picture(sdr, form, network.scale)
    return output if base is None else output + base


def zero_last_layer(network: Network) -> None:
    """Let a network start as the curve it adds to, or as its own enlargement of the curve."""
    last = _last_layer(network)
    nn.init.zeros_(last.weight)
    if last.bias is not None:
        nn.init.zeros_(last.bias)


def keep_last_layer_exact(network: Network) -> None:
    """Compute the last layer in float32 under autocast: PQ codes need more than 8 bits."""
    last = _last_layer(network)
    # An attribute of the object hides the method of its class; keys of the state stay as they are.
    setattr(last, "forward", partial(_exact, last))  # noqa: B010


def _exact(layer: nn.Conv2d, features: torch.Tensor) -> torch.Tensor:
    with torch.autocast(features.device.type, enabled=False):
        return nn.Conv2d.forward(layer, features.to(torch.float32))


def _last_layer(network: Network) -> nn.Conv2d:
    tail = network.get_submodule("tail")
    return [layer for layer in tail.modules() if isinstance(layer, nn.Conv2d)][-1]
