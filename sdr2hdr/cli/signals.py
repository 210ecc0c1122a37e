"""Ctrl-C, SIGTERM and SIGHUP: one lets a job end in good order, a second ends it at once."""

from __future__ import annotations

import _thread
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from types import FrameType
from typing import TYPE_CHECKING
from weakref import ReferenceType, ref

from sdr2hdr.cli.console import Console
from sdr2hdr.cli.standard_streams import let_go_of_lost_terminals

if TYPE_CHECKING:
    from sdr2hdr.jobs.stopping import StopRequest
    from sdr2hdr.media.targets import TargetKind

__all__ = [
    "SIGNAL_BASE",
    "Interrupted",
    "SignalRaiser",
    "Terminated",
    "stop_on_signals",
    "termination_signals",
]

SIGNAL_BASE = 128
"""A shell's exit code for a signal is this and the signal's number."""

_AGAIN_SECONDS = 0.01
"""Until a signal that could not be raised is sent again, and from one look at whether an import has
ended to the next: the work behind it may be short."""

_HANGUP = getattr(signal, "SIGHUP", None)
"""The terminal was closed; Windows has no such signal."""


class Interrupted(KeyboardInterrupt):
    """Ctrl-C.

    Attributes:
        exit_code: `SIGNAL_BASE` and the number of the signal.
    """

    exit_code = SIGNAL_BASE + signal.SIGINT


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


class SignalRaiser:
    """A signal handler that raises `Interrupted` or `Terminated`, until the program has felt it.

    An exception is not felt wherever it is raised. In a weak reference's callback, of which an
    import has one for each module, Python drops it; so does a library with a bare `except`. And
    where torch's own code calls Python as it is imported, an exception aborts the process. So
    nothing is raised in an import; and a signal is sent again once that has ended, or if its
    exception is gone while the program goes on.
    """

    def __init__(self) -> None:
        self._underway: set[ReferenceType[BaseException]] = set()

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """Raise what belongs to the signal, or see to it that it comes again."""
        if _is_importing(frame):
            _send_again(number)
            return
        if number == _HANGUP:
            let_go_of_lost_terminals()
            if self._underway:
                # One comes from the shell and another from the system: the second is no second
                # wish.
                return
        error = Interrupted() if number == signal.SIGINT else Terminated(number)
        self._underway.add(ref(error, partial(self._gone, number)))
        try:
            raise error
        finally:
            # Else the exception holds this frame, which holds the exception.
            del error

    def _gone(self, number: int, reference: ReferenceType[BaseException]) -> None:
        """Hear that an exception is no more: the program has ended by then, or not felt it."""
        self._underway.discard(reference)
        if not self._underway:
            _send_again(number)


def _is_importing(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_globals.get("__name__") == "importlib._bootstrap":
            return True
        frame = frame.f_back
    return False


def _send_again(number: int) -> None:
    """Send a signal to the main thread a little later, and not in an import.

    Callable wherever Python runs.
    """

    def send() -> None:
        main = threading.main_thread().ident or 0
        time.sleep(_AGAIN_SECONDS)
        while _is_importing(sys._current_frames().get(main)):
            time.sleep(_AGAIN_SECONDS)
        if sys.platform == "win32":
            _thread.interrupt_main(number)
        else:
            # A real one, which ends what the thread may wait for.
            signal.pthread_kill(main, number)

    # `threading` has locks, which whatever was interrupted may hold. At the program's end there are
    # no new threads.
    with suppress(RuntimeError):
        _thread.start_new_thread(send, ())


@contextmanager
def stop_on_signals(
    console: Console, kind: TargetKind = "container", request: StopRequest | None = None
) -> Iterator[StopRequest]:
    """Turn the first Ctrl-C, SIGTERM or SIGHUP into a request, and the second into an exception.

    Args:
        console: Says that it was heard.
        kind: Of the target: pictures and pipes cannot be gone on with, so they stop at once. What
            is gone on with otherwise, a training for one, is as a container.
        request: Of a whole batch; None makes one.
    """
    from sdr2hdr.jobs.stopping import StopRequest

    request = request or StopRequest()
    in_main_thread = threading.current_thread() is threading.main_thread()
    if kind != "container" or not in_main_thread:
        # Python gives signals to the main thread alone.
        yield request
        return
    second = SignalRaiser()

    def heard(number: int, frame: FrameType | None) -> None:
        if number == _HANGUP:
            # As for `SignalRaiser`; and afterwards too.
            signal.signal(number, signal.SIG_IGN)
            before[number] = signal.SIG_IGN
            let_go_of_lost_terminals()
        if request.exit_code is None:
            request.ask(SIGNAL_BASE + number)
            console.say("Stopping; what is finished is kept. Once more stops at once.")
        elif number != _HANGUP:
            second(number, frame)

    numbers = (signal.SIGINT, *termination_signals())
    handlers = {number: signal.getsignal(number) for number in numbers}
    # A shell has Ctrl-C ignored for what a script starts in the background.
    before = {number: each for number, each in handlers.items() if each is not signal.SIG_IGN}
    try:
        for number in before:
            signal.signal(number, heard)
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
