"""`python -m sdr2hdr`, and the command `sdr2hdr`, begin here."""

from __future__ import annotations

import signal

__all__ = ["main"]


def main() -> None:
    """Run the command line; a Ctrl-C before it can be told of ends the process without a word."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        # Python's own way would be a traceback out of the imports that follow.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from sdr2hdr.cli import main as run_command_line

    run_command_line()


if __name__ == "__main__":
    main()
