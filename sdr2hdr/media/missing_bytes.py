"""How much shorter a file is than its container says it should be."""

from __future__ import annotations

from pathlib import Path

from sdr2hdr.media.ebml import missing_ebml_bytes
from sdr2hdr.media.isobmff import missing_box_bytes

__all__ = ["missing_bytes"]


def missing_bytes(path: Path) -> int:
    """How many bytes were lost at the end of a Matroska, MP4 or MOV file.

    Demuxers end without a word where such a file does.

    Returns:
        0 for a whole file, for one that does not say (written while it was streamed), and for other
        containers.
    """
    return missing_ebml_bytes(path) or missing_box_bytes(path)
