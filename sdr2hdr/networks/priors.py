"""GPGMNet's global priors: what a whole frame says about its colours and about its structure."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from sdr2hdr.networks.guided_filter import self_guided_filter

__all__ = [
    "COLOUR_WIDTHS",
    "PRIOR_LENGTH",
    "STRUCTURE_HALO_PX",
    "STRUCTURE_WIDTHS",
    "ColourPrior",
    "DropBlock",
    "StructureFeatures",
]

PRIOR_LENGTH = 6
"""Numbers in each of the two priors."""

COLOUR_WIDTHS = (16, 32, 64, 128, 128)
"""Channels of the colour condition blocks: ours, the paper gives none."""

STRUCTURE_WIDTHS = (64, 64, 64)
"""Channels of the structure condition blocks: ours, the paper gives none."""

STRUCTURE_HALO_PX = len(STRUCTURE_WIDTHS) + 1
"""Input samples around a tile that `StructureFeatures` depends on."""

_FILTER_RADIUS_PX = 5
_FILTER_EPSILON = 0.01
_COLOUR_SLOPE = 0.2
_COLOUR_DROPOUT = 0.1
_STRUCTURE_DROP = 0.02
_NORM_EPSILON = 1e-5


class ColourPrior(nn.Module):
    """Frame to colour conformity prior (equations 2 and 3).

    The last block is not normalised: after a normalised one the global average would be the norm's
    own shift, whatever the picture. The frame is smoothed channel by channel, and each block
    averages before it convolves, which for a 1x1 convolution is the same and needs a quarter of
    the memory. The guided filter's radius, 5, and epsilon, 0.01, the leaky ReLU's slope, 0.2, the
    dropout, 0.1, and pooling 3x3 windows at every other sample are our choices. A frame of 32 x 32
    or less is pooled to a single sample right after a norm, and has the same prior as any other.
    """

    def __init__(self) -> None:
        super().__init__()
        inputs = (3, *COLOUR_WIDTHS[:-1])
        last = len(COLOUR_WIDTHS) - 1
        self.blocks = nn.ModuleList(
            _ColourBlock(inputs[i], width, normalised=i != last)
            for i, width in enumerate(COLOUR_WIDTHS)
        )
        self.dropout = nn.Dropout(_COLOUR_DROPOUT)
        self.out = nn.Conv2d(COLOUR_WIDTHS[-1], PRIOR_LENGTH, 1)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Look at whole frames.

        Args:
            pixels: (N, 3, H, W), [0, 1], any size from 1 x 1.

        Returns:
            (N, 6).
        """
        features = torch.cat(
            [
                _halve(self_guided_filter(plane, _FILTER_RADIUS_PX, _FILTER_EPSILON))
                for plane in pixels.split(1, dim=1)
            ],
            dim=1,
        )
        for index, block in enumerate(self.blocks):
            features = block(features if index == 0 else _halve(features))
        return self.out(self.dropout(features)).mean(dim=(2, 3))


class StructureFeatures(nn.Module):
    """The local part of the structural similarity prior (equations 4 and 5).

    The prior is the mean of its output over the whole frame. DropBlock's probability, 0.02, is our
    choice; its side, 3, the paper's.
    """

    def __init__(self) -> None:
        super().__init__()
        inputs = (3, *STRUCTURE_WIDTHS[:-1])
        self.blocks = nn.Sequential(
            *(
                nn.Sequential(
                    nn.Conv2d(inputs[i], width, 3, padding=1), nn.ReLU(), nn.BatchNorm2d(width)
                )
                for i, width in enumerate(STRUCTURE_WIDTHS)
            )
        )
        self.drop = DropBlock(_STRUCTURE_DROP, side_px=3)
        self.out = nn.Conv2d(STRUCTURE_WIDTHS[-1], PRIOR_LENGTH, 3, padding=1)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Map (N, 3, H, W) to (N, 6, H, W)."""
        return self.out(self.drop(self.blocks(pixels)))


class DropBlock(nn.Module):
    """In training, sets random squares of each channel to zero and scales up the rest.

    Source: Ghiasi, Lin, Le, "DropBlock: a regularization method for convolutional networks",
    NeurIPS 2018, algorithm 1; here a square may reach over the border.
    """

    def __init__(self, probability: float, side_px: int) -> None:
        """Set the share of samples dropped, about `probability`, and the odd side of a square."""
        super().__init__()
        self.probability = probability
        self.side_px = side_px

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return `features`, (N, C, H, W), with squares dropped in training mode."""
        if not self.training or self.probability == 0.0:
            return features
        centres = torch.rand_like(features) < self.probability / self.side_px**2
        dropped = F.max_pool2d(centres.to(features.dtype), self.side_px, 1, self.side_px // 2)
        kept = 1.0 - dropped
        return features * kept * (kept.numel() / kept.sum().clamp(min=1.0))


class _ColourBlock(nn.Module):
    """A colour condition block without its pooling, which comes first."""

    def __init__(self, inputs: int, outputs: int, *, normalised: bool) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 1)
        self.norm = _InstanceNorm(outputs) if normalised else nn.Identity()

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return self.norm(F.leaky_relu(self.conv(features), _COLOUR_SLOPE))


class _InstanceNorm(nn.Module):
    """Instance normalisation that also takes a single sample, as torch's own does not."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        variance, mean = torch.var_mean(features, dim=(2, 3), correction=0, keepdim=True)
        factor = self.weight[:, None, None] * torch.rsqrt(variance + _NORM_EPSILON)
        return (features - mean) * factor + self.bias[:, None, None]


def _halve(features: torch.Tensor) -> torch.Tensor:
    """Average 3x3 windows at every other sample: H and W become ceil(H / 2) and ceil(W / 2)."""
    return F.avg_pool2d(features, 3, stride=2, padding=1, count_include_pad=False)
