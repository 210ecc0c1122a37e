from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hdr_pictures import as_image, degraded, grey, measured, pattern
from skimage.metrics import structural_similarity

from sdr2hdr.quality import ssim as ssim_module
from sdr2hdr.quality.ssim import MS_SSIM_WEIGHTS, scale_similarities

PYTORCH_MSSIM = {
    (192, 208): (0.8972970393345908, 0.9901524032410033),
    (352, 176): (0.9243154915150047, 0.9923094723162541),
}
"""SSIM and MS-SSIM of `pattern` and its `degraded` copy by the package pytorch-msssim 1.0.0, with
its window computed in float64 as the pictures are."""


def skimage_ssim(reference: torch.Tensor, test: torch.Tensor) -> float:
    return structural_similarity(
        as_image(reference).numpy(),
        as_image(test).numpy(),
        channel_axis=2,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        data_range=1.0,
    )


@pytest.mark.parametrize("size", [(11, 11), (40, 50), (121, 75)])
def test_ssim_matches_scikit_image(size: tuple[int, int]):
    reference = pattern(*size)
    test = degraded(reference)
    assert measured("ssim", reference, test).item() == pytest.approx(
        skimage_ssim(reference, test), abs=1e-12
    )


def test_float32_pictures_are_measured_in_float64():
    """A bright flat field, where E[x^2] - E[x]^2 in float32 would be all rounding."""
    reference = (0.9 + 1e-4 * pattern(40, 50)).float()
    test = (0.9 + 1e-4 * degraded(pattern(40, 50))).float()
    expected = skimage_ssim(reference.double(), test.double())
    assert measured("ssim", reference, test).item() == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("size", list(PYTORCH_MSSIM))
def test_both_match_pytorch_msssim(size: tuple[int, int]):
    reference = pattern(*size)
    test = degraded(reference)
    expected_ssim, expected_ms_ssim = PYTORCH_MSSIM[size]
    assert measured("ssim", reference, test).item() == pytest.approx(expected_ssim, abs=1e-10)
    assert measured("ms_ssim", reference, test).item() == pytest.approx(expected_ms_ssim, abs=1e-10)


def test_a_change_of_brightness_costs_luminance_alone():
    """Contrast and structure of flat fields agree; the luminance term is known in closed form."""
    scales = scale_similarities(grey_field(0.4), grey_field(0.6), scales=2)
    c1 = 0.01**2
    luminance = (2 * 0.4 * 0.6 + c1) / (0.4**2 + 0.6**2 + c1)
    for scale in scales:
        np.testing.assert_allclose(scale.contrast_structure.numpy(), 1.0, atol=1e-9)
        np.testing.assert_allclose(scale.whole.numpy(), luminance, atol=1e-9)
    expected = luminance ** MS_SSIM_WEIGHTS[-1]
    assert measured("ms_ssim", grey_field(0.4, 176), grey_field(0.6, 176)).item() == pytest.approx(
        expected, abs=1e-9
    )


def grey_field(level: float, side: int = 24) -> torch.Tensor:
    return torch.full((1, 3, side, side), level, dtype=torch.float64)


def test_equal_frames_are_one_and_frames_are_apart():
    reference = pattern(176, 180)
    pair = torch.cat((reference, reference))
    other = torch.cat((reference, degraded(reference)))
    for name in ("ssim", "ms_ssim"):
        scores = measured(name, pair, other)
        assert scores[0].item() == pytest.approx(1.0, abs=1e-12)
        assert scores[1].item() == pytest.approx(
            measured(name, reference, degraded(reference)).item(), abs=1e-12
        )


def test_an_inverted_picture_counts_as_nothing():
    """Negative structure has no real power; it must not become a complex number or NaN."""
    reference = pattern(176, 176)
    score = measured("ms_ssim", reference, 1.0 - reference).item()
    assert not math.isnan(score)
    assert 0.0 <= score < 0.5


def test_the_number_of_bands_does_not_matter(monkeypatch: pytest.MonkeyPatch):
    reference = pattern(61, 50)
    test = degraded(reference)
    whole = measured("ssim", reference, test).item()
    monkeypatch.setattr(ssim_module, "BAND_SAMPLES", 300)
    assert measured("ssim", reference, test).item() == pytest.approx(whole, abs=1e-12)


def test_too_small_pictures_are_refused():
    with pytest.raises(ValueError, match="at least 11 px"):
        scale_similarities(grey(0.5), grey(0.5), scales=1)
    with pytest.raises(ValueError, match="at least 176 px"):
        scale_similarities(grey_field(0.5, 175), grey_field(0.5, 175), scales=5)
