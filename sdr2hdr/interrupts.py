"""Ctrl-C, which a terminal sends to every process of a command."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["interrupts_kept_from_new_processes"]


@contextmanager
def interrupts_kept_from_new_processes() -> Iterator[None]:
    """Let processes that start here not hear Ctrl-C: this one ends them.

    By themselves they would end with a traceback. What comes meanwhile is heard afterwards. Windows
    has no such mask.
    """
    if sys.platform == "win32":
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
