from __future__ import annotations

import numpy as np
import pytest
import torch

from sdr2hdr.colour.transfer import pq_eotf
from sdr2hdr.curves.bt2446a import bt2446a
from sdr2hdr.training.anchor import (
    BT2446A_LOOK,
    Look,
    RollOff,
    draw_look,
    draw_roll_off,
    signal_table,
    target_table,
)
from sdr2hdr.training.grade import bt2020_luminance
from sdr2hdr.training.randomness import generator
from sdr2hdr.training.rendering import (
    DownConversion,
    draw_down_conversion,
    draw_phone_conversion,
    render,
)
from sdr2hdr.training.tables import LogTable, luminance_grid
from sdr2hdr.training.tone_curves import OPERATORS, draw_curve, hard_clip


def graded_by_bt2446a(signal: torch.Tensor) -> torch.Tensor:
    return pq_eotf(bt2446a(signal.reshape(1, 1, 1, -1).expand(1, 3, 1, -1)))[0, 0, 0]


def scene(seed: int, saturation: float = 1.0) -> torch.Tensor:
    rng = np.random.default_rng(seed)
    light = torch.from_numpy(np.exp(rng.normal(-2.0, 1.5, (1, 3, 24, 32))).astype(np.float32))
    luminance = bt2020_luminance(light)
    return luminance + saturation * (light - luminance)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("operator", OPERATORS)
def test_target_is_the_look_below_the_anchor_and_bounded_above(operator: str, seed: int):
    rng = generator(seed, operator)
    signal = signal_table(draw_curve(operator, rng))
    roll_off = draw_roll_off(rng)
    target = target_table(signal, BT2446A_LOOK, roll_off)
    low = (signal.values > 0.02) & (signal.values < 0.65)
    assert low.any()
    expected = graded_by_bt2446a(signal.values[low])
    np.testing.assert_allclose(target.values[low], expected, rtol=0.01)
    assert (target.values.diff() >= -1e-3).all()
    assert target.values[-1] <= roll_off.peak_cd_m2
    assert target.values[-1] > 0.85 * roll_off.peak_cd_m2, "highlights never get bright"


def test_the_scene_goes_on_where_the_signal_clips():
    signal = signal_table(lambda luminance: hard_clip(luminance, 1.0))
    target = target_table(signal, BT2446A_LOOK, RollOff(1000.0, 0.9))
    clipped = luminance_grid() > 1.0
    brighter = target(torch.tensor([1.0, 1.5, 2.0]))
    assert (signal.values[clipped] == 1.0).all()
    assert (brighter.diff() > 20.0).all()


def test_camera_look_lies_between_bt2408_and_bt2446a_in_the_shadows():
    signal = torch.tensor([0.15, 0.3], dtype=torch.float64)
    plain, graded = 203.0 * signal**2.4, graded_by_bt2446a(signal)
    for seed in range(20):
        light = draw_look("camera", generator(seed)).light_cd_m2(signal)
        assert (light > plain).all()
        assert (light < graded).all()
    np.testing.assert_allclose(Look(0.0, 0.0).light_cd_m2(signal), plain)


def assert_middle_tones_are_the_look_of_what_sdr_shows(
    sdr: torch.Tensor, hdr: torch.Tensor, look: Look
) -> None:
    # Luminance of SDR before gamut mapping is only visible where nothing was clipped.
    inside = ((sdr > 0.0) & (sdr < 1.0)).all(dim=1)
    red, green, blue = 0.2126, 0.7152, 0.0722
    channels = sdr**2.4
    shown = red * channels[:, 0] + green * channels[:, 1] + blue * channels[:, 2]
    shown = shown ** (1 / 2.4)
    low = inside & (shown > 0.05) & (shown < 0.55)
    assert low.sum() > 100
    expected = look.light_cd_m2(shown[low].to(torch.float64))
    found = bt2020_luminance(pq_eotf(hdr))[:, 0][low]
    np.testing.assert_allclose(found, expected, rtol=0.01)


@pytest.mark.parametrize("norm", ["luminance", "maximum", "channels"])
def test_rendered_pictures_hold_the_anchor(norm):
    light = scene(1, saturation=0.4)
    down = DownConversion(draw_curve("filmic", generator(2)), norm, "clip")
    sdr, hdr = render(light, down, BT2446A_LOOK, RollOff())
    assert_middle_tones_are_the_look_of_what_sdr_shows(sdr, hdr, BT2446A_LOOK)


@pytest.mark.parametrize("seed", range(4))
def test_phones_raise_local_contrast_in_sdr_and_hdr_alike(seed):
    light = scene(seed, saturation=0.2)
    rng = generator(seed, "phone")
    down = draw_phone_conversion(rng)
    look = draw_look("camera", rng)
    sdr, hdr = render(light, down, look, RollOff())
    assert_middle_tones_are_the_look_of_what_sdr_shows(sdr, hdr, look)
    plain, _ = render(light, DownConversion(down.curve), look, RollOff())
    assert neighbours_differ(sdr) > 1.03 * neighbours_differ(plain)


def neighbours_differ(picture: torch.Tensor) -> float:
    shown = (picture > 0.02).all(dim=1) & (picture < 0.98).all(dim=1)
    octaves = torch.log2(bt2020_luminance(picture**2.4).clamp(min=1e-6))[:, 0]
    both = shown[..., 1:] & shown[..., :-1]
    return float(octaves.diff(dim=-1)[both].abs().mean())


@pytest.mark.parametrize("operator", OPERATORS)
def test_greys_stay_grey_and_colours_keep_their_ratios(operator: str):
    rng = generator(5, operator)
    roll_off = draw_roll_off(rng)
    down = draw_down_conversion(operator, rng)
    grey = torch.logspace(-4, 1.5, 256)[None, None, None].expand(1, 3, 8, -1).contiguous()
    sdr, hdr = render(grey, down, BT2446A_LOOK, roll_off)
    for picture in (sdr, hdr):
        assert torch.isfinite(picture).all()
        assert picture.min() >= 0.0
        assert picture.max() <= 1.0
        spread = picture.amax(dim=1) - picture.amin(dim=1)
        assert spread.max() < 1e-3
    light = scene(7)
    if down.norm == "luminance":
        target = pq_eotf(render(light, down, BT2446A_LOOK, roll_off)[1])
        dim = target.amax(dim=1, keepdim=True) < 0.9 * roll_off.peak_cd_m2
        bright = target.amin(dim=1, keepdim=True) > 0.1
        usable = (dim & bright).expand_as(light)
        ratios = light / bt2020_luminance(light)
        found = target / bt2020_luminance(target)
        np.testing.assert_allclose(found[usable], ratios[usable], rtol=0.01)


def test_black_stays_black():
    down = DownConversion(draw_curve("hable", generator(1)))
    sdr, hdr = render(torch.zeros(1, 3, 4, 4), down, BT2446A_LOOK, RollOff())
    assert sdr.abs().max() == 0.0
    assert hdr.abs().max() == 0.0


def test_table_interpolates_and_holds_its_ends():
    grid = luminance_grid()
    table = LogTable(torch.log2(grid).to(torch.float32))
    asked = torch.tensor([0.0, 0.18, 1.0, 7.3, 1e12])
    np.testing.assert_allclose(
        table(asked), [-24.0, np.log2(0.18), 0.0, np.log2(7.3), 20.0], atol=1e-3
    )
    with pytest.raises(ValueError, match="expected 5633"):
        LogTable(torch.zeros(5))
