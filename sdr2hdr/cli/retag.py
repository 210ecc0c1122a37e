"""`sdr2hdr retag`: measure an existing PQ file and say HDR10 everywhere, without encoding."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sdr2hdr.cli.console import Console
from sdr2hdr.cli.job_options import light_log_option, overwrite_option
from sdr2hdr.cli.parameters import ANY_PATH, drop_unsupported_option, output_options
from sdr2hdr.wording import how_many

if TYPE_CHECKING:
    from sdr2hdr.delivery.retag import RetagSummary

__all__ = ["command"]


@click.command("retag")
@click.argument("source", metavar="IN", type=ANY_PATH)
@click.argument("target", metavar="OUT", type=ANY_PATH)
@overwrite_option
@click.option(
    "--exact/--robust",
    "exact",
    default=True,
    show_default=True,
    help="Store the levels as CTA-861.3 defines them, or without the brightest 0.01% of each "
    "frame's pixels.",
)
@click.option(
    "--mastering",
    metavar="NAME|VALUES",
    help="The mastering display to name [default: what the file says].",
)
@click.option(
    "--assume-pq", is_flag=True, help="Take a file without a transfer tag as PQ, BT.2020."
)
@light_log_option
@drop_unsupported_option
@click.option(
    "--temp-dir",
    type=ANY_PATH,
    help="Folder of the unfinished file [default: the output's].",
)
@output_options
def command(
    console: Console,
    source: Path,
    target: Path,
    overwrite: bool,
    exact: bool,
    mastering: str | None,
    assume_pq: bool,
    light_log: Path | None,
    drop_unsupported: bool,
    temp_dir: Path | None,
) -> None:
    """Measure IN, a video in PQ, and write it to OUT with true HDR10 metadata.

    MaxCLL and MaxFALL are measured from every decoded frame and written into the stream and the
    container, as is the mastering display; colour that the stream does not say is added. The coded
    pictures and all other streams are copied as they are.
    """
    from sdr2hdr.delivery.retag import RetagOptions, retag
    from sdr2hdr.delivery.target_file import check_target
    from sdr2hdr.jobs.lock import output_lock
    from sdr2hdr.media.mastering import mastering_display

    options = RetagOptions(
        robust=not exact,
        mastering=None if mastering is None else mastering_display(mastering),
        assume_pq=assume_pq,
        drop_unsupported=drop_unsupported,
        light_log=light_log,
        overwrite=overwrite,
        temp_dir=temp_dir,
    )
    # Before the lock, which lies beside the output.
    check_target(source, target, overwrite=overwrite)
    with output_lock(target), progress(console, source) as on_frame:
        summary = retag(source, target, options, on_frame)
    for notice in summary.notices:
        console.notice(notice, source)
    show(console, source, summary, robust=options.robust)


def show(console: Console, source: Path, summary: RetagSummary, *, robust: bool) -> None:
    """Say what was measured and written."""
    max_cll, max_fall = summary.stored
    if console.json:
        picture = summary.active_picture
        console.event(
            "retagged",
            {
                "input": str(source),
                "output": str(summary.target),
                "frames": summary.frames,
                "key_frames": summary.key_frames,
                "max_cll_cd_m2": max_cll,
                "max_fall_cd_m2": max_fall,
                "stored": "robust" if robust else "exact",
                "levels": asdict(summary.levels),
                "active_picture": None if picture is None else asdict(picture),
                "colour_added": summary.colour_added,
                "size_bytes": summary.size_bytes,
            },
        )
        return
    levels = summary.levels
    console.say(
        f"{summary.target}: {how_many(summary.frames, 'frame')}, "
        f"MaxCLL {max_cll}, MaxFALL {max_fall} cd/m2 "
        f"({'robust' if robust else 'exact'}; exact {levels.max_cll} and {levels.max_fall}, "
        f"robust {levels.robust_max_cll} and {levels.robust_max_fall})."
    )
    if summary.colour_added:
        console.say("The stream's header did not say its colour; it does now.")


@contextmanager
def progress(console: Console, source: Path) -> Iterator[Callable[[int], None]]:
    """Show how many frames have been measured: a counter on a terminal, else nothing."""
    if console.json or console.quiet or not sys.stderr.isatty():
        yield lambda frames: None
        return
    from rich.console import Console as RichConsole
    from rich.progress import Progress, TextColumn, TimeElapsedColumn

    with Progress(
        TextColumn("{task.description}: {task.completed} frames measured"),
        TimeElapsedColumn(),
        console=RichConsole(stderr=True),
        transient=True,
    ) as counter:
        task = counter.add_task(source.name, total=None)
        yield lambda frames: counter.update(task, completed=frames)
