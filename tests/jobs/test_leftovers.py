"""What runs leave behind that somebody has moved, or that they could not remove."""

from __future__ import annotations

import contextlib
import errno
import json
import os
from pathlib import Path

import pytest
from long_clips import Killed

from sdr2hdr.cli import run as run_command
from sdr2hdr.errors import OutputError
from sdr2hdr.jobs.leftovers import find_leftovers
from sdr2hdr.jobs.lock import lock_path, output_lock
from sdr2hdr.jobs.work_folder import WorkFolder
from sdr2hdr.whole_file import unfinished_name


def call(capfd: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    capfd.readouterr()
    code = run_command([str(argument) for argument in arguments])
    return code, *capfd.readouterr()


def work_folder(target: Path) -> WorkFolder:
    """A work folder beside an output, as a killed run leaves it."""
    target.parent.mkdir(exist_ok=True)
    folder = WorkFolder.of(target, None)
    folder.make()
    return folder


@pytest.mark.parametrize("original_stays", [True, False])
def test_clean_asks_the_lock_where_a_work_folder_has_been_moved_to(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], original_stays: bool
):
    work_folder(tmp_path / "before" / "out.mkv")
    (tmp_path / "before").rename(tmp_path / "now")
    if original_stays:
        (tmp_path / "before").mkdir()
    target = tmp_path / "now" / "out.mkv"
    folder = WorkFolder.of(target, None)
    with output_lock(target):
        code, _, err = call(capfd, "clean", target.parent)
        assert (code, folder.path.exists()) == (0, True) and "another run" in err
    code, out, _ = call(capfd, "clean", target.parent, "--json")
    assert (code, json.loads(out)["output"]) == (0, str(target))
    assert not folder.path.exists()


def test_a_work_folder_that_names_no_output_is_nobodys(tmp_path: Path):
    folder = work_folder(tmp_path / "out.mkv")
    (folder.path / "output.txt").write_bytes(b"")
    assert find_leftovers(tmp_path) == []


def test_a_work_folder_that_a_kill_left_before_it_says_whose_it_is_is_taken_up(tmp_path: Path):
    target = tmp_path / "out.mkv"
    folder = WorkFolder.of(target, None)
    folder.path.mkdir()
    unfinished_name(folder.path / "output.txt").touch()
    folder.make()
    assert WorkFolder.target_of(folder.path) == target


def test_a_kill_while_a_work_folder_is_removed_leaves_what_clean_knows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    folder = work_folder(tmp_path / "out.mkv")
    for index in range(20):
        (folder.path / f"{index:06d}.mp4").write_bytes(b"a segment")
    (folder.path / "a folder").mkdir()
    real = os.unlink

    def killed_at_the_fourth(*given, **named) -> None:
        if next(calls):
            raise Killed
        real(*given, **named)

    while folder.path.exists():
        # The plan and the known output, which are not there, count as well.
        calls = iter([False, False, False, True])
        with monkeypatch.context() as patch, contextlib.suppress(Killed):
            patch.setattr(os, "unlink", killed_at_the_fourth)
            folder.clear()
        left = find_leftovers(tmp_path)
        assert [each.path for each in left] == ([folder.path] if folder.path.exists() else [])


@pytest.mark.parametrize("name", ["plan.json", "000001.mp4.0123.partial"])
def test_what_cannot_be_removed_is_told(tmp_path: Path, name: str):
    folder = work_folder(tmp_path / "out.mkv")
    (folder.path / name).mkdir()
    with pytest.raises(OutputError, match=f"cannot be removed: .*{name}.*--temp-dir"):
        folder.remove_partials()
        folder.clear()
    assert find_leftovers(tmp_path)


def test_clean_goes_on_behind_what_cannot_be_removed(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
):
    stuck = [work_folder(tmp_path / name) for name in ("a.mkv", "c.mkv")]
    for folder in stuck:
        (folder.path / "plan.json").mkdir()
    others = [work_folder(tmp_path / name) for name in ("b.mkv", "d.mkv")]
    code, out, err = call(capfd, "clean", tmp_path, "--json")
    found = {
        Path(event["path"]): event["removed"] for event in map(json.loads, out.splitlines()[:4])
    }
    assert found == {
        **{folder.path: False for folder in stuck},
        **{folder.path: True for folder in others},
    }
    assert json.loads(out.splitlines()[4])["exit_code"] == code == 5
    assert "2 of 4 could not be removed" in err
    assert all(str(folder.path) in err for folder in stuck)
    assert not any(folder.path.exists() for folder in others)


def test_work_for_a_folder_that_is_gone_is_removed_by_its_name(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
):
    temporary, target = tmp_path / "temporary", tmp_path / "gone" / "out.mkv"
    temporary.mkdir()
    folder = WorkFolder.of(target, temporary)
    folder.make()
    # The lock may be held where that folder is seen.
    code, out, err = call(capfd, "clean", "--temp-dir", temporary, "--json")
    assert (code, json.loads(out)["removed"], folder.path.exists()) == (0, False, True)
    assert f"{target.parent} is not here" in err and f"`sdr2hdr clean {folder.path}`" in err
    target.parent.mkdir()
    with output_lock(target):
        code, _, err = call(capfd, "clean", folder.path)
        assert (code, folder.path.exists()) == (0, True) and "another run" in err
    target.parent.rmdir()
    code, out, _ = call(capfd, "clean", folder.path, "--json")
    assert (code, json.loads(out)["removed"], folder.path.exists()) == (0, True, False)


def test_a_lock_that_stays_is_not_said_to_be_removed(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    path = lock_path(tmp_path / "out.mkv")
    path.touch()

    def refuse(path: Path, missing_ok: bool = False) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", refuse)
        code, out, err = call(capfd, "clean", tmp_path, "--json")
    assert code == 5 and f"{path} cannot be removed" in err
    assert json.loads(out.splitlines()[0])["removed"] is False
    assert call(capfd, "clean", tmp_path)[0] == 0 and not path.exists()
