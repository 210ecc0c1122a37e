from __future__ import annotations

import numpy as np
import pytest
import torch
from hdr_pictures import as_image, degraded, grey, measured, measured_light, pattern

from sdr2hdr.colour.ictcp import ictcp_to_rgb
from sdr2hdr.colour.transfer import pq_inverse_eotf
from sdr2hdr.quality.delta_e_itp import delta_e_itp


@pytest.mark.parametrize(
    ("reference_cd_m2", "test_cd_m2", "expected", "digits"),
    [(203.0, 205.0, 0.7380, 5e-5), (100.0, 203.0, 52.28, 0.005)],
)
def test_greys_differ_by_720_times_their_pq_signals(
    reference_cd_m2: float, test_cd_m2: float, expected: float, digits: float
):
    score = measured_light("delta_e_itp", grey(reference_cd_m2), grey(test_cd_m2)).item()
    assert score == pytest.approx(expected, abs=digits)


def test_one_ten_bit_code_of_grey():
    """Grey moves along I alone, where I is the PQ signal: 720 / 876."""
    signal = pq_inverse_eotf(grey(203.0))
    score = measured("delta_e_itp", signal, signal + 1.0 / 876.0).item()
    assert score == pytest.approx(720.0 / 876.0, abs=1e-4)


def test_the_example_that_colour_science_cites_from_bt_2124():
    pair = torch.tensor(
        [
            [0.4885468072, -0.04739350675, 0.07475401302],
            [0.4899203231, -0.04567508203, 0.07361341775],
        ],
        dtype=torch.float64,
    )
    reference, test = (ictcp_to_rgb(colour.reshape(1, 3, 1, 1)) for colour in pair)
    assert delta_e_itp(reference, test).item() == pytest.approx(1.42657228, abs=1e-6)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-6), (torch.float32, 2e-3)])
def test_matches_colour_science(colour_science, dtype: torch.dtype, tolerance: float):
    reference = 10000.0 * pattern(40, 50) ** 5
    test = 10000.0 * degraded(pattern(40, 50)) ** 5
    spaces = [
        colour_science.RGB_to_ICtCp(as_image(light).numpy(), method="ITU-R BT.2100-2 PQ")
        for light in (reference, test)
    ]
    expected = colour_science.delta_E(*spaces, method="ITP")
    actual = delta_e_itp(reference.to(dtype), test.to(dtype))[0].double().numpy()
    np.testing.assert_allclose(actual, expected, atol=tolerance * expected.max())
    mean = measured_light("delta_e_itp", reference.to(dtype), test.to(dtype)).item()
    assert mean == pytest.approx(expected.mean(), rel=1e-4)


def test_equal_colours_do_not_differ():
    score = measured_light("delta_e_itp", grey(0.0, 203.0), grey(0.0, 203.0))
    assert score.tolist() == [0.0, 0.0]
