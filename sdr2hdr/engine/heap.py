"""The C library's heap, kept from holding on to the memory of tiles."""

from __future__ import annotations

import ctypes
import ctypes.util
import sys

__all__ = ["return_large_blocks"]

_M_MMAP_THRESHOLD = -3
"""glibc's name for it (malloc.h)."""

LARGE_BLOCK_BYTES = 4_000_000
"""Measured with IRNet-2 on a 1080p frame, two threads: the process peaks at 0.91 GB with this, at
1.3 to 1.75 GB with glibc's own threshold, which rises to 32 MB and lets the maps of tiles fragment
the heap of each thread. The price is fresh pages for each such block, a third of a frame's CPU time
again, so it is paid only where memory is bounded."""


def return_large_blocks() -> bool:
    """Let blocks of `LARGE_BLOCK_BYTES` and more go back to the system as soon as they are freed.

    It changes the allocator of the whole process and may be called again; it does something on
    Linux with glibc alone.

    Returns:
        Whether the allocator took it.
    """
    if not sys.platform.startswith("linux"):
        return False
    library = ctypes.CDLL(ctypes.util.find_library("c"))
    # musl has no such function.
    mallopt = getattr(library, "mallopt", None)
    return mallopt is not None and mallopt(_M_MMAP_THRESHOLD, LARGE_BLOCK_BYTES) == 1
