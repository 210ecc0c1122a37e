"""libav's errors while a file is written, in our own words."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av.error

from sdr2hdr.errors import OutputError

__all__ = ["writing_errors_told"]


@contextmanager
def writing_errors_told(path: Path) -> Iterator[None]:
    """Turn libav's and the system's errors into ours.

    Raises:
        OutputError: The file cannot be written: no such folder, a full disk, ....
    """
    try:
        yield
    except (av.error.FFmpegError, OSError) as error:
        reason = error.strerror or str(error)
        raise OutputError(f"{path} cannot be written: {reason}.") from error
