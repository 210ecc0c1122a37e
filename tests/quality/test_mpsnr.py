from __future__ import annotations

import math

import numpy as np
import pytest
from hdr_pictures import as_image, degraded, grey, measured_light, pattern


def published_formula(reference_cd_m2: np.ndarray, test_cd_m2: np.ndarray) -> float:
    """Munkberg et al. 2006, as printed: one tone-mapped image an exposure, (H, W, 3) each."""

    def exposed(light: np.ndarray, stop: int) -> np.ndarray:
        return np.clip(255.0 * (2.0**stop * light / 203.0) ** (1.0 / 2.2), 0.0, 255.0)

    height, width, _ = reference_cd_m2.shape
    stops = range(-6, 7)
    error = sum(
        ((exposed(reference_cd_m2, stop) - exposed(test_cd_m2, stop)) ** 2).sum() for stop in stops
    ) / (len(stops) * height * width)
    return 10.0 * math.log10(3.0 * 255.0**2 / error)


def test_matches_the_published_formula():
    reference = 4000.0 * pattern(40, 50) ** 4
    test = 4000.0 * degraded(pattern(40, 50)) ** 4
    expected = published_formula(as_image(reference).numpy(), as_image(test).numpy())
    score = measured_light("mpsnr", reference, test).item()
    assert score == pytest.approx(expected, abs=1e-9)
    rounded = measured_light("mpsnr", reference.float(), test.float()).item()
    assert rounded == pytest.approx(expected, abs=1e-3)


def test_by_hand():
    """203 cd/m2 is 255 at exposure 0 and half of that in signal is 127.5 there.

    Up to exposure 0 the two differ by 127.5 x 2^(stop / 2.2), at +1 and +2 the brighter one is
    clipped, and from +3 on both are.
    """
    below = sum((127.5 * 2.0 ** (stop / 2.2)) ** 2 for stop in range(-6, 1))
    clipped = sum((255.0 - 127.5 * 2.0 ** (stop / 2.2)) ** 2 for stop in (1, 2))
    expected = 10.0 * math.log10(255.0**2 / ((below + clipped) / 13.0))
    score = measured_light("mpsnr", grey(203.0), grey(203.0 * 0.5**2.2)).item()
    assert score == pytest.approx(expected, abs=1e-9)


def test_nothing_that_pq_carries_is_clipped_in_every_exposure():
    assert math.isfinite(measured_light("mpsnr", grey(10000.0), grey(9900.0)).item())
    assert measured_light("mpsnr", grey(10000.0), grey(10000.0)).item() == math.inf
    assert math.isfinite(measured_light("mpsnr", grey(0.001), grey(0.0)).item())
