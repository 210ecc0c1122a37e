"""Whether a file ends before its container says it does."""

from __future__ import annotations

from pathlib import Path

from sdr2hdr.media.containers.ebml import ebml_body
from sdr2hdr.media.containers.isobmff import missing_box_bytes
from sdr2hdr.media.containers.mxf import missing_mxf_bytes
from sdr2hdr.media.containers.riff import missing_riff_bytes

__all__ = ["cut_short"]


def cut_short(path: Path) -> str:
    """What the end of a Matroska, MP4, MOV, AVI or MXF file lacks, in words.

    Demuxers end without a word where such a file does.

    Returns:
        "" for a whole file, for one that does not say (written while it was streamed), and for
        other containers.
    """
    body = ebml_body(path)
    if body is not None and body.is_unfinished:
        return "its writer never finished it"
    if body is not None:
        missing = body.missing
    else:
        missing = missing_box_bytes(path) or missing_riff_bytes(path)
        if not missing and (least := missing_mxf_bytes(path)):
            return f"at least its last {least} bytes are missing"
    return f"its last {missing} bytes are missing" if missing else ""
