from __future__ import annotations

import itertools

import numpy as np
import pytest

from sdr2hdr.colour.primaries import (
    luminance_coefficients,
    rgb_to_rgb_matrix,
    rgb_to_xyz_matrix,
)
from sdr2hdr.signal import Primaries

COLOUR_SCIENCE_NAMES = {
    Primaries.BT709: "ITU-R BT.709",
    Primaries.BT601_625: "ITU-R BT.470 - 625",
    Primaries.BT601_525: "SMPTE C",
    Primaries.BT2020: "ITU-R BT.2020",
    Primaries.P3_D65: "P3-D65",
}


def reference_xyz_matrix(colour_science, primaries: Primaries) -> np.ndarray:
    space = colour_science.RGB_COLOURSPACES[COLOUR_SCIENCE_NAMES[primaries]]
    return colour_science.normalised_primary_matrix(space.primaries, (0.3127, 0.3290))


@pytest.mark.parametrize("primaries", Primaries)
def test_rgb_to_xyz_matches_colour_science(colour_science, primaries):
    expected = reference_xyz_matrix(colour_science, primaries)
    np.testing.assert_allclose(rgb_to_xyz_matrix(primaries), expected, atol=1e-12)


@pytest.mark.parametrize(("source", "target"), list(itertools.permutations(Primaries, 2)))
def test_rgb_to_rgb_matches_colour_science(colour_science, source, target):
    expected = np.linalg.inv(reference_xyz_matrix(colour_science, target)) @ reference_xyz_matrix(
        colour_science, source
    )
    np.testing.assert_allclose(rgb_to_rgb_matrix(source, target), expected, atol=1e-12)
    np.testing.assert_allclose(rgb_to_rgb_matrix(source, target).sum(axis=1), 1.0, atol=1e-12)


def test_bt709_to_bt2020_matches_colour_science_and_bt2087(colour_science):
    spaces = colour_science.RGB_COLOURSPACES
    matrix = rgb_to_rgb_matrix(Primaries.BT709, Primaries.BT2020)
    np.testing.assert_allclose(
        matrix,
        colour_science.matrix_RGB_to_RGB(spaces["ITU-R BT.709"], spaces["ITU-R BT.2020"]),
        atol=1e-5,
    )
    published = [[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]]
    np.testing.assert_allclose(matrix, published, atol=5e-5)


@pytest.mark.parametrize(
    ("primaries", "published"),
    [
        (Primaries.BT709, (0.2126, 0.7152, 0.0722)),
        (Primaries.BT2020, (0.2627, 0.6780, 0.0593)),
    ],
)
def test_luminance_coefficients_are_the_published_ones(primaries, published):
    np.testing.assert_allclose(luminance_coefficients(primaries), published, atol=5e-5)


def test_matrices_exist_once_and_cannot_be_changed():
    matrix = rgb_to_rgb_matrix(Primaries.BT709, Primaries.BT2020)
    assert matrix is rgb_to_rgb_matrix(Primaries.BT709, Primaries.BT2020)
    with pytest.raises(ValueError, match="read-only"):
        matrix[0, 0] = 0.0
