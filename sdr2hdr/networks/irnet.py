"""IRNet: residual blocks that keep their inner features, each with attention over the whole frame.

Source: Xue et al., "Lightweight Improved Residual Network for Efficient Inverse Tone Mapping",
section 3 and Figure 2. Where the text and the parameter counts of Tables 1 and 5 to 9 disagree, the
counts are right: the x4 tail has an extra convolution, and nothing in a tail is activated.
Equation 5 misplaces the mean; contrast is the standard deviation plus the mean.
"""

from __future__ import annotations

from collections import OrderedDict

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from sdr2hdr.networks.network import Network, initialise_kaiming
from sdr2hdr.networks.stages import INPUT, OUTPUT, Program, Stage, Summary

__all__ = [
    "ATTENTION_REDUCTION",
    "CONTRAST_EPSILON",
    "LEAKY_SLOPE",
    "AttentionGate",
    "ChannelAttention",
    "IRNet",
    "ImprovedResidualBlock",
]

LEAKY_SLOPE = 0.05
"""Slope of the leaky ReLU for negative values."""

ATTENTION_REDUCTION = 16
"""Channels per channel of the attention's hidden layer."""

CONTRAST_EPSILON = 1e-8
"""Added to the variance, so that the gradient of its root is finite on a flat channel."""

_TAIL_HALO_PX = {1: 1, 2: 2, 4: 3}


class ChannelAttention(nn.Module):
    """Contrast-aware channel attention: a gate for each channel, from whole-frame statistics.

    Source: Hui et al., "Lightweight image super-resolution with information multi-distillation
    network", ACM MM 2019, section 3.3.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.reduce = nn.Conv2d(channels, channels // ATTENTION_REDUCTION, 1)
        self.expand = nn.Conv2d(channels // ATTENTION_REDUCTION, channels, 1)

    def gate(self, mean: torch.Tensor, standard_deviation: torch.Tensor) -> torch.Tensor:
        """Turn the statistics of a frame into factors for its channels.

        Args:
            mean: (N, C), of each channel over the whole frame.
            standard_deviation: (N, C), the root of the population variance.

        Returns:
            (N, C), [0, 1].
        """
        contrast = torch.sqrt(standard_deviation.square() + CONTRAST_EPSILON) + mean
        hidden = F.relu(self.reduce(contrast[:, :, None, None]))
        return torch.sigmoid(self.expand(hidden))[:, :, 0, 0]

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Multiply each channel of `features`, (N, C, H, W), with its gate."""
        variance, mean = torch.var_mean(features, dim=(2, 3), correction=0)
        contrast = torch.sqrt(variance + CONTRAST_EPSILON) + mean
        hidden = F.relu(self.reduce(contrast[:, :, None, None]))
        return features * torch.sigmoid(self.expand(hidden))


class AttentionGate(nn.Module):
    """The summary of a block: statistics to gates."""

    def __init__(self, attention: ChannelAttention) -> None:
        super().__init__()
        self.attention = attention

    def forward(self, mean: torch.Tensor, standard_deviation: torch.Tensor) -> torch.Tensor:
        """See `ChannelAttention.gate`."""
        return self.attention.gate(mean, standard_deviation)


class ImprovedResidualBlock(nn.Module):
    """A residual block whose inner features reach its output too (equations 1 to 4)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        half = channels // 2
        self.conv1 = nn.Conv2d(channels, half, 3, padding=1)
        self.conv2 = nn.Conv2d(half, channels, 3, padding=1)
        self.fuse = nn.Conv2d(channels, half, 1)
        self.out = nn.Conv2d(channels, channels, 1)
        self.attention = ChannelAttention(channels)

    def features(self, inputs: torch.Tensor) -> torch.Tensor:
        """The local part, before the attention: (N, C, H, W) to the same shape."""
        inner = F.leaky_relu(self.conv1(inputs), LEAKY_SLOPE)
        fused = self.fuse(inputs + self.conv2(inner))
        return self.out(torch.cat((inner, fused), dim=1))

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """The block with its attention, without the skip around both."""
        return self.attention(self.features(inputs))


class IRNet(Network):
    """IRNet with any number of blocks and channels.

    Keys of its state: `head`, `blocks.{i}.conv1`, `.conv2`, `.fuse`, `.out`, `.attention.reduce`,
    `.attention.expand`, `fuse`, `body`, and `tail` (scale 1) or `tail.refine`, `tail.upsample` (x4
    only), `tail.rgb`.
    """

    def __init__(self, blocks: int, channels: int, scale: int = 1) -> None:
        """Make a network with random weights (Kaiming).

        Args:
            blocks: Residual blocks, 1 or more.
            channels: A multiple of 16.
            scale: 1, 2 or 4.

        Raises:
            ValueError: An argument is none of these.
        """
        if blocks < 1:
            raise ValueError(f"IRNet has {blocks} blocks; expected 1 or more.")
        if channels < 1 or channels % ATTENTION_REDUCTION:
            raise ValueError(f"IRNet has {channels} channels; expected a multiple of 16.")
        if scale not in _TAIL_HALO_PX:
            raise ValueError(f"IRNet's scale is {scale}; expected 1, 2 or 4.")
        super().__init__()
        self.scale = scale
        self.head = nn.Conv2d(3, channels, 1)
        self.blocks = nn.ModuleList(ImprovedResidualBlock(channels) for _ in range(blocks))
        self.fuse = nn.Conv2d(blocks * channels, channels, 1)
        self.body = nn.Conv2d(channels, channels, 3, padding=1)
        self.tail = _tail(channels, scale)
        initialise_kaiming(self, LEAKY_SLOPE)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Compute whole frames at once; see `Network.forward`."""
        first = self.head(pixels)
        features = first
        outputs = []
        for block in self.blocks:
            features = features + block(features)
            outputs.append(features)
        fused = F.leaky_relu(self.fuse(torch.cat(outputs, dim=1)), LEAKY_SLOPE)
        return self.tail(self.body(fused) + first)

    def program(self) -> Program:
        """Stages that end at each attention.

        A block's stage gives its features before the attention, and their statistics the gate. Skip
        connections are sums of the first features (a cheap layer, made anew) and of gated maps.
        """
        maps: tuple[str, ...] = (INPUT,)
        gates: tuple[str, ...] = ()
        stages: list[Stage] = []
        for index, block in enumerate(self.blocks):
            assert isinstance(block, ImprovedResidualBlock)
            stages.append(
                Stage(
                    name=f"block {index + 1}",
                    module=_BlockStage(self.head, block),
                    maps=maps,
                    output=f"block_{index}",
                    halo_px=2,
                    vectors=gates,
                    summary=Summary(f"gate_{index}", AttentionGate(block.attention)),
                )
            )
            maps = (*maps, f"block_{index}")
            gates = (*gates, f"gate_{index}")
        stages.append(
            Stage(
                name="reconstruction",
                module=_ReconstructionStage(self),
                maps=maps,
                output=OUTPUT,
                halo_px=1 + _TAIL_HALO_PX[self.scale],
                vectors=gates,
                scale=self.scale,
            )
        )
        return tuple(stages)


def _tail(channels: int, scale: int) -> nn.Module:
    if scale == 1:
        return nn.Conv2d(channels, 3, 3, padding=1)
    steps = OrderedDict[str, nn.Module](refine=nn.Conv2d(channels, channels, 3, padding=1))
    if scale == 4:
        steps["upsample"] = nn.Conv2d(channels, 4 * channels, 3, padding=1)
        steps["upsample_shuffle"] = nn.PixelShuffle(2)
    steps["rgb"] = nn.Conv2d(channels, 12, 3, padding=1)
    steps["rgb_shuffle"] = nn.PixelShuffle(2)
    return nn.Sequential(steps)


class _BlockStage(nn.Module):
    """A block up to its attention.

    Takes the input, the k previous blocks' maps, then their k gates.
    """

    def __init__(self, head: nn.Conv2d, block: ImprovedResidualBlock) -> None:
        super().__init__()
        self.head = head
        self.block = block

    def forward(self, pixels: torch.Tensor, *previous: torch.Tensor) -> torch.Tensor:
        features = self.head(pixels)
        for gated in _gated(previous):
            features = features + gated
        return self.block.features(features)


class _ReconstructionStage(nn.Module):
    """All after the blocks; takes the input, the n blocks' maps, then their n gates."""

    def __init__(self, network: IRNet) -> None:
        super().__init__()
        self.head = network.head
        self.fuse = network.fuse
        self.body = network.body
        self.tail = network.tail

    def forward(self, pixels: torch.Tensor, *previous: torch.Tensor) -> torch.Tensor:
        first = self.head(pixels)
        features = first
        outputs = []
        for gated in _gated(previous):
            features = features + gated
            outputs.append(features)
        fused = F.leaky_relu(self.fuse(torch.cat(outputs, dim=1)), LEAKY_SLOPE)
        return self.tail(self.body(fused) + first)


def _gated(previous: tuple[torch.Tensor, ...]) -> list[torch.Tensor]:
    """Multiply maps, the first half of `previous`, with their gates, the second half."""
    count = len(previous) // 2
    return [
        features * gate[:, :, None, None]
        for features, gate in zip(previous[:count], previous[count:], strict=True)
    ]
