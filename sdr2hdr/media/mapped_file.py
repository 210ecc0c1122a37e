"""A file as bytes of which only what is looked at is read."""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["mapped"]


@contextmanager
def mapped(path: Path) -> Iterator[mmap.mmap]:
    """Open a file to be looked into at any place, however long it is.

    Raises:
        OSError: It cannot be read.
        ValueError: It is empty.
    """
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        yield data
