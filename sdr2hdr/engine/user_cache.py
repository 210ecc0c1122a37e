"""The user's folder for what can be made again."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path

__all__ = ["CACHE_VARIABLE", "cache_folder"]

CACHE_VARIABLE = "SDR2HDR_CACHE"
"""Environment variable that names another folder for the cache."""


def cache_folder() -> Path:
    """The user's folder for what can be made again: `$XDG_CACHE_HOME/sdr2hdr` or its like.

    Raises:
        OSError: The user has no home: a container or a scheduler runs the program under a number
            without an account, and sets no `HOME`.
    """
    if named := os.environ.get(CACHE_VARIABLE):
        return Path(named)
    if named := os.environ.get("XDG_CACHE_HOME"):
        return Path(named) / "sdr2hdr"
    if sys.platform == "win32" and (named := os.environ.get("LOCALAPPDATA")):
        return Path(named) / "sdr2hdr" / "cache"
    try:
        return Path.home() / ".cache" / "sdr2hdr"
    except RuntimeError as error:
        raise FileNotFoundError(errno.ENOENT, "this user has no home folder", "HOME") from error
