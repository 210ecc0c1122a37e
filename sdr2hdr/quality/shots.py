"""Where a new shot begins, told frame by frame while they pass."""

from __future__ import annotations

from collections import deque
from statistics import median

import torch
from torch.nn import functional

__all__ = ["CutDetector"]

_THUMBNAIL = (18, 32)
_SMALLEST_JUMP = 0.06
"""Mean change of the thumbnail's signal, [0, 1]: less is a change within a shot."""
_JUMP_OVER_MOTION = 4.0
"""How many times the usual change from frame to frame a cut is at least."""
_FRAMES_OF_MOTION = 12


class CutDetector:
    """Compares thumbnails of consecutive frames.

    A cut is a change that is large in itself and many times the median change of the last half
    second or so; so neither noise nor fast motion counts, nor does a fade or a dissolve.
    """

    def __init__(self) -> None:
        self._last: torch.Tensor | None = None
        self._changes: deque[float] = deque(maxlen=_FRAMES_OF_MOTION)

    def is_cut(self, pixels: torch.Tensor) -> bool:
        """Take the next frame; whether a new shot begins with it.

        Args:
            pixels: (3, H, W), floating, non-linear R'G'B', [0, 1]; the first frame is no cut.
        """
        small = functional.adaptive_avg_pool2d(pixels, _THUMBNAIL)
        last, self._last = self._last, small
        if last is None:
            return False
        change = float((small - last).abs().mean())
        usual = median(self._changes) if self._changes else 0.0
        if change >= max(_SMALLEST_JUMP, _JUMP_OVER_MOTION * usual):
            self._changes.clear()
            return True
        self._changes.append(change)
        return False
