"""What there is under a path: nothing only where that is known.

From Python 3.14 on the methods of `Path` take whatever keeps a path from being looked at (a name
that is too long, a folder that may not be entered, storage that does not answer) for nothing there.
"""

from __future__ import annotations

import errno
import stat
from pathlib import Path

__all__ = ["exists", "is_file", "is_folder"]

_NOTHING_THERE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.EBADF, errno.ELOOP})


def exists(path: Path) -> bool:
    """Whether there is something, behind links.

    Raises:
        OSError: It cannot be told.
    """
    return _mode(path) is not None


def is_folder(path: Path) -> bool:
    """Whether there is a folder, behind links.

    Raises:
        OSError: It cannot be told.
    """
    return stat.S_ISDIR(_mode(path) or 0)


def is_file(path: Path) -> bool:
    """Whether there is a regular file, behind links.

    Raises:
        OSError: It cannot be told.
    """
    return stat.S_ISREG(_mode(path) or 0)


def _mode(path: Path) -> int | None:
    try:
        return path.stat().st_mode
    except ValueError:
        # A zero byte, which no name has.
        return None
    except OSError as error:
        if error.errno in _NOTHING_THERE:
            return None
        raise
