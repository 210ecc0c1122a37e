"""IRNet's forward pass for training with neighbouring linear layers multiplied at every step.

The gradients reach the trained form's own weights through the products, so what is learnt and
stored is the network of the paper, at half the time a step. The algebra is that of
`networks.collapsed_irnet`, which multiplies once, without gradients, for engines; here the weights
change at every step and batches have statistics of their own.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from sdr2hdr.networks.irnet import (
    CONTRAST_EPSILON,
    LEAKY_SLOPE,
    ChannelAttention,
    ImprovedResidualBlock,
    IRNet,
)

__all__ = ["folded_forward"]

_ROWS = 5
_LANES = 16
"""Results of the last layer times its rows, filled up: a vector unit's lanes would be idle."""


def folded_forward(network: IRNet, pixels: torch.Tensor) -> torch.Tensor:
    """Compute what `network(pixels)` computes.

    Args:
        network: Of any size and scale; its parameters get the gradients.
        pixels: (N, 3, H, W), floating, H and W 2 or more.

    Returns:
        (N, 3, H x scale, W x scale); at scale 1 in the dtype of the weights even under autocast.
    """
    extended = torch.cat((pixels, torch.ones_like(pixels[:, :1])), dim=1)
    # The first layer with its bias as the weight of the ones, which zero padding cuts off as well.
    first = torch.cat((network.head.weight, _bias(network.head)[:, None, None, None]), dim=1)
    features = F.conv2d(extended, first)
    head_features = features
    outputs = []
    for index, block in enumerate(network.blocks):
        assert isinstance(block, ImprovedResidualBlock)
        if index == 0:
            entry = torch.einsum("omyx,mi->oiyx", block.conv1.weight, first[:, :, 0, 0])
            inner = F.conv2d(extended, entry, _bias(block.conv1), padding=1)
        else:
            inner = block.conv1(features)
        features = features + _gated(block, F.leaky_relu(inner, LEAKY_SLOPE), features)
        outputs.append(features)
    fused = F.leaky_relu(network.fuse(torch.cat(outputs, dim=1)), LEAKY_SLOPE)
    if network.scale > 1:
        return network.tail(network.body(fused) + head_features)
    assert isinstance(network.tail, nn.Conv2d)
    skip = torch.einsum("omyx,mi->oiyx", network.tail.weight, first[:, :, 0, 0])
    with torch.autocast(pixels.device.type, enabled=False):
        skipped = F.conv2d(extended.to(skip.dtype), skip, padding=1)
    return _linear_pair(network.body, network.tail, fused) + skipped


def _gated(
    block: ImprovedResidualBlock, inner: torch.Tensor, features: torch.Tensor
) -> torch.Tensor:
    """A block from its first activation on, conv2 and the fusion being one convolution."""
    fuse = block.fuse.weight[:, :, 0, 0]
    product = torch.einsum("om,miyx->oiyx", fuse, block.conv2.weight)
    fused = F.conv2d(inner, product, fuse @ _bias(block.conv2) + _bias(block.fuse), padding=1)
    fused = fused + F.conv2d(features, block.fuse.weight)
    return _attended(block.attention, block.out(torch.cat((inner, fused), dim=1)))


def _attended(attention: ChannelAttention, features: torch.Tensor) -> torch.Tensor:
    mean, variance = _Moments.apply(features)
    contrast = torch.sqrt(variance + CONTRAST_EPSILON) + mean
    hidden = F.relu(attention.reduce(contrast[:, :, None, None]))
    return features * torch.sigmoid(attention.expand(hidden))


class _Moments(torch.autograd.Function):
    """Mean and population variance of each channel, (N, C), float32 or more.

    As PyTorch's `var_mean`, whose passes forth and back in half precision take ten times as long.
    """

    @staticmethod
    def forward(ctx: Any, features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        wide = features if features.dtype == torch.float64 else features.to(torch.float32)
        mean = wide.mean((2, 3))
        variance = (wide - mean[:, :, None, None]).square().mean((2, 3))
        ctx.save_for_backward(features, mean)
        return mean, variance

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> torch.Tensor:
        features, mean = ctx.saved_tensors
        of_mean, of_variance = gradients
        count = features.shape[2] * features.shape[3]
        slope = of_variance * (2.0 / count)
        offset = of_mean / count - slope * mean
        slope, offset = (part.to(features.dtype)[:, :, None, None] for part in (slope, offset))
        return torch.addcmul(offset, features, slope)


def _linear_pair(body: nn.Conv2d, tail: nn.Conv2d, features: torch.Tensor) -> torch.Tensor:
    """Two 3x3 convolutions as one of 5x5, less what the first would give outside the frame.

    5x5 is computed as 1x5 to five times as many channels and their sum down the columns.
    """
    a, b = body.weight, tail.weight
    results, channels = b.shape[0], a.shape[1]
    product = torch.zeros(results, channels, 5, 5, dtype=a.dtype, device=a.device)
    for y in range(3):
        for x in range(3):
            part = torch.einsum("om,miyx->oiyx", b[:, :, y, x], a)
            product = product + F.pad(part, (x, 2 - x, y, 2 - y))
    rows = product.permute(2, 0, 1, 3).flatten(0, 1)[:, :, None]
    rows = torch.cat((rows, rows.new_zeros(_LANES - rows.shape[0], channels, 1, 5)))
    by_row = F.conv2d(features, rows, padding=(0, 2))[:, : _ROWS * results]
    by_row = F.pad(by_row.to(a.dtype), (0, 0, 2, 2)).unflatten(1, (_ROWS, results))
    height = features.shape[2]
    result = sum(by_row[:, y, :, y : y + height] for y in range(_ROWS))
    result = result + (_bias(tail) + b.sum((2, 3)) @ _bias(body))[:, None, None]
    with torch.autocast(features.device.type, enabled=False):
        return result - _outside(body, tail, features.to(a.dtype))


def _outside(body: nn.Conv2d, tail: nn.Conv2d, features: torch.Tensor) -> torch.Tensor:
    """What the second convolution would make of the first's results on a ring around the frame."""
    a, b, bias = body.weight, tail.weight, _bias(body)
    height, width = features.shape[2:]

    def edge(
        strip: torch.Tensor,
        own: torch.Tensor,
        padding: tuple[int, int],
        following: torch.Tensor,
        following_padding: tuple[int, int],
    ) -> torch.Tensor:
        ring = F.conv2d(strip, own, bias, padding=padding)
        return F.conv2d(ring, following, padding=following_padding)

    # Rows -1 and H with their corners, then columns -1 and W without.
    top = edge(features[:, :, :1], a[:, :, 2:], (0, 2), b[:, :, :1], (0, 0))
    bottom = edge(features[:, :, -1:], a[:, :, :1], (0, 2), b[:, :, 2:], (0, 0))
    left = edge(features[..., :1], a[..., 2:], (1, 0), b[..., :1], (1, 0))
    right = edge(features[..., -1:], a[..., :1], (1, 0), b[..., 2:], (1, 0))
    rows = F.pad(top, (0, 0, 0, height - 1)) + F.pad(bottom, (0, 0, height - 1, 0))
    return rows + F.pad(left, (0, width - 1)) + F.pad(right, (width - 1, 0))


def _bias(layer: nn.Conv2d) -> torch.Tensor:
    assert layer.bias is not None
    return layer.bias
