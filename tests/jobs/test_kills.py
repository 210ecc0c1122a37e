"""The fault harness: a conversion that is killed at random moments, again and again.

Each kill (SIGKILL, of the whole process group) is followed by the same command, which is killed
once more or goes on to the end; whatever has the final name then must have the bytes of a run that
was never disturbed. A long run over real clips, joined into a film of several shots, is::

    SDR2HDR_KILLS=60 SDR2HDR_KILL_CLIPS=a.mp4:b.mp4:c.mp4 pytest -s -m slow tests/jobs/test_kills.py

`SDR2HDR_KILL_SEED` chooses other moments, `SDR2HDR_KILL_WORKERS` a cluster of so many processes.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from films import join_clips
from long_clips import make_source

from sdr2hdr.jobs.work_folder import WorkFolder

KILLS = int(os.environ.get("SDR2HDR_KILLS", "6"))
SEED = int(os.environ.get("SDR2HDR_KILL_SEED", "1"))
CLIPS = [Path(name) for name in os.environ.get("SDR2HDR_KILL_CLIPS", "").split(os.pathsep) if name]
WORKERS = os.environ.get("SDR2HDR_KILL_WORKERS", "")
FRAMES = 300
FILM_PX = (256, 144)
FILM_FRAMES_A_CLIP = 60
MOST_KILLS_IN_A_ROW = 3
LONGEST_RUN_SECONDS = 600

SHORT_SEGMENTS = """
import sys
from sdr2hdr.cli import main
from sdr2hdr.jobs import planning
from sdr2hdr.jobs.segmentation import SegmentRule
planning.segment_rule = lambda conversion: SegmentRule(longest_frames=60, joined_frames=60)
main()
"""
"""The command as it is, but for the length of segments: a short film shall have many."""


@dataclass
class Film:
    """A source, its target, and what became of the runs over it.

    Attributes:
        found: What kills have interrupted, and how often.
    """

    source: Path
    target: Path
    found: Counter[str] = field(default_factory=Counter)

    def command(self, target: Path) -> list[str]:
        arguments = ["convert", str(self.source), str(target), "--preset", "ultrafast", "-q"]
        workers = ["--workers", WORKERS] if WORKERS else []
        return [sys.executable, "-c", SHORT_SEGMENTS, *arguments, *workers]

    def killed(self, after_seconds: float) -> bool:
        """Run and kill after some time; False if the run had ended by itself."""
        process = subprocess.Popen(self.command(self.target), start_new_session=True)
        try:
            process.wait(after_seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            self.found[self.stage()] += 1
            return True
        assert process.returncode == 0
        return False

    def stage(self) -> str:
        """What the last run was doing when it was killed, as far as its leavings tell."""
        folder = WorkFolder.of(self.target, None)
        if self.target.exists():
            return "after the end"
        if folder.plan() is None:
            return "starting and planning"
        if folder.merged.exists():
            return "merging"
        return "first segment" if not folder.count_finished() else "later segments"

    def finished_in(self, target: Path) -> float:
        """Run to the end, and give the seconds that it took."""
        started = time.monotonic()
        subprocess.run(self.command(target), check=True, timeout=LONGEST_RUN_SECONDS)
        return time.monotonic() - started


@pytest.mark.slow
@pytest.mark.parametrize("container", ["mkv"] if CLIPS else ["mkv", "mov"])
def test_killed_again_and_again_the_result_is_the_same(tmp_path: Path, container: str):
    if CLIPS:
        source = join_clips(CLIPS, tmp_path / "film.mp4", *FILM_PX, FILM_FRAMES_A_CLIP)
    else:
        source = make_source(tmp_path, FRAMES)
    film = Film(source, tmp_path / f"out.{container}")
    whole = tmp_path / f"whole.{container}"
    whole_seconds = film.finished_in(whole)
    expected = whole.read_bytes()
    moments = random.Random(SEED)
    kills = results = longest_row = 0
    while kills < KILLS:
        row = 0
        for _ in range(moments.randint(1, MOST_KILLS_IN_A_ROW)):
            # Resumed runs are shorter, and a run's beginning has as many ways to fail as all the
            # rest: half the kills come early.
            latest = whole_seconds * (0.4 if kills % 2 else 1.0)
            if not film.killed(moments.uniform(0.0, latest)):
                break
            kills, row = kills + 1, row + 1
            if film.target.exists():
                # Killed between taking the name and ending: no work can be lost any more.
                break
        longest_row = max(longest_row, row)
        if not film.target.exists() or WorkFolder.of(film.target, None).path.exists():
            film.finished_in(film.target)
        assert film.target.read_bytes() == expected
        results += 1
        film.target.unlink()
    left = [path.name for path in tmp_path.iterdir() if path.name.startswith(".out")]
    where = ", ".join(f"{count} in {stage}" for stage, count in film.found.most_common())
    print(
        f"\n{container}: {kills} kills ({where}), up to {longest_row} in a row; {results} finished "
        f"files, each the same {len(expected)} bytes; an undisturbed run takes {whole_seconds:.1f} "
        f"s; left behind: {left or 'nothing'}"
    )
    assert not left
