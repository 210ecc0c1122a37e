"""Pairs of pictures: they must fit each other, and they are measured a band of rows at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch

__all__ = ["ErrorMap", "check_pair", "row_bands"]

BAND_PIXELS = 1 << 18
"""Pixels that are measured at once; they bound the memory beside the pictures themselves."""

ErrorMap = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""Error of each pixel: (N, 3, H, W) reference and test to (N, H, W)."""


def check_pair(reference: torch.Tensor, test: torch.Tensor) -> None:
    """Refuse two pictures that cannot be compared.

    Raises:
        ValueError: Not both (N, 3, H, W), of one shape and floating.
    """
    for name, picture in (("reference", reference), ("test", test)):
        if picture.ndim != 4 or picture.shape[1] != 3:
            raise ValueError(f"The {name} is {tuple(picture.shape)}; expected (N, 3, H, W).")
        if not picture.is_floating_point():
            raise ValueError(f"The {name} is {picture.dtype}; expected a floating dtype.")
    if reference.shape != test.shape:
        raise ValueError(
            f"The reference is {tuple(reference.shape)} and the test {tuple(test.shape)}; "
            "expected one shape."
        )


def row_bands(picture: torch.Tensor) -> Iterator[slice]:
    """Cut the rows of a picture into bands of about `BAND_PIXELS`.

    Args:
        picture: (N, C, H, W).

    Yields:
        Slices of rows that together cover 0 to H.
    """
    frames, _, height, width = picture.shape
    rows = max(1, BAND_PIXELS // max(1, frames * width))
    for top in range(0, height, rows):
        yield slice(top, min(top + rows, height))
