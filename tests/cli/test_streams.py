"""Standard output and standard error that are closed, full, or not read."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from commands import QUICK, call


@pytest.mark.skipif(sys.platform == "win32", reason="needs a shell that closes streams")
@pytest.mark.parametrize(
    ("closed", "target", "options", "code", "lines_of_stdout"),
    [
        ("2>&-", "o.mkv", ["-v"], 0, 0),
        ("2>&-", "-", [], 0, None),
        (">&-", "o.mkv", ["--json"], 0, 0),
        (">&-", "-", [], 5, 0),
        ("<&- >&- 2>&-", "o.mkv", ["--workers", "1"], 0, 0),
    ],
)
def test_closed_streams_end_no_command(
    clip: Path,
    tmp_path: Path,
    closed: str,
    target: str,
    options: list[str],
    code: int,
    lines_of_stdout: int | None,
):
    command = [sys.executable, "-m", "sdr2hdr", "convert", clip, target, *QUICK, *options]
    shell = ["sh", "-c", f'exec "$@" {closed}', "sh"]
    done = subprocess.run([*shell, *command], capture_output=True, cwd=tmp_path)
    assert done.returncode == code, done.stderr
    if lines_of_stdout is not None:
        assert len(done.stdout.splitlines()) == lines_of_stdout
    if target == "-" and code == 0:
        assert done.stdout.startswith(b"YUV4MPEG2")
        assert len(done.stdout) == done.stdout.index(b"\n") + 1 + 3 * (6 + 64 * 48 * 3)
    if target == "-" and code == 5:
        assert b"Standard output is closed" in done.stderr
    assert (tmp_path / "o.mkv").is_file() == (target == "o.mkv" and code == 0)


@pytest.mark.parametrize("arguments", [["--json"], ["--json", "-q"], ["--dry-run"]])
def test_reader_that_leaves_is_an_error_of_the_output(
    clip: Path, tmp_path: Path, arguments: list[str]
):
    command = [sys.executable, "-m", "sdr2hdr", "convert", clip, tmp_path / "o.mkv", *QUICK]
    reading, writing = os.pipe()
    os.close(reading)
    try:
        left = subprocess.run(
            [*command, *arguments], stdout=writing, stderr=subprocess.PIPE, text=True
        )
        deaf = subprocess.run([*command, *arguments], stdout=writing, stderr=writing)
    finally:
        os.close(writing)
    (line,) = left.stderr.splitlines()
    assert line.startswith("error: Standard output was closed") and "same command" in line
    assert (left.returncode, deaf.returncode) == (5, 5)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["clip.mp4"]
    assert subprocess.run([*command, *arguments], capture_output=True).returncode == 0


@pytest.mark.parametrize("arguments", [["--json"], ["-v"]])
def test_messages_that_nobody_reads_end_no_work(clip: Path, tmp_path: Path, arguments: list[str]):
    command = [sys.executable, "-m", "sdr2hdr", "convert", clip, tmp_path / "o.mkv", *QUICK]
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run([*command, *arguments], stdout=subprocess.PIPE, stderr=writing)
    finally:
        os.close(writing)
    assert done.returncode == 0
    assert (tmp_path / "o.mkv").is_file()


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such limits")
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_video_that_does_not_fit_is_an_error_of_the_output(
    clip: Path, tmp_path: Path, unbuffered: str
):
    """Where Python does not buffer, a file that is full takes some of what it is given."""
    import resource

    most_bytes = 20_000
    with (tmp_path / "o.y4m").open("wb") as file:
        done = subprocess.run(
            [sys.executable, "-m", "sdr2hdr", "convert", clip, "-", *QUICK],
            stdout=file,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes,) * 2),
        )
    assert (tmp_path / "o.y4m").stat().st_size == most_bytes
    assert done.returncode == 5
    assert "error: Standard output cannot be written: File too large" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="pipes there always wait")
def test_events_that_a_full_pipe_does_not_take_are_missed_aloud(clip: Path, tmp_path: Path):
    """Where Python does not buffer, a pipe that does not wait takes nothing, without an error."""
    command = [sys.executable, "-m", "sdr2hdr", "convert", clip, tmp_path / "o.mkv", *QUICK]
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    with suppress(BlockingIOError):
        while True:
            os.write(writing, bytes(64))
    try:
        done = subprocess.run(
            [*command, "--json"],
            stdout=writing,
            stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
    finally:
        os.close(reading)
        os.close(writing)
    assert done.returncode == 5
    assert b"Standard output cannot be written" in done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="pipes there cannot be waited for")
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_message_is_there_when_it_has_been_said(unbuffered: str):
    """Where Python does not buffer, all messages of a job came at its end."""
    program = """if True:
        import time
        from sdr2hdr.cli.console import Console
        from sdr2hdr.cli.standard_streams import prepare_standard_streams

        prepare_standard_streams()
        Console().say("begun")
        time.sleep(600)
        """
    environment = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
    with subprocess.Popen(
        [sys.executable, "-c", program], stderr=subprocess.PIPE, env=environment
    ) as job:
        assert job.stderr is not None
        said, _, _ = select.select([job.stderr], [], [], 20)
        job.kill()
    assert said


FULL = Path("/dev/full")
needs_full = pytest.mark.skipif(not FULL.is_char_device(), reason="there is no /dev/full here")
"""What every writer is told of a full disk by, on Linux."""


@needs_full
@pytest.mark.parametrize("arguments", [["--json"], ["--dry-run"], ["--json", "--strict"]])
def test_results_that_a_full_disk_does_not_take_are_an_error_of_the_output(
    clip: Path, tmp_path: Path, arguments: list[str]
):
    source = tmp_path / "nosuch.mp4" if "--strict" in arguments else clip
    command = [sys.executable, "-m", "sdr2hdr", "convert", source, tmp_path / "o.mkv", *QUICK]
    with FULL.open("w") as full:
        done = subprocess.run(
            [*command, *arguments], stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert done.returncode == 5
    said = done.stderr.splitlines()[-1]
    assert said.startswith("error: Standard output cannot be written: No space left on device")
    assert "Traceback" not in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["clip.mp4"]


@needs_full
@pytest.mark.parametrize("arguments", [["--help"], ["models"], ["convert", "--nope"]])
def test_what_others_write_for_us_is_treated_alike_where_a_disk_is_full(arguments: list[str]):
    command = [sys.executable, "-m", "sdr2hdr", *arguments]
    with FULL.open("w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True)
        deaf = subprocess.run(command, stdout=full, stderr=full)
    expected = 2 if "--nope" in arguments else 5
    assert (done.returncode, deaf.returncode) == (expected, expected)
    assert "fault" not in done.stderr


def test_a_table_whose_reader_has_left_is_an_error_of_the_output():
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-m", "sdr2hdr", "models"], stdout=writing, stderr=subprocess.PIPE
    )
    os.close(writing)
    assert done.returncode == 5
    assert done.stderr.startswith(b"error: Standard output was closed")


@needs_full
def test_results_that_are_not_taken_are_not_laid_on_the_disk_of_the_job():
    program = """if True:
        from sdr2hdr.cli.console import Console
        from sdr2hdr.cli.standard_streams import prepare_standard_streams
        from sdr2hdr.jobs.disk import full_disk_told

        prepare_standard_streams()
        with full_disk_told():
            Console(json=True).event("progress", {})
        """
    with FULL.open("w") as full:
        done = subprocess.run(
            [sys.executable, "-c", program], stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert "FullOutputError" in done.stderr and "DiskFullError" not in done.stderr


@needs_full
def test_messages_that_a_full_disk_does_not_take_end_no_work(clip: Path, tmp_path: Path):
    command = [sys.executable, "-m", "sdr2hdr", "convert", clip, tmp_path / "o.mkv", *QUICK]
    with FULL.open("w") as full:
        code = subprocess.run([*command, "--json"], stdout=subprocess.DEVNULL, stderr=full)
        again = subprocess.run([*command, "--json"], stdout=subprocess.PIPE, stderr=full, text=True)
    assert (code.returncode, again.returncode) == (0, 5)
    assert json.loads(again.stdout)["exit_code"] == 5
    assert (tmp_path / "o.mkv").is_file()


@needs_full
def test_a_log_that_a_full_disk_does_not_take_is_given_up(
    clip: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    log = tmp_path / "run.log"
    log.symlink_to(FULL)
    code, _, err = call(capfd, "convert", clip, tmp_path / "o.mkv", *QUICK, "--log-file", log)
    assert code == 0
    assert err.count(f"warning: The log file {log} takes no more: No space left on device") == 1
    assert "o.mkv: 3 frames" in err

    def fault(*_: object) -> None:
        raise RuntimeError("a fault")

    monkeypatch.setattr("sdr2hdr.cli.convert.run_jobs", fault)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    code, _, err = call(capfd, "convert", clip, tmp_path / "p.mkv", "--log-file", log)
    assert code == 1
    (trace,) = tmp_path.glob("sdr2hdr-*.log")
    assert f"The details are in {trace}." in err
