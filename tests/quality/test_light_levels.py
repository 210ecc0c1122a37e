"""MaxCLL and MaxFALL of pictures whose light is known beforehand."""

from __future__ import annotations

from dataclasses import astuple
from fractions import Fraction

import numpy as np
import pytest
import torch

from sdr2hdr.frames import CodedBatch, FrameTime, Rectangle, Timeline
from sdr2hdr.quality.light_levels import (
    FrameLight,
    LightLevels,
    LightMeter,
    measure,
    measure_coded,
    stored_level,
)
from sdr2hdr.signal import (
    HDR10_SIGNAL,
    ChromaSiting,
    CodedSignal,
    ColourRange,
    Matrix,
    Primaries,
    Subsampling,
    Transfer,
)


@pytest.fixture(scope="module")
def light_of(colour_science):
    """Light of a 10-bit limited-range PQ code, cd/m2, by colour-science."""

    def light(code: float) -> float:
        return float(colour_science.eotf((code - 64) / 876, function="ITU-R BT.2100 PQ"))

    return light


def picture(height: int, width: int, codes: tuple[int, int, int]) -> torch.Tensor:
    """(1, 3, H, W) R'G'B' of one colour, given as 10-bit limited-range codes."""
    values = torch.tensor([(code - 64) / 876 for code in codes])
    return values.reshape(1, 3, 1, 1).expand(1, 3, height, width).clone()


def test_a_grey_field_has_its_own_light(light_of):
    (light,) = measure(picture(10, 20, (509, 509, 509)))
    assert astuple(light) == pytest.approx((light_of(509),) * 4, rel=1e-9)


@pytest.mark.parametrize("codes", [(800, 100, 64), (64, 800, 300), (500, 64, 800)])
def test_coloured_lights_count_by_their_brightest_channel(light_of, codes):
    (light,) = measure(picture(4, 4, codes))
    assert light.max_cd_m2 == pytest.approx(light_of(800), rel=1e-9)
    assert light.mean_max_rgb_cd_m2 == pytest.approx(light_of(800), rel=1e-9)


def test_one_bright_pixel_is_the_maximum_and_no_more(light_of):
    pixels = picture(200, 300, (509, 509, 509))
    pixels[0, 1, 77, 123] = (900 - 64) / 876
    (light,) = measure(pixels)
    dark, bright = light_of(509), light_of(900)
    assert light.max_cd_m2 == pytest.approx(bright, rel=1e-9)
    assert light.mean_max_rgb_cd_m2 == pytest.approx((dark * 59_999 + bright) / 60_000, rel=1e-9)
    assert light.robust_max_cd_m2 == pytest.approx(dark, rel=1e-9)
    assert light.robust_mean_max_rgb_cd_m2 == pytest.approx(dark, rel=1e-9)


def test_robust_maximum_spares_just_one_pixel_in_ten_thousand(light_of):
    for bright_pixels, expected in ((6, 509), (7, 900)):
        pixels = picture(200, 300, (509, 509, 509))
        pixels[0, :, 0, :bright_pixels] = (900 - 64) / 876
        (light,) = measure(pixels)
        assert light.robust_max_cd_m2 == pytest.approx(light_of(expected), rel=1e-9)
    small = picture(99, 101, (509, 509, 509))
    small[0, :, 0, 0] = (900 - 64) / 876
    assert measure(small)[0].robust_max_cd_m2 == pytest.approx(light_of(900), rel=1e-9)


def test_bars_are_left_out(light_of):
    pixels = picture(90, 160, (64, 64, 64))
    area = Rectangle(10, 4, 80, 156)
    pixels[:, :, 10:80, 4:156] = picture(70, 152, (600, 600, 600))
    (light,) = measure(pixels, area)
    assert light.mean_max_rgb_cd_m2 == pytest.approx(light_of(600), rel=1e-9)
    whole = measure(pixels)[0].mean_max_rgb_cd_m2
    assert whole == pytest.approx(light_of(600) * 70 * 152 / (90 * 160), rel=1e-9)


def test_light_is_that_of_the_nearest_code(light_of):
    for code, offset in ((700, 0.49), (700, -0.49), (64, -0.5), (940, 3.0)):
        (light,) = measure(torch.full((1, 3, 2, 2), (code + offset - 64) / 876))
        assert light.max_cd_m2 == pytest.approx(light_of(code), rel=1e-9, abs=1e-12)


def test_each_frame_has_its_own_light(light_of):
    pixels = torch.cat([picture(4, 4, (code, 64, 64)) for code in (100, 300, 200)])
    found = [light.max_cd_m2 for light in measure(pixels)]
    assert found == [pytest.approx(light_of(code), rel=1e-9) for code in (100, 300, 200)]


@pytest.mark.parametrize(
    ("light", "stored"),
    [(0.0, 1), (1.4999, 1), (1.5, 2), (999.5, 1000), (1e4, 10_000), (1e6, 65535)],
)
def test_levels_are_rounded_to_nearest_and_never_say_unknown(light: float, stored: int):
    assert stored_level(light) == stored


def test_meter_takes_the_greatest_of_each_figure_in_any_order():
    lights = [
        FrameLight(500.2, 20.0, 400.0, 19.0),
        FrameLight(100.0, 90.6, 80.0, 70.0),
        FrameLight(499.0, 91.4, 401.0, 3.0),
    ]
    whole, backwards = LightMeter(), LightMeter()
    whole.add(lights)
    backwards.add(reversed(lights))
    assert whole.frames == 3
    assert whole.levels() == LightLevels(500, 91, 401, 70)
    assert whole.levels().chosen(robust=False) == (500, 91)
    assert whole.levels().chosen(robust=True) == (401, 70)
    assert backwards.light == whole.light
    with pytest.raises(ValueError, match="No frame"):
        LightMeter().levels()


def coded(signal: CodedSignal, codes: tuple[int, int, int], height: int = 8, width: int = 8):
    across, down = signal.subsampling.value
    shapes = ((1, height, width), *((1, height // down, width // across),) * 2)
    luma, cb, cr = (
        torch.full(shape, code, dtype=torch.int32).to(torch.uint16)
        for shape, code in zip(shapes, codes, strict=True)
    )
    return CodedBatch(luma, cb, cr, signal, Timeline(Fraction(1, 25), (FrameTime(0, 1),)))


@pytest.mark.parametrize("subsampling", list(Subsampling))
@pytest.mark.parametrize("primaries", [Primaries.BT2020, Primaries.P3_D65])
def test_coded_planes_are_read_as_bt2100_says(light_of, subsampling, primaries):
    signal = CodedSignal(
        Matrix.BT2020_NCL,
        ColourRange.LIMITED,
        primaries,
        Transfer.PQ,
        ChromaSiting.TOP_LEFT,
        subsampling,
        10,
    )
    luma, cb, cr = 450, 430, 640
    y, pb, pr = (luma - 64) / 876, (cb - 512) / 896, (cr - 512) / 896
    red, blue = y + 1.4746 * pr, y + 1.8814 * pb
    green = (y - 0.2627 * red - 0.0593 * blue) / 0.6780
    code = np.floor(max(red, green, blue) * 876 + 64.5)
    (light,) = measure_coded(coded(signal, (luma, cb, cr)))
    assert light.max_cd_m2 == pytest.approx(light_of(code), rel=1e-9)
    assert light.mean_max_rgb_cd_m2 == pytest.approx(light_of(code), rel=1e-9)


def test_colour_outside_the_area_does_not_leak_into_it(light_of):
    batch = coded(HDR10_SIGNAL, (509, 512, 512), 16, 16)
    batch.cr[:, :4] = 900
    (light,) = measure_coded(batch, Rectangle(8, 0, 16, 16))
    assert light.max_cd_m2 == pytest.approx(light_of(509), rel=1e-9)
