from __future__ import annotations

import dataclasses
from fractions import Fraction

import numpy as np
import pytest
import torch

from sdr2hdr.colour import to_coded
from sdr2hdr.frames import CodedBatch, FrameTime, RgbBatch, Timeline
from sdr2hdr.quality.pq_picture import light_to_pq, pq_rgb, primaries_of_chromaticities
from sdr2hdr.signal import (
    HDR10_SIGNAL,
    HDR_DISPLAY,
    CodedSignal,
    ColourRange,
    Matrix,
    Primaries,
    Subsampling,
    Transfer,
)

TIMELINE = Timeline(Fraction(1, 25), (FrameTime(0, 1),))


def coded(signal: CodedSignal, luma: int, cb: int, cr: int) -> CodedBatch:
    planes = (torch.full((1, 4, 6), code).to(torch.uint16) for code in (luma, cb, cr))
    return CodedBatch(*planes, signal, TIMELINE)


FULL_444 = dataclasses.replace(HDR10_SIGNAL, subsampling=Subsampling.YUV444)


@pytest.mark.parametrize(("code", "signal"), [(64, 0.0), (940, 1.0), (502, 0.5), (40, 0.0)])
def test_greys_decode_to_their_codes(code: int, signal: float):
    pixels = pq_rgb(coded(FULL_444, code, 512, 512)).pixels
    torch.testing.assert_close(pixels, torch.full((1, 3, 4, 6), signal), rtol=0.0, atol=1e-6)


def test_colours_match_colour_science(colour_science):
    pixels = pq_rgb(coded(FULL_444, 500, 470, 600))
    expected = colour_science.YCbCr_to_RGB(
        np.array([500, 470, 600]),
        K=colour_science.WEIGHTS_YCBCR["ITU-R BT.2020"],
        in_bits=10,
        in_legal=True,
        in_int=True,
        out_legal=False,
        out_int=False,
    )
    assert pixels.signal == HDR_DISPLAY
    np.testing.assert_allclose(pixels.pixels[0, :, 0, 0].numpy(), expected, atol=1e-5)


def test_what_the_program_encodes_comes_back_at_444():
    generator = torch.Generator().manual_seed(1)
    rgb = RgbBatch(torch.rand(1, 3, 8, 8, generator=generator), HDR_DISPLAY, TIMELINE)
    back = pq_rgb(to_coded(rgb, FULL_444)).pixels
    assert (back - rgb.pixels).abs().max() < 2.0 / 876.0


def test_other_primaries_become_bt2020(colour_science):
    signal = dataclasses.replace(
        FULL_444,
        matrix=Matrix.RGB,
        colour_range=ColourRange.FULL,
        primaries=Primaries.P3_D65,
        bit_depth=16,
    )
    green, blue, red = 30000, 20000, 40000
    actual = pq_rgb(coded(signal, green, blue, red)).pixels[0, :, 0, 0].double().numpy()
    light = colour_science.models.eotf_ST2084(np.array([red, green, blue]) / 65535.0)
    p3 = colour_science.RGB_COLOURSPACES["P3-D65"]
    bt2020 = colour_science.RGB_COLOURSPACES["ITU-R BT.2020"]
    matrix = np.linalg.inv(
        colour_science.normalised_primary_matrix(bt2020.primaries, bt2020.whitepoint)
    ) @ colour_science.normalised_primary_matrix(p3.primaries, p3.whitepoint)
    expected = colour_science.models.eotf_inverse_ST2084(matrix @ light)
    np.testing.assert_allclose(actual, expected, atol=1e-5)


def test_sdr_planes_are_refused():
    signal = dataclasses.replace(FULL_444, transfer=Transfer.BT1886)
    with pytest.raises(ValueError, match="bt1886"):
        pq_rgb(coded(signal, 500, 512, 512))


def test_linear_light_is_scaled_and_clipped():
    light = torch.tensor([0.0, 1.0, 100.0, -0.5]).expand(1, 3, 1, 4)
    signal = light_to_pq(light, Primaries.BT709, white_cd_m2=203.0)
    expected = torch.tensor([0.0, 0.58069, 1.0, 0.0]).expand(1, 3, 1, 4)
    torch.testing.assert_close(signal, expected, rtol=0.0, atol=1e-5)


def test_chromaticities_name_primaries():
    bt709 = (0.64, 0.33, 0.30, 0.60, 0.15, 0.06, 0.3127, 0.3290)
    assert primaries_of_chromaticities(bt709) is Primaries.BT709
    rounded = (0.708, 0.292, 0.170, 0.797, 0.131, 0.046, 0.31271, 0.32902)
    assert primaries_of_chromaticities(rounded) is Primaries.BT2020
    aces = (0.7347, 0.2653, 0.0, 1.0, 0.0001, -0.077, 0.32168, 0.33767)
    assert primaries_of_chromaticities(aces) is None


@pytest.mark.parametrize("primaries", list(Primaries))
@pytest.mark.parametrize(
    "light", [(1.0, 1.0, 1.0), (1.0, 0.0, 0.0), (0.0, 1.0, 1.0), (1.0, -1.0, 1.0)]
)
def test_infinite_light_is_as_bright_as_the_greatest_number(
    primaries: Primaries, light: tuple[float, float, float]
):
    """Two infinite channels of P3 gave no number: a difference of infinities."""
    colour = torch.tensor(light).reshape(1, 3, 1, 1)
    infinite = torch.where(colour == 0.0, 0.0, colour * float("inf"))
    found = light_to_pq(infinite, primaries, white_cd_m2=1.0)
    torch.testing.assert_close(found, light_to_pq(colour * 1e30, primaries, white_cd_m2=1.0))
    assert torch.equal(light_to_pq(colour * 1e30, primaries, white_cd_m2=1e30), found)
