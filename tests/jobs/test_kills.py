"""The fault harness: a conversion that is killed at random moments, again and again.

`SDR2HDR_KILLS` sets how many kills there are (10 by default), `SDR2HDR_KILL_CLIP` which clip they
happen to, `SDR2HDR_KILL_SEED` when; a long run is::

    SDR2HDR_KILLS=60 SDR2HDR_KILL_CLIP=film.mp4 pytest -m slow tests/jobs/test_kills.py
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from long_clips import make_source

KILLS = int(os.environ.get("SDR2HDR_KILLS", "10"))
SEED = int(os.environ.get("SDR2HDR_KILL_SEED", "1"))
FRAMES = 1500
"""Six segments of the usual length."""

LONGEST_RUN_SECONDS = 600


def command(source: Path, target: Path) -> list[str]:
    arguments = ["convert", str(source), str(target), "--model", "bt2408", "--threads", "1"]
    return [sys.executable, "-m", "sdr2hdr.cli", *arguments, "--preset", "ultrafast", "-q"]


def start(source: Path, target: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(command(source, target), start_new_session=True)


def killed(source: Path, target: Path, after_seconds: float) -> bool:
    """Run and kill after some time; False if the run had ended by itself."""
    process = start(source, target)
    try:
        process.wait(after_seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return True
    assert process.returncode == 0
    return False


@pytest.mark.slow
@pytest.mark.parametrize("container", ["mkv", "mov"])
def test_killed_again_and_again_the_result_is_the_same(tmp_path: Path, container: str):
    chosen = os.environ.get("SDR2HDR_KILL_CLIP")
    source = Path(chosen) if chosen else make_source(tmp_path, FRAMES)
    whole, target = tmp_path / f"whole.{container}", tmp_path / f"out.{container}"
    started = time.monotonic()
    subprocess.run(command(source, whole), check=True, timeout=LONGEST_RUN_SECONDS)
    whole_seconds = time.monotonic() - started
    moments = random.Random(SEED)
    kills = 0
    while kills < KILLS:
        # A run's beginning has as many ways to fail as all the rest: half the kills come there.
        longest = whole_seconds * (0.4 if kills % 2 else 1.0)
        if killed(source, target, moments.uniform(0.0, longest)):
            kills += 1
            assert not target.exists() or target.read_bytes() == whole.read_bytes()
        if target.exists():
            assert target.read_bytes() == whole.read_bytes()
            target.unlink()
    subprocess.run(command(source, target), check=True, timeout=LONGEST_RUN_SECONDS)
    assert target.read_bytes() == whole.read_bytes()
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".out")]
