"""Keep Matroska's word that a track is not to be played: libavformat neither reads nor writes it.

`FlagEnabled`: RFC 9559, 5.1.4.1.4.
"""

from __future__ import annotations

from collections.abc import Collection
from itertools import count
from pathlib import Path

from sdr2hdr.media.containers import matroska_elements as matroska
from sdr2hdr.media.containers.ebml import Element, element_bytes, elements_in, uint_in
from sdr2hdr.media.containers.matroska_tracks import rewrite_tracks, stream_entries
from sdr2hdr.media.mapped_file import mapped

__all__ = ["disabled_tracks", "write_disabled_tracks"]


def disabled_tracks(path: Path) -> frozenset[int]:
    """The places of tracks that are not to be played, among those of streams.

    Args:
        path: A Matroska file.
    """
    with mapped(path) as data:
        try:
            return frozenset(
                place
                for place, entry in enumerate(stream_entries(data))
                if not uint_in(data, entry, matroska.FLAG_ENABLED, 1)
            )
        except (ValueError, IndexError):
            return frozenset()


def write_disabled_tracks(path: Path, places: Collection[int]) -> None:
    """Say in a file that libavformat has just finished that tracks are not to be played.

    Args:
        path: The file.
        places: Of the tracks, counted from 0.
    """
    numbers = count()

    def marked(head: bytes, entry: Element) -> bytes:
        is_one = entry.identifier == matroska.TRACK_ENTRY and next(numbers) in places
        return _disabled(head, entry) if is_one else head[entry.start : entry.end]

    rewrite_tracks(path, marked)


def _disabled(head: bytes, entry: Element) -> bytes:
    """A track entry with the flag in the place of what only repeats a default."""
    for child in elements_in(head, entry.content, entry.end):
        default = element_bytes(matroska.MAX_BLOCK_ADDITION_ID, b"\0")
        if head[child.start : child.end] == default:
            flag = element_bytes(matroska.FLAG_ENABLED, b"\0\0")
            return head[entry.start : child.start] + flag + head[child.end : entry.end]
    return head[entry.start : entry.end]
