"""The final name: checked before the work, taken only when the file is whole."""

from __future__ import annotations

import os
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sdr2hdr.errors import OutputError
from sdr2hdr.path_kinds import is_folder
from sdr2hdr.whole_file import check_can_be_a_file, check_is_new, is_taken, sync_folder

__all__ = [
    "abandoned_files",
    "check_folder",
    "check_target",
    "is_same_file",
    "publish",
    "unfinished_file",
]

_UNFINISHED_NAME = re.compile(r"\.(?P<stem>.+)\.[a-z0-9_]{8}\.partial(?P<suffix>(\.[^.]+)?)")
"""As `unfinished_file` names them: `tempfile` puts eight of these characters in the middle."""


_LONGEST_NAME_BYTES = 255
"""Of a file's name on the usual file systems."""


def check_target(source: Path, target: Path, *, overwrite: bool) -> None:
    """Refuse a target that cannot or must not be written, before any work is done.

    Raises:
        OutputError: The target is the source, a folder, there already without `overwrite`, or in
            a folder that does not exist or cannot be written to, or no file can have its name.
    """
    check_can_be_a_file(target)
    if is_same_file(target, source):
        raise OutputError(f"{target} is the input itself; an input is never overwritten.")
    check_is_new(target, overwrite=overwrite)


def check_folder(folder: Path, option: str) -> None:
    """Refuse a folder to write into that is not there.

    Args:
        folder: As given.
        option: With which it was given.

    Raises:
        OutputError: It is not, or its name is none that the file system takes.
    """
    try:
        if is_folder(folder):
            return
    except OSError as error:
        raise OutputError(
            f"{folder} cannot be a folder: {error.strerror}; {option} names another."
        ) from error
    raise OutputError(f"The folder {folder} does not exist; create it or change {option}.")


def is_same_file(first: Path, second: Path) -> bool:
    """Whether two names are of one file that is there; links of either kind count."""
    try:
        return first.samefile(second)
    except OSError:
        return False


@contextmanager
def unfinished_file(target: Path, temp_dir: Path | None) -> Iterator[Path]:
    """Give a name to write to until the file is whole; whatever is left of it is removed.

    What a killed run has left of the same target is removed as well: it may be as large as a film.

    Args:
        target: The final name; the unfinished one ends in the same suffix.
        temp_dir: Folder of the unfinished file; None is the target's own.

    Yields:
        Path of an empty file, hidden and unlike any other.

    Raises:
        OutputError: No file can be made there.
    """
    folder = target.parent if temp_dir is None else temp_dir
    stem = _stem_that_fits(target)
    for path, other in abandoned_files(folder):
        if other.name == f"{stem}{target.suffix}":
            with suppress(OSError):
                path.unlink(missing_ok=True)
    try:
        number, name = tempfile.mkstemp(
            prefix=f".{stem}.", suffix=f".partial{target.suffix}", dir=folder
        )
    except OSError as error:
        raise OutputError(
            f"No file can be written in {folder}: {error.strerror}. "
            "--temp-dir names another folder."
        ) from error
    unfinished = Path(name)
    # Held while somebody writes, whatever ends them, so that what is left of it can be told from
    # what is being written. Windows would not rename a file that is open.
    if sys.platform == "win32":
        os.close(number)
    try:
        if sys.platform != "win32":
            _take(number)
        yield unfinished
    finally:
        # What cannot be removed now is, by the next run; it must not hide what went wrong.
        with suppress(OSError):
            unfinished.unlink(missing_ok=True)
        if sys.platform != "win32":
            os.close(number)


def _stem_that_fits(target: Path) -> str:
    """As much of a name as leaves room for what is put to it: it may be full to its last byte."""
    room_bytes = _LONGEST_NAME_BYTES - len("..12345678.partial") - len(os.fsencode(target.suffix))
    stem = target.stem
    while len(os.fsencode(stem)) > room_bytes:
        stem = stem[:-1]
    return stem


def abandoned_files(folder: Path) -> Iterator[tuple[Path, Path]]:
    """Find files of `unfinished_file` that nobody writes any more: a kill leaves them.

    On Windows it cannot be told whether somebody still does, and none is found.

    Args:
        folder: Where to look, not in those below it.

    Yields:
        The file, and the target that it would have become.
    """
    if sys.platform == "win32":
        return
    for path in sorted(folder.glob(".*.partial*")):
        name = _UNFINISHED_NAME.fullmatch(path.name)
        if name is None or not path.is_file() or path.is_symlink():
            continue
        try:
            with path.open("r+b") as file:
                is_free = _take(file.fileno())
        except OSError:
            continue
        if is_free:
            yield path, folder / f"{name['stem']}{name['suffix']}"


def _take(number: int) -> bool:
    """Lock an open file; False if somebody else has, or if the file system has no locks."""
    import fcntl

    with suppress(OSError):
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    return False


def publish(
    unfinished: Path,
    target: Path,
    *,
    overwrite: bool,
    on_whole: Callable[[Path], None] = lambda unfinished: None,
) -> None:
    """Bring a whole file to the disk for good and give it its final name, in one step.

    A file from another file system is first copied beside the target, so that the final name
    never shows half a file.

    Args:
        unfinished: The whole file.
        target: The final name.
        overwrite: Replace what has that name.
        on_whole: Told the file that is going to be renamed, when nothing changes it any more.

    Raises:
        OutputError: The target has appeared meanwhile without `overwrite`, or cannot be written.
    """
    try:
        if unfinished.stat().st_dev != target.parent.stat().st_dev:
            with unfinished_file(target, None) as beside:
                shutil.copyfile(unfinished, beside)
                publish(beside, target, overwrite=overwrite, on_whole=on_whole)
            return
        with unfinished.open("rb") as written:
            os.fsync(written.fileno())
        if is_taken(target) and not overwrite:
            raise OutputError(f"{target} has appeared meanwhile; --overwrite replaces it.")
        _set_usual_permissions(unfinished)
        on_whole(unfinished)
        unfinished.replace(target)
        sync_folder(target.absolute().parent)
    except OSError as error:
        raise OutputError(f"{target} cannot be written: {error.strerror}.") from error


def _set_usual_permissions(path: Path) -> None:
    """Undo the privacy of a temporary file: the permissions a new file gets by the umask.

    Network shares and sticks are often mounted so that every file belongs to somebody else, with
    permissions of the mount's own; nobody may change them there, and nobody need.
    """
    umask = os.umask(0)
    os.umask(umask)
    with suppress(OSError):
        path.chmod(0o666 & ~umask)
