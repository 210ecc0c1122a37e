"""The allocator's setting: taken by glibc, and large blocks then stay in the process."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the setting is glibc's")

TILE_AFTER_TILE = """
import resource
import torch
from sdr2hdr import heap

assert heap.keep_large_blocks()

def tile():
    maps = [torch.ones(4_000_000 // 4) for _ in range(4)]

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

# The first few still take new pages: holes that others left may be too small for their maps.
for _ in range(5):
    tile()
before = faults()
for _ in range(20):
    tile()
print(faults() - before)
"""


def printed(program: str) -> int:
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


def test_a_tile_is_computed_in_the_pages_of_the_one_before():
    pages_of_a_tile = 4 * 4_000_000 // 4096
    assert printed(TILE_AFTER_TILE) < pages_of_a_tile
    smallest = TILE_AFTER_TILE.replace(
        "heap.keep_large_blocks()", "heap._set(heap._M_MMAP_THRESHOLD, 128 << 10)"
    )
    assert printed(smallest) > 19 * pages_of_a_tile


A_THREADS_MAP = """
from pathlib import Path
from threading import Thread
import torch
from sdr2hdr import heap

assert heap.keep_large_blocks()
addresses = []
thread = Thread(target=lambda: addresses.append(torch.ones(8_000_000 // 4).data_ptr()))
thread.start()
thread.join()
(shared,) = (
    line.split()[0] for line in Path("/proc/self/maps").read_text().splitlines() if "[heap]" in line
)
first, last = (int(end, 16) for end in shared.split("-"))
print(int(first <= addresses[0] < last))
"""


def test_threads_share_a_heap_as_large_as_their_tiles():
    assert printed(A_THREADS_MAP) == 1
    heaps_of_their_own = A_THREADS_MAP.replace(
        "heap.keep_large_blocks()", "heap.keep_large_blocks() and heap._set(heap._M_ARENA_MAX, 8)"
    )
    assert printed(heaps_of_their_own) == 0
