"""`sdr2hdr clean`: what unfinished conversions have kept."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from sdr2hdr.cli.console import Console
from sdr2hdr.cli.parameters import output_options
from sdr2hdr.errors import LockedError

if TYPE_CHECKING:
    from sdr2hdr.jobs.leftovers import Leftover

__all__ = ["command"]


@click.command("clean")
@click.argument("places", nargs=-1, metavar="[OUTPUT|DIR]...", type=click.Path(path_type=Path))
@click.option("--dry-run", is_flag=True, help="List only, remove nothing.")
@output_options
def command(console: Console, places: tuple[Path, ...], dry_run: bool) -> None:
    """Remove the work folders of unfinished conversions.

    They are named after an OUTPUT, or looked for in a folder, by default the present one. Those of
    conversions that are running stay.
    """
    from sdr2hdr.jobs.leftovers import find_leftovers, remove_leftover

    found = [leftover for place in places or (Path(),) for leftover in find_leftovers(place)]
    if not found:
        console.say("There are no work folders of unfinished conversions.")
    for leftover in found:
        removed = not dry_run
        try:
            if removed:
                remove_leftover(leftover)
        except LockedError as error:
            removed = False
            console.say(f"warning: {error}")
        tell(console, leftover, removed=removed)


def tell(console: Console, leftover: Leftover, *, removed: bool) -> None:
    """Say what was found, and whether it is gone."""
    from rich.filesize import decimal

    of_all = "" if leftover.segments is None else f" of {leftover.segments}"
    if console.json:
        console.event(
            "leftover",
            {
                "path": str(leftover.path),
                "output": str(leftover.target),
                "finished_segments": leftover.finished_segments,
                "segments": leftover.segments,
                "size_bytes": leftover.size_bytes,
                "removed": removed,
            },
        )
        return
    console.result(
        f"{leftover.path}: for {leftover.target}, {leftover.finished_segments}{of_all} segments, "
        f"{decimal(leftover.size_bytes)}{', removed' if removed else ''}"
    )
