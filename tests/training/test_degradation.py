from __future__ import annotations

import numpy as np
import pytest
import torch

from sdr2hdr.curves.bt2446a import bt2446a
from sdr2hdr.media.encoding.recompress import h264_round_trip, jpeg_round_trip, mpeg2_round_trip
from sdr2hdr.media.planes import Planes
from sdr2hdr.training.degradation import (
    CLEAN,
    CodecLoss,
    Degradation,
    Shares,
    degrade,
    draw_degradation,
    reduce,
)
from sdr2hdr.training.graphics import add_graphics, graphic_light
from sdr2hdr.training.randomness import generator


def picture(height: int = 64, width: int = 96) -> torch.Tensor:
    y, x = np.mgrid[0:height, 0:width]
    channels = [0.5 + 0.4 * np.sin(x / 9.0 + k) * np.cos(y / (7.0 + k)) for k in range(3)]
    return torch.from_numpy(np.stack(channels)[None].astype(np.float32))


def psnr_db(first: torch.Tensor, second: torch.Tensor) -> float:
    return float(-10 * torch.log10((first - second).square().mean()))


def test_clean_is_8_bits_of_luma_and_nothing_more():
    sdr = picture()
    found = degrade(sdr, CLEAN, 1, generator(0))
    assert psnr_db(sdr, found) > 38.0
    luma = 219.0 * (0.2126 * found[:, 0] + 0.7152 * found[:, 1] + 0.0722 * found[:, 2])
    assert (luma - luma.round()).abs().max() < 1e-3


@pytest.mark.parametrize("codec", ["h264", "mpeg2", "jpeg"])
def test_coarser_codecs_lose_more(codec):
    sdr = picture()
    sdr = sdr + 0.05 * torch.from_numpy(generator(1).standard_normal(sdr.shape).astype(np.float32))
    sdr = sdr.clamp(0.0, 1.0)
    levels = (18, 40) if codec == "h264" else (2, 20)
    losses = [
        psnr_db(sdr, degrade(sdr, Degradation(codec=CodecLoss(codec, level)), 1, generator(0)))
        for level in levels
    ]
    clean = psnr_db(sdr, degrade(sdr, CLEAN, 1, generator(0)))
    assert clean > losses[0] > losses[1] > 15.0


@pytest.mark.parametrize(
    ("round_trip", "level"),
    [(h264_round_trip, 4), (mpeg2_round_trip, 1), (jpeg_round_trip, 1)],
)
def test_round_trips_keep_planes_in_place(round_trip, level):
    y, x = np.mgrid[0:48, 0:64]
    luma = (60 + x + y).astype(np.uint8)
    cb = (100 + np.mgrid[0:24, 0:32][1]).astype(np.uint8)
    cr = (150 - np.mgrid[0:24, 0:32][0]).astype(np.uint8)
    found = round_trip(Planes(luma, cb, cr), level)
    for before, after in ((luma, found.luma), (cb, found.cb), (cr, found.cr)):
        assert np.abs(before.astype(int) - after).mean() < 2.0


@pytest.mark.parametrize("how", ["area", "bicubic", "lanczos"])
@pytest.mark.parametrize("scale", [2, 4])
def test_reducing_neither_shifts_nor_dims(how, scale):
    ramp = torch.arange(64.0)[None, None, None].expand(1, 3, 64, -1).contiguous()
    small = reduce(ramp, scale, how)
    assert small.shape == (1, 3, 64 // scale, 64 // scale)
    centres = torch.arange(64 // scale) * scale + (scale - 1) / 2.0
    inner = slice(4, -4)
    np.testing.assert_allclose(small[0, 0, 8, inner], centres[inner], atol=1e-3)
    flat = torch.full((1, 3, 32, 32), 0.3)
    np.testing.assert_allclose(reduce(flat, scale, how), 0.3, rtol=1e-5)


def test_random_degradations_stay_in_range_and_depend_on_the_seed_alone():
    sdr = picture()
    shares = Shares(compressed=0.5, noisy=0.5, filtered=0.5, banded=0.3, full_chroma=0.3)
    seen = set()
    for seed in range(24):
        degradation = draw_degradation(shares, generator(seed))
        seen.add(degradation.codec.codec if degradation.codec else "none")
        first = degrade(sdr, degradation, 2, generator(seed, "noise"))
        assert first.shape == (1, 3, 32, 48)
        assert torch.isfinite(first).all()
        assert first.min() >= 0.0
        assert first.max() <= 1.0
        assert torch.equal(first, degrade(sdr, degradation, 2, generator(seed, "noise")))
    assert seen >= {"none", "h264", "jpeg"}


def test_nothing_happens_with_shares_of_zero():
    none = Shares(compressed=0.0, noisy=0.0, filtered=0.0, banded=0.0, full_chroma=0.0)
    degradation = draw_degradation(none, generator(3))
    assert degradation.codec is None
    assert (degradation.noise, degradation.sharpening, degradation.bits) == (0.0, 0.0, None)


@pytest.mark.parametrize("kind", ["caption", "panel", "card", "page", "slide"])
def test_white_graphics_are_paper_and_not_lamps(kind):
    for seed in range(24):
        height = (32, 64, 160)[seed % 3]
        sdr, hdr = (torch.full((1, 3, height, 96), level) for level in (0.2, 0.3))
        shown, target = add_graphics(sdr, hdr, generator(seed, kind), kind)
        changed = (shown != sdr).any()
        assert changed or kind == "panel"
        white = (shown > 0.999).all(dim=1)
        brightest = float(graphic_light(torch.ones(1, 3, 1, 1)).max())
        assert target.max() <= max(brightest, 0.3) + 1e-5
        if white.any():
            assert target.amax(dim=1)[white].min() >= brightest - 1e-3


@pytest.mark.parametrize("kind", ["card", "slide"])
def test_some_hold_a_word_and_some_a_lot(kind):
    """A network that saw full cards alone took a single word on black for a lamp."""
    shares = []
    for seed in range(48):
        grey = torch.full((1, 3, 160, 256), 0.2)
        shown, _ = add_graphics(grey, grey, generator(seed, kind), kind)
        paper = shown.flatten(2).mode(dim=2).values[..., None, None]
        shares.append(float((shown != paper).any(dim=1).float().mean()))
    assert min(shares) < 0.01
    assert max(shares) > 0.1


def test_ramps_are_as_the_curve_shows_them():
    sdr, hdr = (torch.full((1, 3, 64, 96), level) for level in (0.2, 0.3))
    lying = standing = 0
    for seed in range(12):
        shown, target = add_graphics(sdr, hdr, generator(seed, "ramps"), "ramps")
        assert shown.shape == target.shape == sdr.shape
        assert shown.min() >= 0.0
        assert shown.max() <= 1.0
        assert torch.equal(target, bt2446a(shown))
        # Across a ramp nothing changes but at the edges of up to 8 bands.
        lies, stands = (
            int((step != 0).flatten(0, 1).any(0).any(other).sum()) <= 7
            for step, other in ((shown.diff(dim=2), 1), (shown.diff(dim=3), 0))
        )
        assert lies or stands
        along = (shown if lies else shown.transpose(2, 3)).flatten(0, 2)
        change = along[:, -1:] - along[:, :1]
        changes = change.abs()[:, 0] > 0.05
        share = ((along - along[:, :1]) / change)[changes, along.shape[1] // 2]
        # Half-way along, a power between 1 and 4 of the way has been gone.
        way = (along.shape[1] // 2) / (along.shape[1] - 1)
        assert bool(((share >= way**4 - 1e-4) & (share <= way + 1e-4)).all())
        steps = along.diff(dim=1)
        assert bool(((steps.amin(1) >= 0.0) | (steps.amax(1) <= 0.0)).all())
        lying, standing = lying + lies, standing + stands
    assert lying > 0
    assert standing > 0


def test_bars_are_black_in_both_and_leave_the_rest():
    sdr, hdr = (torch.full((1, 3, 64, 96), level) for level in (0.2, 0.3))
    lying = standing = whole = 0
    for seed in range(48):
        shown, target = add_graphics(sdr, hdr, generator(seed, "bars"), "bars")
        black = shown == 0.0
        assert torch.equal(black, target == 0.0)
        assert torch.equal(shown[~black], sdr[~black])
        assert torch.equal(target[~black], hdr[~black])
        assert torch.equal(black, black.flip(2, 3))
        assert black[..., 0, 0].all()
        whole += bool(black.all())
        lying += bool(black[..., 0, :].all() and not black[..., :, 0].all())
        standing += bool(black[..., :, 0].all() and not black[..., 0, :].all())
    assert lying + standing + whole == 48
    assert min(lying, standing, whole) > 0


def test_flat_frames_are_dark_and_as_the_curve_shows_them():
    sdr, hdr = (torch.full((1, 3, 32, 48), level) for level in (0.9, 0.8))
    black = 0
    for seed in range(24):
        shown, target = add_graphics(sdr, hdr, generator(seed, "flat"), "flat")
        assert shown.shape == target.shape == sdr.shape
        assert torch.equal(shown, shown[..., :1, :1].expand_as(shown))
        assert shown.max() <= 0.5
        assert torch.equal(target, bt2446a(shown))
        if shown.max() == 0.0:
            black += 1
            assert target.max() == 0.0
    assert 0 < black < 24
