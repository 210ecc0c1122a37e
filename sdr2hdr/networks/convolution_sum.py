"""Layers of collapsed networks: sums of convolutions, and products of two with exact borders."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from sdr2hdr.networks.stages import WHOLE_FRAME, Sides

__all__ = ["ConvolutionSum", "GatedSum", "LinearPair", "SideBySide", "WithOnes", "convolution"]


def convolution(
    weight: torch.Tensor, bias: torch.Tensor | None = None, padding: tuple[int, int] | None = None
) -> nn.Conv2d:
    """Make a layer of given weights, without gradients.

    Args:
        weight: (C', C, k, l).
        bias: (C',) or None.
        padding: Zeros around height and width; None keeps the size of the map.
    """
    out_channels, in_channels, height_px, width_px = weight.shape
    layer = nn.Conv2d(
        in_channels,
        out_channels,
        (height_px, width_px),
        padding=(height_px // 2, width_px // 2) if padding is None else padding,
        bias=bias is not None,
        dtype=weight.dtype,
        device=weight.device,
    ).requires_grad_(False)
    layer.weight.copy_(weight)
    if bias is not None and layer.bias is not None:
        layer.bias.copy_(bias)
    return layer


class SideBySide(nn.Module):
    """Maps that are read together; a backend may join them, once for all sums that read them."""

    def forward(self, maps: Sequence[torch.Tensor]) -> Sequence[torch.Tensor]:
        """Give what a `ConvolutionSum` takes for these maps: here, the maps themselves."""
        return maps


class WithOnes(nn.Module):
    """A picture and, as one more channel, ones; without weights, so a backend may do it its way."""

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Map (N, C, H, W) to (N, C + 1, H, W)."""
        return torch.cat((pixels, torch.ones_like(pixels[:, :1])), dim=1)


class ConvolutionSum(nn.Module):
    """The sum of convolutions of several maps, and perhaps a leaky ReLU after it.

    Attributes:
        layers: One a map; the first alone may have a bias.
        negative_slope: Of the leaky ReLU; None leaves the sum as it is.
    """

    def __init__(self, layers: Sequence[nn.Conv2d], negative_slope: float | None = None) -> None:
        """Set the attributes."""
        super().__init__()
        self.layers = nn.ModuleList(layers)
        self.negative_slope = negative_slope

    def forward(
        self, maps: Sequence[torch.Tensor], gates: Sequence[torch.Tensor] = ()
    ) -> torch.Tensor:
        """Add up.

        Args:
            maps: As many (N, C, H, W) as there are layers.
            gates: Factors for the channels of the first maps, (N, C) each.

        Returns:
            (N, C', H, W).
        """
        result: torch.Tensor | None = None
        for index, (layer, features) in enumerate(zip(self.layers, maps, strict=True)):
            gated = features * gates[index][:, :, None, None] if index < len(gates) else features
            part = layer(gated)
            result = part if result is None else result.add_(part)
        assert result is not None
        if self.negative_slope is not None:
            F.leaky_relu_(result, self.negative_slope)
        return result

    def extra_repr(self) -> str:
        """Part of what names an exported graph."""
        return f"negative_slope={self.negative_slope}"


class GatedSum(nn.Module):
    """A convolution of 1x1 of one map, and other maps with a factor for each channel, added up.

    Attributes:
        layer: Without a bias.
    """

    def __init__(self, layer: nn.Conv2d) -> None:
        """Set the attribute."""
        super().__init__()
        self.layer = layer

    def forward(
        self,
        features: torch.Tensor,
        maps: Sequence[torch.Tensor],
        gates: Sequence[torch.Tensor],
    ) -> torch.Tensor:
        """Add up.

        Args:
            features: What the convolution takes, (N, C, H, W).
            maps: (N, C', H, W) each.
            gates: One a map, (N, C').

        Returns:
            (N, C', H, W).
        """
        result = self.layer(features)
        for gated, gate in zip(maps, gates, strict=True):
            result.addcmul_(gated, gate[:, :, None, None])
        return result


class LinearPair(nn.Module):
    """Two 3x3 convolutions with nothing between, as one of 5x5 and a border of 1 px.

    The second pads the first's result with zeros, where the 5x5 convolution goes on with what the
    first would give outside the frame. That ring of 1 px around the frame is computed from the
    frame's outermost samples, and what the second layer makes of it is taken off again.
    """

    _ROW_CHANNELS = 16
    """Up to as many results a pixel, 5x5 is computed as 1x5 to five times as many channels and
    their sum down the columns: a vector unit's lanes would be idle for 3 results. At 64 channels
    and one core of AVX2, 132 ns a pixel instead of 580."""

    _LANES = 8
    """Channels are filled up to a multiple of this; see `_ROW_CHANNELS`."""

    def __init__(self, first: nn.Conv2d, second: nn.Conv2d) -> None:
        """Multiply two 3x3 convolutions that keep the size and have biases."""
        super().__init__()
        dtype = first.weight.dtype
        a, b = first.weight.detach().double(), second.weight.detach().double()
        a_bias, b_bias = _bias(first), _bias(second)
        product = b.new_zeros(b.shape[0], a.shape[1], 5, 5)
        for y in range(3):
            for x in range(3):
                product[:, :, y : y + 3, x : x + 3] += torch.einsum(
                    "om,miyx->oiyx", b[:, :, y, x], a
                )
        bias = b_bias + b.sum((2, 3)) @ a_bias
        self.rows: nn.Conv2d | None = None
        if b.shape[0] <= self._ROW_CHANNELS:
            self.rows, self.inner = self._separated(product, bias, dtype)
        else:
            self.inner = convolution(product.to(dtype), bias.to(dtype))
        # Rows -1 and H with their corners, then columns -1 and W without.
        self.edges = nn.ModuleList(
            nn.Sequential(
                convolution(own.to(dtype), a_bias.to(dtype), own_padding),
                convolution(next_.to(dtype), None, next_padding),
            )
            for own, own_padding, next_, next_padding in (
                (a[:, :, 2:, :], (0, 2), b[:, :, :1, :], (0, 0)),
                (a[:, :, :1, :], (0, 2), b[:, :, 2:, :], (0, 0)),
                (a[:, :, :, 2:], (1, 0), b[:, :, :, :1], (1, 0)),
                (a[:, :, :, :1], (1, 0), b[:, :, :, 2:], (1, 0)),
            )
        )

    def forward(self, features: torch.Tensor, sides: Sides = WHOLE_FRAME) -> torch.Tensor:
        """Map (N, C, H, W) to (N, C', H, W), with a border on those sides."""
        result = self.inner(features if self.rows is None else self.rows(features))
        top, bottom, left, right = self.edges
        if sides.top:
            result[:, :, :1] -= top(features[:, :, :1])
        if sides.bottom:
            result[:, :, -1:] -= bottom(features[:, :, -1:])
        if sides.left:
            result[:, :, :, :1] -= left(features[:, :, :, :1])
        if sides.right:
            result[:, :, :, -1:] -= right(features[:, :, :, -1:])
        return result

    def _separated(
        self, product: torch.Tensor, bias: torch.Tensor, dtype: torch.dtype
    ) -> tuple[nn.Conv2d, nn.Conv2d]:
        results, channels, height_px, width_px = product.shape
        used = height_px * results
        filled = -(-used // self._LANES) * self._LANES
        rows = product.new_zeros(filled, channels, 1, width_px)
        rows[:used, :, 0] = product.permute(2, 0, 1, 3).flatten(0, 1)
        down = product.new_zeros(results, filled, height_px, 1)
        for y in range(height_px):
            for result in range(results):
                down[result, y * results + result, y] = 1.0
        return convolution(rows.to(dtype)), convolution(down.to(dtype), bias.to(dtype))


def _bias(layer: nn.Conv2d) -> torch.Tensor:
    assert layer.bias is not None
    return layer.bias.detach().double()
