"""Tell whether a source is still the file that was planned."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from sdr2hdr.errors import InputError, SourceChangedError

__all__ = ["SourceIdentity", "SourceWatch", "identify"]

END_BYTES = 1 << 20
"""Hashed of either end of the file. Containers keep their index at one of them, and an index
changes with whatever is written; hashing all of a film over a network would take as long as the
plan."""

SAMPLES = 64
SAMPLE_BYTES = 1 << 14
"""Hashed between the ends, at equal distances: a file whose middle was written over in place with
another take has other bytes in some of them. A change between two samples is left to the watch on
the file's own time (`SourceWatch`) and to the frames that segments begin with."""


@dataclass(frozen=True)
class SourceIdentity:
    """What a source is recognised by, wherever it lies and whatever it is called.

    Attributes:
        size_bytes: Of the whole file.
        samples_sha256: Hash of the first and the last MiB and of 64 places between, hexadecimal.
        duration_seconds: As the file says, None if it does not.
    """

    size_bytes: int
    samples_sha256: str
    duration_seconds: float | None


def identify(path: Path, duration_seconds: float | None) -> SourceIdentity:
    """Take a file's identity.

    Args:
        path: The file.
        duration_seconds: As probed.

    Raises:
        InputError: The file cannot be read.
    """
    samples = hashlib.sha256()
    try:
        with path.open("rb") as file:
            size_bytes = file.seek(0, 2)
            for place, length in _places(size_bytes):
                file.seek(place)
                samples.update(file.read(length))
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.") from error
    return SourceIdentity(size_bytes, samples.hexdigest(), duration_seconds)


def _places(size_bytes: int) -> list[tuple[int, int]]:
    """Where a file is looked at, and how many bytes there; all of a small file."""
    between = size_bytes - 2 * END_BYTES
    if between <= SAMPLES * SAMPLE_BYTES:
        return [(0, size_bytes)]
    step = between // SAMPLES
    middle = [(END_BYTES + number * step, SAMPLE_BYTES) for number in range(SAMPLES)]
    return [(0, END_BYTES), *middle, (size_bytes - END_BYTES, END_BYTES)]


class SourceWatch:
    """Notices that a file is written to, or replaced, after the watch was set up.

    It looks at what the file system says, which costs nothing; a touch counts as well.

    Raises:
        InputError: The file cannot be looked at.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._before = self._state()

    def check(self) -> None:
        """Make sure that nobody has touched the file.

        Raises:
            SourceChangedError: Somebody has.
            InputError: It cannot be looked at any more.
        """
        if self._state() != self._before:
            raise SourceChangedError(
                f"{self._path} was written to or replaced while it was read; expected it to stay "
                "as it was. What was made of it meanwhile does not count; the same command looks "
                "at the file anew."
            )

    def _state(self) -> tuple[int, int]:
        # Not the inode: some network file systems give another one when asked again.
        try:
            found = self._path.stat()
        except OSError as error:
            raise InputError(f"{self._path} cannot be read: {error.strerror}.") from error
        return found.st_size, found.st_mtime_ns
