"""Tell whether a source is still the file that was planned."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from sdr2hdr.errors import InputError

__all__ = ["SourceIdentity", "identify"]

HASHED_BYTES = 1 << 20
"""Of either end of the file. Containers keep their index at one of them, and an index changes
with whatever is written; hashing all of a film over a network would take as long as the plan."""


@dataclass(frozen=True)
class SourceIdentity:
    """What a source is recognised by, wherever it lies and whatever it is called.

    Attributes:
        size_bytes: Of the whole file.
        ends_sha256: Hash of the first and the last MiB, hexadecimal.
        duration_seconds: As the file says, None if it does not.
    """

    size_bytes: int
    ends_sha256: str
    duration_seconds: float | None


def identify(path: Path, duration_seconds: float | None) -> SourceIdentity:
    """Take a file's identity.

    Args:
        path: The file.
        duration_seconds: As probed.

    Raises:
        InputError: The file cannot be read.
    """
    ends = hashlib.sha256()
    try:
        with path.open("rb") as file:
            size_bytes = file.seek(0, 2)
            file.seek(0)
            ends.update(file.read(HASHED_BYTES))
            file.seek(max(0, size_bytes - HASHED_BYTES))
            ends.update(file.read(HASHED_BYTES))
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.") from error
    return SourceIdentity(size_bytes, ends.hexdigest(), duration_seconds)
