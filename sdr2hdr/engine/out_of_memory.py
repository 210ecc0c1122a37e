"""Memory that could not be had, told from other faults."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from sdr2hdr.errors import FrameMemoryError

__all__ = ["allocation_failures_named", "is_allocation_failure"]

_WORDS = (
    "not enough memory",
    "can't allocate memory",
    "cannot allocate memory",
    "failed to allocate memory",
    "out of memory",
    "bad allocation",
    "bad_alloc",
)
"""How torch's CPU allocator, oneDNN and ONNX Runtime say it, in errors of no type of their own."""


def is_allocation_failure(error: Exception) -> bool:
    """Whether an error says that memory could not be had."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return any(words in str(error).lower() for words in _WORDS)


@contextmanager
def allocation_failures_named(model: str, tile_px: int) -> Iterator[None]:
    """Turn a failed allocation into a `FrameMemoryError`; other errors pass.

    Args:
        model: Whose frame it is.
        tile_px: Longest side of its tiles.
    """
    try:
        yield
    except FrameMemoryError:
        raise
    except Exception as error:  # Backends have no common error for this.
        if not is_allocation_failure(error):
            raise
        reason = str(error).strip().splitlines()
        raise FrameMemoryError(
            f"There was no memory left for a frame of {model} with tiles of {tile_px} px"
            + (f" ({reason[0]})" if reason else "")
            + "; expected more free memory, smaller tiles (--max-memory) or fewer --threads.",
            tile_px,
        ) from error
