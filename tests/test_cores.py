"""Cores are counted as this process may use them."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest


@pytest.mark.skipif(
    not hasattr(os, "sched_setaffinity"), reason="the system binds no process to cores"
)
def test_a_process_bound_to_a_core_has_one():
    code = (
        "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n"
        "from sdr2hdr.cores import available_cores\n"
        "from sdr2hdr.media.encoding.video_encoder import thread_count\n"
        "from sdr2hdr.options import EncodeOptions\n"
        "print(available_cores(), thread_count(EncodeOptions()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "1 1\n"
