"""The threads that compute tiles."""

from __future__ import annotations

import subprocess
import sys

import pytest

INTERRUPTED = """
from concurrent.futures import ThreadPoolExecutor
from sdr2hdr.engine.tile_workers import TileWorkers

submit = ThreadPoolExecutor.submit

def first(*arguments):
    ThreadPoolExecutor.submit = second
    return submit(*arguments)

def second(*arguments):
    raise {error}

ThreadPoolExecutor.submit = first
TileWorkers(2)
"""


@pytest.mark.parametrize("error", ["KeyboardInterrupt", 'RuntimeError("no thread")'])
def test_what_ends_their_start_ends_the_program(error: str):
    """Ctrl-C between the first thread and the second: the first waited for ever."""
    program = [sys.executable, "-c", INTERRUPTED.format(error=error)]
    ended = subprocess.run(program, capture_output=True, text=True, check=False, timeout=60)
    assert ended.returncode != 0
    assert error.partition("(")[0] in ended.stderr.splitlines()[-1]
