"""Ctrl-C, SIGTERM and SIGHUP: one lets a job end in good order, a second ends it at once."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING

from sdr2hdr.cli.console import Console
from sdr2hdr.cli.standard_streams import let_go_of_lost_terminals

if TYPE_CHECKING:
    from sdr2hdr.jobs.stopping import StopRequest
    from sdr2hdr.media.targets import TargetKind

__all__ = [
    "SIGNAL_BASE",
    "Terminated",
    "raise_terminated",
    "stop_on_signals",
    "termination_signals",
]

SIGNAL_BASE = 128
"""A shell's exit code for a signal is this and the signal's number."""


_HANGUP = getattr(signal, "SIGHUP", None)
"""The terminal was closed; Windows has no such signal."""


class Terminated(BaseException):
    """SIGTERM or SIGHUP, turned into an exception so that everything open is closed.

    Attributes:
        exit_code: `SIGNAL_BASE` and the number of the signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.exit_code = SIGNAL_BASE + number


def termination_signals() -> tuple[int, ...]:
    """The signals that end the program: SIGHUP among them unless `nohup` has it ignored."""
    if _HANGUP is None or signal.getsignal(_HANGUP) is signal.SIG_IGN:
        return (signal.SIGTERM,)
    return (signal.SIGTERM, _HANGUP)


def raise_terminated(number: int, frame: FrameType | None) -> None:
    """Signal handler of SIGTERM and SIGHUP."""
    if number == _HANGUP:
        # One comes from the shell and another from the system: the second is no second wish.
        signal.signal(number, signal.SIG_IGN)
        let_go_of_lost_terminals()
    raise Terminated(number)


@contextmanager
def stop_on_signals(
    console: Console, kind: TargetKind, request: StopRequest | None = None
) -> Iterator[StopRequest]:
    """Turn the first Ctrl-C, SIGTERM or SIGHUP into a request, and the second into an exception.

    Args:
        console: Says that it was heard.
        kind: Of the target: pictures and pipes cannot be gone on with, so they stop at once.
        request: Of a whole batch; None makes one.
    """
    from sdr2hdr.jobs.stopping import StopRequest

    request = request or StopRequest()
    in_main_thread = threading.current_thread() is threading.main_thread()
    if kind != "container" or not in_main_thread:
        # Python gives signals to the main thread alone.
        yield request
        return

    def heard(number: int, frame: FrameType | None) -> None:
        if number == _HANGUP:
            # As in `raise_terminated`; and afterwards too.
            signal.signal(number, signal.SIG_IGN)
            before[number] = signal.SIG_IGN
            let_go_of_lost_terminals()
        if request.exit_code is None:
            request.ask(SIGNAL_BASE + number)
            console.say("Stopping; what is finished is kept. Once more stops at once.")
        elif number == signal.SIGTERM:
            raise Terminated(number)
        elif number == signal.SIGINT:
            raise KeyboardInterrupt

    before = {
        number: signal.signal(number, heard) for number in (signal.SIGINT, *termination_signals())
    }
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
