from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hdr_pictures import as_image, degraded, grey, measured, pattern
from skimage.metrics import peak_signal_noise_ratio

from sdr2hdr.quality import pairs
from sdr2hdr.quality.psnr import YCBCR_PEAK


def test_rgb_matches_scikit_image():
    reference = pattern(40, 50)
    test = degraded(reference)
    expected = peak_signal_noise_ratio(
        as_image(reference).numpy(), as_image(test).numpy(), data_range=1.0
    )
    assert measured("psnr_rgb", reference, test).item() == pytest.approx(expected, abs=1e-9)


def test_rgb_by_hand():
    assert measured("psnr_rgb", grey(0.5), grey(0.6)).item() == pytest.approx(20.0, abs=1e-9)


def test_one_channel_counts_a_third():
    test = grey(0.5).clone()
    test[:, 2] += 0.1
    expected = 20.0 + 10.0 * math.log10(3.0)
    assert measured("psnr_rgb", grey(0.5), test).item() == pytest.approx(expected, abs=1e-9)


def test_equal_frames_are_infinite_and_frames_are_apart():
    scores = measured("psnr_rgb", grey(0.5, 0.5), grey(0.5, 0.6))
    assert scores.dtype == torch.float64
    assert scores[0].item() == math.inf
    assert scores[1].item() == pytest.approx(20.0, abs=1e-9)


def codes(colour_science, picture: torch.Tensor) -> np.ndarray:
    """10-bit limited-range Y'CbCr by colour-science."""
    return colour_science.RGB_to_YCbCr(
        as_image(picture).numpy(),
        K=colour_science.WEIGHTS_YCBCR["ITU-R BT.2020"],
        in_bits=10,
        in_legal=False,
        in_int=False,
        out_bits=10,
        out_legal=True,
        out_int=True,
    ).astype(np.float64)


def test_ycbcr_matches_colour_science(colour_science):
    reference = pattern(60, 70)
    test = degraded(reference)
    difference = codes(colour_science, reference) - codes(colour_science, test)
    for score, squares in (
        (measured("psnr_ycbcr", reference, test), difference**2),
        (measured("psnr_luma", reference, test), difference[..., 0] ** 2),
    ):
        expected = 10.0 * math.log10(1023.0**2 / squares.mean())
        # A code that lies half-way between two may be rounded either way.
        assert score.item() == pytest.approx(expected, abs=1e-3)


def test_luma_of_one_code():
    one_code = grey(0.5) + 1.0 / 876.0
    expected = 20.0 * math.log10(YCBCR_PEAK)
    assert measured("psnr_luma", grey(0.5), one_code).item() == pytest.approx(expected, abs=1e-9)
    assert measured("psnr_ycbcr", grey(0.5), one_code).item() == pytest.approx(
        expected + 10.0 * math.log10(3.0), abs=1e-6
    )


def test_the_number_of_bands_does_not_matter(monkeypatch: pytest.MonkeyPatch):
    reference = pattern(37, 50)
    test = degraded(reference)
    whole = measured("psnr_rgb", reference, test).item()
    monkeypatch.setattr(pairs, "BAND_PIXELS", 300)
    assert measured("psnr_rgb", reference, test).item() == pytest.approx(whole, abs=1e-9)


@pytest.mark.parametrize(
    ("reference", "test", "word"),
    [
        (torch.zeros(1, 3, 4, 4), torch.zeros(1, 3, 4, 5), "one shape"),
        (torch.zeros(1, 1, 4, 4), torch.zeros(1, 1, 4, 4), "(N, 3, H, W)"),
        (torch.zeros(1, 3, 4, 4).int(), torch.zeros(1, 3, 4, 4).int(), "floating"),
    ],
)
def test_pairs_that_do_not_fit_are_refused(reference: torch.Tensor, test: torch.Tensor, word: str):
    with pytest.raises(ValueError, match="expected") as caught:
        measured("psnr_rgb", reference, test)
    assert word in str(caught.value)
