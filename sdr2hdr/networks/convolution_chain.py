"""Convolutions with nothing between them are one convolution, but for a ring along the border.

Each convolution of a chain sees zeros outside the frame, where one convolution for all of them
would see what the earlier ones give there. The outermost samples therefore need other weights. They
are got by adding, to the result of the one convolution, what the difference of the weights gives
on the few rows and columns along the border. The difference of the weights at an edge, and what a
corner needs beyond its two edges, are found by asking the chain itself, in float64.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from sdr2hdr.networks.stages import WHOLE_FRAME, Sides

__all__ = ["ConvolutionChain"]

_NEGLIGIBLE = 1e-13
"""Differences of weights this small, relative to the largest weight, are float64's rounding."""


class ConvolutionChain(nn.Module):
    """Zero-padded convolutions and pixel shuffles in a row, as one convolution.

    The result is that of the chain, everywhere, for frames of any size. The samples that a pixel
    shuffle puts side by side stay channels until the end: with a total enlargement of s, one
    convolution gives C x s x s channels on the input's grid.

    Attributes:
        scale: Output samples per input sample, along each side.
        halo_px: Input samples around one that its outputs depend on.
    """

    def __init__(self, layers: Sequence[nn.Module]) -> None:
        """Multiply the layers out.

        Args:
            layers: `nn.Conv2d` of odd kernels, stride 1, one group and zero padding that keeps the
                size, and `nn.PixelShuffle`; left as they are.

        Raises:
            ValueError: A layer is another, or more than the outermost samples see the border.
        """
        super().__init__()
        own = [_checked(layer) for layer in layers]
        self.scale, self.halo_px, ring_px = _reach(own)
        if ring_px > 1:
            raise ValueError(
                f"Zero padding inside this chain reaches {ring_px} px into the frame; expected 1."
            )
        kernels, biases = _weights_at_borders(own, self.scale, self.halo_px)
        dtype = next(layer.weight.dtype for layer in own if isinstance(layer, nn.Conv2d))
        middle = kernels[1][1]
        outputs, inputs = middle.shape[:2]
        self.convolution = nn.Conv2d(inputs, outputs, middle.shape[2], padding=self.halo_px)
        self.convolution.weight = nn.Parameter(middle.to(dtype), requires_grad=False)
        self.convolution.bias = nn.Parameter(biases[1][1].to(dtype), requires_grad=False)
        self.depth_px = 0
        if ring_px:
            self._add_borders(kernels, biases, dtype)

    def _add_borders(
        self,
        kernels: list[list[torch.Tensor]],
        biases: list[list[torch.Tensor]],
        dtype: torch.dtype,
    ) -> None:
        """Keep what has to be added at the four edges and the four corners."""
        middle, bias = kernels[1][1], biases[1][1]
        size = middle.shape[2]
        # Weights on samples outside the frame never count.
        inside = [torch.zeros(size, dtype=torch.float64) for _ in range(3)]
        inside[0][self.halo_px :] = 1
        inside[1][:] = 1
        inside[2][: self.halo_px + 1] = 1
        edges: dict[tuple[int, int], tuple[torch.Tensor, torch.Tensor]] = {}
        for row, column in ((0, 1), (2, 1), (1, 0), (1, 2)):
            mask = inside[row][:, None] * inside[column]
            difference = (kernels[row][column] - middle) * mask
            edges[row, column] = (difference, biases[row][column] - bias)
        for row, column in ((0, 0), (0, 2), (2, 0), (2, 2)):
            mask = inside[row][:, None] * inside[column]
            by_row, by_column = edges[row, 1], edges[1, column]
            difference = (kernels[row][column] - middle - by_row[0] - by_column[0]) * mask
            offset = biases[row][column] - bias - by_row[1] - by_column[1]
            edges[row, column] = (difference, offset)
        limit = _NEGLIGIBLE * float(middle.abs().max())
        self.depth_px = max(
            _depth(difference, place, limit) for place, (difference, _) in edges.items()
        )
        for (row, column), (difference, offset) in edges.items():
            kept = difference[:, :, self._kept(row), self._kept(column)].contiguous()
            name = f"edge_{row}{column}"
            self.register_buffer(f"{name}_weight", kept.to(dtype))
            self.register_buffer(f"{name}_bias", offset.to(dtype))

    def _kept(self, place: int) -> slice:
        """The part of a kernel that the border's few samples meet, along one axis."""
        middle = self.halo_px
        if place == 1:
            return slice(None)
        return (
            slice(middle, middle + self.depth_px)
            if place == 0
            else slice(middle + 1 - self.depth_px, middle + 1)
        )

    def forward(self, features: torch.Tensor, sides: Sides = WHOLE_FRAME) -> torch.Tensor:
        """Map (N, C, H, W) to (N, C', H x scale, W x scale), with a border on those sides."""
        return F.pixel_shuffle(self.unshuffled(features, sides), self.scale)

    def unshuffled(self, features: torch.Tensor, sides: Sides = WHOLE_FRAME) -> torch.Tensor:
        """Map (N, C, H, W) to (N, C' x scale x scale, H, W), to be shuffled by `scale`."""
        result = self.convolution(features)
        if not self.depth_px:
            return result
        if torch.compiler.is_exporting():
            return self._added_by_padding(result, features)
        first, last = slice(None, 1), slice(-1, None)
        rows = [place for place in ((0, first, sides.top), (2, last, sides.bottom)) if place[2]]
        columns = [place for place in ((0, first, sides.left), (2, last, sides.right)) if place[2]]
        for row, at_row, _ in rows:
            result[:, :, at_row] += self._at(features, row, 1)
        for column, at_column, _ in columns:
            result[..., at_column] += self._at(features, 1, column)
        for row, at_row, _ in rows:
            for column, at_column, _ in columns:
                result[:, :, at_row, at_column] += self._at(features, row, column)
        return result

    def _at(self, features: torch.Tensor, row: int, column: int) -> torch.Tensor:
        """What is to be added along an edge or at a corner, one sample deep."""
        strip = _margin(_margin(features, row, self.depth_px, 2), column, self.depth_px, 3)
        halo = (self.halo_px if row == 1 else 0, self.halo_px if column == 1 else 0)
        weight, bias = (self.get_buffer(f"edge_{row}{column}_{of}") for of in ("weight", "bias"))
        # Where a backend computes the one convolution in half, the few samples here stay precise.
        return F.conv2d(strip.to(weight.dtype), weight, bias, padding=halo)

    def _added_by_padding(self, result: torch.Tensor, features: torch.Tensor) -> torch.Tensor:
        """Add all borders without writing into a tensor, which ONNX cannot express well."""
        below, beside = result.shape[2] - 1, result.shape[3] - 1
        top, bottom = (
            self._at(features, row, 1)
            + F.pad(self._at(features, row, 0), (0, beside))
            + F.pad(self._at(features, row, 2), (beside, 0))
            for row in (0, 2)
        )
        rows = F.pad(top, (0, 0, 0, below)) + F.pad(bottom, (0, 0, below, 0))
        left, right = self._at(features, 1, 0), self._at(features, 1, 2)
        return result + rows + F.pad(left, (0, beside)) + F.pad(right, (beside, 0))


def _checked(layer: nn.Module) -> nn.Conv2d | nn.PixelShuffle:
    if isinstance(layer, nn.PixelShuffle):
        return layer
    if isinstance(layer, nn.Conv2d):
        kernel = layer.kernel_size
        plain = (layer.stride, layer.dilation, layer.groups) == ((1, 1), (1, 1), 1)
        odd = kernel[0] == kernel[1] and kernel[0] % 2 == 1
        if plain and odd and layer.padding == (kernel[0] // 2, kernel[0] // 2):
            return layer
    raise ValueError(f"{layer} is in a chain; expected odd, zero-padded convolutions and shuffles.")


def _reach(layers: Sequence[nn.Conv2d | nn.PixelShuffle]) -> tuple[int, int, int]:
    """Enlargement, halo, and how far from the border the padding between layers is felt."""
    scale = 1
    for layer in layers:
        if isinstance(layer, nn.PixelShuffle):
            scale *= layer.upscale_factor
    # From the outputs of input sample 0 back to what they depend on.
    low, high, ring, fineness = 0, scale - 1, 0, scale
    for index, layer in reversed(list(enumerate(layers))):
        if isinstance(layer, nn.PixelShuffle):
            low, high = low // layer.upscale_factor, high // layer.upscale_factor
            fineness //= layer.upscale_factor
        else:
            radius = layer.kernel_size[0] // 2
            low, high = low - radius, high + radius
        if any(isinstance(earlier, nn.Conv2d) for earlier in layers[:index]):
            ring = max(ring, -(low // fineness), high // fineness)
    return scale, max(-low, high), ring


@torch.no_grad()
def _weights_at_borders(
    layers: Sequence[nn.Conv2d | nn.PixelShuffle], scale: int, halo_px: int
) -> tuple[list[list[torch.Tensor]], list[list[torch.Tensor]]]:
    """The chain's weights and biases at the first, a middle and the last row and column.

    Returns:
        Kernels [row][column] of (outputs x scale^2, inputs, 2 x halo + 1, 2 x halo + 1), which are
        zero where a sample lies outside the frame, and biases [row][column], all float64.
    """
    side = 2 * halo_px + 1
    exact = [copy.deepcopy(layer).double() for layer in layers]
    first = next(layer for layer in exact if isinstance(layer, nn.Conv2d))
    black = torch.zeros(1, first.in_channels, side, side, dtype=torch.float64)
    flat = F.pixel_unshuffle(nn.Sequential(*exact)(black), scale)[0]
    kernels: list[list[torch.Tensor]] = []
    biases: list[list[torch.Tensor]] = []
    places = (0, halo_px, 2 * halo_px)
    for row in places:
        kernels.append([])
        biases.append([])
        for column in places:
            used = torch.zeros(flat.shape[0], *flat.shape, dtype=torch.float64)
            used[:, :, row, column] = torch.eye(flat.shape[0], dtype=torch.float64)
            used = F.pixel_shuffle(used, scale)
            for layer in reversed(exact):
                if isinstance(layer, nn.Conv2d):
                    used = _what_it_uses(layer, used)
                else:
                    used = F.pixel_unshuffle(used, layer.upscale_factor)
            # From the frame's grid to the output's own neighbourhood.
            around = F.pad(used, (halo_px,) * 4)
            kernels[-1].append(around[:, :, row : row + side, column : column + side].clone())
            biases[-1].append(flat[:, row, column].clone())
    return kernels, biases


def _what_it_uses(layer: nn.Conv2d, used: torch.Tensor) -> torch.Tensor:
    """Go back through a convolution: from weights on its outputs to weights on its inputs.

    The same as `F.conv_transpose2d`, but only where `used`, (N, C', H, W), is not zero, and as one
    matrix multiply: some twenty times as fast, float64 having no fast convolutions.
    """
    radius = layer.kernel_size[0] // 2
    somewhere = (used != 0).any(dim=0).any(dim=0)
    rows = somewhere.any(dim=1).nonzero().flatten()
    columns = somewhere.any(dim=0).nonzero().flatten()
    if not rows.numel():
        return used.new_zeros(used.shape[0], layer.in_channels, *used.shape[2:])
    top, bottom = int(rows[0]), int(rows[-1]) + 1
    left, right = int(columns[0]), int(columns[-1]) + 1
    part = used[:, :, top:bottom, left:right].permute(0, 2, 3, 1).flatten(1, 2)
    spread = (part @ layer.weight.flatten(1)).transpose(1, 2)
    size = (bottom - top + 2 * radius, right - left + 2 * radius)
    window = F.fold(spread, size, layer.kernel_size)
    height, width = used.shape[2:]
    window = F.pad(window, (left, width - right, top, height - bottom))
    return window[:, :, radius : radius + height, radius : radius + width]


def _depth(difference: torch.Tensor, place: tuple[int, int], limit: float) -> int:
    """Rows or columns from the border inward that a difference of weights uses, at least 1."""
    middle = difference.shape[2] // 2
    depth = 1
    for axis, where in zip((2, 3), place, strict=True):
        if where == 1:
            continue
        other = tuple(a for a in range(4) if a != axis)
        used = (difference.abs().amax(other) > limit).nonzero().flatten()
        if used.numel():
            depth = max(depth, int((used - middle).abs().max()) + 1)
    return depth


def _margin(features: torch.Tensor, place: int, depth_px: int, axis: int) -> torch.Tensor:
    """The first (0) or last (2) samples along an axis, with zeros beyond a smaller frame; or all.

    A frame may be smaller than the margin is deep.
    """
    if place == 1:
        return features
    spare = depth_px - 1
    before, after = (0, spare) if place == 0 else (spare, 0)
    first = slice(None, depth_px) if place == 0 else slice(-depth_px, None)
    if axis == 2:
        return F.pad(features[:, :, first], (0, 0, before, after))[:, :, first]
    return F.pad(features[..., first], (before, after))[..., first]
