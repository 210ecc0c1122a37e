"""Ctrl-C and SIGTERM: the first lets a job end in good order, the second ends it at once."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING

from sdr2hdr.cli.console import Console

if TYPE_CHECKING:
    from sdr2hdr.jobs.stopping import StopRequest
    from sdr2hdr.media.targets import TargetKind

__all__ = ["SIGNAL_BASE", "Terminated", "raise_terminated", "stop_on_signals"]

SIGNAL_BASE = 128
"""A shell's exit code for a signal is this and the signal's number."""


class Terminated(BaseException):
    """SIGTERM, turned into an exception so that everything open is closed."""


def raise_terminated(number: int, frame: FrameType | None) -> None:
    """Signal handler of SIGTERM."""
    raise Terminated


@contextmanager
def stop_on_signals(console: Console, kind: TargetKind) -> Iterator[StopRequest]:
    """Turn the first Ctrl-C or SIGTERM into a request, and the second into an exception.

    Args:
        console: Says that it was heard.
        kind: Of the target: pictures and pipes cannot be gone on with, so they stop at once.
    """
    from sdr2hdr.jobs.stopping import StopRequest

    request = StopRequest()
    in_main_thread = threading.current_thread() is threading.main_thread()
    if kind != "container" or not in_main_thread:
        # Python gives signals to the main thread alone.
        yield request
        return

    def heard(number: int, frame: FrameType | None) -> None:
        if request.exit_code is None:
            request.ask(SIGNAL_BASE + number)
            console.say("Stopping; what is finished is kept. Once more stops at once.")
        elif number == signal.SIGTERM:
            raise Terminated
        else:
            raise KeyboardInterrupt

    before = {number: signal.signal(number, heard) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
