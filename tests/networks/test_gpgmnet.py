from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812

from sdr2hdr.networks.gpgmnet import GPGMNet, bicubic_upscale
from sdr2hdr.networks.guided_filter import self_guided_filter
from sdr2hdr.networks.priors import ColourPrior, DropBlock


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(11)


@pytest.mark.parametrize(("scale", "count", "millions"), [(2, 768_836, 0.77), (4, 916_548, 0.92)])
def test_parameters_round_to_the_papers(scale: int, count: int, millions: float) -> None:
    found = sum(p.numel() for p in GPGMNet(scale).parameters())
    assert found == count
    assert round(found / 1e6, 2) == millions


def _pictures() -> torch.Tensor:
    """A ramp, a dark picture with a lamp, and a noisy one, (3, 3, 72, 96)."""
    ramp = torch.linspace(0, 1, 96).expand(3, 72, 96)
    lamp = torch.full((3, 72, 96), 0.05)
    lamp[0, 30:50, 40:70] = 0.9
    return torch.stack((ramp, lamp, torch.rand(3, 72, 96)))


@pytest.mark.parametrize("part", [slice(0, 6), slice(6, 12)], ids=["colour", "structure"])
def test_different_pictures_have_different_priors(part: slice) -> None:
    network = GPGMNet(2).eval()
    with torch.no_grad():
        ramp, lamp, noise = network.priors(_pictures())[:, part]
    for one, other in ((ramp, lamp), (lamp, noise), (noise, ramp)):
        assert (one - other).abs().max() > 1e-3


def test_priors_belong_to_one_picture_each() -> None:
    network = GPGMNet(2).eval()
    pictures = _pictures()
    with torch.no_grad():
        together = network.priors(pictures)
        alone = torch.cat([network.priors(picture[None]) for picture in pictures])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)


def test_priors_reach_the_output() -> None:
    """A change 50 px away is out of reach of all but the priors."""
    network = GPGMNet(2).eval()
    picture = torch.rand(1, 3, 40, 160)
    changed = picture.clone()
    changed[..., 130:] = 0.0
    with torch.no_grad():
        difference = network(picture)[..., :80] - network(changed)[..., :80]
    assert difference.abs().max() > 1e-6


def test_pooling_before_a_1x1_convolution_changes_nothing() -> None:
    """Equation 3 convolves first; the code pools first."""
    prior = ColourPrior().double().eval()

    def as_published(pixels: torch.Tensor) -> torch.Tensor:
        x = self_guided_filter(pixels, 5, 0.01)
        for index in range(5):
            conv = prior.get_submodule(f"blocks.{index}.conv")
            x = F.avg_pool2d(conv(x), 3, 2, 1, count_include_pad=False)
            x = F.leaky_relu(x, 0.2)
            if index < 4:
                norm = prior.get_submodule(f"blocks.{index}.norm")
                x = F.instance_norm(x, weight=norm.weight, bias=norm.bias)
        return prior.out(x).mean((2, 3))

    pixels = _pictures()[:, :, :67, :91].double()
    with torch.no_grad():
        torch.testing.assert_close(prior(pixels), as_published(pixels), rtol=0, atol=1e-10)


def test_guided_filter_is_its_definition() -> None:
    image = torch.rand(1, 1, 9, 8, dtype=torch.float64)
    plane = image[0, 0].numpy()
    radius, epsilon = 2, 0.01

    def windows(values: np.ndarray) -> list[list[np.ndarray]]:
        padded = np.pad(values, radius, constant_values=np.nan)
        side = 2 * radius + 1
        return [[padded[y : y + side, x : x + side] for x in range(8)] for y in range(9)]

    slope = np.array([[np.nanvar(w) / (np.nanvar(w) + epsilon) for w in r] for r in windows(plane)])
    mean = np.array([[np.nanmean(w) for w in row] for row in windows(plane)])
    offset = mean * (1 - slope)
    expected = [
        [
            np.nanmean(windows(slope)[y][x]) * plane[y, x] + np.nanmean(windows(offset)[y][x])
            for x in range(8)
        ]
        for y in range(9)
    ]
    found = self_guided_filter(image, radius, epsilon)[0, 0].numpy()
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("scale", [2, 4])
def test_bicubic_is_keys_kernel_with_repeated_borders(scale: int) -> None:
    a = -0.75

    def kernel(t: float) -> float:
        t = abs(t)
        if t <= 1:
            return (a + 2) * t**3 - (a + 3) * t**2 + 1
        return a * (t**3 - 5 * t**2 + 8 * t - 4) if t < 2 else 0.0

    def weights(size: int) -> np.ndarray:
        matrix = np.zeros((size * scale, size))
        for row in range(size * scale):
            centre = (row + 0.5) / scale - 0.5
            for tap in range(int(np.floor(centre)) - 1, int(np.floor(centre)) + 3):
                matrix[row, min(max(tap, 0), size - 1)] += kernel(centre - tap)
        return matrix

    image = torch.rand(1, 1, 6, 9, dtype=torch.float64)
    expected = weights(6) @ image[0, 0].numpy() @ weights(9).T
    np.testing.assert_allclose(bicubic_upscale(image, scale)[0, 0].numpy(), expected, atol=1e-12)


def test_output_is_the_bicubic_picture_when_the_last_layer_is_zero() -> None:
    network = GPGMNet(4).eval()
    torch.nn.init.zeros_(network.tail.weight)
    torch.nn.init.zeros_(network.tail.bias)
    picture = torch.rand(1, 3, 7, 5)
    with torch.no_grad():
        torch.testing.assert_close(network(picture), bicubic_upscale(picture, 4))


def test_training_mode_runs_and_every_parameter_learns() -> None:
    network = GPGMNet(2).train()
    target = torch.rand(2, 3, 96, 80)
    loss = (network(torch.rand(2, 3, 48, 40)) - target).square().mean()
    loss.backward()
    idle = [n for n, p in network.named_parameters() if p.grad is None or not p.grad.any()]
    assert idle == []
    assert torch.isfinite(loss)


def test_dropout_is_gone_in_eval_mode() -> None:
    network = GPGMNet(2).eval()
    picture = torch.rand(1, 3, 48, 48)
    with torch.no_grad():
        assert torch.equal(network(picture), network(picture))


def test_dropblock_drops_squares_and_keeps_the_sum() -> None:
    ones = torch.ones(8, 16, 40, 40)
    drop = DropBlock(0.1, side_px=3)
    found = drop.train()(ones)
    share = float((found == 0).float().mean())
    assert 0.07 < share < 0.11
    assert float(found.mean()) == pytest.approx(1.0, rel=1e-5)
    assert float(drop.eval()(ones).min()) == 1.0
    # Whole squares: every zero away from the border has a 3x3 square of zeros around or beside it.
    zeros = (found == 0).float()
    centres = (F.avg_pool2d(zeros, 3, 1, 1, count_include_pad=False) > 0.999).float()
    regrown = F.max_pool2d(centres, 3, 1, 1)
    assert torch.equal(regrown, zeros)


@pytest.mark.parametrize("scale", [1, 3, 8])
def test_other_scales_are_refused(scale: int) -> None:
    with pytest.raises(ValueError, match="expected 2 or 4"):
        GPGMNet(scale)
