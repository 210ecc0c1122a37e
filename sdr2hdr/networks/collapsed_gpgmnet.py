"""GPGMNet with its linear parts multiplied together.

Multiply-adds for each input px of GPGMNet x4, trained and collapsed:

- a module's pyramid: the parallel kernels and the layer that fuses them are one 9x9 kernel,
  10,512 -> 1,296. The 1x1 convolution before them stays: from 16 channels the kernel costs 1,296 +
  1,024, from all 64 it would cost 5,184. Its zero padding comes after that layer's bias, as ever;
- the first 3x3 convolution and that of the first module are one of 5x5 on the picture's 3 channels,
  36,864 -> 4,800;
- from the ReLU of "CB" on there is nothing but convolutions and pixel shuffles. Its second 3x3
  convolution stays, and all the rest is one of 5x5: 764,928 -> 76,800 (x2: 154,368 -> 19,200).
  One of 7x7 for both would cost 150,528 (x2: 37,632, but its border is two samples wide).

The batch norms of the structure prior go into the convolutions after them. Where two paddings meet
at the border is `ConvolutionChain`'s affair.
"""

from __future__ import annotations

from dataclasses import replace

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from sdr2hdr.networks.convolution_chain import ConvolutionChain
from sdr2hdr.networks.convolution_sum import ConvolutionSum
from sdr2hdr.networks.gpgmnet import (
    GPGMNet,
    ModulatedResidualModule,
    SpatialPyramid,
    bicubic_upscale,
)
from sdr2hdr.networks.priors import StructureFeatures
from sdr2hdr.networks.stages import (
    INPUT,
    OUTPUT,
    WHOLE_FRAME,
    FrameStep,
    Program,
    Sides,
    Stage,
)

__all__ = ["BicubicPhases", "Modulation", "collapse_gpgmnet"]

_PHASES = 4
"""Side of the squares of samples that one output of the pyramid's convolution gives: see there."""


def collapse_gpgmnet(network: GPGMNet) -> Program:
    """Make the collapsed program of `network`.

    Args:
        network: In eval mode; left as it is. Products of weights are computed in float64.

    Returns:
        The stages of `network.program()`, with the same maps and vectors, and with weights of
        their own of the network's dtype.
    """
    modules = [module for module in network.body if isinstance(module, ModulatedResidualModule)]
    prior = FrozenStructure(network.structure_prior)
    steps: list[Stage | FrameStep] = []
    index = 0
    for step in network.program():
        if isinstance(step, FrameStep):
            steps.append(step)
        elif step.output is None:
            steps.append(_with(step, prior))
        elif step.output == OUTPUT:
            made = _with(step, CollapsedReconstruction(network))
            steps.append(replace(made, asks_sides=True))
        else:
            head = network.head if step.maps == (INPUT,) else None
            made = _with(step, CollapsedModule(head, modules[index]))
            steps.append(replace(made, asks_sides=head is not None, grid_px=_PHASES))
            index += 1
    return tuple(steps)


def _with(stage: Stage, module: nn.Module) -> Stage:
    return replace(stage, module=module.eval().requires_grad_(False))


class FrozenStructure(nn.Module):
    """The structure prior's features without batch norms.

    A norm after a ReLU is factor x (max(c, 0) - zero), where zero is the value that the norm takes
    to 0. The factor goes into the next convolution's weights; max(c, 0) - zero is
    max(c - zero, -zero), so the subtraction goes into the biases of the convolution before; and the
    zeros that the next convolution pads with are what it pads the norm's output with.
    """

    def __init__(self, trained: StructureFeatures) -> None:
        super().__init__()
        convolutions: list[nn.Conv2d] = []
        factor: torch.Tensor | None = None
        for index, block in enumerate(trained.blocks):
            assert isinstance(block, nn.Sequential)
            convolution, _, norm = block
            assert isinstance(convolution, nn.Conv2d)
            assert isinstance(norm, nn.BatchNorm2d)
            weight, bias = _float64(convolution)
            if factor is not None:
                weight = weight * factor[:, None, None]
            factor, zero, constant = _norm_after_relu(norm)
            # Of a norm that multiplies with 0, nothing is left but its own shift.
            weight = weight.masked_fill(constant[:, None, None, None], 0.0)
            bias = torch.where(constant, 0.0, bias) - zero
            least = torch.where(constant, -torch.inf, -zero)
            convolutions.append(_convolution(weight, bias, convolution))
            least = least.to(convolution.weight.dtype)
            self.register_buffer(f"least_{index}", least[:, None, None])
        weight, bias = _float64(trained.out)
        assert factor is not None
        convolutions.append(_convolution(weight * factor[:, None, None], bias, trained.out))
        self.convolutions = nn.ModuleList(convolutions)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Map (N, 3, H, W) to (N, 6, H, W)."""
        features = pixels
        last = len(self.convolutions) - 1
        for index, convolution in enumerate(self.convolutions):
            features = convolution(features)
            if index < last:
                least = self.get_buffer(f"least_{index}")
                features = torch.maximum(features, least.to(features.dtype))
        return features


class CollapsedPyramid(nn.Module):
    """The spatial pyramid as a 1x1 convolution and one 9x9 kernel.

    A convolution that gives a single channel leaves most of a processor's vector lanes empty. So
    the kernel's 16 places in a square of 4 x 4 samples are 16 channels of a kernel of 12 x 12 that
    moves 4 samples at a time: 1.8 times the multiply-adds, in 0.21 of the time (torch on AVX2).
    And that is a kernel of 3 x 3 squares, each a sample of 16 x as many channels, so that nothing
    moves by more than one, in the same time: with a stride of 4, oneDNN 3.12.0 gives wrong sums in
    bfloat16 on processors with AMX where a row is a multiple of 4 samples.
    """

    def __init__(self, trained: SpatialPyramid) -> None:
        super().__init__()
        self.narrow = _convolution(*_float64(trained.narrow), trained.narrow)
        kernel, bias = _one_kernel(trained)
        side = kernel.shape[-1]
        around = (side - 1) // 2 // _PHASES
        assert side == 2 * around * _PHASES + 1, "The kernel's radius is whole squares."
        squares = 2 * around + 1
        phases = kernel.new_zeros(
            _PHASES, _PHASES, kernel.shape[1], squares * _PHASES, squares * _PHASES
        )
        for y in range(_PHASES):
            for x in range(_PHASES):
                phases[y, x, :, y : y + side, x : x + side] = kernel[0]
        by_squares = phases.flatten(0, 1).unflatten(3, (squares, _PHASES))
        by_squares = by_squares.unflatten(2, (squares, _PHASES)).permute(0, 3, 5, 1, 2, 4)
        self.spatial = _convolution(
            by_squares.flatten(1, 3), bias.expand(_PHASES**2).clone(), trained.fuse
        )
        self.spatial.padding = (around, around)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Map (N, C, H, W) to (N, 1, H, W)."""
        height_px, width_px = features.shape[2:]
        # The last samples have squares too.
        padding = (0, -width_px % _PHASES, 0, -height_px % _PHASES)
        squares = self.spatial(_squares(F.pad(self.narrow(features), padding)))
        return F.pixel_shuffle(squares, _PHASES)[:, :, :height_px, :width_px]


def _squares(features: torch.Tensor) -> torch.Tensor:
    """Make each square of 4 x 4 samples one sample of 16 x as many channels, row by row.

    As `F.pixel_unshuffle`, but with the channels of a sample next to one another: what is channels
    last is copied in runs of 4 samples, and stays channels last.
    """
    frames, channels, height_px, width_px = features.shape
    rows, columns = height_px // _PHASES, width_px // _PHASES
    split = features.permute(0, 2, 3, 1).reshape(frames, rows, _PHASES, columns, _PHASES, channels)
    gathered = split.permute(0, 1, 3, 2, 4, 5).reshape(frames, rows, columns, -1)
    return gathered.permute(0, 3, 1, 2)


class CollapsedModule(nn.Module):
    """A joint modulated residual module; the first has the network's first convolution too."""

    unrounded = ("head",)

    def __init__(self, head: nn.Conv2d | None, trained: ModulatedResidualModule) -> None:
        super().__init__()
        first, _, second = trained.base
        assert isinstance(first, nn.Conv2d)
        assert isinstance(second, nn.Conv2d)
        self.head = None if head is None else _convolution(*_float64(head), head)
        self.first = _rectified(first) if head is None else ConvolutionChain([head, first])
        self.second = _convolution(*_float64(second), second)
        self.pyramid = CollapsedPyramid(trained.pyramid)
        self.factor = _linear(*_float64(trained.factor), trained.factor)
        self.shift = _linear(*_float64(trained.shift), trained.shift)
        self.modulated = Modulation()

    def forward(
        self,
        features: torch.Tensor,
        colour: torch.Tensor,
        structure: torch.Tensor,
        **about: Sides,
    ) -> torch.Tensor:
        """Take the features, (N, C, H, W), or the picture, and both priors, (N, 6).

        The first module alone takes the keyword `sides`.
        """
        priors = torch.cat((colour, structure), dim=1)
        if self.head is None:
            base = self.second(self.first([features]))
        else:
            base = self.second(F.relu(self.first(features, **about)))
            features = self.head(features)
        spatial = self.pyramid(base)
        factor = self.factor(priors)[:, :, None, None]
        shift = self.shift(priors)[:, :, None, None]
        return self.modulated(features, base, spatial, factor, shift)


class Modulation(nn.Module):
    """What a module does to its features; without weights, so that a backend may do it its way."""

    def forward(
        self,
        features: torch.Tensor,
        base: torch.Tensor,
        spatial: torch.Tensor,
        factor: torch.Tensor,
        shift: torch.Tensor,
    ) -> torch.Tensor:
        """Give features + (factor + spatial) x base + shift + spatial.

        Args:
            features: (N, C, H, W).
            base: Likewise.
            spatial: (N, 1, H, W).
            factor: (N, C, 1, 1).
            shift: Likewise.
        """
        # In this order, each step writes a map of the features' own layout.
        result = torch.addcmul(features, base, factor).add_(shift)
        return result.addcmul_(base, spatial).add_(spatial)


class CollapsedReconstruction(nn.Module):
    """All after the modules; takes the input and the last features."""

    gives_output = ("enlarged",)
    unrounded = ("rest",)

    def __init__(self, network: GPGMNet) -> None:
        super().__init__()
        first, _, second = network.gather
        assert isinstance(first, nn.Conv2d)
        assert isinstance(second, nn.Conv2d)
        self.first = _rectified(first)
        self.second = _convolution(*_float64(second), second)
        upsampling = [
            layer for step in network.upsample if isinstance(step, nn.Sequential) for layer in step
        ]
        self.rest = ConvolutionChain([*upsampling, network.tail])
        self.enlarged = BicubicPhases(network.scale, network.tail.weight.dtype)

    def forward(
        self, pixels: torch.Tensor, features: torch.Tensor, sides: Sides = WHOLE_FRAME
    ) -> torch.Tensor:
        """Map (N, 3, H, W) and (N, C, H, W) to (N, 3, H x scale, W x scale)."""
        gathered = self.second(self.first([features]))
        result = self.enlarged(pixels).add_(self.rest.unshuffled(gathered, sides))
        return F.pixel_shuffle(result, self.rest.scale)


class BicubicPhases(nn.Module):
    """`bicubic_upscale` of 3 channels as a convolution, before its samples are put side by side.

    torch's own is slow on few channels: for x4 on AVX2, as slow as half of a 3x3 convolution of 64
    channels to 64.
    """

    def __init__(self, scale: int, dtype: torch.dtype) -> None:
        super().__init__()
        dots = torch.zeros(1, 25, 9, 9, dtype=torch.float64)
        for index in range(25):
            dots[0, index, 2 + index // 5, 2 + index % 5] = 1.0
        # What the sample in the middle becomes where each of its neighbours alone is lit.
        phases = F.pixel_unshuffle(bicubic_upscale(dots, scale), scale)[0, :, 4, 4]
        kernel = phases.reshape(5, 5, scale**2).permute(2, 0, 1)
        weight = torch.zeros(3, scale**2, 3, 5, 5, dtype=torch.float64)
        for channel in range(3):
            weight[channel, :, channel] = kernel
        self.convolution = nn.Conv2d(3, 3 * scale**2, 5, bias=False, dtype=dtype)
        self.convolution.weight = nn.Parameter(weight.flatten(0, 1).to(dtype), requires_grad=False)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Map (N, 3, H, W) to (N, 3 x scale x scale, H, W)."""
        return self.convolution(F.pad(pixels, (2, 2, 2, 2), mode="replicate"))


def _one_kernel(trained: SpatialPyramid) -> tuple[torch.Tensor, torch.Tensor]:
    """The parallel kernels and their fusion as (1, C, 9, 9) and a bias, (1,), float64."""
    fuse, bias = _float64(trained.fuse)
    branches = [branch for branch in trained.branches if isinstance(branch, nn.Conv2d)]
    widest = max(branch.kernel_size[0] for branch in branches)
    weights, biases = [], []
    for branch in branches:
        weight, branch_bias = _float64(branch)
        weights.append(F.pad(weight, ((widest - branch.kernel_size[0]) // 2,) * 4))
        biases.append(branch_bias)
    kernel = torch.einsum("fo,ocyx->fcyx", fuse.flatten(1), torch.cat(weights))
    return kernel, bias + fuse.flatten(1) @ torch.cat(biases)


def _norm_after_relu(norm: nn.BatchNorm2d) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """A batch norm in eval mode as factor x (features - zero), each (C,), float64.

    Where the factor is 0, the third is true, the factor 1, and zero the value given, negated.
    """
    assert norm.running_mean is not None
    assert norm.running_var is not None
    factor = norm.weight.detach().double() / (norm.running_var.double() + norm.eps).sqrt()
    shift = norm.bias.detach().double() - norm.running_mean.double() * factor
    constant = factor == 0
    factor = torch.where(constant, 1.0, factor)
    return factor, -shift / factor, constant


def _float64(layer: nn.Conv2d | nn.Linear) -> tuple[torch.Tensor, torch.Tensor]:
    weight = layer.weight.detach().double()
    if layer.bias is None:
        return weight, weight.new_zeros(weight.shape[0])
    return weight, layer.bias.detach().double()


def _convolution(weight: torch.Tensor, bias: torch.Tensor, like: nn.Conv2d) -> nn.Conv2d:
    """A convolution of its own memory, padded as `like` and of its dtype."""
    outputs, inputs, *kernel = weight.shape
    made = nn.Conv2d(inputs, outputs, (kernel[0], kernel[1]), padding=like.padding)  # pyright: ignore[reportArgumentType]
    made.weight = nn.Parameter(weight.to(like.weight.dtype, copy=True), requires_grad=False)
    made.bias = nn.Parameter(bias.to(like.weight.dtype, copy=True), requires_grad=False)
    return made


def _rectified(layer: nn.Conv2d) -> ConvolutionSum:
    """A convolution and the ReLU after it, which a backend may compute at once."""
    return ConvolutionSum([_convolution(*_float64(layer), layer)], negative_slope=0.0)


def _linear(weight: torch.Tensor, bias: torch.Tensor, like: nn.Linear) -> nn.Linear:
    made = nn.Linear(weight.shape[1], weight.shape[0])
    made.weight = nn.Parameter(weight.to(like.weight.dtype, copy=True), requires_grad=False)
    made.bias = nn.Parameter(bias.to(like.weight.dtype, copy=True), requires_grad=False)
    return made
