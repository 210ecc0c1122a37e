"""`sdr2hdr clean`: what unfinished conversions have kept or left behind."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from sdr2hdr.cli.console import Console
from sdr2hdr.cli.parameters import ANY_PATH, output_options
from sdr2hdr.errors import LockedError, OutputError
from sdr2hdr.wording import how_many

if TYPE_CHECKING:
    from sdr2hdr.jobs.leftovers import Leftover

__all__ = ["command"]


@click.command("clean")
@click.argument("places", nargs=-1, metavar="[OUTPUT|DIR]...", type=ANY_PATH)
@click.option("--temp-dir", type=ANY_PATH, help="Where the conversion of an OUTPUT had it.")
@click.option("--dry-run", is_flag=True, help="List only, remove nothing.")
@output_options
def command(
    console: Console, places: tuple[Path, ...], temp_dir: Path | None, dry_run: bool
) -> None:
    """Remove what unfinished conversions have kept or left behind.

    That is work folders, and what a kill leaves beside an output: half-copied files, unfinished
    sequences of pictures, and locks. All is named after an OUTPUT, or looked for in a folder, by
    default the present one. What belongs to conversions that are running stays.
    """
    from sdr2hdr.jobs.leftovers import find_leftovers, remove_leftover

    looked_at = places or (temp_dir or Path(),)
    found = [each for place in looked_at for each in find_leftovers(place, temp_dir)]
    if not found:
        console.say("Unfinished conversions have left nothing here.")
    failed: list[OutputError] = []
    for leftover in found:
        removed = not dry_run
        try:
            if removed:
                remove_leftover(leftover)
        except LockedError as error:
            removed = False
            console.say(f"warning: {error}")
        except OutputError as error:
            removed = False
            failed.append(error)
        tell(console, leftover, removed=removed)
    if failed:
        raise OutputError(
            f"{len(failed)} of {len(found)} could not be removed. {' '.join(map(str, failed))}"
        )


def tell(console: Console, leftover: Leftover, *, removed: bool) -> None:
    """Say what was found, and whether it is gone."""
    from rich.filesize import decimal

    if console.json:
        console.event(
            "leftover",
            {
                "path": str(leftover.path),
                "kind": leftover.kind,
                "output": str(leftover.target),
                "finished_segments": leftover.finished_segments,
                "segments": leftover.segments,
                "size_bytes": leftover.size_bytes,
                "removed": removed,
            },
        )
        return
    console.result(
        f"{leftover.path}: for {leftover.target}, {words(leftover)}, "
        f"{decimal(leftover.size_bytes)}{', removed' if removed else ''}"
    )


def words(leftover: Leftover) -> str:
    """What it is."""
    if leftover.kind == "partial_file":
        return "a half-copied file"
    if leftover.kind == "partial_sequence":
        return "an unfinished sequence of pictures"
    if leftover.kind == "lock":
        return "the lock of a killed run"
    if leftover.segments is None:
        return how_many(leftover.finished_segments, "segment")
    return f"{leftover.finished_segments} of {how_many(leftover.segments, 'segment')}"
