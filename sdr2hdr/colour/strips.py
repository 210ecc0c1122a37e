"""Frames cut into strips of rows, so that what is computed in between stays small.

A conversion makes a dozen planes on its way. Of a whole frame they are tens of MB (hundreds at 4K)
that the system clears page by page for every frame, and that add to what a conversion holds. The
result has the same bits with any strips.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch

__all__ = ["row_strips"]

STRIP_PIXELS = 1 << 19
"""Pixels of a strip on a CPU, a quarter of a 1080p frame: 2 MB a plane in float32. Smaller strips
are slower (2^16 takes half as long again), because the operations are then too small for what it
costs to start them; whole frames cost page faults instead."""


def row_strips(height: int, width: int, device: torch.device) -> Iterator[tuple[int, int]]:
    """Give the first row of each strip and the row behind its last; the first is always even.

    On other devices than a CPU, and for an empty frame, the whole is one strip.
    """
    rows = height
    if device.type == "cpu" and width > 0:
        rows = max(2, STRIP_PIXELS // width // 2 * 2)
    for top in range(0, height, max(rows, 1)):
        yield top, min(top + rows, height)
