"""IRNet with its linear parts multiplied together: half the work of the trained form.

Between two activations, and between an activation and an attention, IRNet is linear:

- The first convolution (1x1) goes into every layer that reads it. A fourth input channel of ones
  carries its bias, so that a 3x3 layer's zero padding stays exact: outside the frame, the trained
  form has zeros and not the bias.
- A block fuses Fin + conv2(F1) to half the channels. conv2 and this fusion are one 3x3 convolution
  C/2 -> C/2 (the design of the program counts C/2 -> C, for conv2 multiplied with the fusion *and*
  the layer after it; that needs twice as many multiplications).
- The fusion of all blocks' outputs is a sum over the gated maps of all attentions.
- Of two neighbouring 3x3 convolutions the one to few channels absorbs the other: body and tail at
  scale 1, refine and rgb at scale 2, upsample and rgb at scale 4 (whose pixel shuffle between is
  only another order of channels). See `LinearPair` for the border.

For IRNet-2 that leaves 64 k multiply-adds a pixel of 133 k. What stays between stages is each
attention's input, before its gate: gates multiply it as it is read.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from sdr2hdr.networks.convolution_sum import (
    ConvolutionSum,
    GatedSum,
    LinearPair,
    SideBySide,
    WithOnes,
    convolution,
)
from sdr2hdr.networks.irnet import (
    LEAKY_SLOPE,
    AttentionGate,
    ImprovedResidualBlock,
    IRNet,
)
from sdr2hdr.networks.stages import (
    INPUT,
    OUTPUT,
    WHOLE_FRAME,
    Program,
    Sides,
    Stage,
    Summary,
)

__all__ = ["collapse_irnet"]

_BLOCK_HALO_PX = 2
_RECONSTRUCTION_HALO_PX = {1: 2, 2: 3, 4: 4}
"""By scale: 1 for each 3x3 convolution that is left, and 2 for the product of two."""


@torch.no_grad()
def collapse_irnet(network: IRNet) -> Program:
    """Make the collapsed program of a trained network; see `collapse`."""
    maps: tuple[str, ...] = (INPUT,)
    gates: tuple[str, ...] = ()
    stages: list[Stage] = []
    for index, block in enumerate(network.blocks):
        assert isinstance(block, ImprovedResidualBlock)
        stages.append(
            Stage(
                name=f"block {index + 1}",
                module=_Block(network.head, block, index),
                maps=maps,
                output=f"block_{index}",
                halo_px=_BLOCK_HALO_PX,
                vectors=gates,
                summary=Summary(f"gate_{index}", AttentionGate(block.attention)),
            )
        )
        maps = (*maps, f"block_{index}")
        gates = (*gates, f"gate_{index}")
    stages.append(
        Stage(
            name="reconstruction",
            module=_Reconstruction(network),
            maps=maps,
            output=OUTPUT,
            halo_px=_RECONSTRUCTION_HALO_PX[network.scale],
            vectors=gates,
            scale=network.scale,
            asks_sides=True,
            reads_once=True,
        )
    )
    return tuple(stages)


class _Block(nn.Module):
    """A block up to its attention; takes the input, the k previous maps, then their k gates.

    What it starts from is the sum of the first convolution and the gated maps. With one map that
    sum is never made: the layers that would read it take its two parts.
    """

    def __init__(self, head: nn.Conv2d, block: ImprovedResidualBlock, previous: int) -> None:
        super().__init__()
        dtype = head.weight.dtype
        half = block.conv1.out_channels
        first = _extended(head)
        fuse, fuse_bias = _double(block.fuse)
        inner, inner_bias = _double(block.conv2)
        out, out_bias = _double(block.out)
        entry, entry_bias = _double(block.conv1)
        self.features = GatedSum(convolution(first.to(dtype))) if previous > 1 else None
        self.extended = WithOnes()
        self.beside = SideBySide()
        # What the block starts from, by its parts: 1x1 layers before its own.
        itself = torch.eye(first.shape[0], dtype=first.dtype)[:, :, None, None]
        read = [[first], [itself, first], [itself]][min(previous, 2)]
        self.entry = ConvolutionSum(
            [
                convolution(_product(entry, part).to(dtype), _if_first(index, entry_bias, dtype))
                for index, part in enumerate(read)
            ],
            LEAKY_SLOPE,
        )
        fused_bias = fuse[:, :, 0, 0] @ inner_bias + fuse_bias
        self.fused = ConvolutionSum(
            [
                *(
                    convolution(_product(fuse, part).to(dtype), _if_first(index, fused_bias, dtype))
                    for index, part in enumerate(read)
                ),
                convolution(_after(fuse, inner).to(dtype)),
            ]
        )
        self.out = ConvolutionSum(
            [
                convolution(out[:, :half].to(dtype), out_bias.to(dtype)),
                convolution(out[:, half:].to(dtype)),
            ]
        )

    def forward(self, pixels: torch.Tensor, *previous: torch.Tensor) -> torch.Tensor:
        count = len(previous) // 2
        maps, gates = [*previous[:count], self.extended(pixels)], previous[count:]
        if self.features is not None:
            maps, gates = [self.features(maps[-1], maps[:-1], gates)], ()
        start = self.beside(maps)
        inner = self.entry(start, gates)
        fused = self.fused([*start, inner], gates)
        return self.out(self.beside([inner, fused]))


class _Reconstruction(nn.Module):
    """All after the blocks; takes the input, the n blocks' maps, then their n gates."""

    gives_output = ("skip",)

    def __init__(self, network: IRNet) -> None:
        super().__init__()
        dtype = network.head.weight.dtype
        first = _extended(network.head)
        fuse, fuse_bias = _double(network.fuse)
        # A block's gated map is part of its own output and of those of all blocks after it.
        parts = fuse.split(network.head.out_channels, dim=1)
        shares = [torch.stack(parts[index:]).sum(0) for index in range(len(parts))]
        self.extended = WithOnes()
        self.beside = SideBySide()
        self.fused = ConvolutionSum(
            [
                *(
                    convolution(share.to(dtype), _if_first(index, fuse_bias, dtype))
                    for index, share in enumerate(shares)
                ),
                convolution(_product(shares[0], first).to(dtype)),
            ],
            LEAKY_SLOPE,
        )
        self.scale = network.scale
        # The skip of the first features is added before the tail, of which all is linear.
        if network.scale == 1:
            assert isinstance(network.tail, nn.Conv2d)
            self.body = None
            self.refine = None
            self.pair = LinearPair(network.body, network.tail)
            self.skip = convolution(_product(network.tail.weight.double(), first).to(dtype))
            return
        self.body = ConvolutionSum(
            [
                convolution(network.body.weight, network.body.bias),
                convolution(first.to(dtype)),
            ]
        )
        tail = dict(network.tail.named_children())
        refine, rgb = tail["refine"], tail["rgb"]
        assert isinstance(refine, nn.Conv2d)
        assert isinstance(rgb, nn.Conv2d)
        self.skip = None
        if network.scale == 2:
            self.refine = None
            self.pair = LinearPair(refine, rgb)
            return
        upsample = tail["upsample"]
        assert isinstance(upsample, nn.Conv2d)
        self.refine = convolution(refine.weight, refine.bias)
        self.pair = LinearPair(upsample, _before_shuffle(rgb))

    def forward(
        self, pixels: torch.Tensor, *previous: torch.Tensor, sides: Sides = WHOLE_FRAME
    ) -> torch.Tensor:
        extended = self.extended(pixels)
        count = len(previous) // 2
        fused = self.fused(self.beside([*previous[:count], extended]), previous[count:])
        if self.skip is not None:
            return self.skip(extended).add_(self.pair(fused, sides))
        assert self.body is not None
        features = self.body([fused, extended])
        if self.refine is not None:
            features = self.refine(features)
        return F.pixel_shuffle(self.pair(features, sides), self.scale)


def _double(layer: nn.Conv2d) -> tuple[torch.Tensor, torch.Tensor]:
    assert layer.bias is not None
    return layer.weight.double(), layer.bias.double()


def _if_first(index: int, bias: torch.Tensor, dtype: torch.dtype) -> torch.Tensor | None:
    """The bias for the first part of a sum alone."""
    return bias.to(dtype) if index == 0 else None


def _extended(head: nn.Conv2d) -> torch.Tensor:
    """The first convolution with its bias as the weight of ones, (C, 4, 1, 1), float64."""
    weight, bias = _double(head)
    return torch.cat((weight, bias[:, None, None, None]), dim=1)


def _product(second: torch.Tensor, first: torch.Tensor) -> torch.Tensor:
    """Weights of a layer of any kernel after one of 1x1."""
    return torch.einsum("omyx,mi->oiyx", second.double(), first[:, :, 0, 0])


def _after(second: torch.Tensor, first: torch.Tensor) -> torch.Tensor:
    """Weights of a layer of 1x1 after one of any kernel."""
    return torch.einsum("om,miyx->oiyx", second[:, :, 0, 0], first)


def _before_shuffle(layer: nn.Conv2d) -> nn.Conv2d:
    """Let a 3x3 layer between two pixel shuffles by 2 read and write the coarser grid.

    Its input and its output are 2x2 samples of the finer grid in one of the coarser; input
    channels are in the order in which a shuffle by 2 would spread them, output channels in the
    order of one shuffle by 4 instead of both.
    """
    weight, bias = _double(layer)
    results, channels = weight.shape[0] // 4, weight.shape[1]
    coarse = weight.new_zeros(results, 2, 2, 2, 2, channels, 2, 2, 3, 3)
    own = weight.unflatten(0, (results, 2, 2))
    # Output sample (y, x) of the finer grid in its coarse one; v, u are the second shuffle's.
    for y in range(2):
        for x in range(2):
            for tap_y in range(3):
                for tap_x in range(3):
                    row, column = y + tap_y - 1, x + tap_x - 1
                    coarse[
                        :, y, :, x, :, :, row % 2, column % 2, row // 2 + 1, column // 2 + 1
                    ] += own[:, :, :, :, tap_y, tap_x]
    coarse_bias = bias.unflatten(0, (results, 1, 2, 1, 2)).expand(-1, 2, -1, 2, -1)
    merged = coarse.flatten(0, 4).flatten(1, 3)
    return convolution(merged.to(layer.weight.dtype), coarse_bias.flatten().to(layer.weight.dtype))
