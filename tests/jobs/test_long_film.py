"""Memory does not grow with the length of a film: the whole command, segment after segment.

`SDR2HDR_LONG_FRAMES` sets the length (3200 frames by default)::

    SDR2HDR_LONG_FRAMES=20000 pytest -s -m slow tests/jobs/test_long_film.py
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from statistics import median

import pytest
from long_clips import make_source

FRAMES = int(os.environ.get("SDR2HDR_LONG_FRAMES", "3200"))
SIZE_PX = (128, 96)
MOST_BYTES_A_FRAME = 16 << 10
"""Luma that stayed in memory would take more: 48 KiB in float32, 24 in half precision. What stays
are numbers, some 200 bytes a frame; the rest is the system's allocator breathing."""

MEASURED = """
import sys
from pathlib import Path
from sdr2hdr.jobs import run
from sdr2hdr.jobs.listener import JobListener
from sdr2hdr.options import ConvertOptions, EncodeOptions
from sdr2hdr.pipeline import prepare

class Scales(JobListener):
    def segment(self, news):
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        print(news.segment.end_frame, pages * 4096, flush=True)

options = ConvertOptions("bt2408", encode=EncodeOptions(preset="ultrafast"))
run.convert(prepare(Path(sys.argv[1]), Path(sys.argv[2]), options), listener=Scales())
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="only Linux says it so")
def test_memory_does_not_grow_with_the_film(tmp_path: Path):
    source = make_source(tmp_path, FRAMES, SIZE_PX)
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, str(source), str(tmp_path / "out.mkv")],
        capture_output=True,
        text=True,
        check=True,
    )
    found = [tuple(map(int, line.split())) for line in done.stdout.splitlines()]
    frames = [end for end, _ in found]
    sizes = [size for _, size in found]
    assert frames[-1] == FRAMES
    # The first segments warm up caches and pools.
    part = (len(found) - 2) // 3
    assert part >= 3, "expected a longer film"
    early, late = median(sizes[2 : 2 + part]), median(sizes[-part:])
    between = frames[-1] - frames[1 + part]
    shown = ", ".join(f"{size / 1e6:.0f}" for size in sizes)
    print(
        f"\nMB after each of {len(found)} segments, {FRAMES} frames: {shown}; "
        f"{(late - early) / between:.0f} bytes a frame more at the end"
    )
    assert (late - early) / between < MOST_BYTES_A_FRAME
