"""GPGMNet: super-resolution and inverse tone mapping, modulated by priors of the whole frame.

Source: He et al., "Global Priors Guided Modulation Network for Joint Super-Resolution and Inverse
Tone-Mapping", equations 1 to 12 and section IV-A.

What the paper leaves open is chosen so that the parameters round to its 0.77 M (x2) and 0.92 M
(x4); they are 768,836 and 916,548:

- colour condition blocks of 16, 32, 64, 128 and 128 channels, structure condition blocks of 64;
- the spatial pyramid narrows to 16 channels, gives 4 with each of its kernels, and fuses these 16
  with a 1x1 convolution;
- "CB" is two 3x3 convolutions with a ReLU between them, like the base block;
- an upsampling step is a 3x3 convolution to four times the channels and a pixel shuffle.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from sdr2hdr.networks.network import Network
from sdr2hdr.networks.priors import (
    PRIOR_LENGTH,
    STRUCTURE_HALO_PX,
    ColourPrior,
    StructureFeatures,
)
from sdr2hdr.networks.stages import INPUT, OUTPUT, FrameStep, Program, Stage, Summary

__all__ = ["GPGMNet", "ModulatedResidualModule", "SpatialPyramid", "bicubic_upscale"]

_PYRAMID_KERNELS_PX = (3, 5, 7, 9)
_PYRAMID_WIDTH = 16
_PYRAMID_BRANCH_WIDTH = 4

_MODULE_HALO_PX = 2 + _PYRAMID_KERNELS_PX[-1] // 2
"""Two 3x3 convolutions of the base block, then the pyramid's widest."""

_RECONSTRUCTION_HALO_PX = 4
"""Two convolutions of "CB", then each step's and the last one's, which from the second on see
samples 2 and 4 times as fine: 2 + 1 + 1/2 (x2) or 2 + 1 + 1/2 + 1/4 (x4), rounded up."""

_PRIORS = ("colour_prior", "structure_prior")


def bicubic_upscale(pixels: torch.Tensor, scale: int) -> torch.Tensor:
    """Enlarge (N, C, H, W) to (N, C, H x scale, W x scale).

    Keys' cubic kernel with a = -0.75, samples at the centres of their squares, the border's samples
    repeated outward. A result depends on 2 samples to each side.
    """
    return F.interpolate(pixels, scale_factor=float(scale), mode="bicubic", align_corners=False)


class SpatialPyramid(nn.Module):
    """Features of several sizes, fused into one map (equation 8)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.narrow = nn.Conv2d(channels, _PYRAMID_WIDTH, 1)
        self.branches = nn.ModuleList(
            nn.Conv2d(_PYRAMID_WIDTH, _PYRAMID_BRANCH_WIDTH, kernel_px, padding=kernel_px // 2)
            for kernel_px in _PYRAMID_KERNELS_PX
        )
        self.fuse = nn.Conv2d(len(_PYRAMID_KERNELS_PX) * _PYRAMID_BRANCH_WIDTH, 1, 1)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Map (N, C, H, W) to (N, 1, H, W)."""
        narrow = self.narrow(features)
        return self.fuse(torch.cat([branch(narrow) for branch in self.branches], dim=1))


class ModulatedResidualModule(nn.Module):
    """A joint modulated residual module, JMRM (equations 7, 11 and 12)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.base = _conv_relu_conv(channels)
        self.pyramid = SpatialPyramid(channels)
        self.factor = nn.Linear(2 * PRIOR_LENGTH, channels)
        self.shift = nn.Linear(2 * PRIOR_LENGTH, channels)

    def forward(self, features: torch.Tensor, priors: torch.Tensor) -> torch.Tensor:
        """Modulate.

        Args:
            features: (N, C, H, W).
            priors: (N, 12), colour then structure.

        Returns:
            (N, C, H, W).
        """
        base = self.base(features)
        spatial = self.pyramid(base)
        factor = self.factor(priors)[:, :, None, None] + spatial
        shift = self.shift(priors)[:, :, None, None] + spatial
        return factor * base + shift + features


class GPGMNet(Network):
    """GPGMNet at x2 or x4.

    Keys of its state: `colour_prior`, `structure_prior`, `head`, `body.{i}.base`, `.pyramid`,
    `.factor`, `.shift`, then `gather` ("CB"), `upsample` and `tail`.
    """

    def __init__(self, scale: int, modules: int = 5, channels: int = 64) -> None:
        """Make a network with random weights, torch's own: the paper names none.

        Kaiming's distribution would be too wide. A module multiplies its features with a map made
        from them, so that features larger than 1 are squared five times over.

        Args:
            scale: 2 or 4.
            modules: Joint modulated residual modules, 1 or more.
            channels: Width of the feature maps.

        Raises:
            ValueError: An argument is none of these.
        """
        if scale not in (2, 4):
            raise ValueError(f"GPGMNet's scale is {scale}; expected 2 or 4.")
        if modules < 1 or channels < 1:
            raise ValueError(f"GPGMNet has {modules} modules of {channels} channels; expected 1+.")
        super().__init__()
        self.scale = scale
        self.colour_prior = ColourPrior()
        self.structure_prior = StructureFeatures()
        self.head = nn.Conv2d(3, channels, 3, padding=1)
        self.body = nn.ModuleList(ModulatedResidualModule(channels) for _ in range(modules))
        self.gather = _conv_relu_conv(channels)
        self.upsample = nn.Sequential(
            *(
                nn.Sequential(nn.Conv2d(channels, 4 * channels, 3, padding=1), nn.PixelShuffle(2))
                for _ in range(scale.bit_length() - 1)
            )
        )
        self.tail = nn.Conv2d(channels, 3, 3, padding=1)

    def priors(self, pixels: torch.Tensor) -> torch.Tensor:
        """Describe whole frames: (N, 3, H, W) to (N, 12), colour then structure."""
        structure = self.structure_prior(pixels).mean(dim=(2, 3))
        return torch.cat((self.colour_prior(pixels), structure), dim=1)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Compute whole frames at once; see `Network.forward`."""
        priors = self.priors(pixels)
        features = self.head(pixels)
        for module in self.body:
            features = module(features, priors)
        residual = self.tail(self.upsample(self.gather(features)))
        return residual + bicubic_upscale(pixels, self.scale)

    def program(self) -> Program:
        """First the priors, then one stage a module, which write to two maps in turn."""
        steps: list[Stage | FrameStep] = [
            FrameStep("colour prior", self.colour_prior, _PRIORS[0]),
            Stage(
                name="structure prior",
                module=self.structure_prior,
                maps=(INPUT,),
                output=None,
                halo_px=STRUCTURE_HALO_PX,
                summary=Summary(_PRIORS[1], _Mean()),
            ),
        ]
        previous = INPUT
        for index, module in enumerate(self.body):
            output = ("features_a", "features_b")[index % 2]
            steps.append(
                Stage(
                    name=f"module {index + 1}",
                    module=_ModuleStage(self.head if index == 0 else None, module),
                    maps=(previous,),
                    output=output,
                    halo_px=_MODULE_HALO_PX + (1 if index == 0 else 0),
                    vectors=_PRIORS,
                )
            )
            previous = output
        steps.append(
            Stage(
                name="reconstruction",
                module=_ReconstructionStage(self),
                maps=(INPUT, previous),
                output=OUTPUT,
                halo_px=_RECONSTRUCTION_HALO_PX,
                scale=self.scale,
            )
        )
        return tuple(steps)


def _conv_relu_conv(channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, channels, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(channels, channels, 3, padding=1),
    )


class _Mean(nn.Module):
    """The summary that is the mean itself."""

    def forward(self, mean: torch.Tensor, standard_deviation: torch.Tensor) -> torch.Tensor:
        return mean


class _ModuleStage(nn.Module):
    """One module, with the first convolution before it if it is the first."""

    def __init__(self, head: nn.Module | None, module: nn.Module) -> None:
        super().__init__()
        self.head = head
        self.module = module

    def forward(
        self, features: torch.Tensor, colour: torch.Tensor, structure: torch.Tensor
    ) -> torch.Tensor:
        if self.head is not None:
            features = self.head(features)
        return self.module(features, torch.cat((colour, structure), dim=1))


class _ReconstructionStage(nn.Module):
    """All after the modules; takes the input and the last features."""

    def __init__(self, network: GPGMNet) -> None:
        super().__init__()
        self.scale = network.scale
        self.gather = network.gather
        self.upsample = network.upsample
        self.tail = network.tail

    def forward(self, pixels: torch.Tensor, features: torch.Tensor) -> torch.Tensor:
        residual = self.tail(self.upsample(self.gather(features)))
        return residual + bicubic_upscale(pixels, self.scale)
