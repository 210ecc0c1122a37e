"""Layers of collapsed networks as torch computes them fastest on a CPU in fp32."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from sdr2hdr.networks.convolution_sum import ConvolutionSum

__all__ = ["replace_layers"]


def replace_layers(module: nn.Module) -> None:
    """Put faster layers of the same function in the place of a module's, in place."""
    has_onednn = torch.backends.mkldnn.is_available()
    for name, child in module.named_children():
        replace_layers(child)
        if isinstance(child, ConvolutionSum):
            setattr(module, name, _RowProducts(child))
        elif has_onednn and isinstance(child, nn.Conv2d) and child.kernel_size != (1, 1):
            setattr(module, name, _OneDnnConvolution(child))


class _OneDnnConvolution(nn.Module):
    """A convolution by oneDNN, whatever its size.

    torch takes another way for small maps, which is slower and rounds differently: then a small
    tile would not have the bits of a large one.
    """

    def __init__(self, layer: nn.Conv2d) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        layer = self.layer
        assert not isinstance(layer.padding, str)
        return torch.mkldnn_convolution(
            features,
            layer.weight,
            layer.bias,
            layer.padding,
            layer.stride,
            layer.dilation,
            layer.groups,
        )


class _RowProducts(nn.Module):
    """A sum of convolutions whose 1x1 layers are matrix products, added in place.

    With channels last, a map is a matrix of a row a pixel. torch's convolution of 1x1 is the same
    product, but it cannot add to what is there: on a core of AVX2 a layer of 32 to 64 channels and
    its addition take 80 ns a pixel as convolution, 44 as product. A single frame's gates multiply
    the small weights instead of the map.
    """

    def __init__(self, whole: ConvolutionSum) -> None:
        super().__init__()
        self.layers = whole.layers
        self.negative_slope = whole.negative_slope

    def forward(
        self, maps: Sequence[torch.Tensor], gates: Sequence[torch.Tensor] = ()
    ) -> torch.Tensor:
        """See `ConvolutionSum.forward`; the maps are channels last."""
        result: torch.Tensor | None = None
        for index, (layer, features) in enumerate(zip(self.layers, maps, strict=True)):
            gate = gates[index] if index < len(gates) else None
            if not isinstance(layer, nn.Conv2d) or layer.kernel_size != (1, 1):
                part = layer(features if gate is None else features * gate[:, :, None, None])
                result = part if result is None else result.add_(part)
                continue
            weight = layer.weight[:, :, 0, 0].t()
            if gate is not None and len(gate) == 1:
                weight = weight * gate[0, :, None]
            elif gate is not None:
                features = features * gate[:, :, None, None]
            frames, _, height_px, width_px = features.shape
            rows = features.permute(0, 2, 3, 1).flatten(0, 2)
            if result is not None:
                result.permute(0, 2, 3, 1).view(-1, weight.shape[1]).addmm_(rows, weight)
                continue
            part = rows @ weight if layer.bias is None else torch.addmm(layer.bias, rows, weight)
            result = part.view(frames, height_px, width_px, -1).permute(0, 3, 1, 2)
        assert result is not None
        if self.negative_slope is not None:
            F.leaky_relu_(result, self.negative_slope)
        return result
