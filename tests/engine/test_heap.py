"""The allocator's setting: taken by glibc, and large blocks then leave the process again."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

FREED_BLOCKS = """
import torch
from sdr2hdr.engine.heap import LARGE_BLOCK_BYTES, return_large_blocks

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


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the setting is glibc's")
def test_large_blocks_go_back_to_the_system():
    done = subprocess.run(
        [sys.executable, "-c", FREED_BLOCKS], capture_output=True, text=True, check=True
    )
    assert int(done.stdout) < 8_000
