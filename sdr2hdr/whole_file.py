"""Files that appear under their name whole or not at all."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path

__all__ = ["is_no_file", "is_taken", "set_usual_permissions", "write_whole"]


def write_whole(path: Path, content: bytes) -> None:
    """Write a file that appears whole or not at all; an existing one is replaced.

    Raises:
        OSError: The folder is missing or not writable, or the disk is full.
    """
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    unfinished = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        set_usual_permissions(unfinished)
        unfinished.replace(path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise


def is_taken(target: Path) -> bool:
    """Whether something has a name; a link counts, whether or not what it names is there now."""
    return target.exists() or target.is_symlink()


def is_no_file(target: Path) -> bool:
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
