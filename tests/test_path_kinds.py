"""What cannot be looked at is not taken for nothing, whatever the version of Python says."""

from __future__ import annotations

from pathlib import Path

import pytest

from sdr2hdr.path_kinds import exists, is_file, is_folder
from sdr2hdr.whole_file import is_taken


def test_kinds(tmp_path: Path):
    file, folder, link = tmp_path / "file", tmp_path / "folder", tmp_path / "link"
    file.touch()
    folder.mkdir()
    link.symlink_to(file)
    kinds = {path: (exists(path), is_file(path), is_folder(path)) for path in (file, folder, link)}
    assert kinds == {
        file: (True, True, False),
        folder: (True, False, True),
        link: (True, True, False),
    }


def test_nothing_there(tmp_path: Path):
    (tmp_path / "file").touch()
    (tmp_path / "to_itself").symlink_to(tmp_path / "to_itself")
    (tmp_path / "to_nothing").symlink_to(tmp_path / "nothing")
    for name in ("nothing", "file/inside", "to_itself", "to_nothing", "zero\0byte"):
        path = tmp_path / name
        assert (exists(path), is_file(path), is_folder(path)) == (False, False, False), name


@pytest.mark.parametrize("ask", [exists, is_file, is_folder, is_taken])
def test_what_cannot_be_looked_at(tmp_path: Path, ask):
    with pytest.raises(OSError, match="too long"):
        ask(tmp_path / ("n" * 300))
