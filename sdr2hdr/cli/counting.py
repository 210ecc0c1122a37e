"""A bar on the terminal for work that is counted."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sdr2hdr.cli.console import Console

__all__ = ["counted"]


@contextmanager
def counted(console: Console, text: str, total: int | None) -> Iterator[Callable[[], None]]:
    """Show how much is done: a bar on a terminal, else nothing.

    Args:
        console: Says whether anything is to be shown.
        text: What is worked on.
        total: How much there is; None if nobody knows.

    Yields:
        To be called for each piece that is done.
    """
    if console.json or console.quiet or not sys.stderr.isatty():
        yield lambda: None
        return
    from rich.console import Console as RichConsole
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=RichConsole(stderr=True),
        transient=True,
    ) as bar:
        task = bar.add_task(text, total=total)
        yield lambda: bar.advance(task)
