"""`sdr2hdr convert`: SDR video to HDR10 at its own size."""

from __future__ import annotations

from typing import Any

import click

from sdr2hdr.cli.console import Console
from sdr2hdr.cli.job_options import job_arguments, job_options, parse_convert
from sdr2hdr.cli.jobs import run_jobs
from sdr2hdr.cli.look_options import look_options
from sdr2hdr.cli.parameters import encode_options, engine_options, output_options, read_options

__all__ = ["DEFAULT_MODEL", "command"]

DEFAULT_MODEL = "bt2446a"
"""The grader's curve, until a network has passed the exam against it."""


@click.command("convert")
@job_arguments
@click.option(
    "--model",
    default=DEFAULT_MODEL,
    show_default=True,
    metavar="NAME",
    help="Network or curve; `sdr2hdr models` lists them.",
)
@job_options
@read_options
@look_options
@encode_options
@engine_options
@output_options
def command(console: Console, model: str, **given: Any) -> None:
    """Convert SDR video to HDR10.

    INPUT is any video that is not HDR already; OUTPUT ends in .mkv, .mp4, .m4v or .mov. Audio,
    subtitles, chapters, attachments and metadata are copied into it. Or OUTPUT is pictures, as
    shot_%06d.exr (also .png, .tif), or - for Y4M on standard output.
    """
    run_jobs(console, given, parse_convert(given, model, scale=1))
