"""Statistics of parts are those of the whole."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sdr2hdr.engine.frame_statistics import ChannelStatistics, band_moments, bands, moments
from sdr2hdr.engine.tiling import tiles


def gathered(features: torch.Tensor, tile_px: int) -> ChannelStatistics:
    height_px, width_px = features.shape[2:]
    return ChannelStatistics.of(
        moments(features[:, :, t.core.top : t.core.bottom, t.core.left : t.core.right])
        for t in tiles(height_px, width_px, tile_px, 0)
    )


@pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format])
@pytest.mark.parametrize("tile_px", [1, 7, 50, 300])
def test_any_cut_gives_what_numpy_gives(tile_px, layout):
    # A mean a thousand times the deviation: sums of squares would lose all digits.
    random = np.random.default_rng(5)
    values = (100.0 + 0.1 * random.standard_normal((2, 4, 83, 61))).astype(np.float32)
    features = torch.from_numpy(values).contiguous(memory_format=layout)
    statistics = gathered(features, tile_px)
    exact = values.astype(np.float64)
    np.testing.assert_allclose(statistics.mean, exact.mean((2, 3)), rtol=2e-7)
    np.testing.assert_allclose(statistics.standard_deviation, exact.std((2, 3)), rtol=2e-5)


@pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format])
@pytest.mark.parametrize(
    ("dtype", "tolerance"),
    [
        (torch.float64, 1e-12),
        (torch.float32, 5e-6),
        (torch.float16, 5e-6),
        (torch.bfloat16, 1e-5),
    ],
)
@pytest.mark.parametrize("size_px", [(1, 1), (9, 16), (83, 4000), (3, 9000)])
def test_a_kept_map_is_measured_as_numpy_does(size_px, dtype, tolerance, layout):
    # torch adds up in as many parts as it has threads, and an engine's workers have one.
    torch.set_num_threads(1)
    values = 3.0 + torch.randn(2, 16, *size_px, generator=torch.Generator().manual_seed(8))
    whole = values.to(dtype).contiguous(memory_format=layout)
    statistics = ChannelStatistics.of(band_moments(band) for band in bands(whole))
    exact = whole.double().numpy()
    np.testing.assert_allclose(statistics.mean, exact.mean((2, 3)), rtol=tolerance)
    np.testing.assert_allclose(statistics.standard_deviation, exact.std((2, 3)), rtol=tolerance)


def test_bands_cover_a_map_once():
    whole = torch.arange(3.0 * 700 * 300).reshape(1, 3, 700, 300)
    parts = bands(whole)
    assert len(parts) > 1
    assert torch.equal(torch.cat(parts, dim=2), whole)


def test_the_same_cuts_give_the_same_bits():
    features = torch.randn(1, 8, 90, 70, generator=torch.Generator().manual_seed(2))
    first, second = gathered(features, 32), gathered(features, 32)
    assert torch.equal(first.mean, second.mean)
    assert torch.equal(first.standard_deviation, second.standard_deviation)


def test_a_flat_channel_deviates_by_nothing():
    statistics = gathered(torch.full((1, 1, 40, 30), 0.1), 16)
    assert statistics.standard_deviation.item() < 1e-8
    assert statistics.mean.item() == pytest.approx(0.1, rel=1e-7)


def test_half_precision_is_measured_in_single():
    features = torch.full((1, 1, 200, 200), 0.1, dtype=torch.bfloat16)
    assert gathered(features, 300).mean.item() == pytest.approx(float(features[0, 0, 0, 0]), 1e-6)


def test_the_map_is_left_as_it_is():
    features = torch.randn(1, 3, 8, 8).contiguous(memory_format=torch.channels_last)
    before = features.clone()
    moments(features)
    band_moments(features)
    assert torch.equal(features, before)


def test_nothing_has_no_statistics():
    with pytest.raises(ValueError, match="no parts"):
        ChannelStatistics.of([])
