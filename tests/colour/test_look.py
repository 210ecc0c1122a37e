"""The look: identity at the defaults; else black, neutrality, order and hue kept, peak held."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import torch

from sdr2hdr.colour.look import apply_look
from sdr2hdr.colour.transfer import pq_eotf, pq_inverse_eotf
from sdr2hdr.curves import CURVES, load_curve
from sdr2hdr.errors import UsageError
from sdr2hdr.frames import FrameTime, RgbBatch, Timeline
from sdr2hdr.options import Look
from sdr2hdr.signal import BT709_DISPLAY, HDR_DISPLAY

LOOKS = [
    Look(exposure_stops=1.0),
    Look(exposure_stops=-2.0),
    Look(reference_white_cd_m2=203.0),
    Look(peak_cd_m2=600.0),
    Look(peak_cd_m2=150.0),
    Look(limit_gamut="p3-d65"),
    Look(peak_cd_m2=400.0, reference_white_cd_m2=500.0, exposure_stops=1.5, limit_gamut="p3-d65"),
]


def batch_of(pq: torch.Tensor) -> RgbBatch:
    times = tuple(FrameTime(pts, 1) for pts in range(pq.shape[0]))
    return RgbBatch(pq.to(torch.float32), HDR_DISPLAY, Timeline(Fraction(1, 25), times))


def random_pq(pixels: int = 4000) -> torch.Tensor:
    """Colours of all of BT.2020 below 1000 cd/m2, its corners too."""
    generator = torch.Generator().manual_seed(5)
    corners = torch.cartesian_prod(*3 * [torch.tensor([0.0, 0.3, 0.7518])])
    colours = torch.cat([0.7518 * torch.rand(pixels, 3, generator=generator), corners])
    return colours.T.reshape(1, 3, 1, -1)


@pytest.fixture(scope="module")
def chart(colour_science) -> torch.Tensor:
    """The 24 patches under BT.2446-A, (1, 3, 1, 24): skin and memory colours, then the rest."""
    patches = colour_science.CCS_COLOURCHECKERS["ColorChecker 2005"]
    xyz = np.array([colour_science.xyY_to_XYZ(patch) for patch in patches.data.values()])
    light = colour_science.XYZ_to_RGB(xyz, "ITU-R BT.709", illuminant=patches.illuminant)
    signal = light.clip(0.0, 1.0) ** (1.0 / 2.4)
    sdr = torch.as_tensor(signal.T.reshape(1, 3, 1, -1), dtype=torch.float32)
    return load_curve("bt2446a")(sdr)


def polar(colour_science, pq: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Hue in degrees and chroma of every pixel, by colour-science."""
    light = pq_eotf(pq.double())[0, :, 0].T.numpy()
    ictcp = colour_science.RGB_to_ICtCp(light, method="ITU-R BT.2100-2 PQ")
    return np.degrees(np.arctan2(ictcp[:, 2], ictcp[:, 1])), np.hypot(ictcp[:, 1], ictcp[:, 2])


def largest_hue_shift(colour_science, before: torch.Tensor, after: torch.Tensor) -> float:
    """Degrees, over the pixels that have a colour on both sides."""
    hue_before, chroma_before = polar(colour_science, before)
    hue_after, chroma_after = polar(colour_science, after)
    shift = np.abs((hue_after - hue_before + 180.0) % 360.0 - 180.0)
    coloured = (chroma_before > 0.005) & (chroma_after > 0.005)
    assert coloured.sum() > 10
    return shift[coloured].max()


@pytest.mark.parametrize("white_cd_m2", [1000.0, *(curve.white_cd_m2 for curve in CURVES.values())])
def test_the_default_is_the_identity(white_cd_m2):
    batch = batch_of(random_pq())
    assert apply_look(batch, Look(), white_cd_m2) is batch
    assert apply_look(batch, Look(peak_cd_m2=4000.0), white_cd_m2) is batch
    assert apply_look(batch, Look(reference_white_cd_m2=white_cd_m2), white_cd_m2) is batch


@pytest.mark.parametrize("name", CURVES)
def test_no_curve_is_above_the_peak_by_rounding(name):
    corners = torch.cartesian_prod(*3 * [torch.tensor([0.0, 0.999, 1.0])])
    batch = batch_of(load_curve(name)(corners.T.reshape(1, 3, 1, -1)))
    assert apply_look(batch, Look(), CURVES[name].white_cd_m2) is batch


def test_what_a_network_gives_above_the_peak_is_brought_to_it(colour_science):
    before = random_pq() * 1.3
    highest = float(pq_inverse_eotf(torch.tensor(1000.0)))
    within = (before.amax(dim=1, keepdim=True) <= highest).expand_as(before)
    above = before.amax(dim=1) > highest + 1e-4
    assert above.any()
    assert within.any()
    result = apply_look(batch_of(before), Look(), 1000.0).pixels
    assert torch.equal(result[within], before.float()[within])
    assert result.amax() <= highest + 1e-5
    # Putting the hue back costs the corners of BT.2020 some light, and greys none.
    assert result.amax(dim=1)[above].median() > highest - 0.001
    grey = apply_look(batch_of(torch.full((1, 3, 1, 1), highest + 0.05)), Look(), 1000.0)
    torch.testing.assert_close(grey.pixels, torch.full((1, 3, 1, 1), highest), rtol=0, atol=1e-5)
    assert largest_hue_shift(colour_science, before, result) < 1.0
    raised = apply_look(batch_of(before), Look(peak_cd_m2=10_000.0), 1000.0)
    assert torch.equal(raised.pixels, before.float())


@pytest.mark.parametrize("look", LOOKS)
def test_greys_stay_neutral_monotone_and_black_black(look):
    signal = torch.linspace(0.0, float(pq_inverse_eotf(torch.tensor(1000.0))), 1024)
    result = apply_look(batch_of(signal.expand(1, 3, 1, -1)), look, 1000.0).pixels
    assert (result.amax(dim=1) - result.amin(dim=1)).max() < 0.1 / 1023
    assert (result[0, :, 0, 0] == 0.0).all()
    assert (result[0, :, 0].diff(dim=1) > -1e-6).all()
    assert result.amax() > 0.3


@pytest.mark.parametrize("look", LOOKS)
def test_the_chart_keeps_its_hue(colour_science, chart, look):
    after = apply_look(batch_of(chart), look, 1000.0).pixels
    assert largest_hue_shift(colour_science, chart, after) < 1.0


@pytest.mark.parametrize("look", LOOKS)
def test_every_colour_keeps_its_hue_and_stays_below_the_peak(colour_science, look):
    before = random_pq()
    after = apply_look(batch_of(before), look, 1000.0).pixels
    highest = pq_inverse_eotf(torch.tensor(look.peak_cd_m2))
    assert after.amax() <= highest + 1e-6
    assert after.amin() >= 0.0
    assert largest_hue_shift(colour_science, before, after) < 1.0


def test_plain_gain_would_not_keep_the_hue(colour_science, chart):
    """The check above can fail: this is what a gain without the look's correction does."""
    light = pq_eotf(chart) * 0.05
    assert largest_hue_shift(colour_science, chart, pq_inverse_eotf(light)) > 1.0


def test_exposure_and_reference_white_multiply_grey_light():
    signal = pq_inverse_eotf(torch.tensor([1.0, 20.0, 90.0])).expand(1, 3, 1, 3)
    for look, white, gain in [
        (Look(exposure_stops=1.0), 203.0, 2.0),
        (Look(exposure_stops=-1.0), 1000.0, 0.5),
        (Look(reference_white_cd_m2=203.0), 1000.0, 0.203),
        (Look(reference_white_cd_m2=406.0, exposure_stops=-0.5), 203.0, 2.0**0.5),
    ]:
        light = pq_eotf(apply_look(batch_of(signal), look, white).pixels)
        expected = gain * torch.tensor([1.0, 20.0, 90.0])
        torch.testing.assert_close(light[0, 1, 0], expected, rtol=1e-4, atol=0.0)


def test_the_roll_off_is_that_of_bt2390():
    """Identity below the knee, the peak reached at the source's peak, the Hermite between."""
    source, target = (float(pq_inverse_eotf(torch.tensor(x).double())) for x in (1000.0, 600.0))
    knee = 1.5 * target / source - 0.5
    share = torch.tensor([0.3, 0.9 * knee, 0.5 + knee / 2, 1.0], dtype=torch.float64)
    t = (share[2] - knee) / (1 - knee)
    middle = (
        (2 * t**3 - 3 * t**2 + 1) * knee
        + (t**3 - 2 * t**2 + t) * (1 - knee)
        + (3 * t**2 - 2 * t**3) * target / source
    )
    expected = torch.stack([share[0], share[1], middle, torch.tensor(target / source).double()])
    result = apply_look(
        batch_of((share * source).expand(1, 3, 1, -1)), Look(peak_cd_m2=600.0), 1000.0
    )
    torch.testing.assert_close(
        result.pixels[0, 0, 0].double(), expected * source, rtol=0.0, atol=2e-5
    )


def test_the_gamut_limit_moves_only_what_is_outside(colour_science):
    before = random_pq()
    after = apply_look(batch_of(before), Look(limit_gamut="p3-d65"), 1000.0).pixels
    spaces = colour_science.RGB_COLOURSPACES
    matrix = colour_science.matrix_RGB_to_RGB(spaces["ITU-R BT.2020"], spaces["P3-D65"])

    def darkest(pq: torch.Tensor) -> np.ndarray:
        light = pq_eotf(pq.double())[0, :, 0].T.numpy()
        return (light @ matrix.T).min(axis=1) / light.max(axis=1).clip(1e-6)

    was_inside = darkest(before) > 0.0
    assert 0.1 < was_inside.mean() < 0.9
    assert darkest(after).min() > -1e-3
    unmoved = (after - before).abs().amax(dim=1)[0, 0].numpy()[was_inside]
    assert unmoved.max() < 1e-5


def test_the_result_does_not_depend_on_the_strips(monkeypatch):
    pixels = random_pq(4069)[:, :, :, :4096].reshape(1, 3, 64, 64)
    look = LOOKS[-1]
    whole = apply_look(batch_of(pixels), look, 1000.0).pixels
    monkeypatch.setattr("sdr2hdr.colour.look._STRIP_PIXELS", 7 * 64)
    strips = apply_look(batch_of(pixels), look, 1000.0).pixels
    torch.testing.assert_close(strips, whole, rtol=0.0, atol=1e-5)


@pytest.mark.parametrize(
    ("values", "option"),
    [
        ({"peak_cd_m2": 50.0}, "--peak"),
        ({"peak_cd_m2": 20_000.0}, "--peak"),
        ({"peak_cd_m2": float("nan")}, "--peak"),
        ({"reference_white_cd_m2": 0.0}, "--reference-white"),
        ({"exposure_stops": 11.0}, "--exposure"),
        ({"limit_gamut": "srgb"}, "--limit-gamut"),
    ],
)
def test_values_out_of_range_name_their_option(values, option):
    with pytest.raises(UsageError, match=option):
        Look(**values)


def test_only_pq_is_looked_at():
    batch = RgbBatch(random_pq(), BT709_DISPLAY, batch_of(random_pq()).timeline)
    with pytest.raises(ValueError, match="expected"):
        apply_look(batch, Look(), 1000.0)
