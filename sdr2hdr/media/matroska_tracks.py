"""Rewrite the description of a finished Matroska file's tracks, within its own length."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from sdr2hdr.media.ebml import CRC_32, Element, checksum_element, elements_in, find_element

__all__ = ["CLUSTER", "SEGMENT", "TRACKS", "TRACK_ENTRY", "TRACK_TYPE", "VOID", "rewrite_tracks"]

SEGMENT, TRACKS, TRACK_ENTRY, TRACK_TYPE = 0x18538067, 0x1654AE6B, 0xAE, 0x83
CLUSTER, VOID = 0x1F43B675, 0xEC
"""IDs of RFC 9559, clause 5.1, and RFC 8794, clause 11.3.2."""

_HEAD_BYTES = 16_000_000
"""Enough for what libavformat writes before the end of the tracks; attachments come behind them."""


def rewrite_tracks(path: Path, rewritten: Callable[[bytes, Element], bytes]) -> bool:
    """Put other bytes in the place of what describes the tracks, with a new checksum.

    Args:
        path: A file that libavformat has just finished.
        rewritten: Given the beginning of the file and an element in it, of the tracks, gives what
            is to stand there.

    Returns:
        Whether all of it has the length of what was there; else the file stays as it is.
    """
    with path.open("r+b") as file:
        head = file.read(_HEAD_BYTES)
        *_, tracks = find_element(head, SEGMENT, TRACKS)
        children = list(elements_in(head, tracks.content, tracks.end))
        content = b"".join(rewritten(head, e) for e in children if e.identifier != CRC_32)
        if children[0].identifier == CRC_32:
            content = checksum_element(content) + content
        if len(content) != tracks.end - tracks.content:
            return False
        file.seek(tracks.content)
        file.write(content)
    return True
