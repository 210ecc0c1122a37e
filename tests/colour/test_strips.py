"""Strips of rows change no bit of a conversion."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest
import torch

from sdr2hdr.colour import strips, to_coded, to_rgb
from sdr2hdr.colour.strips import row_strips
from sdr2hdr.frames import CodedBatch, FrameTime, RgbBatch, Timeline
from sdr2hdr.quality.light_levels import measure
from sdr2hdr.signal import (
    HDR10_SIGNAL,
    HDR_DISPLAY,
    ChromaSiting,
    CodedSignal,
    ColourRange,
    Matrix,
    Primaries,
    Subsampling,
    Transfer,
)

CPU = torch.device("cpu")
TWO_FRAMES = Timeline(Fraction(1, 25), (FrameTime(0, 1), FrameTime(1, 1)))
SIZES = [(1, 1), (5, 7), (46, 33), (47, 32)]


@pytest.mark.parametrize(("height", "width"), [(0, 8), (1, 1), (1080, 1920), (7, 1 << 20)])
def test_strips_cover_every_row_once_and_begin_at_even_rows(height, width):
    found = list(row_strips(height, width, CPU))
    assert [row for top, bottom in found for row in range(top, bottom)] == list(range(height))
    assert all(top % 2 == 0 for top, _ in found)


def sdr_batch(size: tuple[int, int], siting: ChromaSiting, subsampling: Subsampling) -> CodedBatch:
    height, width = size
    chroma = (2, -(-height // subsampling.vertical), -(-width // subsampling.horizontal))
    generator = torch.Generator().manual_seed(height)
    planes = [
        torch.randint(0, 256, shape, generator=generator).to(torch.uint8)
        for shape in ((2, height, width), chroma, chroma)
    ]
    signal = CodedSignal(
        matrix=Matrix.BT709,
        colour_range=ColourRange.LIMITED,
        primaries=Primaries.BT709,
        transfer=Transfer.BT1886,
        siting=siting,
        subsampling=subsampling,
        bit_depth=8,
    )
    return CodedBatch(*planes, signal, TWO_FRAMES)


@pytest.mark.parametrize("strip_pixels", [1, 100, 700])
@pytest.mark.parametrize("siting", ChromaSiting)
@pytest.mark.parametrize("subsampling", Subsampling)
@pytest.mark.parametrize("size", SIZES)
def test_to_rgb_has_the_same_bits(monkeypatch, size, subsampling, siting, strip_pixels):
    batch = sdr_batch(size, siting, subsampling)
    whole = to_rgb(batch).pixels
    monkeypatch.setattr(strips, "STRIP_PIXELS", strip_pixels)
    assert torch.equal(to_rgb(batch).pixels, whole)


@pytest.mark.parametrize("strip_pixels", [1, 100, 700])
@pytest.mark.parametrize("siting", ChromaSiting)
@pytest.mark.parametrize("subsampling", Subsampling)
@pytest.mark.parametrize("size", SIZES)
def test_to_coded_and_the_light_have_the_same_bits(
    monkeypatch, size, subsampling, siting, strip_pixels
):
    signal = replace(HDR10_SIGNAL, siting=siting, subsampling=subsampling)
    pixels = torch.rand((2, 3, *size), generator=torch.Generator().manual_seed(5)) * 1.1 - 0.05
    batch = RgbBatch(pixels, HDR_DISPLAY, TWO_FRAMES)
    whole, lights = to_coded(batch, signal), measure(pixels)
    monkeypatch.setattr(strips, "STRIP_PIXELS", strip_pixels)
    parts = to_coded(batch, signal)
    for name in ("luma", "cb", "cr"):
        first, second = (getattr(coded, name).to(torch.int32) for coded in (whole, parts))
        assert torch.equal(first, second)
    assert measure(pixels) == lights
