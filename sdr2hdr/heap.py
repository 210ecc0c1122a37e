"""The C library's heap: it holds on to the memory of tiles instead of giving it back at once.

The setting is of the whole process. It does something on Linux with glibc alone.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import sys

__all__ = ["keep_large_blocks"]

_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
_M_ARENA_MAX = -8
"""glibc's names for them (malloc.h)."""

KEPT_BLOCK_BYTES = 32 << 20
"""The highest threshold that glibc takes on 64-bit machines, and would itself rise to in time."""

KEPT_HEAP_BYTES = 1 << 30
"""Free memory at the end of a heap that a process keeps: more than its tiles ever take. With the
64 MB that glibc would rise to, each of two threads gives its memory back from tile to tile still:
33,000 fresh pages for a frame of 640x640 with IRNet-2, and 0.96 s instead of 0.71."""


def keep_large_blocks() -> bool:
    """Let blocks of less than `KEPT_BLOCK_BYTES` be used again instead of going back to the system.

    A process gets fresh pages cleared one by one. Left to itself, glibc gives a main thread's free
    memory back between one tile and the next, and takes it again: two workers of one thread each,
    on a virtual machine of two processors, spent 431 s of 934 s of CPU time on pages. And it gives
    each thread a heap of its own, of 64 MB at most: what a tile takes beyond that comes fresh from
    the system, 100,000 to 300,000 pages for a 1080p frame of IRNet-2, and 2.3 to 2.5 s instead of
    2.1. So threads yet to come share one heap, which also keeps a fifth less memory.

    Returns:
        Whether the allocator took it.
    """
    # Setting either threshold alone freezes the other where it is, near its smallest.
    return (
        _set(_M_MMAP_THRESHOLD, KEPT_BLOCK_BYTES)
        and _set(_M_TRIM_THRESHOLD, KEPT_HEAP_BYTES)
        and _set(_M_ARENA_MAX, 1)
    )


def _set(name: int, value: int) -> bool:
    if not sys.platform.startswith("linux"):
        return False
    library = ctypes.CDLL(ctypes.util.find_library("c"))
    # musl has no such function.
    mallopt = getattr(library, "mallopt", None)
    return mallopt is not None and mallopt(name, value) == 1
