"""What every shipped method promises: black, neutrality, order and hue (design of the colour)."""

from __future__ import annotations

from fractions import Fraction
from types import ModuleType

import numpy as np
import pytest
import torch

from sdr2hdr.colour import to_coded
from sdr2hdr.colour.ictcp import hue_degrees, rgb_to_ictcp
from sdr2hdr.colour.primaries import rgb_to_rgb_matrix
from sdr2hdr.colour.transfer import bt1886_eotf, pq_eotf
from sdr2hdr.curves import curve_names
from sdr2hdr.engine import load_engine
from sdr2hdr.frames import FrameTime, RgbBatch, Timeline
from sdr2hdr.networks.registry import NETWORKS, resolve_exactly
from sdr2hdr.networks.weights import find_card
from sdr2hdr.options import EngineOptions
from sdr2hdr.signal import BT709_DISPLAY, HDR10_SIGNAL, Primaries

SHIPPED = [
    *curve_names(),
    *(spec.name for spec in NETWORKS if spec.scale == 1 and find_card(spec.name) is not None),
]
HDR10_CODES = 876
"""Codes of 10 bits between black and white, limited range."""
LARGEST_HUE_SHIFT_DEGREES = 3.0
"""Of a network on memory colours; curves are held tighter in their own tests."""


def convert(model: str, pixels: torch.Tensor) -> RgbBatch:
    timeline = Timeline(Fraction(1, 25), (FrameTime(0, 1),))
    batch = RgbBatch(pixels.to(torch.float32), BT709_DISPLAY, timeline)
    return load_engine(model, 1, EngineOptions(backend="torch", device="cpu")).run(batch)


def grey_ramp() -> torch.Tensor:
    """All 10-bit limited codes of luma from black to white, 4 px wide each, 32 rows."""
    signal = torch.arange(877) / 876
    return signal.repeat_interleave(4).expand(1, 3, 32, -1)


@pytest.mark.parametrize("model", SHIPPED)
def test_grey_ramp_stays_neutral_and_in_order(model: str):
    coded = to_coded(convert(model, grey_ramp()), HDR10_SIGNAL)
    luma = coded.luma[0, 16, 2::4].to(torch.int32)
    for plane in (coded.cb, coded.cr):
        assert int((plane.to(torch.int32) - 512).abs().max()) <= 2
    steps = luma.diff()
    assert int(steps.min()) >= 0
    assert int(steps.max()) <= 4


@pytest.mark.parametrize("model", SHIPPED)
def test_black_stays_black(model: str):
    tolerance = 0 if model in curve_names() else 1
    coded = to_coded(convert(model, torch.zeros(1, 3, 48, 64)), HDR10_SIGNAL)
    assert int((coded.luma.to(torch.int32) - 64).abs().max()) <= tolerance
    for plane in (coded.cb, coded.cr):
        assert int((plane.to(torch.int32) - 512).abs().max()) <= tolerance


@pytest.mark.parametrize("model", [name for name in SHIPPED if name not in curve_names()])
def test_chart_keeps_its_hue(model: str, colour_science: ModuleType):
    checker = colour_science.CCS_COLOURCHECKERS["ColorChecker 2005"]
    xyz = colour_science.xyY_to_XYZ(np.array(list(checker.data.values())[:18]))
    adapted = colour_science.chromatic_adaptation(
        xyz,
        colour_science.xy_to_XYZ(checker.illuminant),
        colour_science.xy_to_XYZ(np.array([0.3127, 0.3290])),
    )
    linear = colour_science.XYZ_to_RGB(adapted, "ITU-R BT.709").clip(0, 1)
    signal = torch.from_numpy(linear ** (1 / 2.4)).to(torch.float32)
    patches = signal.T.reshape(1, 3, 3, 6).repeat_interleave(32, 2).repeat_interleave(32, 3)
    result = pq_eotf(convert(model, patches).pixels)[:, :, 16::32, 16::32]
    source = bt1886_eotf(patches[:, :, 16::32, 16::32])
    matrix = torch.tensor(
        np.array(rgb_to_rgb_matrix(Primaries.BT709, Primaries.BT2020)), dtype=torch.float32
    )
    wide = torch.einsum("ij,njhw->nihw", matrix, source)
    # Hue in ICtCp moves with luminance: compare at the result's own.
    weights = torch.tensor([0.2627, 0.6780, 0.0593]).reshape(1, 3, 1, 1)
    level = (result * weights).sum(1, keepdim=True) / (wide * weights).sum(1, keepdim=True)
    shift = hue_degrees(rgb_to_ictcp(result)) - hue_degrees(rgb_to_ictcp(wide * level))
    shift = (shift + 180) % 360 - 180
    assert float(shift.abs().max()) <= LARGEST_HUE_SHIFT_DEGREES


@pytest.mark.parametrize("model", [spec.name for spec in NETWORKS if find_card(spec.name)])
def test_tiles_of_any_size_give_the_same_codes(model: str, picture, batch):
    """With its curve, in the precision that a user gets: a value that some tiles round the other
    way before the network is another in a hundred samples after it."""
    spec = resolve_exactly(model)
    options = EngineOptions(backend="torch", device="cpu", threads=2)
    engine = load_engine(model, spec.scale, options)
    pixels = batch(picture(270, 480))
    whole = HDR10_CODES * engine.with_tiles(1000).run(pixels).pixels
    for tile_px in (57, 240):
        tiled = HDR10_CODES * engine.with_tiles(tile_px).run(pixels).pixels
        assert float((tiled - whole).abs().max()) <= 1
        assert float((tiled.round() == whole.round()).float().mean()) >= 0.999
