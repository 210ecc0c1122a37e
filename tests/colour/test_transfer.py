from __future__ import annotations

import numpy as np
import pytest
import torch

from sdr2hdr.colour.transfer import (
    PQ_M1,
    bt1886_eotf,
    bt1886_inverse_eotf,
    from_linear,
    gamma_to_pq,
    power,
    pq_eotf,
    pq_inverse_eotf,
    srgb_eotf,
    srgb_inverse_eotf,
    to_linear,
)
from sdr2hdr.signal import Transfer

LIGHT_AND_PQ = [
    (0.0, 0.0),
    (0.005, 0.01508),
    (0.1, 0.06234),
    (1.0, 0.14995),
    (10.0, 0.29970),
    (100.0, 0.50808),
    (203.0, 0.58069),
    (1000.0, 0.75183),
    (4000.0, 0.90257),
    (10000.0, 1.0),
]


def signals(count: int = 4097) -> torch.Tensor:
    return torch.linspace(0.0, 1.0, count, dtype=torch.float32)


@pytest.mark.parametrize(("light_cd_m2", "signal"), LIGHT_AND_PQ)
def test_pq_table(light_cd_m2, signal):
    assert float(pq_inverse_eotf(torch.tensor(light_cd_m2))) == pytest.approx(signal, abs=6e-6)


def test_pq_inverse_eotf_matches_colour_science(colour_science):
    light = torch.cat([torch.logspace(-5, 4, 5000), torch.linspace(0.0, 10000.0, 5000)])
    expected = colour_science.models.eotf_inverse_ST2084(light.double().numpy())
    np.testing.assert_allclose(pq_inverse_eotf(light).numpy(), expected, atol=1e-6)


def test_pq_eotf_matches_colour_science(colour_science):
    expected = colour_science.models.eotf_ST2084(signals().double().numpy())
    np.testing.assert_allclose(pq_eotf(signals()).numpy(), expected, rtol=1e-5, atol=1e-5)


def test_a_power_law_goes_to_pq_in_one_step(colour_science):
    light = 1000.0 * signals().double().numpy() ** 2.4
    expected = colour_science.models.eotf_inverse_ST2084(light)
    # float32's rounding, as `pq_inverse_eotf` is held to above: 0.001 of a code of 10 bits.
    np.testing.assert_allclose(gamma_to_pq(signals(), 2.4, 1000.0).numpy(), expected, atol=1e-6)
    assert float(gamma_to_pq(torch.tensor(0.0), 2.4, 1000.0)) == 0.0


def test_pq_black_is_exact_and_out_of_range_is_clipped():
    assert pq_inverse_eotf(torch.tensor([0.0, -1.0])).tolist() == [0.0, 0.0]
    assert pq_eotf(torch.tensor([0.0, -1.0])).tolist() == [0.0, 0.0]
    assert pq_inverse_eotf(torch.tensor([20000.0])).tolist() == [1.0]
    assert pq_eotf(torch.tensor([1.0, 2.0])).tolist() == [10000.0, 10000.0]


def test_bt1886_matches_colour_science(colour_science):
    expected = colour_science.models.eotf_BT1886(signals().double().numpy(), L_B=0, L_W=1)
    np.testing.assert_allclose(bt1886_eotf(signals()).numpy(), expected, atol=1e-6)


def test_bt1886_is_not_the_camera_curve(colour_science):
    camera = colour_science.models.oetf_inverse_BT709(0.5)
    assert abs(float(bt1886_eotf(torch.tensor(0.5))) - camera) > 0.05


def test_srgb_matches_colour_science(colour_science):
    codes = signals().double().numpy()
    np.testing.assert_allclose(
        srgb_eotf(signals()).numpy(), colour_science.models.eotf_sRGB(codes), atol=1e-6
    )
    np.testing.assert_allclose(
        srgb_inverse_eotf(signals()).numpy(),
        colour_science.models.eotf_inverse_sRGB(codes),
        atol=1e-6,
    )


@pytest.mark.parametrize(
    ("transfer", "light"),
    [
        (Transfer.BT1886, 0.5**2.4),
        (Transfer.GAMMA22, 0.5**2.2),
        (Transfer.GAMMA28, 0.5**2.8),
        (Transfer.SRGB, 0.21404114),
        (Transfer.PQ, 0.0092245709),
    ],
)
def test_to_linear_of_half(transfer, light):
    assert float(to_linear(torch.tensor(0.5), transfer)) == pytest.approx(light, rel=1e-5)


@pytest.mark.parametrize("transfer", Transfer)
def test_from_linear_undoes_to_linear(transfer):
    back = from_linear(to_linear(signals(), transfer), transfer)
    torch.testing.assert_close(back, signals(), atol=2e-6, rtol=0.0)
    assert back[0] == 0.0


def test_negative_light_is_black():
    assert bt1886_inverse_eotf(torch.tensor([-0.5])).tolist() == [0.0]
    assert bt1886_eotf(torch.tensor([-0.5])).tolist() == [0.0]


@pytest.mark.parametrize("exponent", [2.4, 1 / 2.4, PQ_M1, 1 / PQ_M1])
def test_power_is_that_of_double_precision(exponent):
    base = torch.cat((torch.zeros(1), torch.logspace(-6, 0, 100_001)))
    expected = base.double().numpy() ** exponent
    actual = power(base, exponent).double().numpy()
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=0)
    np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-7)
    assert (actual[0], actual[-1]) == (0.0, 1.0)
