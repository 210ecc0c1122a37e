"""Structural similarity at one scale (SSIM) and over five (MS-SSIM), of the PQ signal.

Both come from the same statistics: local means, variances and covariance under a Gaussian window
of 11 x 11 taps and standard deviation 1.5, at the places where the window lies wholly inside the
picture. Each channel is measured by itself, and the channels are averaged.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch.nn import functional

from sdr2hdr.quality.pairs import check_pair

__all__ = [
    "MS_SSIM_SMALLEST_SIDE_PX",
    "MS_SSIM_WEIGHTS",
    "SSIM_WINDOW_PX",
    "ScaleSimilarity",
    "ms_ssim_from",
    "scale_similarities",
    "ssim_from",
]

# Wang, Bovik, Sheikh, Simoncelli: Image Quality Assessment: From Error Visibility to Structural
# Similarity, IEEE Trans. Image Processing 13(4), 2004, section III.
SSIM_K1 = 0.01
SSIM_K2 = 0.03
SSIM_WINDOW_PX = 11
SSIM_SIGMA_PX = 1.5

MS_SSIM_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""Finest scale first. Wang, Simoncelli, Bovik: Multi-Scale Structural Similarity for Image Quality
Assessment, 37th Asilomar Conference on Signals, Systems and Computers, 2003."""

MS_SSIM_SMALLEST_SIDE_PX = SSIM_WINDOW_PX << (len(MS_SSIM_WEIGHTS) - 1)
"""The coarsest scale must still hold one window."""

BAND_SAMPLES = 1 << 16
"""Output samples of one plane that are computed at once: what fits a core's cache."""


@dataclass(frozen=True)
class ScaleSimilarity:
    """How similar two pictures are at one scale.

    Attributes:
        whole: Mean of luminance, contrast and structure together (SSIM), (N, C), float64.
        contrast_structure: Mean of contrast and structure alone, (N, C), float64.
    """

    whole: torch.Tensor
    contrast_structure: torch.Tensor


def ssim_from(scales: list[ScaleSimilarity]) -> torch.Tensor:
    """Read SSIM off the finest scale, averaged over the channels.

    Variances are those of the window (weights sum to 1), not sample estimates. The same as
    scikit-image's `structural_similarity` with Gaussian weights and no sample covariance.

    Returns:
        (N,), float64, [-1, 1]; 1 for equal frames.

    Source:
        Wang et al., IEEE Trans. Image Processing 13(4), 2004, section III.
    """
    return scales[0].whole.mean(dim=1)


def ms_ssim_from(scales: list[ScaleSimilarity]) -> torch.Tensor:
    """Combine five scales into MS-SSIM, averaged over the channels.

    A scale whose contrast and structure are negative on average counts as 0.

    Returns:
        (N,), float64, [0, 1]; 1 for equal frames.

    Source:
        Wang, Simoncelli, Bovik, Asilomar 2003 (full citation beside `MS_SSIM_WEIGHTS`).
    """
    parts = [scale.contrast_structure for scale in scales[:-1]] + [scales[-1].whole]
    product = torch.ones_like(parts[0])
    for part, weight in zip(parts, MS_SSIM_WEIGHTS, strict=True):
        product *= part.clamp(min=0.0) ** weight
    return product.mean(dim=1)


def scale_similarities(
    reference_pq: torch.Tensor, test_pq: torch.Tensor, scales: int
) -> list[ScaleSimilarity]:
    """Measure similarity at the full size and at each halving of it.

    Each scale is the one before averaged over 2 x 2 px; an odd last row or column is left out.

    Args:
        reference_pq: (N, 3, H, W), floating, signal of peak 1.
        test_pq: Like `reference_pq`.
        scales: How many sizes, 1 or more.

    Returns:
        One entry a scale, finest first.

    Raises:
        ValueError: The pictures do not fit each other, or the coarsest is smaller than the window.
    """
    check_pair(reference_pq, test_pq)
    smallest_px = SSIM_WINDOW_PX << (scales - 1)
    height, width = reference_pq.shape[2:]
    if min(height, width) < smallest_px:
        raise ValueError(
            f"The pictures are {width}x{height}; expected at least {smallest_px} px a side "
            f"for {scales} scale(s)."
        )
    found = [_similarity(reference_pq, test_pq)]
    for _ in range(scales - 1):
        reference_pq = functional.avg_pool2d(reference_pq, 2)
        test_pq = functional.avg_pool2d(test_pq, 2)
        found.append(_similarity(reference_pq, test_pq))
    return found


def _similarity(reference: torch.Tensor, test: torch.Tensor) -> ScaleSimilarity:
    frames, channels = reference.shape[:2]
    sums = torch.empty((2, frames, channels), dtype=torch.float64, device=reference.device)
    for frame in range(frames):
        for channel in range(channels):
            sums[:, frame, channel] = _plane_similarity(
                reference[frame, channel], test[frame, channel]
            )
    return ScaleSimilarity(sums[0], sums[1])


def _plane_similarity(reference: torch.Tensor, test: torch.Tensor) -> torch.Tensor:
    """Means of SSIM and of contrast x structure over one plane; (2,), float64."""
    rows = reference.shape[0] - SSIM_WINDOW_PX + 1
    columns = reference.shape[1] - SSIM_WINDOW_PX + 1
    step = max(1, BAND_SAMPLES // columns)
    total = torch.zeros(2, dtype=torch.float64, device=reference.device)
    for top in range(0, rows, step):
        band = slice(top, min(top + step, rows) + SSIM_WINDOW_PX - 1)
        total += _band_sums(reference[band].double(), test[band].double())
    return total / (rows * columns)


def _band_sums(reference: torch.Tensor, test: torch.Tensor) -> torch.Tensor:
    moments = torch.stack((reference, test, reference * reference, test * test, reference * test))
    mean_r, mean_t, square_r, square_t, product = _windowed(_windowed(moments, -2), -1)
    means = mean_r * mean_t
    squares = mean_r.square() + mean_t.square()
    c1, c2 = SSIM_K1**2, SSIM_K2**2
    contrast_structure = (2.0 * (product - means) + c2) / (square_r + square_t - squares + c2)
    luminance = (2.0 * means + c1) / (squares + c1)
    return torch.stack(((luminance * contrast_structure).sum(), contrast_structure.sum()))


def _window() -> list[float]:
    """One side of the separable window, centre first."""
    half = SSIM_WINDOW_PX // 2
    taps = [math.exp(-0.5 * (distance / SSIM_SIGMA_PX) ** 2) for distance in range(half + 1)]
    total = taps[0] + 2.0 * sum(taps[1:])
    return [tap / total for tap in taps]


def _windowed(maps: torch.Tensor, axis: int) -> torch.Tensor:
    """Weighted means along one axis, where the window lies inside."""
    half = SSIM_WINDOW_PX // 2
    length = maps.shape[axis] - SSIM_WINDOW_PX + 1
    weights = _window()
    total = maps.narrow(axis, half, length) * weights[0]
    for distance, weight in enumerate(weights[1:], start=1):
        total.add_(maps.narrow(axis, half - distance, length), alpha=weight)
        total.add_(maps.narrow(axis, half + distance, length), alpha=weight)
    return total
