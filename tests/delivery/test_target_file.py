"""The final name, and what lies beside it until the file is whole."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from sdr2hdr.delivery.target_file import unfinished_file

KILLED = """
import os, signal, sys
from pathlib import Path
from sdr2hdr.delivery.target_file import unfinished_file
with unfinished_file(Path(sys.argv[1]), None) as beside:
    beside.write_bytes(b"half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows cannot tell what is abandoned")
def test_the_next_run_removes_what_a_killed_one_left_of_its_target(tmp_path: Path):
    target, other = tmp_path / "film.v2.mkv", tmp_path / "film.mkv"
    for path in (target, target, other):
        subprocess.run([sys.executable, "-c", KILLED, path], check=False)
    assert len(list(tmp_path.iterdir())) == 2
    with unfinished_file(target, None) as first, unfinished_file(target, None) as second:
        assert first.exists() and second.exists()
        (of_other,) = set(tmp_path.iterdir()) - {first, second}
        assert of_other.name.startswith(".film.") and not of_other.name.startswith(".film.v2.")
    assert list(tmp_path.iterdir()) == [of_other]
