"""The user's folder for what can be made again, and files that appear whole or not at all."""

from __future__ import annotations

import os
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

__all__ = ["CACHE_VARIABLE", "cache_folder", "write_whole"]

CACHE_VARIABLE = "SDR2HDR_CACHE"
"""Environment variable that names another folder for the cache."""


def cache_folder() -> Path:
    """The user's folder for what can be made again: `$XDG_CACHE_HOME/sdr2hdr` or its like."""
    if named := os.environ.get(CACHE_VARIABLE):
        return Path(named)
    if named := os.environ.get("XDG_CACHE_HOME"):
        return Path(named) / "sdr2hdr"
    if sys.platform == "win32" and (named := os.environ.get("LOCALAPPDATA")):
        return Path(named) / "sdr2hdr" / "cache"
    return Path.home() / ".cache" / "sdr2hdr"


def write_whole(path: Path, content: bytes) -> None:
    """Write a file that appears whole or not at all; an existing one is replaced.

    Raises:
        OSError: The folder is missing or not writable, or the disk is full.
    """
    descriptor, unfinished = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        # mkstemp keeps others out, which a cache or an exported model has no reason for. Where the
        # mount says whose all files are, nobody may change that.
        umask = os.umask(0)
        os.umask(umask)
        with suppress(OSError):
            Path(unfinished).chmod(0o666 & ~umask)
        Path(unfinished).replace(path)
    except BaseException:
        Path(unfinished).unlink(missing_ok=True)
        raise
