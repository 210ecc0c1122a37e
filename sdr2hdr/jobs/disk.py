"""What is on a disk, whether it has room, and its errors in our own words."""

from __future__ import annotations

import errno
import hashlib
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sdr2hdr.errors import DiskFullError, OutputError

__all__ = ["free_bytes", "full_disk_told", "is_full", "sha256_of", "told"]

_FULL = (errno.ENOSPC, errno.EDQUOT)


def sha256_of(path: Path) -> str:
    """Hash of a file's content, hexadecimal.

    Raises:
        OSError: It cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def free_bytes(folder: Path) -> int:
    """Room on the disk of a folder, for this user.

    Raises:
        OutputError: The folder is gone.
    """
    with told(str(folder)):
        return shutil.disk_usage(folder).free


@contextmanager
def told(what: str) -> Iterator[None]:
    """Tell the system's errors in our own words.

    Raises:
        DiskFullError: The disk is full.
        OutputError: Anything else.
    """
    try:
        yield
    except OSError as error:
        if is_full(error):
            raise DiskFullError(
                f"{what} cannot be written: the disk is full. Make room and give the same command "
                "again: it goes on with what is finished; or --temp-dir names another disk."
            ) from error
        raise OutputError(f"{what} cannot be written: {error.strerror or error}.") from error


@contextmanager
def full_disk_told() -> Iterator[None]:
    """Tell a full disk from other reasons why a job cannot write, and how to go on.

    Raises:
        DiskFullError: The disk is full.
    """
    try:
        yield
    except DiskFullError:
        raise
    except (OutputError, OSError) as error:
        if not is_full(error):
            raise
        raise DiskFullError(
            f"The disk is full ({str(error).removesuffix('.')}). What is finished is kept: make "
            "room and give the same command again, or remove the work with `sdr2hdr clean`."
        ) from error


def is_full(error: BaseException | None) -> bool:
    """Whether a full disk or quota is behind an error, however often it has been told anew."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in _FULL:
            return True
        error = error.__cause__
    return False
