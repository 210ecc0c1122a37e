"""What `check` counts in the codes of pictures, on planes whose counts are known beforehand."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
import torch

from sdr2hdr.frames import CodedBatch, FrameTime, Timeline
from sdr2hdr.quality.code_statistics import CodeStatistics
from sdr2hdr.signal import HDR10_SIGNAL, CodedSignal, ColourRange, Matrix, Subsampling

HDR10_444 = replace(HDR10_SIGNAL, subsampling=Subsampling.YUV444)


def statistics(
    first: list[int], second: list[int], third: list[int], signal: CodedSignal = HDR10_444
) -> CodeStatistics:
    """Of one row of pixels, 4:4:4."""
    planes = (
        torch.tensor(codes, dtype=torch.uint16)[None, None] for codes in (first, second, third)
    )
    counted = CodeStatistics()
    counted.add(CodedBatch(*planes, signal, Timeline(Fraction(1, 25), (FrameTime(0, 1),))))
    return counted


# Rec. ITU-R BT.2100-2, Table 9: 64 to 940 for R', G', B' and Y', 64 to 960 for chroma; 0 to 3 and
# 1020 to 1023 are kept for timing references.
EDGES = [3, 4, 63, 64, 940, 941, 960, 961, 1019, 1020]
GREY = [512] * len(EDGES)


def test_luma_ends_at_nominal_white():
    counted = statistics(EDGES, GREY, GREY)
    assert (counted.samples, counted.forbidden) == (30, 2)
    assert counted.outside_range == len([3, 4, 63, 941, 960, 961, 1019, 1020])


@pytest.mark.parametrize("is_red", [False, True])
def test_chroma_ends_at_its_own_peak(is_red):
    counted = statistics(GREY, *((GREY, EDGES) if is_red else (EDGES, GREY)))
    assert counted.forbidden == 2
    assert counted.outside_range == len([3, 4, 63, 961, 1019, 1020])


def test_rgb_ends_at_nominal_white_in_every_plane():
    counted = statistics(EDGES, EDGES, EDGES, replace(HDR10_444, matrix=Matrix.RGB))
    assert counted.forbidden == 6
    assert counted.outside_range == 3 * 8


def test_full_range_has_no_codes_of_its_own():
    counted = statistics(EDGES, GREY, GREY, replace(HDR10_444, colour_range=ColourRange.FULL))
    assert (counted.samples, counted.forbidden, counted.outside_range) == (30, 0, 0)


def test_twelve_bits_count_in_their_own_codes():
    signal = replace(HDR10_444, bit_depth=12)
    codes = [15, 16, 255, 256, 3760, 3761, 4079, 4080]
    grey = [2048] * len(codes)
    counted = statistics(codes, grey, grey, signal)
    assert counted.forbidden == 2
    assert counted.outside_range == len([15, 16, 255, 3761, 4079, 4080])


def test_colours_outside_p3_and_the_darkest_light(colour_science):
    rgb = replace(HDR10_444, matrix=Matrix.RGB)
    spaces = colour_science.RGB_COLOURSPACES
    # BT.2020's own green, a P3 green, grey, and BT.2020's green below 1 cd/m2.
    p3_green = colour_science.RGB_to_RGB(
        [0.0, 100.0, 0.0], spaces["P3-D65"], spaces["ITU-R BT.2020"]
    )
    lights = [[0.0, 100.0, 0.0], p3_green.tolist(), [100.0] * 3, [0.02, 0.9, 0.02]]
    signals = colour_science.eotf_inverse(np.array(lights).clip(0), function="ITU-R BT.2100 PQ")
    codes = np.round(64 + 876 * signals).astype(int)
    # In RGB the planes are G', B', R' (H.273, matrix coefficients 0).
    counted = statistics(*(codes[:, channel].tolist() for channel in (1, 2, 0)), rgb)
    assert (counted.pixels, counted.outside_p3) == (3, 1)
    darkest = float(colour_science.eotf((codes[3, 1] - 64) / 876, function="ITU-R BT.2100 PQ"))
    assert counted.darkest_light_cd_m2 == pytest.approx(darkest, rel=1e-5)
