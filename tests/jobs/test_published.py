"""A run that was killed when its output had got its name already, and the same command after it."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
from pathlib import Path

import pytest
from long_clips import (
    FRAMES,
    OPTIONS,
    Ears,
    Killed,
    before_segment,
    convert_as_command,
    make_source,
    use_short_segments,
)

from sdr2hdr.cli import run as run_command
from sdr2hdr.delivery import target_file
from sdr2hdr.errors import OutputError
from sdr2hdr.jobs import run
from sdr2hdr.jobs.planning import make_plan
from sdr2hdr.jobs.published import known_output
from sdr2hdr.jobs.work_folder import WorkFolder
from sdr2hdr.options import ConvertOptions, JobOptions
from sdr2hdr.pipeline import prepare

pytestmark = pytest.mark.usefixtures("short_segments")


def killed_behind_the_name(
    source: Path, target: Path, options: ConvertOptions = OPTIONS, after_removals: int = 0
) -> None:
    """Run until the output has its name, and some files of the work folder are gone."""
    real, removals = Path.unlink, iter(range(after_removals))
    folder = WorkFolder.of(target, options.temp_dir)

    def unlink(path: Path, missing_ok: bool = False) -> None:
        clearing = path.parent == folder.path and path.suffix != ".partial"
        if clearing and target.exists() and path != folder.merged and next(removals, None) is None:
            raise Killed
        real(path, missing_ok=missing_ok)

    with pytest.MonkeyPatch.context() as patch:
        use_short_segments(patch)
        patch.setattr(Path, "unlink", unlink)
        with pytest.raises(Killed):
            run.convert(prepare(source, target, options))
    assert target.exists() and folder.path.is_dir()


def refuse_work(monkeypatch: pytest.MonkeyPatch) -> None:
    def act(segment, conversion) -> None:
        raise AssertionError("A segment is converted again.")

    before_segment(monkeypatch, act)


# The plan goes first; then ten files of five segments and the log's hash; then what is tested here.
@pytest.mark.parametrize("after_removals", [0, 1, 7, 12])
def test_the_same_command_ends_what_was_killed_behind_the_name(
    source: Path, tmp_path: Path, after_removals: int, monkeypatch: pytest.MonkeyPatch
):
    target, log = tmp_path / "out.mkv", tmp_path / "light.csv"
    options = dataclasses.replace(OPTIONS, verify_roundtrip=True, light_log=log)
    killed_behind_the_name(source, target, options, after_removals)
    made, ears = target.read_bytes(), Ears()
    refuse_work(monkeypatch)
    summary = convert_as_command(source, target, options, ears=ears)
    assert (summary.frames, summary.resumed_frames) == (FRAMES, FRAMES)
    assert summary.size_bytes == len(made)
    assert [shot.score.frames for shot in summary.roundtrips] == [FRAMES]
    assert summary.flicker and summary.light.max_cll > 0
    assert "whole" in ears.text
    assert target.read_bytes() == made
    assert sorted(path.name for path in tmp_path.iterdir()) == [log.name, target.name]


def test_the_command_says_done(source: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    target = tmp_path / "out.mkv"
    command = ["convert", str(source), str(target), "--model", "bt2408", "--json"]
    real = WorkFolder.clear

    def killed(folder: WorkFolder) -> None:
        if target.exists():
            raise Killed
        real(folder)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(WorkFolder, "clear", killed)
        with pytest.raises(Killed):
            run_command(command)
    capfd.readouterr()
    assert run_command([*command, "--dry-run"]) == 0
    capfd.readouterr()
    assert run_command(command) == 0
    done = json.loads(capfd.readouterr().out.splitlines()[-1])
    assert (done["event"], done["frames"], done["resumed_frames"]) == ("done", FRAMES, FRAMES)
    assert [path.name for path in tmp_path.iterdir()] == [target.name]
    # Nothing tells any more whose it is.
    assert run_command(command) == 5


def test_a_merge_of_a_plan_is_ended_too(
    source: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
):
    target, plan = tmp_path / "out.mkv", tmp_path / "plan.json"
    made = make_plan(prepare(source, target, OPTIONS))
    plan.write_text(made.to_json(), encoding="utf-8")
    segments = f"0-{len(made.segments) - 1}"
    node = ["convert", str(source), str(target), "--plan", str(plan), "--segments", segments]
    assert run_command(node) == 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(WorkFolder, "clear", lambda folder: (_ for _ in ()).throw(Killed()))
        with pytest.raises(Killed):
            run_command(["merge", str(plan), str(target)])
    # A node that is late converts nothing for an output that is whole.
    capfd.readouterr()
    assert run_command(node) == 5 and "exists already" in capfd.readouterr().err
    assert run_command(["merge", str(plan), str(target)]) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == [target.name, plan.name]


def written_over(target: Path) -> None:
    target.write_bytes(b"precious")


def replaced_by_a_copy(target: Path) -> None:
    copy = target.with_name("copy")
    shutil.copy2(target, copy)
    copy.replace(target)


def touched(target: Path) -> None:
    os.utime(target)


def replaced_by_a_link(target: Path) -> None:
    target.rename(target.with_name("moved.mkv"))
    target.symlink_to("moved.mkv")


@pytest.mark.parametrize("act", [written_over, replaced_by_a_copy, touched, replaced_by_a_link])
def test_no_other_file_is_taken_for_the_output(source: Path, tmp_path: Path, act):
    target = tmp_path / "out.mkv"
    killed_behind_the_name(source, target)
    act(target)
    held, folder = target.read_bytes(), WorkFolder.of(target, None)
    assert known_output(folder, target) is None
    with pytest.raises(OutputError, match="exists already; --overwrite"):
        convert_as_command(source, target)
    assert target.read_bytes() == held and folder.path.is_dir()


@pytest.mark.parametrize(
    "change", [{"dither": True}, {"robust_light_levels": True}, {"max_flicker": 5.0}]
)
def test_another_command_does_not_take_the_output_for_its_own(
    source: Path, tmp_path: Path, change: dict[str, object]
):
    target = tmp_path / "out.mkv"
    killed_behind_the_name(source, target)
    held = target.stat()
    other = dataclasses.replace(OPTIONS, **change)
    with pytest.raises(OutputError, match="exists already; --overwrite"):
        convert_as_command(source, target, other)
    with pytest.raises(OutputError, match="exists already; --overwrite"):
        convert_as_command(source, target, job=JobOptions(resume=False))
    assert target.stat() == held
    # `--overwrite` replaces it, as ever.
    convert_as_command(source, target, dataclasses.replace(other, overwrite=True))
    assert target.stat().st_ino != held.st_ino
    assert [path.name for path in tmp_path.iterdir()] == [target.name]


def test_another_source_does_not_take_the_output_for_its_own(source: Path, tmp_path: Path):
    own, target = tmp_path / "own.mp4", tmp_path / "out.mkv"
    shutil.copy(source, own)
    killed_behind_the_name(own, target)
    make_source(tmp_path, FRAMES - 1).replace(own)
    with pytest.raises(OutputError, match="exists already"):
        convert_as_command(own, target)


def test_an_output_that_was_copied_from_another_disk_is_known(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    target = tmp_path / "out.mkv"
    real = target_file.publish

    def copied(unfinished: Path, target: Path, **named) -> None:
        with target_file.unfinished_file(target, None) as beside:
            shutil.copyfile(unfinished, beside)
            real(beside, target, **named)

    with monkeypatch.context() as patch:
        patch.setattr("sdr2hdr.jobs.merge.publish", copied)
        killed_behind_the_name(source, target)
    refuse_work(monkeypatch)
    assert convert_as_command(source, target).frames == FRAMES
    assert [path.name for path in tmp_path.iterdir()] == [target.name]


def test_an_output_that_is_skipped_keeps_no_work(
    source: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
):
    target = tmp_path / "out.mkv"
    killed_behind_the_name(source, target)
    folder = WorkFolder.of(target, None).path
    command = ["convert", str(source), str(target), "--skip-existing"]
    assert run_command([*command, "--dry-run"]) == 0
    assert folder.is_dir()
    kept = tmp_path / "kept"
    shutil.copytree(folder, kept)
    assert run_command(command) == 0
    assert "skipped" in capfd.readouterr().err
    assert sorted(tmp_path.iterdir()) == [kept, target]
    # Of another output the work stays.
    shutil.copytree(kept, folder)
    target.write_bytes(b"somebody else's")
    assert run_command(command) == 0
    assert (folder / "published.json").is_file()
