"""Layers of collapsed networks as torch computes them fastest on a CPU: by oneDNN, fused."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from sdr2hdr.networks.collapsed_gpgmnet import Modulation
from sdr2hdr.networks.convolution_sum import ConvolutionSum, GatedSum
from sdr2hdr.networks.stages import GIVES_OUTPUT

__all__ = ["has_fast_layers", "replace_layers"]


def has_fast_layers() -> bool:
    """Whether torch was built with oneDNN and lets what follows a convolution be fused with it.

    Its names for that are not public, but its own compiler's output calls them.
    """
    return torch.backends.mkldnn.is_available() and all(
        hasattr(torch.ops.mkldnn, name)
        for name in ("_convolution_pointwise", "_convolution_pointwise_")
    )


def _multiplied(dtype: torch.dtype) -> torch.dtype:
    """What oneDNN is given to multiply for convolutions in `dtype`.

    oneDNN refuses bfloat16 on processors with AVX2 alone. There the same rounded numbers are
    multiplied as float32: instructions for bfloat16 add up in float32 as well, and round the sum.
    """
    if dtype == torch.bfloat16 and not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        return torch.float32
    return dtype


def replace_layers(module: nn.Module, dtype: torch.dtype = torch.float32) -> None:
    """Put faster layers of the same function in the place of a module's, in place.

    Args:
        module: Of float32 weights, which go on in the layers put there.
        dtype: What convolutions are computed in, and what they give; they take maps of any dtype.
            All else stays float32, and so do the children that a module names as `GIVES_OUTPUT`.
    """
    precise = getattr(module, GIVES_OUTPUT, ())
    for name, child in module.named_children():
        inside = torch.float32 if name in precise else dtype
        if isinstance(child, ConvolutionSum):
            setattr(module, name, _FusedSum(child, inside, is_last=bool(precise)))
        elif isinstance(child, GatedSum):
            setattr(module, name, _FusedGatedSum(child, inside))
        elif isinstance(child, Modulation):
            setattr(module, name, _RoundedModulation(inside))
        elif isinstance(child, nn.Conv2d):
            setattr(module, name, _OneDnnConvolution(child, inside))
        else:
            replace_layers(child, inside)


class _OneDnnConvolution(nn.Module):
    """A convolution by oneDNN, whatever its size.

    torch takes another way for small maps, and with a single thread for 1x1, which is slower and
    rounds differently: then a small tile would not have the bits of a large one.
    """

    def __init__(self, layer: nn.Conv2d, dtype: torch.dtype) -> None:
        super().__init__()
        assert not isinstance(layer.padding, str)
        self.multiplied = _multiplied(dtype)
        self.layer = layer.to(dtype).to(self.multiplied)
        self.padding = layer.padding
        self.dtype = dtype

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        layer = self.layer
        result = torch.mkldnn_convolution(
            features.to(self.dtype).to(self.multiplied),
            layer.weight,
            layer.bias,
            self.padding,
            layer.stride,
            layer.dilation,
            layer.groups,
        )
        return result.to(self.dtype)


class _FusedSum(nn.Module):
    """A sum of convolutions: each adds to the result of those before, and the ReLU is in place.

    In half precision the maps of layers with equal kernels are joined and these layers are one:
    every sum that is written is rounded, and this is one rounding instead of two or three. In
    float32 the maps go one at a time: in the cache there is no room for all of a tile's.

    A single frame's gates multiply the small weights instead of the map, and before those are
    rounded: a gate that was rounded itself would change a whole channel.
    """

    def __init__(self, whole: ConvolutionSum, dtype: torch.dtype, *, is_last: bool) -> None:
        """Take a sum's layers.

        Args:
            whole: The sum.
            dtype: What it is computed in.
            is_last: Whether it belongs to the last stage. Then a map that comes in float32, the
                picture, is read as two halves and their sum: rounded to one, a ramp would have
                steps.
        """
        super().__init__()
        self.splits = is_last and dtype != torch.float32
        self.layers = whole.layers
        self.negative_slope = whole.negative_slope
        self.dtype = dtype
        self.multiplied = _multiplied(dtype)
        joined: dict[object, list[int]] = {}
        for index, layer in enumerate(whole.layers):
            own = index if dtype == torch.float32 else layer.kernel_size
            joined.setdefault(own, []).append(index)
        self.groups = list(joined.values())

    def forward(
        self, maps: Sequence[torch.Tensor], gates: Sequence[torch.Tensor] = ()
    ) -> torch.Tensor:
        """See `ConvolutionSum.forward`; the maps are channels last."""
        result: torch.Tensor | None = None
        slope = self.negative_slope
        # oneDNN has a ReLU after a sum, but no leaky one.
        slopes = [slope] if slope is not None and len(self.groups) == 1 else []
        for group in self.groups:
            layer = self.layers[group[0]]
            assert isinstance(layer, nn.Conv2d)
            joined, weights = self._joined(group, maps, gates)
            operands = (joined.to(self.multiplied), weights.to(self.multiplied), layer.bias)
            geometry = (layer.padding, layer.stride, layer.dilation, layer.groups)
            if result is None:
                name = "leaky_relu" if slopes else "none"
                result = torch.ops.mkldnn._convolution_pointwise(
                    *operands, *geometry, name, slopes, ""
                )
            else:
                torch.ops.mkldnn._convolution_pointwise_.binary(
                    result, *operands, *geometry, "add", 1.0, None, [], None
                )
        assert result is not None
        if slope is not None and not slopes:
            F.leaky_relu_(result, slope)
        return result.to(self.dtype)

    def _joined(
        self, group: Sequence[int], maps: Sequence[torch.Tensor], gates: Sequence[torch.Tensor]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The maps of a group side by side, and the weights for them, in `self.dtype`."""
        parts, weights = [], []
        for index in group:
            layer, features = self.layers[index], maps[index]
            assert isinstance(layer, nn.Conv2d)
            weight = layer.weight
            if index < len(gates):
                gate = gates[index]
                if len(gate) == 1:
                    weight = weight * gate[:, :, None, None]
                else:
                    features = features * gate[:, :, None, None]
            rounded = features.to(self.dtype, memory_format=torch.channels_last)
            parts.append(rounded)
            weights.append(weight)
            if self.splits and features.dtype == torch.float32:
                parts.append((features - rounded).to(self.dtype))
                weights.append(weight)
        if len(parts) == 1:
            return parts[0], weights[0].to(self.dtype)
        return torch.cat(parts, dim=1), torch.cat(weights, dim=1).to(self.dtype)


class _FusedGatedSum(nn.Module):
    """A convolution of 1x1 and gated maps, summed in float32 and rounded once."""

    def __init__(self, whole: GatedSum, dtype: torch.dtype) -> None:
        super().__init__()
        self.layer = _OneDnnConvolution(whole.layer, torch.float32)
        self.dtype = dtype

    def forward(
        self,
        features: torch.Tensor,
        maps: Sequence[torch.Tensor],
        gates: Sequence[torch.Tensor],
    ) -> torch.Tensor:
        """See `GatedSum.forward`; `features` are channels last."""
        result = self.layer(features)
        for gated, gate in zip(maps, gates, strict=True):
            result.addcmul_(gated.float(), gate[:, :, None, None])
        return result.to(self.dtype)


class _RoundedModulation(nn.Module):
    """A modulation in float32, rounded once.

    torch's own for operands of several dtypes takes ten times as long.
    """

    def __init__(self, dtype: torch.dtype) -> None:
        super().__init__()
        self.dtype = dtype

    def forward(
        self,
        features: torch.Tensor,
        base: torch.Tensor,
        spatial: torch.Tensor,
        factor: torch.Tensor,
        rest: torch.Tensor,
    ) -> torch.Tensor:
        """See `Modulation.forward`."""
        base = base.float()
        result = torch.addcmul(features.float(), base, spatial.float())
        return result.addcmul_(base, factor).add_(rest).to(self.dtype)
