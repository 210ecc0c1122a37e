"""Skin and memory colours under the curves: the 24 patches of the classic colour chart.

In ICtCp the hue angle of one chromaticity depends on its luminance (BT.2408, which changes nothing
but luminance, moves orange by 0.6 degrees), so hue is compared at the output's luminance.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sdr2hdr.colour.transfer import pq_eotf
from sdr2hdr.curves import load_curve

NAMES = ("bt2408", "bt2446a", "bt2446c")
SKIN_AND_NATURE = 6
"""The chart's first row: dark and light skin, sky, foliage, blue flower, bluish green."""
CHROMATIC = 18


@pytest.fixture(scope="module")
def patches(colour_science) -> torch.Tensor:
    """The chart as SDR, (1, 3, 1, 24); the one patch outside BT.709 (cyan) is clipped."""
    chart = colour_science.CCS_COLOURCHECKERS["ColorChecker 2005"]
    xyz = np.array([colour_science.xyY_to_XYZ(patch) for patch in chart.data.values()])
    light = colour_science.XYZ_to_RGB(xyz, "ITU-R BT.709", illuminant=chart.illuminant)
    signal = light.clip(0.0, 1.0) ** (1.0 / 2.4)
    return torch.as_tensor(signal.T.reshape(1, 3, 1, -1), dtype=torch.float32)


def bt2020_light(colour_science, patches: torch.Tensor) -> np.ndarray:
    spaces = colour_science.RGB_COLOURSPACES
    matrix = colour_science.matrix_RGB_to_RGB(spaces["ITU-R BT.709"], spaces["ITU-R BT.2020"])
    return (patches[0, :, 0].T.double().numpy() ** 2.4) @ matrix.T


def hue_degrees(colour_science, rgb_cd_m2: np.ndarray) -> np.ndarray:
    ictcp = colour_science.RGB_to_ICtCp(rgb_cd_m2, method="ITU-R BT.2100-2 PQ")
    return np.degrees(np.arctan2(ictcp[:, 2], ictcp[:, 1]))


def luminance(rgb: np.ndarray) -> np.ndarray:
    return rgb @ np.array([[0.2627], [0.6780], [0.0593]])


def hue_shift_degrees(colour_science, before: np.ndarray, after: np.ndarray) -> np.ndarray:
    shift = hue_degrees(colour_science, after) - hue_degrees(colour_science, before)
    return np.abs((shift + 180.0) % 360.0 - 180.0)[:CHROMATIC]


@pytest.mark.parametrize(
    ("name", "largest_degrees"), [("bt2408", 0.05), ("bt2446a", 1.0), ("bt2446c", 0.05)]
)
def test_every_patch_keeps_its_hue(colour_science, patches, name, largest_degrees):
    """BT.2408 and BT.2446-C keep chromaticity; BT.2446-A adds saturation in gamma-coded R'G'B'."""
    after = pq_eotf(load_curve(name)(patches))[0, :, 0].T.double().numpy()
    source = bt2020_light(colour_science, patches)
    before = source * luminance(after) / luminance(source)
    assert hue_shift_degrees(colour_science, before, after).max() < largest_degrees


@pytest.mark.parametrize(
    ("name", "skin_and_nature_degrees", "any_degrees"),
    [("bt2408", 0.5, 0.7), ("bt2446a", 0.75, 1.75), ("bt2446c", 0.2, 0.2)],
)
def test_hue_against_the_sdr_display(
    colour_science, patches, name, skin_and_nature_degrees, any_degrees
):
    """Against SDR at 100 cd/m2, with ICtCp's own dependence on luminance counted in.

    BT.2446-A, as the report writes it, moves orange by 1.6 degrees here and skin by 0.6.
    """
    after = pq_eotf(load_curve(name)(patches))[0, :, 0].T.double().numpy()
    shift = hue_shift_degrees(colour_science, 100.0 * bt2020_light(colour_science, patches), after)
    assert shift[:SKIN_AND_NATURE].max() < skin_and_nature_degrees
    assert shift.max() < any_degrees
