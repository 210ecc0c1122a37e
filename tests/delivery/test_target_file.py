"""The final name, and what lies beside it until the file is whole."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from sdr2hdr.delivery.light_log import check_log_is_new
from sdr2hdr.delivery.target_file import check_target, publish, unfinished_file
from sdr2hdr.errors import OutputError
from sdr2hdr.whole_file import write_whole

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


def test_a_link_to_a_place_that_is_away_is_not_replaced(tmp_path: Path):
    """A film that lies on a share which is not mounted now is still somebody's."""
    link, source = tmp_path / "film.mkv", tmp_path / "source.mp4"
    link.symlink_to(tmp_path / "share" / "film.mkv")
    with pytest.raises(OutputError, match="exists already; --overwrite"):
        check_target(source, link, overwrite=False)
    with pytest.raises(OutputError, match="exists already; --overwrite"):
        check_log_is_new(link, overwrite=False)
    with unfinished_file(link, None) as unfinished:
        with pytest.raises(OutputError, match="has appeared meanwhile"):
            publish(unfinished, link, overwrite=False)
        assert link.is_symlink()
        check_target(source, link, overwrite=True)
        publish(unfinished, link, overwrite=True)
    assert not link.is_symlink()


def test_where_the_mount_says_whose_files_are_the_name_is_given_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """A share mounted for another user, who all may write for, as `uid=` and `file_mode=` do."""

    def chmod(path: Path, mode: int) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(Path, "chmod", chmod)
    target = tmp_path / "film.mkv"
    with unfinished_file(target, None) as unfinished:
        unfinished.write_bytes(b"whole")
        publish(unfinished, target, overwrite=False)
    write_whole(tmp_path / "graph.onnx", b"whole")
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"whole"] * 2


def test_a_file_keeps_its_content_until_the_next_is_on_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """After a power cut there could be a name with nothing behind it."""
    path = tmp_path / "irnet2.safetensors"
    path.write_bytes(b"old")

    def fsync(number: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(OSError, match="Input/output"):
        write_whole(path, b"new")
    assert [(each, each.read_bytes()) for each in tmp_path.iterdir()] == [(path, b"old")]


@pytest.mark.parametrize("name", ["n" * 255, "\u00fc" * 127])
def test_the_longest_name_can_be_written(tmp_path: Path, name: str):
    """It was refused when all was computed: the unfinished file's name was too long."""
    write_whole(tmp_path / name, b"whole")
    assert [(each.name, each.read_bytes()) for each in tmp_path.iterdir()] == [(name, b"whole")]


def test_a_file_system_that_syncs_no_folders_is_good_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    real = os.fsync

    def fsync(number: int) -> None:
        if stat.S_ISDIR(os.fstat(number).st_mode):
            raise OSError(errno.EINVAL, "Invalid argument")
        real(number)

    monkeypatch.setattr(os, "fsync", fsync)
    write_whole(tmp_path / "plan.json", b"{}")
    assert (tmp_path / "plan.json").read_text() == "{}"
    target = tmp_path / "out.mkv"
    with unfinished_file(target, None) as unfinished:
        publish(unfinished, target, overwrite=False)
    assert target.exists()


def test_a_name_is_brought_to_the_disk_after_it_is_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """A power cut could take back a name that only the system's memory has."""
    target = tmp_path / "out.json"
    real, synced = os.fsync, []

    def fsync(number: int) -> None:
        if stat.S_ISDIR(os.fstat(number).st_mode):
            synced.append(target.exists())
        real(number)

    monkeypatch.setattr(os, "fsync", fsync)
    write_whole(target, b"whole")
    assert synced[-1:] == [True]
    target.unlink()
    with unfinished_file(target, None) as unfinished:
        publish(unfinished, target, overwrite=False)
    assert synced[1:] == [True]


@pytest.fixture
def far(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that seems to lie on another file system."""
    folder = tmp_path / "far"
    folder.mkdir()
    of = Path.stat

    def stat(path: Path, **about: bool) -> os.stat_result:
        found = list(of(path, **about))
        if path.is_relative_to(folder):
            found[2] += 1  # st_dev
        return os.stat_result(found)

    monkeypatch.setattr(Path, "stat", stat)
    return folder


def test_a_file_of_another_file_system_is_copied_and_then_named(tmp_path: Path, far: Path):
    whole, target = far / "whole", tmp_path / "film.mkv"
    whole.write_bytes(b"film")
    told: list[Path] = []

    def on_whole(beside: Path) -> None:
        assert (beside.parent, beside.read_bytes()) == (tmp_path, b"film")
        assert not target.exists()
        told.append(beside)

    publish(whole, target, overwrite=False, on_whole=on_whole)
    assert target.read_bytes() == b"film"
    assert len(told) == 1
    with pytest.raises(OutputError, match="has appeared meanwhile"):
        publish(whole, target, overwrite=False)
    assert sorted(tmp_path.iterdir()) == [far, target]
