"""Standard output and standard error, in whatever state the caller hands them over."""

from __future__ import annotations

import errno
import io
import os
import sys
from pathlib import Path
from typing import TextIO

__all__ = [
    "FullOutputError",
    "let_go",
    "let_go_of_lost_terminals",
    "prepare_standard_streams",
    "say_on_stderr",
    "write_to_stdout",
]


class FullOutputError(BrokenPipeError):
    """Standard output takes no more, a file on a full disk for one.

    It ends a command as a reader that has left does, whatever the command is at.
    """


def prepare_standard_streams() -> None:
    """Make it safe to use standard streams that are closed or whose encoding lacks characters.

    What is said on a closed one goes nowhere, and ends no command. Standard output stays None when
    it is closed: a video that is to go there must know.
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
    if isinstance(sys.stdout, io.TextIOWrapper):
        # As standard error: a name that is no text in the terminal's encoding ends no command.
        sys.stdout.reconfigure(errors="backslashreplace")


def write_to_stdout(text: str, *, flush: bool) -> None:
    """Write a result.

    Args:
        text: All of it, line end included.
        flush: Have it taken now, with all that was written before.

    Raises:
        FullOutputError: It is not taken.
        BrokenPipeError: The reader has left.
    """
    try:
        print(text, end="", flush=flush)
    except BrokenPipeError:
        raise
    except OSError as error:
        # Not `from error`: the full disk behind it is not the one that the job writes to.
        raise FullOutputError(error.errno, error.strerror) from None


def say_on_stderr(text: str) -> None:
    """Say a message; one that a full disk does not take ends no work.

    Raises:
        BrokenPipeError: The reader has left.
    """
    try:
        print(text, file=sys.stderr)
    except BrokenPipeError:
        raise
    except OSError:
        return


def let_go(stream: TextIO) -> None:
    """Send what is still to come on a stream nowhere, so that Python does not complain at exit."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


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
