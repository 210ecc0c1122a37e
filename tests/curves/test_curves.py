from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch

from sdr2hdr.colour.transfer import pq_eotf
from sdr2hdr.colour.ycbcr import quantise, rgb_to_ycbcr
from sdr2hdr.curves import CURVES, curve_names, load_curve
from sdr2hdr.curves.bt2446c import bt2446c
from sdr2hdr.errors import ModelError
from sdr2hdr.signal import HDR10_SIGNAL, Matrix

NAMES = ("bt2408", "bt2446a", "bt2446c")

# SDR luminance in cd/m2 (white 100, gamma 2.4) and the HDR luminance of each curve.
ANCHORS = {
    "bt2408": [(1, 2.0), (2.4, 4.9), (10, 20.3), (55.4, 112), (92, 187), (100, 203)],
    "bt2446a": [
        (1, 3.0),
        (2.4, 7.5),
        (5.2, 17.7),
        (10, 37),
        (18.4, 74),
        (32.4, 149),
        (55.4, 327),
        (92, 834),
        (100, 999.5),
    ],
    "bt2446c": [(10, 11.93), (58.535, 69.85), (90.66, 203), (100, 332)],
}

# Signal and HDR luminance.
BT2446A_SIGNALS = [(1.0, 999.5), (0.9, 592), (0.75, 279), (0.5, 76.3), (0.25, 12), (0.1, 1.1)]


def grey(signals: list[float] | torch.Tensor) -> torch.Tensor:
    return torch.as_tensor(signals, dtype=torch.float32).expand(1, 3, 1, -1).contiguous()


def random_rgb() -> torch.Tensor:
    generator = torch.Generator().manual_seed(11)
    corners = torch.cartesian_prod(*3 * [torch.tensor([0.0, 0.5, 1.0])])
    colours = torch.cat([torch.rand(5000, 3, generator=generator), corners])
    return colours.T.reshape(1, 3, 1, -1)


def hdr10_codes(pq: torch.Tensor) -> list[torch.Tensor]:
    planes = rgb_to_ycbcr(pq, Matrix.BT2020_NCL)
    codes = [quantise(plane, HDR10_SIGNAL, chroma=i > 0) for i, plane in enumerate(planes)]
    return [plane.to(torch.int32).flatten() for plane in codes]


def as_pixels(rows: np.ndarray) -> np.ndarray:
    return rows.T.reshape(1, 3, 1, -1)


def sdr_to_bt2020_light(colour_science, rgb: torch.Tensor) -> np.ndarray:
    spaces = colour_science.RGB_COLOURSPACES
    matrix = colour_science.matrix_RGB_to_RGB(spaces["ITU-R BT.709"], spaces["ITU-R BT.2020"])
    return (rgb[0, :, 0].T.double().numpy() ** 2.4) @ matrix.T


def test_every_curve_is_listed():
    assert curve_names() == NAMES
    for name, curve in CURVES.items():
        assert curve.name == name
        white = pq_eotf(load_curve(name)(grey([1.0])))[0, 0, 0, 0]
        assert float(white) == pytest.approx(curve.white_cd_m2, rel=5e-4)
        assert curve.function is load_curve(name)


def test_unknown_curve_is_refused():
    with pytest.raises(ModelError, match="'bt2446b'; expected one of bt2408, bt2446a, bt2446c"):
        load_curve("bt2446b")


def test_curves_are_listed_without_torch():
    code = "import sys, sdr2hdr.curves as c; print(c.curve_names(), 'torch' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout.strip() == f"{NAMES} False", result.stderr


@pytest.mark.parametrize(
    ("name", "sdr_cd_m2", "hdr_cd_m2"),
    [(name, *anchor) for name, anchors in ANCHORS.items() for anchor in anchors],
)
def test_anchors(name, sdr_cd_m2, hdr_cd_m2):
    light = pq_eotf(load_curve(name)(grey([(sdr_cd_m2 / 100.0) ** (1.0 / 2.4)])))
    assert light[0, :, 0, 0].tolist() == pytest.approx([hdr_cd_m2] * 3, rel=0.02)


@pytest.mark.parametrize(("signal", "hdr_cd_m2"), BT2446A_SIGNALS)
def test_bt2446a_signals(signal, hdr_cd_m2):
    light = pq_eotf(load_curve("bt2446a")(grey([signal])))[0, 1, 0, 0]
    assert float(light) == pytest.approx(hdr_cd_m2, rel=0.05 if signal < 0.3 else 1e-3)


@pytest.mark.parametrize("name", NAMES)
def test_black_is_exactly_black_and_range_is_kept(name):
    curve = load_curve(name)
    assert torch.equal(curve(torch.zeros(2, 3, 5, 7)), torch.zeros(2, 3, 5, 7))
    assert [set(plane.tolist()) for plane in hdr10_codes(curve(grey([0.0])))] == [
        {64},
        {512},
        {512},
    ]
    out = curve(random_rgb())
    assert out.dtype == torch.float32
    assert out.shape == random_rgb().shape
    assert bool(((out >= 0.0) & (out <= 1.0)).all())
    assert torch.equal(curve(grey([-0.5, 1.5])), curve(grey([0.0, 1.0])))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("steps", "largest_step"), [(876, 2), (219, 8)])
def test_grey_ramp_is_neutral_monotone_and_smooth(name, steps, largest_step):
    """A 10-bit source step is at most 2 codes and so an 8-bit one, four of them, at most 8."""
    luma, cb, cr = hdr10_codes(load_curve(name)(grey(torch.arange(steps + 1) / steps)))
    assert (cb - 512).abs().max() <= 2
    assert (cr - 512).abs().max() <= 2
    differences = luma.diff()
    assert differences.min() >= (1 if steps == 219 else 0)
    assert differences.max() <= largest_step


def test_bt2408_matches_colour_science(colour_science):
    light = sdr_to_bt2020_light(colour_science, random_rgb())
    expected = colour_science.models.eotf_inverse_ST2084(203.0 * light)
    np.testing.assert_allclose(
        load_curve("bt2408")(random_rgb()).numpy(), as_pixels(expected), atol=1e-5
    )


def test_bt2446a_matches_the_report_step_by_step(colour_science):
    """The report's own way through Y'CbCr, in float64 and with colour-science's matrices."""
    weights = colour_science.WEIGHTS_YCBCR["ITU-R BT.2020"]
    coding = {"K": weights, "in_legal": False, "in_int": False, "out_legal": False}
    sdr = sdr_to_bt2020_light(colour_science, random_rgb()) ** (1.0 / 2.4)
    luma, cb, cr = colour_science.RGB_to_YCbCr(sdr, **coding, out_int=False).T
    code = 255.0 * luma
    exponent = np.where(
        code <= 70.0,
        1.8712e-5 * code**2 - 2.7334e-3 * code + 1.3141,
        2.8305e-6 * code**2 - 7.4622e-4 * code + 1.2528,
    )
    luma_hdr = code**exponent / 1000.0
    scale = np.where(luma > 0.0, 1.075 * luma_hdr / np.maximum(luma, 1e-12), 1.0)
    hdr = colour_science.YCbCr_to_RGB(
        np.stack((luma_hdr, cb * scale, cr * scale), axis=-1), **coding, out_int=False
    )
    # Nothing of BT.709 needs the clip: luma is never so far below a channel.
    assert hdr.min() > -1e-9
    assert hdr.max() < 1.0
    expected = colour_science.models.eotf_inverse_ST2084(1000.0 * hdr.clip(0.0, 1.0) ** 2.4)
    np.testing.assert_allclose(
        load_curve("bt2446a")(random_rgb()).numpy(), as_pixels(expected), atol=1e-5
    )


@pytest.mark.parametrize("crosstalk", [0.0, 0.05, 0.33])
def test_bt2446c_matches_the_report_step_by_step(colour_science, crosstalk):
    """Crosstalk, xyY, expansion, and back, in float64."""
    space = colour_science.RGB_COLOURSPACES["ITU-R BT.2020"]
    to_xyz = colour_science.normalised_primary_matrix(space.primaries, (0.3127, 0.3290))
    mix = np.full((3, 3), crosstalk) + (1.0 - 3.0 * crosstalk) * np.eye(3)
    light = 100.0 * sdr_to_bt2020_light(colour_science, random_rgb())
    xyy = colour_science.XYZ_to_xyY(light @ mix.T @ to_xyz.T)
    above = 69.85 * (np.exp((xyy[:, 2] - 78.994) / 15.0997) + 0.74204)
    xyy[:, 2] = np.where(xyy[:, 2] <= 58.535, xyy[:, 2] / 0.83802, above)
    hdr = colour_science.xyY_to_XYZ(xyy) @ np.linalg.inv(to_xyz).T @ np.linalg.inv(mix).T
    expected = colour_science.models.eotf_inverse_ST2084(hdr.clip(0.0, None))
    np.testing.assert_allclose(
        bt2446c(random_rgb(), crosstalk=crosstalk).numpy(), as_pixels(expected), atol=3e-5
    )
