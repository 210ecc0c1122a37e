"""Letterbox and pillars: planes are cut and framed on their own sample grids, bars are black."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
import torch

from sdr2hdr.colour.active_picture import crop, place_on_black
from sdr2hdr.frames import CodedBatch, FrameTime, Rectangle, Timeline
from sdr2hdr.signal import HDR10_SIGNAL, CodedSignal, Subsampling

HEIGHT, WIDTH = 16, 24
STEPS = {Subsampling.YUV420: (2, 2), Subsampling.YUV422: (1, 2), Subsampling.YUV444: (1, 1)}
"""Luma samples a chroma sample, down and across (H.273, "ChromaFormatIdc")."""


def counted(signal: CodedSignal, height: int = HEIGHT, width: int = WIDTH) -> CodedBatch:
    """Two frames in which every sample of a plane has another code."""
    down, across = STEPS[signal.subsampling]

    def plane(rows: int, columns: int) -> torch.Tensor:
        codes = np.arange(2 * rows * columns, dtype=np.uint16).reshape(2, rows, columns)
        return torch.from_numpy(codes)

    chroma = (-(-height // down), -(-width // across))
    times = tuple(FrameTime(pts, 1) for pts in range(2))
    timeline = Timeline(Fraction(1, 25), times)
    return CodedBatch(plane(height, width), plane(*chroma), plane(*chroma), signal, timeline)


@pytest.mark.parametrize("subsampling", STEPS)
def test_each_plane_is_cut_on_its_own_grid(subsampling):
    down, across = STEPS[subsampling]
    whole = counted(replace(HDR10_SIGNAL, subsampling=subsampling))
    inside = crop(whole, Rectangle(left=4, top=6, right=20, bottom=14))
    assert torch.equal(inside.luma, whole.luma[:, 6:14, 4:20])
    rows, columns = slice(6 // down, 14 // down), slice(4 // across, 20 // across)
    assert torch.equal(inside.cb, whole.cb[:, rows, columns])
    assert torch.equal(inside.cr, whole.cr[:, rows, columns])


def test_the_edge_of_an_odd_frame_keeps_its_half_covered_chroma():
    whole = counted(HDR10_SIGNAL, height=15, width=23)
    inside = crop(whole, Rectangle(left=4, top=6, right=23, bottom=15))
    assert inside.luma.shape == (2, 9, 19)
    assert torch.equal(inside.cb, whole.cb[:, 3:8, 2:12])


@pytest.mark.parametrize(
    "edges",
    [
        {"left": 5},
        {"right": 19},
        {"top": 7},
        {"bottom": 13},
    ],
)
def test_an_edge_between_chroma_samples_is_refused(edges):
    picture = Rectangle(**{"left": 4, "top": 6, "right": 20, "bottom": 14, **edges})
    with pytest.raises(ValueError, match="whole chroma samples"):
        crop(counted(HDR10_SIGNAL), picture)


@pytest.mark.parametrize("subsampling", STEPS)
def test_bars_are_black_and_the_picture_is_where_it_was(subsampling):
    down, across = STEPS[subsampling]
    signal = replace(HDR10_SIGNAL, subsampling=subsampling)
    whole = counted(signal)
    picture = Rectangle(left=4, top=6, right=20, bottom=14)
    framed = place_on_black(crop(whole, picture), picture, HEIGHT, WIDTH)
    for plane, original, black, (step_down, step_across) in (
        (framed.luma, whole.luma, 64, (1, 1)),
        (framed.cb, whole.cb, 512, (down, across)),
        (framed.cr, whole.cr, 512, (down, across)),
    ):
        expected = torch.full_like(original, black)
        inside = (
            slice(None),
            slice(6 // step_down, 14 // step_down),
            slice(4 // step_across, 20 // step_across),
        )
        expected[inside] = original[inside]
        assert torch.equal(plane, expected)
        assert plane.dtype == torch.uint16
