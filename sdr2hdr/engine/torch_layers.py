"""Layers of collapsed networks as torch computes them fastest on a CPU: by oneDNN, fused."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from sdr2hdr.networks.collapsed_gpgmnet import Modulation
from sdr2hdr.networks.convolution_sum import ConvolutionSum, GatedSum, SideBySide, WithOnes
from sdr2hdr.networks.stages import GIVES_OUTPUT, UNROUNDED

__all__ = ["has_fast_layers", "joins_maps", "replace_layers"]

_STRIP_PX = 1 << 11
"""Of 64 channels, 0.5 MB in float32: a core's cache holds a strip on its way."""


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


def replace_layers(
    module: nn.Module, dtype: torch.dtype = torch.float32, *, unrounded: bool = False
) -> None:
    """Put faster layers of the same function in the place of a module's, in place.

    Args:
        module: Of float32 weights, which go on in the layers put there.
        dtype: What convolutions are computed in, and what they give; they take maps of any dtype.
            All else stays float32, and so do the children that a module names as `GIVES_OUTPUT`.
        unrounded: Whether its own convolutions give float32 all the same, as do those of the
            children that a module names as `UNROUNDED`.
    """
    precise = getattr(module, GIVES_OUTPUT, ())
    exact_results = getattr(module, UNROUNDED, ())
    for name, child in module.named_children():
        inside = torch.float32 if name in precise else dtype
        keeps_result = unrounded or name in exact_results
        if isinstance(child, ConvolutionSum):
            setattr(module, name, _FusedSum(child, inside))
        elif isinstance(child, SideBySide):
            if inside != torch.float32:
                setattr(module, name, _Joining(inside, is_last=bool(precise)))
        elif isinstance(child, WithOnes):
            setattr(module, name, _PlaneByPlane())
        elif isinstance(child, GatedSum):
            setattr(module, name, _FusedGatedSum(child, inside))
        elif isinstance(child, Modulation):
            setattr(module, name, _RoundedModulation(inside))
        elif isinstance(child, nn.Conv2d):
            convolution = _Unrounded if keeps_result else _OneDnnConvolution
            setattr(module, name, convolution(child, inside))
        else:
            replace_layers(child, inside, unrounded=keeps_result)


def joins_maps(module: nn.Module) -> bool:
    """Whether a module with replaced layers copies its maps, and the picture, as it reads them."""
    return any(isinstance(child, _Joining) for child in module.modules())


class _PlaneByPlane(nn.Module):
    """A picture with ones, channels last, in less than half of the time of torch's own ways."""

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """See `WithOnes.forward`; `pixels` may be cut out of a picture of any layout."""
        frames, channels, *size_px = pixels.shape
        shape = (frames, channels + 1, *size_px)
        extended = torch.empty(shape, dtype=pixels.dtype, memory_format=torch.channels_last)
        for channel in range(channels):
            extended[:, channel].copy_(pixels[:, channel])
        extended[:, channels].fill_(1.0)
        return extended


class _OneDnnConvolution(nn.Module):
    """A convolution by oneDNN, whatever its size.

    torch takes another way for small maps, and with a single thread for 1x1, which is slower and
    rounds differently: then a small tile would not have the bits of a large one. In bfloat16, on
    processors with AMX, oneDNN itself adds up few channels in an order that depends on the width of
    a map: those, a picture's, are multiplied in float32, and only the result is rounded.
    """

    _FEW_CHANNELS = 4

    def __init__(self, layer: nn.Conv2d, dtype: torch.dtype) -> None:
        super().__init__()
        assert not isinstance(layer.padding, str)
        rounded = torch.float32 if layer.in_channels <= self._FEW_CHANNELS else dtype
        self.rounded, self.multiplied = rounded, _multiplied(rounded)
        self.layer = layer.to(rounded).to(self.multiplied)
        self.padding = layer.padding
        self.dtype = dtype

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return self._convolved(self._operand(features)).to(self.dtype)

    def _operand(self, features: torch.Tensor) -> torch.Tensor:
        return features.to(self.rounded).to(self.multiplied)

    def _convolved(self, operand: torch.Tensor) -> torch.Tensor:
        layer = self.layer
        return torch.mkldnn_convolution(
            operand,
            layer.weight,
            layer.bias,
            self.padding,
            layer.stride,
            layer.dilation,
            layer.groups,
        )


class _Unrounded(_OneDnnConvolution):
    """A convolution that gives float32, whatever it multiplies.

    oneDNN rounds a result to the dtype of its operands. What that takes off is the same sum again,
    begun at the negative of the result.
    """

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        layer, operand = self.layer, self._operand(features)
        result = self._convolved(operand)
        if result.dtype == torch.float32:
            return result
        rest = result.neg()
        operands = (operand, layer.weight, layer.bias)
        geometry = (self.padding, layer.stride, layer.dilation, layer.groups)
        torch.ops.mkldnn._convolution_pointwise_.binary(
            rest, *operands, *geometry, "add", 1.0, None, [], None
        )
        return result.float().add_(rest)


class _Joined(NamedTuple):
    """Maps side by side.

    Attributes:
        features: (N, C, H, W), channels last.
        parts: For each map in it, in their order, which of those joined it is. One that is there
            twice is the sum of both.
    """

    features: torch.Tensor
    parts: tuple[int, ...]


class _Joining(nn.Module):
    """Puts maps side by side, rounded.

    A sum of convolutions of equal kernels then is one convolution: every sum that is written is
    rounded, and this is one rounding instead of two or three. In float32 the maps go one at a time:
    in the cache there is no room for all of a tile's.
    """

    def __init__(self, dtype: torch.dtype, *, is_last: bool) -> None:
        """Say how.

        Args:
            dtype: Half precision.
            is_last: Whether this is in the last stage. Then a map that comes in float32, the
                picture, is kept as two halves and their sum: rounded to one, a ramp would have
                steps.
        """
        super().__init__()
        self.dtype = dtype
        self.splits = is_last

    def forward(self, maps: Sequence[torch.Tensor]) -> list[_Joined]:
        """Join maps of any dtype."""
        rounded: list[torch.Tensor] = []
        parts: list[int] = []
        for index, features in enumerate(maps):
            # Maps as they are cut out, joined at once, take half as long again.
            half = features.to(self.dtype).contiguous(memory_format=torch.channels_last)
            rounded.append(half)
            parts.append(index)
            if self.splits and features.dtype == torch.float32:
                rounded.append((features - half).to(self.dtype))
                parts.append(index)
        return [_Joined(torch.cat(rounded, dim=1), tuple(parts))]


class _FusedSum(nn.Module):
    """A sum of convolutions: each adds to the result of those before, and the ReLU is in place.

    Gates multiply the small weights instead of the map, and before those are rounded: a gate that
    was rounded itself would change a whole channel. Frames with gates are computed one by one.
    """

    def __init__(self, whole: ConvolutionSum, dtype: torch.dtype) -> None:
        """Take a sum's layers, to be computed in `dtype`."""
        super().__init__()
        self.layers = whole.layers
        self.negative_slope = whole.negative_slope
        self.dtype = dtype
        self.multiplied = _multiplied(dtype)

    def forward(
        self, maps: Sequence[torch.Tensor | _Joined], gates: Sequence[torch.Tensor] = ()
    ) -> torch.Tensor:
        """See `ConvolutionSum.forward`; the maps are channels last, and may be joined."""
        if gates and len(gates[0]) > 1:
            frames = range(len(gates[0]))
            return torch.cat([self._of_frame(maps, gates, frame) for frame in frames])
        result: torch.Tensor | None = None
        slope = self.negative_slope
        # oneDNN has a ReLU after a sum, but no leaky one.
        slopes = [slope] if slope is not None and len(maps) == 1 else []
        first = 0
        for given in maps:
            joined = given if isinstance(given, _Joined) else _Joined(given, (0,))
            layer = self.layers[first]
            assert isinstance(layer, nn.Conv2d)
            features, weight = self._operands(joined, first, gates)
            operands = (features.to(self.multiplied), weight.to(self.multiplied), layer.bias)
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
            first += max(joined.parts) + 1
        assert result is not None
        if slope is not None and not slopes:
            F.leaky_relu_(result, slope)
        return result.to(self.dtype)

    def _of_frame(
        self, maps: Sequence[torch.Tensor | _Joined], gates: Sequence[torch.Tensor], frame: int
    ) -> torch.Tensor:
        one = slice(frame, frame + 1)
        parts = [
            given._replace(features=given.features[one])
            if isinstance(given, _Joined)
            else given[one]
            for given in maps
        ]
        return self(parts, [gate[one] for gate in gates])

    def _operands(
        self, joined: _Joined, first: int, gates: Sequence[torch.Tensor]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """A map and the weights for it, both in `self.dtype` and gated.

        Args:
            joined: The map.
            first: Index of the layer of its first part.
            gates: Of the first layers' maps.
        """
        features = joined.features
        weights: list[torch.Tensor] = []
        for part in joined.parts:
            index = first + part
            weight = self.layers[index].weight
            assert isinstance(weight, torch.Tensor)
            if index < len(gates):
                weight = weight * gates[index][:, :, None, None]
            weights.append(weight)
        weight = weights[0] if len(weights) == 1 else torch.cat(weights, dim=1)
        return _rounded(features, self.dtype), weight.to(self.dtype)


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
    """A modulation in float32, rounded once, in strips of rows that a core's cache holds.

    torch's own for operands of several dtypes takes ten times as long, and whole tiles of 328 x 328
    px twice as long as strips. The features that modules add to are float16 where convolutions are
    bfloat16: all modules' roundings add up, and float16's are an eighth.
    """

    def __init__(self, dtype: torch.dtype) -> None:
        super().__init__()
        self.dtype = torch.float16 if dtype == torch.bfloat16 else dtype

    def forward(
        self,
        features: torch.Tensor,
        base: torch.Tensor,
        spatial: torch.Tensor,
        factor: torch.Tensor,
        shift: torch.Tensor,
    ) -> torch.Tensor:
        """See `Modulation.forward`."""
        result = torch.empty_like(base, dtype=self.dtype)
        for into, given, x, by_place in _strips(result, features, base, spatial):
            x = x.to(torch.float32, copy=True)
            strip = torch.addcmul(given.float(), x, factor).add_(shift)
            # A sum with one channel, spread over all, takes longer than this product.
            into.copy_(strip.addcmul_(x.add_(1.0), by_place.float()))
        return result


def _rounded(features: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """Convert features of any layout to `dtype`, channels last.

    torch makes bfloat16 of float16 value by value: by float32 and in strips, 0.4 of the time.
    """
    layout = torch.channels_last
    if (features.dtype, dtype) != (torch.float16, torch.bfloat16):
        return features.to(dtype, memory_format=layout)
    result = torch.empty_like(features, dtype=dtype, memory_format=layout)
    for into, given in _strips(result, features):
        into.copy_(given.float())
    return result


def _strips(*maps: torch.Tensor) -> Iterator[tuple[torch.Tensor, ...]]:
    """Cut maps of one size, (N, C, H, W) each, into the same few rows."""
    rows = max(1, _STRIP_PX // maps[0].shape[3])
    return zip(*(features.split(rows, dim=2) for features in maps), strict=True)
