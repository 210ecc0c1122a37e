"""Dither: right on average, no bands, the same every time, nothing on black or on grey's chroma."""

from __future__ import annotations

import hashlib
from fractions import Fraction

import pytest
import torch

from sdr2hdr.colour import to_coded
from sdr2hdr.colour.dither import noise
from sdr2hdr.frames import FrameTime, RgbBatch, Timeline
from sdr2hdr.signal import HDR10_SIGNAL, HDR_DISPLAY


def batch_of(pixels: torch.Tensor, first_pts: int = 0) -> RgbBatch:
    times = tuple(FrameTime(first_pts + n, 1) for n in range(pixels.shape[0]))
    return RgbBatch(pixels, HDR_DISPLAY, Timeline(Fraction(1, 25), times))


def grey(luma_code: float, frames: int = 1, size: int = 128) -> RgbBatch:
    return batch_of(torch.full((frames, 3, size, size), (luma_code - 64.0) / 876.0))


def gradient(frames: int = 1) -> RgbBatch:
    """Two codes over 512 columns."""
    codes = torch.linspace(300.0, 302.0, 512, dtype=torch.float64)
    ramp = ((codes - 64.0) / 876.0).float()
    return batch_of(ramp.expand(frames, 3, 128, 512).contiguous())


@pytest.mark.parametrize("code", [70.0, 300.25, 300.5, 512.9, 800.1])
def test_flat_grey_keeps_its_mean_and_stays_neutral(code):
    coded = to_coded(grey(code), HDR10_SIGNAL, dither=True)
    assert coded.luma.double().mean() == pytest.approx(code, abs=0.01)
    assert coded.luma.to(torch.int32).max() - coded.luma.to(torch.int32).min() <= 1
    assert (coded.cb == 512).all()
    assert (coded.cr == 512).all()


def test_flat_colour_keeps_its_mean_in_all_planes():
    pixels = torch.tensor([0.61, 0.42, 0.337]).view(1, 3, 1, 1).expand(1, 3, 256, 256)
    red, green, blue = (float(x) for x in (0.61, 0.42, 0.337))
    luma = 0.2627 * red + 0.678 * green + 0.0593 * blue
    expected = (
        64 + 876 * luma,
        512 + 896 * (blue - luma) / 1.8814,
        512 + 896 * (red - luma) / 1.4746,
    )
    coded = to_coded(batch_of(pixels.contiguous()), HDR10_SIGNAL, dither=True)
    for plane, value in zip((coded.luma, coded.cb, coded.cr), expected, strict=True):
        assert plane.double().mean() == pytest.approx(value, abs=0.01)


def test_a_gradient_bands_less():
    """Averaged as the eye does, over 16 px, the error without dither is that of the bands."""

    def local_error(*, dither: bool) -> float:
        luma = to_coded(gradient(), HDR10_SIGNAL, dither=dither).luma.float()
        smooth = torch.nn.functional.avg_pool2d(luma[:, None], 16)
        ideal = torch.linspace(300.0, 302.0, 512).view(1, 1, 1, -1)
        return float((smooth - torch.nn.functional.avg_pool2d(ideal, (1, 16))).abs().max())

    assert local_error(dither=False) > 0.4
    assert local_error(dither=True) < 0.1


def test_black_is_exactly_black():
    coded = to_coded(grey(64.0, frames=3), HDR10_SIGNAL, dither=True)
    assert (coded.luma == 64).all()
    assert (coded.cb == 512).all()
    assert (coded.cr == 512).all()


def test_noise_fades_towards_black():
    coded = to_coded(grey(64.2), HDR10_SIGNAL, dither=True)
    assert (coded.luma == 64).all()


def test_a_frame_gets_the_same_noise_whatever_batch_it_is_in():
    together = to_coded(gradient(frames=3), HDR10_SIGNAL, dither=True)
    for pts in range(3):
        alone = to_coded(batch_of(gradient().pixels, pts), HDR10_SIGNAL, dither=True)
        assert torch.equal(alone.luma[0], together.luma[pts])


def test_noise_moves_from_frame_to_frame():
    luma = to_coded(gradient(frames=2), HDR10_SIGNAL, dither=True).luma
    assert not torch.equal(luma[0], luma[1])


def test_the_noise_is_the_same_on_every_machine():
    """A digest, written down once: whoever changes it changes the bytes of every dithered file."""
    steps = (noise((1, 128, 128), (7,), 1).double() * 2 * 128 * 128).round().to(torch.int64)
    digest = hashlib.sha256(steps.numpy().astype("<i8").tobytes()).hexdigest()
    assert digest[:16] == "5284747a828e3555"
    assert steps.unique().numel() == 128 * 128
    assert int(steps.sum()) == 0


def test_the_noise_is_fine_grained():
    """Neighbours differ more than those of white noise: little power where the eye sees it."""
    tile = noise((1, 128, 128), (0,), 0)[0].double()
    assert tile.std() == pytest.approx(12**-0.5, rel=1e-3)
    blurred = torch.nn.functional.avg_pool2d(tile[None, None], 4)
    assert blurred.std() < 0.5 * tile.std() / 4
