from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from sdr2hdr.colour.chroma import downsample_chroma, upsample_chroma
from sdr2hdr.signal import ChromaSiting, Subsampling

LEFT, CENTRE, TOP_LEFT = ChromaSiting.LEFT, ChromaSiting.CENTRE, ChromaSiting.TOP_LEFT
YUV420, YUV422, YUV444 = Subsampling.YUV420, Subsampling.YUV422, Subsampling.YUV444
YUV411 = Subsampling.YUV411

# H.273 Figure 10: where the first chroma sample lies, in luma samples (down, right).
FIRST_SAMPLE = {LEFT: (0.5, 0.0), CENTRE: (0.5, 0.5), TOP_LEFT: (0.0, 0.0)}
LAYOUTS = [(siting, YUV420) for siting in ChromaSiting] + [(LEFT, YUV422), (LEFT, YUV444)]
COARSE_LAYOUTS = [(LEFT, YUV411), (CENTRE, YUV411)]


def chroma_positions(siting, subsampling, height, width) -> tuple[torch.Tensor, torch.Tensor]:
    """Rows and columns, in luma samples, of every chroma sample."""
    down, right = FIRST_SAMPLE[siting]
    down = down if subsampling.vertical == 2 else 0.0
    # Half of a luma sample is the middle of two; the middle of four is three times as far.
    right = right * (subsampling.horizontal - 1)
    rows = down + subsampling.vertical * torch.arange(-(-height // subsampling.vertical))
    columns = right + subsampling.horizontal * torch.arange(-(-width // subsampling.horizontal))
    return torch.meshgrid(rows.float(), columns.float(), indexing="ij")


def luma_positions(height, width) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.meshgrid(torch.arange(height) * 1.0, torch.arange(width) * 1.0, indexing="ij")


@pytest.mark.parametrize(("siting", "subsampling"), LAYOUTS + COARSE_LAYOUTS)
@pytest.mark.parametrize("axis", [0, 1])
def test_upsampling_puts_a_ramp_at_the_right_place(siting, subsampling, axis):
    ramp = chroma_positions(siting, subsampling, 20, 24)[axis]
    up = upsample_chroma(ramp[None], siting, subsampling, 20, 24)[0]
    edge = 5 if subsampling.horizontal < 4 else 9
    inner = (slice(5, -5), slice(edge, -edge))
    torch.testing.assert_close(up[inner], luma_positions(20, 24)[axis][inner], atol=1e-5, rtol=0)


@pytest.mark.parametrize(("siting", "subsampling"), LAYOUTS + COARSE_LAYOUTS)
@pytest.mark.parametrize("axis", [0, 1])
def test_downsampling_reads_a_ramp_at_the_right_place(siting, subsampling, axis):
    ramp = luma_positions(20, 24)[axis]
    down = downsample_chroma(ramp[None], siting, subsampling)[0]
    inner = (slice(2, -2), slice(2, -2))
    expected = chroma_positions(siting, subsampling, 20, 24)[axis]
    torch.testing.assert_close(down[inner], expected[inner], atol=1e-5, rtol=0)


@pytest.mark.parametrize(("siting", "subsampling"), LAYOUTS + COARSE_LAYOUTS)
@pytest.mark.parametrize("size", [(1, 1), (2, 2), (5, 7), (8, 6), (3, 16)])
def test_constants_are_exactly_unchanged(siting, subsampling, size):
    value = 0.1234567
    plane = torch.full((2, *size), value)
    down = downsample_chroma(plane, siting, subsampling)
    height, width = size
    assert down.shape == (
        2,
        math.ceil(height / subsampling.vertical),
        math.ceil(width / subsampling.horizontal),
    )
    assert torch.equal(down, torch.full_like(down, value))
    assert torch.equal(upsample_chroma(down, siting, subsampling, height, width), plane)


@pytest.mark.parametrize(("siting", "subsampling"), LAYOUTS)
def test_down_and_up_does_not_shift(siting, subsampling):
    """The phase of a slow wave, measured before and after, is the same in both directions."""
    height = width = 64
    for axis in (0, 1):
        angle = 2.0 * math.pi * luma_positions(height, width)[axis] / 16.0
        wave = torch.sin(angle)[None]
        back = upsample_chroma(
            downsample_chroma(wave, siting, subsampling), siting, subsampling, height, width
        )
        inner = (0, slice(16, 48), slice(16, 48))
        quadrature = (back[inner] * torch.cos(angle)[inner[1:]]).mean()
        in_phase = (back[inner] * torch.sin(angle)[inner[1:]]).mean()
        shift_px = float(torch.atan2(quadrature, in_phase)) * 16.0 / (2.0 * math.pi)
        assert abs(shift_px) < 1e-4
        assert float(in_phase) == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize(
    ("written", "read", "shift_down_px", "shift_right_px"),
    [(TOP_LEFT, LEFT, 0.5, 0.0), (LEFT, CENTRE, 0.0, 0.5), (TOP_LEFT, CENTRE, 0.5, 0.5)],
)
def test_a_wrong_siting_would_be_seen(written, read, shift_down_px, shift_right_px):
    for axis, shift_px in ((0, shift_down_px), (1, shift_right_px)):
        ramp = luma_positions(24, 24)[axis]
        back = upsample_chroma(
            downsample_chroma(ramp[None], written, YUV420), read, YUV420, 24, 24
        )[0]
        torch.testing.assert_close(
            (ramp - back)[8:-8, 8:-8], torch.full((8, 8), shift_px), atol=1e-5, rtol=0
        )


def plane_with_impulse_at(column: int) -> torch.Tensor:
    plane = torch.zeros(1, 1, 16)
    plane[0, 0, column] = 1.0
    return plane


@pytest.mark.parametrize(
    ("siting", "denominator", "taps"),
    [
        (LEFT, 32, [-1.0, 0.0, 9.0, 16.0, 9.0, 0.0, -1.0]),
        (CENTRE, 256, [-3.0, -9.0, 29.0, 111.0, 111.0, 29.0, -9.0, -3.0]),
    ],
)
def test_downsampling_has_the_documented_taps(siting, denominator, taps):
    seen = [
        float(downsample_chroma(plane_with_impulse_at(column), siting, YUV422)[0, 0, 4])
        for column in range(5, 5 + len(taps))
    ]
    assert [tap * denominator for tap in seen] == taps


@pytest.mark.parametrize(
    ("siting", "denominator", "response"),
    [
        (LEFT, 16, [-1.0, 0.0, 9.0, 16.0, 9.0, 0.0, -1.0, 0.0]),
        (CENTRE, 128, [-9.0, 29.0, 111.0, 111.0, 29.0, -9.0, -3.0, 0.0]),
    ],
)
def test_upsampling_has_the_documented_taps(siting, denominator, response):
    up = upsample_chroma(plane_with_impulse_at(8), siting, YUV422, 1, 32)[0, 0]
    first = 13 if siting is LEFT else 14
    assert (up[first : first + 8] * denominator).tolist() == response


def keys_cubic(distance: np.ndarray) -> np.ndarray:
    """Keys 1981, eq. 15, in its two pieces."""
    x = np.abs(distance)
    near = 1.5 * x**3 - 2.5 * x**2 + 1.0
    far = -0.5 * x**3 + 2.5 * x**2 - 4.0 * x + 2.0
    return np.where(x < 1.0, near, np.where(x < 2.0, far, 0.0))


@pytest.mark.parametrize(("siting", "first_column"), [(LEFT, 0.0), (CENTRE, 1.5)])
@pytest.mark.parametrize("width", [720, 61, 3])
def test_one_sample_for_four_pixels_is_read_at_its_exact_place(siting, first_column, width):
    """Every output column as a sum over all samples, the outermost repeated beyond the edge."""
    samples = -(-width // 4)
    plane = np.random.default_rng(width).random((2, 5, samples))
    beyond = 4
    padded = np.pad(plane, ((0, 0), (0, 0), (beyond, beyond)), mode="edge")
    places = first_column + 4.0 * (np.arange(samples + 2 * beyond) - beyond)
    weights = keys_cubic((np.arange(width)[:, None] - places) / 4.0)
    expected = padded @ weights.T
    found = upsample_chroma(torch.from_numpy(plane), siting, YUV411, 5, width)
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-12, rtol=0)


def test_upsampling_by_four_has_the_documented_taps():
    up = upsample_chroma(plane_with_impulse_at(8), LEFT, YUV411, 1, 64)[0, 0]
    response = [0, -3, -8, -9, 0, 29, 72, 111, 128, 111, 72, 29, 0, -9, -8, -3, 0]
    assert (up[24:41] * 128).tolist() == response
