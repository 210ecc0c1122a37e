from __future__ import annotations

import math

import pytest
import torch
from hdr_pictures import BT2020_LUMA, degraded, grey, pattern

from sdr2hdr.colour.transfer import pq_eotf, pq_inverse_eotf
from sdr2hdr.quality import pairs
from sdr2hdr.quality.delta_e_itp import delta_e_itp
from sdr2hdr.quality.lab import lab_squared_error
from sdr2hdr.quality.mpsnr import multi_exposure_squared_error
from sdr2hdr.quality.psnr import luma_squared_error, squared_error, ycbcr_squared_error
from sdr2hdr.quality.regions import highlights, luminance, shadows
from sdr2hdr.quality.scores import METRICS, score
from sdr2hdr.quality.ssim import ms_ssim_from, scale_similarities, ssim_from

ERRORS = {
    "psnr_rgb": (squared_error, 1.0),
    "psnr_ycbcr": (ycbcr_squared_error, 1023.0),
    "psnr_luma": (luma_squared_error, 1023.0),
    "mpsnr": (multi_exposure_squared_error, 255.0),
    "delta_e_itp": (delta_e_itp, None),
    "lab_mse": (lab_squared_error, None),
}
"""Error of each pixel, and the peak that its mean is put below."""
OF_LIGHT = {"mpsnr", "delta_e_itp", "lab_mse"}


def test_one_pass_gives_what_each_metric_gives_alone(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(pairs, "BAND_PIXELS", 5000)
    reference = torch.cat((pattern(180, 190), degraded(pattern(180, 190))))
    test = torch.cat((degraded(pattern(180, 190)), pattern(180, 190).flip(3)))
    scores = score(reference, test)
    assert list(scores) == list(METRICS)
    scales = scale_similarities(reference, test, scales=5)
    expected = {"ssim": ssim_from(scales[:1]), "ms_ssim": ms_ssim_from(scales)}
    for name, (error_map, peak) in ERRORS.items():
        pictures = (reference, test)
        if name in OF_LIGHT:
            pictures = (pq_eotf(reference), pq_eotf(test))
        mean = error_map(*pictures).mean((1, 2), dtype=torch.float64)
        expected[name] = mean if peak is None else 10.0 * torch.log10(peak**2 / mean)
    for name, values in expected.items():
        # Bands of rows are added up in another order; float64 keeps 15 digits.
        torch.testing.assert_close(scores[name], values, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", list(METRICS))
def test_each_metric_can_be_asked_for_alone(name: str):
    reference = pattern(176, 180)
    test = degraded(reference)
    alone = score(reference, test, frozenset({name}))
    assert list(alone) == [name]
    torch.testing.assert_close(alone[name], score(reference, test)[name], rtol=0.0, atol=1e-12)


def test_float32_is_enough_for_what_is_shown():
    reference = pattern(180, 190)
    test = degraded(reference)
    exact = score(reference, test)
    rounded = score(reference.float(), test.float())
    for name, metric in METRICS.items():
        last_digit = 10.0**-metric.decimals
        assert rounded[name].item() == pytest.approx(exact[name].item(), abs=last_digit), name


def test_regions_follow_the_luminance_of_the_reference():
    """Blue of 2000 cd/m2 in its channel is 119 cd/m2 bright: no highlight."""
    blue = torch.zeros(1, 3, 2, 2, dtype=torch.float64)
    blue[:, 2] = 2000.0
    assert luminance(blue)[0, 0, 0].item() == pytest.approx(2000.0 * BT2020_LUMA[2], rel=1e-3)
    assert not highlights(blue).any()
    assert highlights(grey(203.001)).all()
    assert not highlights(grey(202.999)).any()
    assert shadows(grey(0.999)).all()
    assert not shadows(grey(1.001)).any()


def test_highlights_and_shadows_are_judged_apart():
    """Left half 1000 cd/m2, next quarter 0.5, the rest 100; each is off by its own amount."""
    reference_cd_m2 = torch.full((1, 3, 4, 8), 100.0, dtype=torch.float64)
    reference_cd_m2[..., :4] = 1000.0
    reference_cd_m2[..., 4:6] = 0.5
    reference = pq_inverse_eotf(reference_cd_m2)
    test = reference.clone()
    test[..., :4] += 0.01
    test[..., 4:6] -= 0.02
    test[..., 6:] += 0.1
    scores = score(reference, test)
    assert scores["psnr_highlights"].item() == pytest.approx(40.0, abs=1e-6)
    assert scores["psnr_shadows"].item() == pytest.approx(-20.0 * math.log10(0.02), abs=1e-6)
    assert scores["delta_e_itp_highlights"].item() == pytest.approx(7.2, abs=0.01)
    expected = delta_e_itp(reference_cd_m2[..., 4:6], pq_eotf(test[..., 4:6])).mean().item()
    assert scores["delta_e_itp_shadows"].item() == pytest.approx(expected, rel=1e-9)
    assert expected == pytest.approx(14.4, abs=0.05)


def test_frames_without_the_region_have_no_score():
    scores = score(grey(0.4, 0.9), grey(0.5, 0.8))
    assert scores["psnr_highlights"].isnan().tolist() == [True, False]
    assert scores["delta_e_itp_highlights"].isnan().tolist() == [True, False]
    assert scores["psnr_shadows"].isnan().tolist() == [True, True]


def test_small_pictures_have_no_structure_score():
    scores = score(grey(0.5), grey(0.6))
    assert scores["ssim"].isnan().all()
    assert scores["ms_ssim"].isnan().all()
    assert scores["psnr_rgb"].item() == pytest.approx(20.0, abs=1e-9)
    medium = score(pattern(100, 100), degraded(pattern(100, 100)))
    assert medium["ms_ssim"].isnan().all()
    assert not medium["ssim"].isnan().any()


def test_unknown_metrics_are_refused():
    with pytest.raises(ValueError, match="vmaf"):
        score(grey(0.5), grey(0.5), frozenset({"vmaf"}))
