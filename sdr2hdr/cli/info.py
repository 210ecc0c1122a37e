"""`sdr2hdr info`: how files would be read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from sdr2hdr.cli.console import Console
from sdr2hdr.cli.describe import source_content, source_lines
from sdr2hdr.cli.parameters import ANY_PATH, colour_options, output_options, parse_colour
from sdr2hdr.errors import PartialFailureError, Sdr2HdrError
from sdr2hdr.options import ReadOptions

__all__ = ["command"]


@click.command("info")
@click.argument("paths", nargs=-1, required=True, metavar="INPUT...", type=ANY_PATH)
@colour_options
@output_options
def command(console: Console, paths: tuple[Path, ...], **given: Any) -> None:
    """Show how each INPUT would be read: colour, timing and streams, and who decided."""
    from sdr2hdr.media.reading.probe import probe

    options = ReadOptions(video_stream=given["video_stream"], colour=parse_colour(given))
    failed = 0
    for path in paths:
        try:
            info = probe(path, options)
        except Sdr2HdrError as error:
            if len(paths) == 1:
                raise
            failed += 1
            console.error(error, path)
            continue
        if console.json:
            console.event("info", source_content(info))
            continue
        for line in source_lines(info):
            console.result(line)
        for notice in info.notices:
            console.notice(notice, path)
    if failed:
        raise PartialFailureError(f"{failed} of {len(paths)} inputs could not be read.")
