"""Tell whether a Matroska file can be read to its end.

Its demuxer may stop at damage without a word. In other containers an index tells what is missing,
or nothing does.
"""

from __future__ import annotations

import mmap
from contextlib import suppress
from pathlib import Path

import av.error

from sdr2hdr.media.ebml import CRC_32, elements_in
from sdr2hdr.media.opening import open_input

__all__ = ["unread_seconds"]

_LEAST_SECONDS = 0.5
"""Writers round durations, and count the last packet of a stream or not."""
_MICROSECONDS = 1_000_000

_SEGMENT, _CLUSTER, _VOID = 0x18538067, 0x1F43B675, 0xEC
_IN_CLUSTER = frozenset({CRC_32, _VOID, 0xE7, 0xA7, 0xAB, 0xA3, 0xA0})
"""What a cluster holds: time, position and size of the one before, blocks and groups of them
(IDs of RFC 9559, clause 5.1.3, and RFC 8794, clause 11.3)."""


def unread_seconds(path: Path, video_end_seconds: float) -> float:
    """How much of a file's end cannot be read, neither video nor sound nor subtitles.

    Args:
        path: A file of any container.
        video_end_seconds: Where the last frame ends that could be read, on the file's own clock.

    Returns:
        0 where something is read up to the duration that the file states, or where nothing comes
        after what is read: few blocks say how long they last, and the last picture may stay long.
    """
    with open_input(path) as container:
        if "matroska" not in container.format.name.split(",") or not container.duration:
            return 0.0
        duration = container.duration / _MICROSECONDS
        end, position = video_end_seconds, None
        if duration - end < _LEAST_SECONDS:
            return 0.0
        with suppress(av.error.FFmpegError, OSError):
            container.seek(round(end * _MICROSECONDS), backward=True)
            for packet in container.demux():
                if packet.pts is not None:
                    end = max(end, float((packet.pts + (packet.duration or 0)) * packet.time_base))
                    position = packet.pos
    if duration - end < _LEAST_SECONDS or (position is not None and _is_last(path, position)):
        return 0.0
    return duration - end


def _is_last(path: Path, position_bytes: int) -> bool:
    """Whether a block lies in the last cluster of a file, and both are sound to their ends."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        try:
            segment = next(e for e in elements_in(data) if e.identifier == _SEGMENT)
            inside = elements_in(data, segment.content, segment.end)
            *_, last = (e for e in inside if e.identifier == _CLUSTER)
            held = {e.identifier for e in elements_in(data, last.content, last.end)}
        except (ValueError, IndexError, StopIteration):
            return False
        return last.content <= position_bytes < last.end and held <= _IN_CLUSTER
