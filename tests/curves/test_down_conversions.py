"""HDR to SDR: the report's curves against its own formulas, and our curves undone exactly."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
import torch

from sdr2hdr.colour.transfer import pq_inverse_eotf
from sdr2hdr.curves import CURVES, CurveFunction, load_curve
from sdr2hdr.curves.down_conversion import DOWN_CONVERSIONS, load_down_conversion, way_back
from sdr2hdr.errors import ModelError, UsageError
from sdr2hdr.frames import FrameTime, RgbBatch, Timeline
from sdr2hdr.quality.roundtrip import RoundtripMeter, RoundtripScore, RoundtripTally
from sdr2hdr.signal import BT709_DISPLAY, HDR_DISPLAY


def sdr_colours() -> torch.Tensor:
    """All corners and edges of 8-bit R'G'B', greys, and colours at random; (1, 3, 8, n)."""
    generator = torch.Generator().manual_seed(3)
    edges = torch.cartesian_prod(*3 * [torch.linspace(0.0, 1.0, 9)])
    greys = torch.linspace(0.0, 1.0, 256)[:, None].expand(-1, 3)
    colours = torch.cat([edges, greys, torch.rand(5 * 1023, 3, generator=generator)])
    colours = (colours[: len(colours) // 8 * 8] * 255.0).round() / 255.0
    return colours.T.reshape(1, 3, 8, -1)


def batches(sdr: torch.Tensor, pq: torch.Tensor) -> tuple[RgbBatch, RgbBatch]:
    times = Timeline(Fraction(1, 25), tuple(FrameTime(n, 1) for n in range(sdr.shape[0])))
    return RgbBatch(sdr, BT709_DISPLAY, times), RgbBatch(pq, HDR_DISPLAY, times)


def roundtrip(sdr: torch.Tensor, pq: torch.Tensor, back: CurveFunction) -> RoundtripScore:
    meter = RoundtripMeter(back)
    meter.add(*batches(sdr, pq))
    return meter.tally().score()


def report_a(light_cd_m2: np.ndarray) -> np.ndarray:
    """Rep. ITU-R BT.2446-1, 4.1, one pixel at a time, in Y'CbCr; gives BT.2020 R'G'B'."""
    rows = []
    for rgb in (light_cd_m2 / 1000.0) ** (1 / 2.4):
        y = rgb @ [0.2627, 0.6780, 0.0593]
        cb, cr = (rgb[2] - y) / 1.8814, (rgb[0] - y) / 1.4746
        rho_hdr, rho_sdr = (1 + 32 * (white / 10_000) ** (1 / 2.4) for white in (1000, 100))
        p = math.log(1 + (rho_hdr - 1) * y) / math.log(rho_hdr)
        if p <= 0.7399:
            c = 1.0770 * p
        elif p < 0.9909:
            c = -1.1510 * p**2 + 2.7811 * p - 0.6302
        else:
            c = 0.5000 * p + 0.5000
        y_sdr = (rho_sdr**c - 1) / (rho_sdr - 1)
        f = y_sdr / (1.1 * y)
        cb, cr = f * cb, f * cr
        y_tmo = y_sdr - max(0.1 * cr, 0.0)
        red, blue = y_tmo + 1.4746 * cr, y_tmo + 1.8814 * cb
        rows.append([red, (y_tmo - 0.2627 * red - 0.0593 * blue) / 0.6780, blue])
    return np.array(rows)


def test_method_a_is_the_report_s(colour_science):
    generator = np.random.default_rng(4)
    light = 1000.0 * generator.uniform(0.001, 1.0, (200, 1)) * generator.uniform(0.4, 1.0, (200, 3))
    # The topmost of the report's three pieces begins at 941 cd/m2 of grey.
    light = np.concatenate((light, np.linspace(930.0, 1000.0, 8)[:, None].repeat(3, axis=1)))
    spaces = colour_science.RGB_COLOURSPACES
    matrix = colour_science.matrix_RGB_to_RGB(spaces["ITU-R BT.2020"], spaces["ITU-R BT.709"])
    expected = ((report_a(light).clip(0.0) ** 2.4) @ matrix.T).clip(0.0, 1.0) ** (1 / 2.4)
    pq = pq_inverse_eotf(torch.as_tensor(light.T.reshape(1, 3, 1, -1)))
    result = load_down_conversion("bt2446a-report")(pq)[0, :, 0].T.numpy()
    np.testing.assert_allclose(result, expected, rtol=0.0, atol=2e-3)
    assert np.abs(result - expected).mean() < 2e-4


@pytest.mark.parametrize("name", ["bt2446a", "bt2446a-report"])
def test_method_a_clips_each_channel_at_1000_cd_m2(name):
    light = torch.tensor([[2000.0, 300.0, 100.0], [1200.0, 10_000.0, 400.0]], dtype=torch.float64)
    pq = pq_inverse_eotf(light.T.reshape(1, 3, 1, -1))
    clipped = pq_inverse_eotf(light.clamp(max=1000.0).T.reshape(1, 3, 1, -1))
    down = load_down_conversion(name)
    torch.testing.assert_close(down(pq), down(clipped), rtol=0.0, atol=1e-9)


@pytest.mark.parametrize(
    ("light_cd_m2", "sdr_cd_m2"), [(11.93, 10.0), (69.85, 58.535), (203.0, 90.66), (332.0, 100.0)]
)
def test_method_c_at_its_anchors(light_cd_m2, sdr_cd_m2):
    pq = pq_inverse_eotf(torch.tensor(light_cd_m2, dtype=torch.float64)).expand(1, 3, 1, 1)
    signal = load_down_conversion("bt2446c")(pq)
    assert 100.0 * float(signal[0, 1, 0, 0]) ** 2.4 == pytest.approx(sdr_cd_m2, rel=2e-3)


@pytest.mark.parametrize("name", sorted(DOWN_CONVERSIONS))
def test_black_neutral_and_monotone(name):
    signal = torch.linspace(0.0, 0.76, 1000)
    sdr = load_down_conversion(name)(signal.expand(1, 3, 1, -1).contiguous())
    assert (sdr[..., 0] == 0.0).all()
    assert (sdr.amax(dim=1) - sdr.amin(dim=1)).max() < 1e-3
    assert (sdr[0, 1, 0].diff() > -1e-5).all()
    assert sdr.amax() == pytest.approx(1.0, abs=2e-3)


@pytest.mark.parametrize("curve", sorted(CURVES))
def test_a_curve_s_way_back_is_imperceptible(curve):
    sdr = sdr_colours()
    pq = load_curve(curve)(sdr)
    pq10 = (pq * 876.0).round() / 876.0
    score = roundtrip(sdr, pq, load_down_conversion(way_back(curve)))
    assert score.maximum < 0.05
    rounded = roundtrip(sdr, pq10, load_down_conversion(way_back(curve)))
    assert rounded.imperceptible
    assert rounded.mean > score.mean


def test_the_report_s_two_directions_of_method_a_are_not_inverses():
    sdr = sdr_colours()
    pq = load_curve("bt2446a")(sdr)
    score = roundtrip(sdr, pq, load_down_conversion("bt2446a-report"))
    assert 2.0 < score.mean < 5.0
    assert score.maximum < 15.0
    assert not score.imperceptible


def test_what_a_method_adds_is_reported():
    sdr = sdr_colours()
    pq = load_curve("bt2446a")(sdr)
    score = roundtrip(sdr, pq + 0.02, load_down_conversion(way_back("irnet2")))
    assert not score.imperceptible
    assert 5.0 < score.mean < score.p99 <= score.maximum


def test_the_meter_adds_up_frames():
    sdr = sdr_colours()
    back = load_down_conversion("bt2446a")
    near, far = (load_curve("bt2446a")(sdr) + change for change in (0.01, 0.02))
    each = [roundtrip(sdr, pq, back) for pq in (near, far)]
    expected = (
        2,
        sum(score.mean for score in each) / 2,
        max(score.maximum for score in each),
    )
    one_by_one = RoundtripMeter(back)
    one_by_one.add(*batches(sdr, near))
    one_by_one.add(*batches(sdr, far))
    together = RoundtripMeter(back)
    together.add(*batches(torch.cat((sdr, sdr)), torch.cat((near, far))))
    for meter in (one_by_one, together):
        score = meter.tally().score()
        assert (score.frames, score.mean, score.maximum) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("counts", "p99"),
    [
        ({500: 1, 10: 99}, 0.11),
        ({500: 1, 50: 1, 10: 98}, 0.51),
        ({500: 2, 50: 1, 10: 97}, 5.004),
    ],
)
def test_99_percent_of_the_pixels_are_at_most_at_p99(counts: dict[int, int], p99: float):
    """Bin 50 holds 0.50 to 0.51; no percentile is above the worst pixel."""
    whole = RoundtripTally(0, 0.0, 0.0, ())
    for place, count in counts.items():
        whole += RoundtripTally(1, 0.0, 0.01 * place + 0.004, ((place, count),))
    assert whole.score().p99 == pytest.approx(p99)


def test_what_cannot_be_measured_is_refused():
    sdr = torch.zeros(1, 3, 4, 4)
    meter = RoundtripMeter(load_down_conversion("bt2408"))
    with pytest.raises(UsageError, match="--verify-roundtrip"):
        meter.add(*batches(sdr, torch.zeros(1, 3, 8, 8)))
    with pytest.raises(ValueError, match="No frame"):
        meter.tally().score()
    with pytest.raises(ModelError, match="down-conversion"):
        load_down_conversion("bt2390")
