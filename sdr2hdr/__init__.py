"""sdr2hdr: from SDR video to HDR10.

>>> from pathlib import Path
>>> from sdr2hdr import ConvertOptions, convert
>>> convert(Path("in.mp4"), Path("out.mkv"), ConvertOptions(model="irnet2"))  # doctest: +SKIP
"""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from sdr2hdr.options import ConvertOptions
from sdr2hdr.version import __version__

if TYPE_CHECKING:
    from sdr2hdr.pipeline import ConversionSummary

__all__ = ["ConvertOptions", "__version__", "convert"]


@cache
def _first_process() -> int:
    """The number of the process that has converted first, known to all that are forked from it."""
    return os.getpid()


def convert(source: Path | str, target: Path | str, options: ConvertOptions) -> ConversionSummary:
    """Convert one SDR video file to HDR10, as `sdr2hdr convert` does.

    Args:
        source: A video file that PyAV can decode.
        target: A name ending in .mkv, .mp4, .m4v or .mov; it appears only when the file is whole.
            What is finished before that lies in a hidden folder beside it, and the same call goes
            on with it. Or a sequence of pictures such as "shot_%06d.exr", or "-" for Y4M on
            standard output.
        options: Method, scale, and how to read, compute and encode.

    A process that was forked from one that has converted cannot: what computes keeps threads, and a
    fork has none of them. Start worker processes with `multiprocessing`'s "spawn" or "forkserver".

    Raises:
        UsageError: This process was forked so.
        Sdr2HdrError: One of its subclasses (`sdr2hdr.errors`), each with the exit code that the
            command line gives for it.
    """
    from sdr2hdr.errors import UsageError
    from sdr2hdr.jobs import run
    from sdr2hdr.jobs.published import prepare_job

    if _first_process() != os.getpid():
        raise UsageError(
            "This process was forked from one that has converted already, and would hang; expected "
            'one that is started anew: multiprocessing.get_context("spawn").'
        )
    return run.convert(prepare_job(Path(source), Path(target), options))
