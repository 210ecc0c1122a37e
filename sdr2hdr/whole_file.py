"""Files that appear under their name whole or not at all, and names that no file can have."""

from __future__ import annotations

import errno
import os
import uuid
from pathlib import Path

from sdr2hdr.errors import OutputError
from sdr2hdr.path_kinds import exists, is_file, is_folder

__all__ = [
    "UNFINISHED_SUFFIX",
    "check_can_be_a_file",
    "check_is_new",
    "is_taken",
    "keep",
    "sync_folder",
    "unfinished_name",
    "write_whole",
]

UNFINISHED_SUFFIX = ".partial"
_NAMED_CHARACTERS = 40
"""Of a file's name in that of the unfinished one; four bytes each in UTF-8, at most."""


def write_whole(path: Path, content: bytes) -> None:
    """Write a file that appears whole or not at all; an existing one is replaced.

    Raises:
        OSError: The folder is missing or not writable, or the disk is full.
    """
    unfinished = unfinished_name(path)
    try:
        unfinished.write_bytes(content)
        keep(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)


def unfinished_name(path: Path) -> Path:
    """A hidden name beside a file for what is not whole yet, unlike any other.

    Drawn, since containers that see one storage may share host name and process numbers.
    """
    # A name may be as long as the file system lets it; what is put to it must fit too.
    name = path.name[:_NAMED_CHARACTERS]
    return path.with_name(f".{name}.{uuid.uuid4().hex[:16]}{UNFINISHED_SUFFIX}")


def keep(unfinished: Path, path: Path) -> None:
    """Give a whole file its name: its bytes first, then the name, then the folder's entry.

    Raises:
        OSError: The disk does not take it.
    """
    # Else a power cut could leave the name with nothing behind it.
    with unfinished.open("rb") as file:
        os.fsync(file.fileno())
    unfinished.replace(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Bring the names in a folder to the disk.

    Raises:
        OSError: The disk does not take them.
    """
    if os.name == "nt":
        # Windows has no handle of a folder that could be flushed; NTFS journals the entry.
        return
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    except OSError as error:
        # A file system that cannot do that for folders, as those that virtual machines share.
        if error.errno != errno.EINVAL:
            raise
    finally:
        os.close(number)


def check_can_be_a_file(
    target: Path, *, kind: str = "", remedy: str = "name another output"
) -> None:
    """Refuse a name whose folder is missing or not writable, or which is no file's.

    Args:
        target: The name.
        kind: What the file is, to begin the message with; "" where it is the output.
        remedy: What to do about it, to end the message with.

    Raises:
        OutputError: It is one of these.
    """
    why = _why_no_file(target)
    if why:
        what = f"{kind} {target}" if kind else str(target)
        raise OutputError(f"{what} cannot be written: {why}; {remedy}.")


def check_is_new(target: Path, *, overwrite: bool) -> None:
    """Refuse a name that is taken.

    Raises:
        OutputError: It is, without `overwrite`.
    """
    if is_taken(target) and not overwrite:
        raise OutputError(f"{target} exists already; --overwrite replaces it.")


def is_taken(target: Path) -> bool:
    """Whether something has a name; a link counts, whether or not what it names is there now."""
    return exists(target) or target.is_symlink()


def _why_no_file(target: Path) -> str:
    """What keeps a file from having a name; "" if nothing does."""
    folder = target.parent
    try:
        if not is_folder(folder):
            return f"the folder {folder} does not exist"
        if is_folder(target):
            return "it is a folder"
        if _is_no_file(target):
            return "it is a device or a pipe, which no file replaces"
        return "" if os.access(folder, os.W_OK) else f"the folder {folder} is not writable"
    except OSError as error:
        # A name that is too long for its file system, for one.
        return str(error.strerror)


def _is_no_file(target: Path) -> bool:
    """Whether a name is that of a device, a pipe or a socket, which no file may replace.

    The whole system has need of `/dev/null`, and whoever may write to its folder could replace it.
    `/dev/stdout` is a link to what a process has open: it counts even where that is a file.
    """
    if target.is_symlink() and Path("/proc") in target.readlink().parents:
        return True
    return exists(target) and not is_file(target) and not is_folder(target)
