"""Standard output and standard error, in whatever state the caller hands them over."""

from __future__ import annotations

import errno
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TextIO

__all__ = [
    "FullOutputError",
    "let_go",
    "let_go_if_full",
    "let_go_of_lost_terminals",
    "prepare_standard_streams",
]


class FullOutputError(BrokenPipeError):
    """Standard output takes no more, a file on a full disk for one.

    It ends a command as a reader that has left does, whatever the command is at. Its number is that
    of a pipe: a job that sees the one of a full disk takes its own for full.
    """

    def __init__(self, reason: str | None) -> None:
        super().__init__(errno.EPIPE, reason or os.strerror(errno.EPIPE))


class _Results(io.TextIOWrapper):
    """Standard output: what it does not take ends the command, whoever writes it."""

    def write(self, text: str, /) -> int:
        with _as_lost_reader():
            return super().write(text)

    def flush(self) -> None:
        with _as_lost_reader():
            super().flush()


class _Messages(io.TextIOWrapper):
    """Standard error: a message that nobody takes, or no disk, ends no work."""

    def write(self, text: str, /) -> int:
        with suppress(OSError):
            super().write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError):
            super().flush()


@contextmanager
def _as_lost_reader() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise FullOutputError(error.strerror) from None


def prepare_standard_streams() -> None:
    """Make it safe to use standard streams that are closed or whose encoding lacks characters.

    What is said on a closed one goes nowhere, and ends no command. Standard output stays None when
    it is closed: a video that is to go there must know. Afterwards standard output raises
    `FullOutputError` where it takes no more, and standard error drops what nobody takes.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            # Else the next file that is opened gets the number, and a library's messages. The
            # lowest free number is given first: this one.
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
    if sys.stderr is None:
        # `print` takes None for standard output, where a video or JSON may go.
        nowhere = Path(os.devnull)
        sys.stderr = nowhere.open("w", errors="backslashreplace")
    elif isinstance(sys.stderr, io.TextIOWrapper):
        sys.stderr = _Messages(**_settings(sys.stderr), errors=sys.stderr.errors)
    # As standard error has it: a name that is no text in the terminal's encoding ends no command.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout = _Results(**_settings(sys.stdout), errors="backslashreplace")


def _settings(stream: io.TextIOWrapper) -> dict[str, Any]:
    """Of a second stream over the same bytes, which Python's own `sys.__stdout__` holds open."""
    buffer: Any = stream.buffer
    is_raw = isinstance(buffer, io.RawIOBase)
    if is_raw:
        # With PYTHONUNBUFFERED, as in many containers. What is raw may write less than it is given.
        buffer = io.BufferedWriter(buffer)
    return {
        "buffer": buffer,
        "encoding": stream.encoding,
        "line_buffering": stream.line_buffering or is_raw,
        "write_through": stream.write_through,
    }


def let_go(stream: TextIO) -> None:
    """Send what is still to come on a stream nowhere, so that Python does not complain at exit."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def let_go_if_full(stream: TextIO | None) -> None:
    """The same if it does not take what is still to come; another has been told of that."""
    if stream is None or stream.closed:
        return
    try:
        stream.flush()
    except OSError:
        let_go(stream)


def let_go_of_lost_terminals() -> None:
    """The same for streams whose terminal was closed: whatever is said there would be an error."""
    if sys.platform == "win32":
        return
    import termios

    for stream in (sys.stdout, sys.stderr):
        if stream is None:
            continue
        try:
            termios.tcgetattr(stream.fileno())
        except termios.error as error:
            # Any other error says that it is no terminal.
            if error.args[0] == errno.EIO:
                let_go(stream)
        except (OSError, ValueError):
            # It has no number: a test or a program that calls this one has put it there.
            continue
