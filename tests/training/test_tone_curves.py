from __future__ import annotations

import numpy as np
import pytest
import torch

from sdr2hdr.colour.transfer import pq_eotf
from sdr2hdr.curves.bt2446a import bt2446a as curve_a
from sdr2hdr.curves.bt2446c import bt2446c as curve_c
from sdr2hdr.training import tone_curves
from sdr2hdr.training.randomness import generator
from sdr2hdr.training.tone_curves import OPERATORS, draw_curve

LUMINANCE = torch.cat(
    (torch.zeros(1, dtype=torch.float64), torch.logspace(-6, 5, 4000, dtype=torch.float64))
)


def grey(signal: torch.Tensor) -> torch.Tensor:
    return signal.reshape(1, 1, 1, -1).expand(1, 3, 1, -1)


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("operator", OPERATORS)
def test_every_down_conversion_rises_from_black_to_at_most_white(operator: str, seed: int):
    light = draw_curve(operator, generator(seed, operator))(LUMINANCE)
    assert torch.isfinite(light).all()
    assert light[0] == 0.0
    assert (light.diff() >= -1e-9).all()
    assert light.min() >= 0.0
    assert light.max() <= 1.0
    assert light[-1] > 0.85, "the brightest light is far from white"
    assert 0.02 < light[LUMINANCE > 0.18][0] < 0.75, "mid-grey is nowhere near the middle"


def test_there_are_at_least_eight_down_conversions():
    assert len(OPERATORS) >= 9
    curves = [draw_curve(name, generator(3, "distinct"))(LUMINANCE) for name in OPERATORS]
    for i, first in enumerate(curves[:-1]):
        for second in curves[i + 1 : -1]:
            assert (first - second).abs().max() > 0.01


def test_bt2446a_is_undone_by_the_expanding_curve():
    # The inverse in the report is a fitted polynomial: it comes back within a few per cent.
    luminance = torch.linspace(0.02, 4.8, 400, dtype=torch.float64)
    signal = tone_curves.bt2446a(luminance) ** (1 / 2.4)
    back_cd_m2 = pq_eotf(curve_a(grey(signal)))[0, 0, 0]
    np.testing.assert_allclose(back_cd_m2, 203.0 * luminance, rtol=0.06)


def test_bt2446c_is_undone_exactly_below_white():
    luminance = torch.linspace(0.01, 1.5, 300, dtype=torch.float64)
    signal = tone_curves.bt2446c(luminance) ** (1 / 2.4)
    back_cd_m2 = pq_eotf(curve_c(grey(signal)))[0, 0, 0]
    np.testing.assert_allclose(back_cd_m2, 203.0 * luminance, rtol=2e-3)


def test_bt2390_keeps_shadows_and_ends_at_the_peak():
    low = torch.tensor([0.01, 0.1], dtype=torch.float64)
    kept = tone_curves.bt2390_eetf(low, 1000.0, 600.0)
    np.testing.assert_allclose(kept, low * 203.0 / 600.0, rtol=1e-6)
    peak = torch.tensor([1000.0 / 203.0], dtype=torch.float64)
    assert float(tone_curves.bt2390_eetf(peak, 1000.0, 600.0)) == pytest.approx(1.0, abs=1e-6)


def test_named_points():
    one = torch.tensor([1.0], dtype=torch.float64)
    middle = torch.tensor([0.18], dtype=torch.float64)
    assert float(tone_curves.reinhard_extended(4 * one, 1.0, 4.0)) == pytest.approx(1.0)
    assert float(tone_curves.filmic(middle, 1.4, 0.10, 12.0)) == pytest.approx(0.10)
    assert float(tone_curves.filmic(12 * one, 1.4, 0.10, 12.0)) == pytest.approx(1.0)
    assert float(tone_curves.hard_clip(0.5 * one, 2.0)) == 0.25
    assert float(tone_curves.linear_shoulder(0.5 * one, 1.0, 0.7)) == 0.5
    # BT.709: 18 % light is 40.9 % signal.
    assert float(tone_curves.bt709_camera(middle)) ** (1 / 2.4) == pytest.approx(0.409, abs=1e-3)


def test_an_unknown_operator_is_refused():
    with pytest.raises(ValueError, match="expected one of bt2446a"):
        draw_curve("gamma", generator(0))
