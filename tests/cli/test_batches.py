"""Several inputs in one command: what fails or stops, and what goes on."""

from __future__ import annotations

import json
import shutil
import signal
from pathlib import Path

import pytest
from commands import QUICK, call, written

from sdr2hdr.cli.job_news import ConsoleListener


def test_batch_goes_on_after_a_failure(
    clip: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
):
    bad = written(tmp_path / "bad.mp4", b"no video")
    folder = tmp_path / "out"
    folder.mkdir()
    code, _, err = call(capfd, "convert", bad, clip, "--out-dir", folder, *QUICK)
    assert code == 8
    assert "1 succeeded, 1 failed." in err
    assert err.count(str(bad)) == 1
    assert [path.name for path in folder.iterdir()] == ["clip_hdr.mp4"]


@pytest.mark.parametrize(
    ("name", "codec", "output"),
    [
        ("clip.mp4", "ffv1", "clip_hdr.mkv"),
        ("clip.mp4", "dnxhr-hqx", "clip_hdr.mov"),
        ("clip.m4v", "hevc", "clip_hdr.m4v"),
        ("clip.avi", "hevc", "clip_hdr.mkv"),
    ],
)
def test_a_batch_takes_containers_that_hold_the_codec(
    clip: Path,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    name: str,
    codec: str,
    output: str,
):
    """An MP4 of a batch was to become an MP4 of FFV1, which was refused; an M4V became Matroska."""
    clip = clip.rename(tmp_path / name)
    batch = ("convert", clip, "--out-dir", tmp_path, "--codec", codec, "--dry-run", "--json")
    code, out, err = call(capfd, *batch)
    assert code == 0, err
    assert json.loads(out.splitlines()[-1])["output"] == str(tmp_path / output)


def test_a_missing_folder_of_a_batch_is_said_once(
    clip: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
):
    folder = tmp_path / "out"
    code, _, err = call(capfd, "convert", clip, tmp_path / "b.mp4", "--out-dir", folder, *QUICK)
    assert code == 5
    assert err.splitlines() == [
        f"error: The folder {folder} does not exist; create it or change --out-dir."
    ]


def test_batch_goes_on_after_a_fault_of_ours(
    clip: Path,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
):
    from sdr2hdr.jobs import published
    from sdr2hdr.options import ConvertOptions

    odd, folder = shutil.copyfile(clip, tmp_path / "odd.mp4"), tmp_path / "out"
    folder.mkdir()
    real = published.prepare

    def prepare(source: Path, target: Path, options: ConvertOptions, tile_px: int | None = None):
        if source == odd:
            raise RuntimeError("a fault made by the test")
        return real(source, target, options, tile_px)

    monkeypatch.setattr(published, "prepare", prepare)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    batch = ("convert", odd, clip, "--out-dir", folder, *QUICK, "--json")
    code, out, err = call(capfd, *batch)
    assert code == 8
    assert "1 succeeded, 1 failed." in err and f"error: {odd}: This is a fault of sdr2hdr" in err
    assert (folder / f"{clip.stem}_hdr.mp4").exists()
    fault = next(e for e in map(json.loads, out.splitlines()) if e["event"] == "error")
    assert (fault["input"], fault["exit_code"]) == (str(odd), 1)
    assert "a fault made by the test" in Path(fault["log"]).read_text()


def test_an_interrupted_batch_goes_on_with_what_is_missing(
    clip: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
):
    other, folder = shutil.copyfile(clip, tmp_path / "other.mp4"), tmp_path / "out"
    folder.mkdir()
    there = written(folder / f"{clip.stem}_hdr.mp4", b"an earlier result")
    batch = ("convert", clip, other, "--out-dir", folder, *QUICK)
    code, out, err = call(capfd, *batch, "--skip-existing", "--json")
    assert code == 0
    assert "1 succeeded, 1 skipped, 0 failed." in err
    events = [json.loads(line) for line in out.splitlines()]
    assert events[0] == {"event": "skipped", "input": str(clip), "output": str(there)}
    assert [e["input"] for e in events if e["event"] == "done"] == [str(other)]
    assert there.read_bytes() == b"an earlier result"
    assert (folder / "other_hdr.mp4").exists()
    alone = call(capfd, "convert", clip, there, *QUICK, "--skip-existing")
    assert (alone[0], alone[1]) == (0, "")
    assert "skipped" in alone[2]
    assert call(capfd, *batch, "--skip-existing", "--overwrite")[0] == 2
    assert there.read_bytes() == b"an earlier result"


def test_a_stop_ends_the_batch(
    clip: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    other, folder = shutil.copyfile(clip, tmp_path / "other.mp4"), tmp_path / "out"
    folder.mkdir()
    monkeypatch.setattr(ConsoleListener, "planned", lambda *_: signal.raise_signal(signal.SIGTERM))
    monkeypatch.setattr("sdr2hdr.jobs.stopping.DRAIN_SECONDS", -1.0)
    code, out, err = call(capfd, "convert", clip, other, "--out-dir", folder, *QUICK, "--json")
    assert code == 143
    assert "fault" not in err
    events = [json.loads(line) for line in out.splitlines()]
    assert {event["input"] for event in events if "input" in event} == {str(clip)}
    assert (events[-1]["event"], events[-1]["exit_code"]) == ("stopped", 143)


def test_a_stop_that_comes_too_late_for_one_file_ends_the_batch_behind_it(
    clip: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    other, folder = shutil.copyfile(clip, tmp_path / "other.mp4"), tmp_path / "out"
    folder.mkdir()
    monkeypatch.setattr(
        ConsoleListener, "published", lambda *_: signal.raise_signal(signal.SIGTERM)
    )
    batch = ("convert", clip, other, "--out-dir", folder, *QUICK)
    code, _, err = call(capfd, *batch)
    assert code == 143
    assert f"Stopped before {other}" in err and "--skip-existing" in err
    assert [path.name for path in folder.iterdir()] == ["clip_hdr.mp4"]
    code, _, _ = call(capfd, "convert", clip, tmp_path / "alone.mp4", *QUICK)
    assert code == 0, "it is whole"


def test_batch_refuses_two_inputs_with_one_name(
    clip: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
):
    other = tmp_path / "other"
    other.mkdir()
    code, _, err = call(capfd, "convert", clip, other / "clip.mp4", "--out-dir", other, *QUICK)
    assert code == 2
    assert "would both become" in err


@pytest.mark.parametrize("is_link", [False, True])
def test_batch_overwrites_none_of_its_inputs(
    clip: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], is_link: bool
):
    folder = tmp_path / "folder"
    folder.mkdir()
    second = written(folder / f"{clip.stem}_hdr.mp4", clip.read_bytes())
    given = second
    if is_link:
        given = tmp_path / "second.mp4"
        given.symlink_to(second)
    batch = ("convert", clip, given, "--out-dir", folder, *QUICK)
    code, _, err = call(capfd, *batch, "--overwrite")
    assert code == 2 and "which is an input too" in err and str(second) in err
    assert second.read_bytes() == clip.read_bytes()
    assert list(folder.iterdir()) == [second]
    # What is skipped overwrites nothing.
    assert (
        call(capfd, "convert", clip, second, "--out-dir", folder, *QUICK, "--skip-existing")[0] == 0
    )
