"""What the command line says, where, and to whom."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest
from clips import FLOWER
from commands import QUICK, call

from sdr2hdr.cli.console import Console
from sdr2hdr.cli.parameters import SecondsType
from sdr2hdr.pipeline import Progress


def test_dry_run_tells_and_writes_nothing(
    clip: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
):
    before = sorted(tmp_path.iterdir())
    code, out, _ = call(capfd, "convert", clip, tmp_path / "o.mkv", *QUICK, "--dry-run")
    assert code == 0
    assert "matrix: bt709 (stream)" in out
    assert sorted(tmp_path.iterdir()) == before
    code, out, _ = call(capfd, "convert", clip, tmp_path / "o.mkv", *QUICK, "--dry-run", "--json")
    plan = json.loads(out.splitlines()[0])
    assert plan["event"] == "plan"
    assert plan["input"]["video"]["colour"]["matrix"] == {"value": "bt709", "origin": "stream"}


def test_json_is_lines_of_objects(clip: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    code, out, _ = call(capfd, "convert", clip, tmp_path / "o.mkv", *QUICK, "--json")
    events = [json.loads(line) for line in out.splitlines()]
    assert code == 0
    assert events[-1]["event"] == "done"
    assert events[-1]["frames"] == 3


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (("info", "{clip}"), 0),
        (("check", "{clip}"), 7),
        (("convert", "--dry-run", "--out-dir", "{folder}", "{clip}", *QUICK), 0),
        (("plan", "{clip}", "-o", "{folder}/plan.json", "--model", "bt2408"), 0),
        (("retag", "{clip}", "{folder}/out.mkv"), 3),
        (("evaluate", "{clip}", "{clip}"), 3),
        (("merge", "{clip}", "{folder}/out.mkv"), 3),
        (("merge", "{folder}", "{folder}/out.mkv"), 3),
    ],
)
def test_a_file_that_may_not_be_read_is_no_usage_error(
    clip: Path,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    command: tuple[str, ...],
    expected: int,
):
    # The system is asked when the file is opened, so that a batch goes on with the others; nothing
    # keeps root, who may run this, from reading.
    access = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.R_OK and access(path, mode))
    places = {"clip": clip, "folder": tmp_path}
    code, _, err = call(capfd, *(part.format(**places) for part in command))
    assert code == expected, err


def test_one_path_is_a_usage_error(clip: Path, capfd: pytest.CaptureFixture[str]):
    code, _, err = call(capfd, "convert", clip)
    assert code == 2
    assert "--out-dir" in err


def test_times_are_read_as_they_are_written():
    times = {"90": 90, "1:30": 90, "90:00": 5400, "0:01:30.5": 90.5, "100:00:00": 360_000}
    assert {text: SecondsType().convert(text, None, None) for text in times} == times


@pytest.mark.parametrize("text", ["1:90", "1:60.0", "0:75:10", "1:2:3:4", "-1", "nan", ":30"])
def test_a_time_that_is_none_is_refused(text: str):
    """1:90 was taken for 150 s."""
    with pytest.raises(click.BadParameter, match=re.escape(f"'{text}' is not a time")):
        SecondsType().convert(text, None, None)


@pytest.mark.parametrize(
    "wrong", [["--threads", "0"], ["--nonsense"], ["more.mkv"], ["--container", "mkv"]]
)
def test_usage_errors_are_events_too(
    clip: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], wrong: list[str]
):
    code, out, err = call(capfd, "convert", clip, tmp_path / "o.mkv", "--json", *wrong)
    (event,) = [json.loads(line) for line in out.splitlines()]
    assert code == 2
    assert event == {"event": "error", "text": event["text"], "exit_code": 2}
    assert event["text"] in err
    code, out, _ = call(capfd, "convert", clip, tmp_path / "o.mkv", *wrong)
    assert (code, out) == (2, "")
    code, out, _ = call(capfd, "--json", *wrong)
    assert (code, json.loads(out)["event"]) == (2, "error")


def test_quiet_says_nothing_and_log_file_everything(
    clip: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
):
    log = tmp_path / "run.log"
    code, out, err = call(
        capfd, "convert", clip, tmp_path / "o.mkv", *QUICK, "-q", "--log-file", log
    )
    assert (code, out, err) == (0, "", "")
    assert "o.mkv: 3 frames" in log.read_text()


def test_models_lists_every_method(capfd: pytest.CaptureFixture[str]):
    code, out, _ = call(capfd, "models", "--json")
    methods = {method["name"]: method for method in map(json.loads, out.splitlines())}
    assert code == 0
    assert {"irnet1", "irnet2", "irnet5-x2", "irnet5-x4", "gpgmnet-x2", "gpgmnet-x4"} <= set(
        methods
    )
    assert {"bt2408", "bt2446a", "bt2446c"} <= set(methods)
    fields = {"name", "kind", "scale", "params", "macs_per_pixel", "weights", "licence"}
    assert all(fields <= set(method) for method in methods.values())
    assert methods["irnet2"]["params"] == 134731
    networks = [method for method in methods.values() if method["kind"] == "network"]
    assert all(method["weights"] in ("pilot", "release") for method in networks)


def test_models_says_which_networks_have_no_weights(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
):
    code, out, _ = call(capfd, "models", "--json", "--weights-dir", tmp_path)
    methods = {method["name"]: method for method in map(json.loads, out.splitlines())}
    assert code == 0
    assert methods["irnet5-x2"]["weights"] is None


def test_info_reads_the_clip_in_the_repository(capfd: pytest.CaptureFixture[str]):
    code, out, _ = call(capfd, "info", FLOWER, "--json")
    info = json.loads(out)
    assert code == 0
    assert info["video"]["frame_count"] == 32
    assert info["video"]["colour"]["matrix"]["value"] == "bt601"


def test_export_writes_a_graph_and_refuses_to_replace_it(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
):
    target = tmp_path / "curve.onnx"
    code, _, _ = call(capfd, "export", "bt2446a", target)
    assert code == 0
    size = target.stat().st_size
    code, _, err = call(capfd, "export", "bt2446a", target)
    assert code == 5
    assert "--overwrite" in err
    assert target.stat().st_size == size
    link = tmp_path / "link.onnx"
    link.symlink_to("elsewhere.onnx")
    code, _, err = call(capfd, "export", "bt2446a", link)
    assert (code, link.is_symlink()) == (5, True)
    assert "--overwrite" in err


def test_the_log_is_no_file_of_the_command(
    clip: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
):
    own, linked, target = tmp_path / "own.mp4", tmp_path / "linked.log", tmp_path / "out.mkv"
    shutil.copyfile(clip, own)
    linked.hardlink_to(own)
    for log in (own, linked, target):
        code, _, err = call(capfd, "convert", own, target, *QUICK, "--log-file", log)
        assert code == 5 and "--log-file names another" in err
    assert own.read_bytes() == clip.read_bytes()
    assert not target.exists()


def test_a_fault_of_ours_leaves_the_traceback_in_a_file(
    clip: Path,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
):
    def broken(*arguments: object) -> None:
        raise RuntimeError("a fault made by the test")

    monkeypatch.setattr("sdr2hdr.jobs.published.prepare", broken)
    log = tmp_path / "run.log"
    code, _, err = call(capfd, "convert", clip, tmp_path / "o.mkv", "--log-file", log)
    assert code == 1
    assert "Traceback" not in err and str(log) in err
    assert "Traceback" in log.read_text()


ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
UTF8 = {"LC_ALL": "C.UTF-8", "PYTHONUTF8": "1"}


@pytest.mark.skipif(sys.platform != "linux", reason="a name is any bytes on Linux alone")
@pytest.mark.parametrize(
    ("locale", "name"), [(UTF8, b"nu\xff"), (ASCII, b"nu\xff"), (ASCII, "é".encode())]
)
def test_names_that_are_no_text_are_names(
    clip: Path, tmp_path: Path, locale: dict[str, str], name: bytes
):
    folder = os.fsencode(tmp_path)
    source, target = folder + b"/in " + name + b".mp4", folder + b"/" + name + b".mkv"
    shutil.copyfile(clip, source)
    log = tmp_path / "run.log"

    def done(*arguments: bytes | str | Path) -> subprocess.CompletedProcess[bytes]:
        command = [sys.executable, "-m", "sdr2hdr", *arguments]
        done = subprocess.run(command, capture_output=True, env=os.environ | locale)
        assert done.returncode == 0, done.stderr
        return done

    said = done("convert", source, target, *QUICK, "--json", "-v", "--log-file", log).stdout
    last = json.loads(said.decode("utf-8").splitlines()[-1])
    assert (os.fsencode(last["input"]), os.fsencode(last["output"])) == (source, target)
    assert Path(os.fsdecode(target)).is_file()
    assert ".mkv: 3 frames" in log.read_text(encoding="utf-8")
    assert not list(tmp_path.glob(".*"))
    assert done("info", source).stdout.isascii()


@pytest.mark.skipif(sys.platform != "linux", reason="a name is any bytes on Linux alone")
def test_work_folder_knows_a_target_that_is_no_text(tmp_path: Path):
    from sdr2hdr.jobs.work_folder import WorkFolder

    target = tmp_path / os.fsdecode(b"nu\xff.mkv")
    folder = WorkFolder.of(target, None)
    folder.make()
    assert WorkFolder.target_of(folder.path) == target


def test_progress_of_a_stage_that_begins_anew_is_told(capfd: pytest.CaptureFixture[str]):
    show = Console(json=True).json_progress(Path("in.mp4"))
    for elapsed_seconds in (0.0, 0.5, 3600.0, 0.1, 0.6, 1.2):
        show(Progress(1, 2, elapsed_seconds, 0))
    told = [json.loads(line)["elapsed_seconds"] for line in capfd.readouterr().out.splitlines()]
    assert told == [0.0, 3600.0, 0.1, 1.2]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows keeps a folder that is in use")
def test_a_working_folder_that_is_gone_is_said(
    clip: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    code, _, err = call(capfd, "convert", clip, tmp_path / "o.mkv", *QUICK)
    monkeypatch.chdir(tmp_path)
    assert code == 2
    assert "The working folder cannot be found" in err and "(cd)" in err
    assert not (tmp_path / "o.mkv").exists()


def test_module_and_script_are_one_command():
    done = subprocess.run(
        [sys.executable, "-m", "sdr2hdr", "nosuch"], capture_output=True, text=True
    )
    assert done.returncode == 2
    assert "No such command" in done.stderr
