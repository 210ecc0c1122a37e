"""Keep two runs from working on one output.

The lock is the kernel's (flock; over NFS, Linux turns it into a lock of the server's), so it goes
when its process does, however that ends. The file beside the target only gives it a place, and
says who holds it.
"""

from __future__ import annotations

import errno
import json
import os
import socket
import stat
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

from sdr2hdr.errors import LockedError, OutputError

__all__ = ["LOCK_SUFFIX", "is_stale", "lock_path", "output_lock"]

LOCK_SUFFIX = ".sdr2hdr.lock"

_PATIENCE_SECONDS = 1.0
_BETWEEN_TRIALS_SECONDS = 0.02
"""A run that ends, and `clean`, hold a lock alone for a moment in which no other is refused."""

_BEHIND_THE_TEXT = 1 << 20
"""Windows keeps a locked byte from being read as well; who holds the lock must stay readable."""


def lock_path(target: Path) -> Path:
    """The file beside the target that is locked."""
    return target.with_name(f".{target.name}{LOCK_SUFFIX}")


def is_stale(path: Path) -> bool:
    """Whether a lock's file is there and no run holds it: a killed one leaves it.

    Args:
        path: As `lock_path` gives it.
    """
    try:
        with _opened(path) as file:
            return _take(file, shared=False)
    except (OSError, OutputError):
        return False


@contextmanager
def output_lock(target: Path, *, shared: bool = False) -> Iterator[None]:
    """Hold the lock of an output.

    Args:
        target: The output.
        shared: Only keep others from making the whole output, as runs do that convert some of its
            segments each.

    Raises:
        LockedError: Another run holds it.
        OutputError: There can be no lock there.
    """
    path = lock_path(target)
    file = _locked(path, target, shared=shared)
    try:
        yield
    finally:
        # Removed while it is held alone: who has opened it meanwhile finds that its name is gone.
        if not shared or _take(file, shared=False):
            with suppress(OSError):
                path.unlink(missing_ok=True)
        file.close()


def _locked(path: Path, target: Path, *, shared: bool) -> TextIO:
    patience_ends = time.monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            file = _opened(path, os.O_CREAT)
        except OSError as error:
            raise OutputError(
                f"{path} cannot be written: {error.strerror}; name another output."
            ) from error
        try:
            if not _take(file, shared=shared):
                if time.monotonic() > patience_ends:
                    raise LockedError(
                        f"{target} is being written by another run ({_holder(file)}); wait for it "
                        "to end, stop it, or name another output."
                    )
                time.sleep(_BETWEEN_TRIALS_SECONDS)
            elif _is_named(file, path):
                _sign(file)
                return file
        except BaseException:
            file.close()
            raise
        file.close()


def _opened(path: Path, create: int = 0) -> TextIO:
    """Open a lock's file; never what a link of its name leads to, which may be anybody's.

    Raises:
        OSError: It cannot be opened, or something else has its name.
    """
    flags = os.O_RDWR | os.O_APPEND | create | getattr(os, "O_NOFOLLOW", 0)
    number = os.open(path, flags, 0o666)
    if not stat.S_ISREG(os.fstat(number).st_mode):
        os.close(number)
        raise OSError(errno.EINVAL, "It is no file", str(path))
    return os.fdopen(number, "r+", encoding="utf-8")


def _take(file: TextIO, *, shared: bool) -> bool:
    """Lock an open file, or say that somebody else has."""
    if sys.platform == "win32":
        return _take_on_windows(file)
    import fcntl

    kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno == errno.EACCES:
            return False
        raise OutputError(
            f"{file.name} cannot be locked: {error.strerror}. The output's folder must be on a "
            "file system with locks; name another output."
        ) from error
    return True


def _take_on_windows(file: TextIO) -> bool:
    """Windows has no shared lock in the standard library: farms there lock one node out."""
    import msvcrt

    file.seek(_BEHIND_THE_TEXT)
    try:
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)  # pyright: ignore
    except OSError:
        return False
    return True


def _is_named(file: TextIO, path: Path) -> bool:
    """Whether the file that was opened is still the one of that name."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


def _sign(file: TextIO) -> None:
    """Say who holds the lock; a network file system tells nobody else.

    A full disk takes no name: the lock holds without one, and what comes next says what is wrong.
    """
    text = json.dumps({"pid": os.getpid(), "host": socket.gethostname(), "since": _now()})
    with suppress(OSError):
        os.truncate(file.fileno(), 0)
        os.write(file.fileno(), text.encode())


def _holder(file: TextIO) -> str:
    try:
        file.seek(0)
        said = json.loads(file.read())
        return f"process {said['pid']} on {said['host']}, since {said['since']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "which does not say its name"


def _now() -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S %z")
