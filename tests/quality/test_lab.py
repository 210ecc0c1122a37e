from __future__ import annotations

import numpy as np
import pytest
import torch
from hdr_pictures import as_image, degraded, grey, measured_light, pattern

from sdr2hdr.quality.lab import rgb_to_lab


def reference_lab(colour_science, light_cd_m2: torch.Tensor) -> np.ndarray:
    space = colour_science.RGB_COLOURSPACES["ITU-R BT.2020"]
    # The full-precision matrix: the standard's own is rounded.
    matrix = colour_science.normalised_primary_matrix(space.primaries, space.whitepoint)
    xyz = as_image(light_cd_m2).numpy() / 203.0 @ matrix.T
    return colour_science.XYZ_to_Lab(xyz, illuminant=space.whitepoint)


def test_matches_colour_science(colour_science):
    light = 3000.0 * pattern(40, 50) ** 6
    expected = reference_lab(colour_science, light)
    np.testing.assert_allclose(as_image(rgb_to_lab(light)).numpy(), expected, atol=1e-8)
    np.testing.assert_allclose(
        as_image(rgb_to_lab(light.float())).double().numpy(), expected, atol=2e-3
    )


def test_mean_squared_error_matches_colour_science(colour_science):
    reference = 3000.0 * pattern(40, 50) ** 6
    test = 3000.0 * degraded(pattern(40, 50)) ** 6
    difference = reference_lab(colour_science, reference) - reference_lab(colour_science, test)
    score = measured_light("lab_mse", reference, test).item()
    assert score == pytest.approx((difference**2).mean(), rel=1e-9)


@pytest.mark.parametrize(
    ("light_cd_m2", "lightness"),
    [
        (0.0, 0.0),
        (203.0, 100.0),
        # 18 % grey under this white
        (0.184186518512 * 203.0, 50.0),
        (8.0 * 203.0, 216.0),
    ],
)
def test_lightness_of_greys(light_cd_m2: float, lightness: float):
    lab = rgb_to_lab(grey(light_cd_m2))
    assert lab[0, 0, 0, 0].item() == pytest.approx(lightness, abs=1e-6)
    assert lab[:, 1:].abs().max().item() == pytest.approx(0.0, abs=1e-9)


def test_error_of_greys_is_a_third_of_the_squared_lightness():
    score = measured_light("lab_mse", grey(203.0), grey(8.0 * 203.0)).item()
    assert score == pytest.approx(116.0**2 / 3.0, rel=1e-9)
