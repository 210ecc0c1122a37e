"""The guided filter: an average that stops at edges."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812

__all__ = ["self_guided_filter"]


def self_guided_filter(plane: torch.Tensor, radius_px: int, epsilon: float) -> torch.Tensor:
    """Smooth each channel, guided by itself: flat parts are averaged, edges stay.

    Windows are cut off at the picture's border and averaged over what is left of them.

    Args:
        plane: (N, C, H, W), floating, [0, 1].
        radius_px: Half the window's side; the window has 2 x radius + 1 samples a side.
        epsilon: Variance above which a window counts as an edge.

    Returns:
        Same shape and dtype.

    Source:
        He, Sun, Tang, "Guided image filtering", IEEE TPAMI 35(6), 2013, equations 5, 6 and 8.
    """
    mean = _box_mean(plane, radius_px)
    variance = _box_mean(plane.square(), radius_px) - mean.square()
    slope = variance.clamp_(min=0.0)
    slope = slope / (slope + epsilon)
    offset = mean - slope * mean
    return _box_mean(slope, radius_px) * plane + _box_mean(offset, radius_px)


def _box_mean(plane: torch.Tensor, radius_px: int) -> torch.Tensor:
    side_px = 2 * radius_px + 1
    rows = F.avg_pool2d(plane, (side_px, 1), 1, (radius_px, 0), count_include_pad=False)
    return F.avg_pool2d(rows, (1, side_px), 1, (0, radius_px), count_include_pad=False)
