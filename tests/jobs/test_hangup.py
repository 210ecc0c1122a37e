"""A terminal that is closed: what is finished is kept, and nothing that is said is an error."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from sdr2hdr.jobs.work_folder import WorkFolder

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signal")


INTERRUPTED_AT_SEGMENT_2 = """
import os, signal, sys
import pytest
from long_clips import before_segment, use_short_segments
from sdr2hdr.cli import main
def act(segment, conversion):
    if segment.index == 2:
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGHUP)
with pytest.MonkeyPatch.context() as patch:
    use_short_segments(patch)
    before_segment(patch, act)
    main()
"""


def hung_up(source: Path, target: Path, *, ignored: bool) -> subprocess.CompletedProcess[str]:
    """Convert, and hang up twice on the way, as a shell and the system do."""
    command = ["convert", source, target, "--model", "bt2408", "--preset", "ultrafast"]
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN if ignored else signal.SIG_DFL)
    try:
        return subprocess.run(
            [sys.executable, "-c", INTERRUPTED_AT_SEGMENT_2, *command],
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_closed_terminal_ends_in_good_order_unless_it_is_ignored(source: Path, tmp_path: Path):
    target = tmp_path / "out.mkv"
    ended = hung_up(source, target, ignored=False)
    assert ended.returncode == 129, ended.stderr
    assert "Stopping" in ended.stderr and "The same command goes on" in ended.stderr
    # Segment 2 takes less than the grace, and a second signal of this kind is no second wish.
    assert WorkFolder.of(target, None).count_finished() == 3
    ended = hung_up(source, target, ignored=True)
    assert (ended.returncode, target.exists()) == (0, True), ended.stderr


WITH_A_LOST_TERMINAL = """
import os, signal, sys
from sdr2hdr.cli import signals
signal.signal(signal.SIGHUP, signals.SignalRaiser())
sys.stdin.readline()
try:
    os.kill(os.getpid(), signal.SIGHUP)
    signal.pause()
except signals.Terminated as terminated:
    print("Terminated.", file=sys.stderr)
    sys.exit(terminated.exit_code)
"""


def test_what_is_said_on_a_lost_terminal_is_no_error(tmp_path: Path):
    pty = pytest.importorskip("pty")
    main_end, terminal = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", WITH_A_LOST_TERMINAL],
        stdin=subprocess.PIPE,
        stderr=terminal,
        stdout=terminal,
    )
    os.close(terminal)
    os.close(main_end)
    process.communicate(b"\n", timeout=120)
    assert process.returncode == 129
