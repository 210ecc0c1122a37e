"""The allocator's settings: taken by glibc, and large blocks then leave the process, or stay."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(
    platform.libc_ver()[0] != "glibc", reason="the settings are glibc's"
)

FREED_BLOCKS = """
import torch
from sdr2hdr.heap import LARGE_BLOCK_BYTES, return_large_blocks

def resident_kb():
    for line in open("/proc/self/status"):
        if line.startswith("VmRSS"):
            return int(line.split()[1])

assert return_large_blocks()
before = resident_kb()
kept = []
for _ in range(40):
    block = torch.ones(LARGE_BLOCK_BYTES // 4 + 1)
    kept.append(torch.ones(1000))
    del block
print(resident_kb() - before)
"""

TILE_AFTER_TILE = """
import resource
import torch
from sdr2hdr.heap import keep_large_blocks, return_large_blocks

assert keep_large_blocks()

def tile():
    maps = [torch.ones(4_000_000 // 4) for _ in range(4)]

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

# The second tile still takes some new pages: holes that the first left are too small for its maps.
tile()
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


def test_large_blocks_go_back_to_the_system():
    assert printed(FREED_BLOCKS) < 8_000


def test_a_tile_is_computed_in_the_pages_of_the_one_before():
    pages_of_a_tile = 4 * 4_000_000 // 4096
    assert printed(TILE_AFTER_TILE) < pages_of_a_tile
    returned = TILE_AFTER_TILE.replace("assert keep_", "assert return_")
    assert printed(returned) > 19 * pages_of_a_tile
