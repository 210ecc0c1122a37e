"""Files that appear under their name whole or not at all, and names that no file can have."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path

from sdr2hdr.errors import OutputError

__all__ = [
    "check_can_be_a_file",
    "check_is_new",
    "is_taken",
    "set_usual_permissions",
    "write_whole",
]

_NAMED_CHARACTERS = 40
"""Of a file's name in that of the unfinished one; four bytes each in UTF-8, at most."""


def write_whole(path: Path, content: bytes) -> None:
    """Write a file that appears whole or not at all; an existing one is replaced.

    Raises:
        OSError: The folder is missing or not writable, or the disk is full.
    """
    # A name may be as long as the file system lets it; what is put to it must fit too.
    prefix = f".{path.name[:_NAMED_CHARACTERS]}."
    descriptor, name = tempfile.mkstemp(prefix=prefix, dir=path.parent)
    unfinished = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            # Else a power cut could leave the name with nothing behind it.
            os.fsync(file.fileno())
        set_usual_permissions(unfinished)
        unfinished.replace(path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise


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
    return target.exists() or target.is_symlink()


def _why_no_file(target: Path) -> str:
    """What keeps a file from having a name; "" if nothing does."""
    folder = target.parent
    try:
        if not folder.is_dir():
            return f"the folder {folder} does not exist"
        if target.is_dir():
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
    return target.exists() and not target.is_file() and not target.is_dir()


def set_usual_permissions(path: Path) -> None:
    """Undo the privacy of a temporary file: the permissions a new file gets by the umask.

    Network shares and sticks are often mounted so that every file belongs to somebody else, with
    permissions of the mount's own; nobody may change them there, and nobody need.
    """
    umask = os.umask(0)
    os.umask(umask)
    with suppress(OSError):
        path.chmod(0o666 & ~umask)
