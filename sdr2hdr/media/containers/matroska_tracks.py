"""Find what describes a Matroska file's tracks, and rewrite it within its own length."""

from __future__ import annotations

from collections.abc import Callable
from mmap import mmap
from pathlib import Path

from sdr2hdr.media.containers import matroska_elements as matroska
from sdr2hdr.media.containers.ebml import (
    CRC_32,
    Element,
    checksum_element,
    elements_in,
    elements_named,
    find_element,
    uint_in,
)

__all__ = ["is_video", "rewrite_tracks", "stream_entries", "track_entries", "video_track"]

_TYPES_OF_STREAMS = frozenset(
    {
        matroska.VIDEO_TRACK,
        matroska.AUDIO_TRACK,
        matroska.SUBTITLE_TRACK,
        matroska.METADATA_TRACK,
    }
)

_HEAD_BYTES = 16_000_000
"""Enough for what libavformat writes before the end of the tracks; attachments come behind them."""


def track_entries(data: bytes | mmap) -> list[Element]:
    """The tracks of a file, in their order; editors put what has grown behind the clusters.

    Args:
        data: The file.

    Raises:
        ValueError: They are not described, or there is no such file.
    """
    *_, tracks = find_element(data, matroska.SEGMENT, matroska.TRACKS)
    return list(elements_named(data, tracks, matroska.TRACK_ENTRY))


def stream_entries(data: bytes | mmap) -> list[Element]:
    """The tracks of a file that libavformat makes streams of, in their order.

    Raises:
        ValueError: As `track_entries`.
    """
    return [
        entry
        for entry in track_entries(data)
        if uint_in(data, entry, matroska.TRACK_TYPE, 0) in _TYPES_OF_STREAMS
    ]


def is_video(data: bytes | mmap, entry: Element) -> bool:
    """Whether a track is one of pictures; cover art is no track."""
    return uint_in(data, entry, matroska.TRACK_TYPE, 0) == matroska.VIDEO_TRACK


def video_track(data: bytes | mmap, number: int) -> Element:
    """One of the tracks of pictures, by its place among them: libavformat passes over others.

    Raises:
        ValueError: It is not there, or the tracks are not, or there is no such file.
    """
    videos = [entry for entry in track_entries(data) if is_video(data, entry)]
    if number >= len(videos):
        raise ValueError(f"There are {len(videos)} video tracks, not {number + 1}.")
    return videos[number]


def rewrite_tracks(path: Path, rewritten: Callable[[bytes, Element], bytes]) -> None:
    """Put other bytes in the place of what describes the tracks, with a new checksum.

    Args:
        path: A file that libavformat has just finished.
        rewritten: Given the beginning of the file and an element in it, of the tracks, gives what
            is to stand there. If all of it has not the length of what was there, the file stays as
            it is.
    """
    with path.open("r+b") as file:
        head = file.read(_HEAD_BYTES)
        *_, tracks = find_element(head, matroska.SEGMENT, matroska.TRACKS)
        children = list(elements_in(head, tracks.content, tracks.end))
        content = b"".join(rewritten(head, e) for e in children if e.identifier != CRC_32)
        if children[0].identifier == CRC_32:
            content = checksum_element(content) + content
        if len(content) == tracks.end - tracks.content:
            file.seek(tracks.content)
            file.write(content)
