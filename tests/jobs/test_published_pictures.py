"""A run that was killed while its pictures got their names, and the same command after it."""

from __future__ import annotations

import dataclasses
import errno
import itertools
import json
import shutil
from pathlib import Path

import pytest
from long_clips import OPTIONS, Ears, Killed, convert_as_command, make_source

from sdr2hdr.cli import run as run_command
from sdr2hdr.errors import OutputError
from sdr2hdr.jobs import run
from sdr2hdr.options import ConvertOptions, JobOptions

FRAMES = 6


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_source(tmp_path_factory.mktemp("source"), FRAMES)


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "out_%03d.png"


def killed_while_naming(
    source: Path, target: Path, named: int, options: ConvertOptions = OPTIONS
) -> None:
    """Run until some pictures have their names."""
    real, names = Path.replace, itertools.count()

    def replace(path: Path, other: Path) -> Path:
        if path.suffix == target.suffix and next(names) == named:
            raise Killed
        return real(path, other)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "replace", replace)
        with pytest.raises(Killed):
            convert_as_command(source, target, options)
    assert len(shown(target)) == named


def shown(target: Path) -> list[str]:
    return sorted(path.name for path in target.parent.glob(f"out_*{target.suffix}"))


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def refuse_work(monkeypatch: pytest.MonkeyPatch) -> None:
    def work(*args: object, **named: object) -> None:
        raise AssertionError("The pictures are converted again.")

    monkeypatch.setattr(run, "convert_directly", work)


@pytest.mark.parametrize("named", [0, 1, FRAMES - 1])
def test_the_same_command_names_the_rest(
    source: Path, target: Path, named: int, monkeypatch: pytest.MonkeyPatch
):
    log, ears = target.with_name("light.csv"), Ears()
    options = dataclasses.replace(OPTIONS, light_log=log)
    whole = convert_as_command(source, target, options)
    expected = contents(target.parent)
    for name in expected:
        target.with_name(name).unlink()
    killed_while_naming(source, target, named, options)
    refuse_work(monkeypatch)
    summary = convert_as_command(source, target, options, ears=ears)
    assert contents(target.parent) == expected
    assert sorted(path.name for path in target.parent.iterdir()) == sorted(expected)
    assert (summary.frames, summary.resumed_frames) == (FRAMES, FRAMES)
    assert (summary.light, summary.size_bytes) == (whole.light, whole.size_bytes)
    assert "whole" in ears.text


def test_the_command_says_done(source: Path, target: Path, capfd: pytest.CaptureFixture[str]):
    command = ["convert", str(source), str(target), "--model", "bt2408", "--json"]
    real = Path.replace

    def replace(path: Path, other: Path) -> Path:
        if path.name == "out_003.png":
            raise OSError(errno.EIO, "the disk is away")
        return real(path, other)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "replace", replace)
        assert run_command(command) == 5
    assert len(shown(target)) == 2
    capfd.readouterr()
    assert run_command(command) == 0
    done = json.loads(capfd.readouterr().out.splitlines()[-1])
    assert (done["event"], done["frames"], done["resumed_frames"]) == ("done", FRAMES, FRAMES)
    assert run_command(command) == 5, "nothing tells any more whose it is"


def test_overwriting_goes_on_and_leaves_nothing_old(
    source: Path, target: Path, monkeypatch: pytest.MonkeyPatch
):
    options = dataclasses.replace(OPTIONS, overwrite=True)
    target.with_name("out_099.png").write_text("old")
    killed_while_naming(source, target, 2, options)
    target.with_name("out_005.png").write_text("older")
    refuse_work(monkeypatch)
    convert_as_command(source, target, options)
    assert len(shown(target)) == FRAMES
    assert all(data.startswith(b"\x89PNG") for data in contents(target.parent).values())


@pytest.mark.parametrize("name", ["out_005.png", "out_001.png", "out_0099.png"])
def test_no_other_picture_is_replaced(source: Path, target: Path, name: str):
    killed_while_naming(source, target, 2)
    target.with_name(name).write_text("precious")
    held = contents(target.parent)
    with pytest.raises(OutputError, match="--overwrite replaces"):
        convert_as_command(source, target)
    assert contents(target.parent) == held
    (unnamed,) = target.parent.glob(".out*.partial")
    assert len(list(unnamed.glob("*.png"))) == FRAMES - 2


def test_another_command_does_not_take_the_pictures_for_its_own(source: Path, target: Path):
    killed_while_naming(source, target, 2)
    with pytest.raises(OutputError, match="exists already, and"):
        convert_as_command(source, target, dataclasses.replace(OPTIONS, scale=2))
    with pytest.raises(OutputError, match="exists already, and"):
        convert_as_command(source, target, job=JobOptions(resume=False))
    other = source.with_name("other.mp4")
    shutil.copy(make_source(target.parent, FRAMES - 1), other)
    with pytest.raises(OutputError, match="exists already, and"):
        convert_as_command(other, target)
    # None of them has taken the rest away.
    convert_as_command(source, target)
    assert len(shown(target)) == FRAMES


def test_clean_keeps_what_others_of_the_sequence_have_names_for(
    source: Path, target: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    killed_while_naming(source, target, named=2)
    (left,) = target.parent.glob(".out_*.partial")
    assert run_command(["clean", str(target.parent)]) == 0
    said = capfd.readouterr().err
    assert f"{left} is kept" in said and "names the rest" in said
    refuse_work(monkeypatch)
    convert_as_command(source, target, OPTIONS)
    assert len(shown(target)) == FRAMES
    assert not left.exists()


def test_a_disk_that_is_full_at_the_end_promises_nothing(
    source: Path, target: Path, monkeypatch: pytest.MonkeyPatch
):
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("sdr2hdr.jobs.published.write_whole", full)
    with pytest.raises(OutputError) as told:
        convert_as_command(source, target, OPTIONS)
    assert str(told.value) == f"{target} cannot be written: No space left on device."
    assert not list(target.parent.iterdir())
