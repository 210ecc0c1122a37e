"""`sdr2hdr upscale`: SDR video to HDR10 at 2 or 4 times its size."""

from __future__ import annotations

from typing import Any

import click

from sdr2hdr.cli.console import Console
from sdr2hdr.cli.job_options import job_arguments, job_options, parse_convert
from sdr2hdr.cli.jobs import run_jobs
from sdr2hdr.cli.look_options import look_options
from sdr2hdr.cli.parameters import encode_options, engine_options, output_options, read_options

__all__ = ["command"]

DEFAULT_MODEL = "gpgmnet"


@click.command("upscale")
@job_arguments
@click.option(
    "--scale",
    type=click.Choice(["2", "4"]),
    default="2",
    show_default=True,
    help="Output samples per input sample, along each side.",
)
@click.option(
    "--model",
    default=DEFAULT_MODEL,
    show_default=True,
    metavar="NAME",
    help="gpgmnet, irnet5, or a curve (after bicubic upscaling).",
)
@job_options
@read_options
@look_options
@encode_options
@engine_options
@output_options
def command(console: Console, scale: str, model: str, **given: Any) -> None:
    """Convert SDR video to HDR10 at 2 or 4 times its size.

    INPUT is any video that is not HDR already; OUTPUT ends in .mkv, .mp4, .m4v or .mov. Audio,
    subtitles, chapters, attachments and metadata are copied into it. Or OUTPUT is pictures, as
    shot_%06d.exr (also .png, .tif), or - for Y4M on standard output.
    """
    run_jobs(console, given, parse_convert(given, model, scale=int(scale)))
