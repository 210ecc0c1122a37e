"""Tell whether a Matroska file can be read to its end.

Its demuxer may stop at damage without a word. In other containers an index tells what is missing,
or nothing does.
"""

from __future__ import annotations

import mmap
from contextlib import suppress
from pathlib import Path

import av.error

from sdr2hdr.media import matroska_elements as matroska
from sdr2hdr.media.ebml import CRC_32, VOID, elements_in
from sdr2hdr.media.opening import open_input

__all__ = ["unread_seconds"]

_LEAST_SECONDS = 0.5
"""Writers round durations, and count the last packet of a stream or not."""
_MICROSECONDS = 1_000_000

_IN_CLUSTER = frozenset(
    {
        matroska.CLUSTER_TIMESTAMP,
        matroska.CLUSTER_POSITION,
        matroska.PREVIOUS_SIZE,
        matroska.SIMPLE_BLOCK,
        matroska.BLOCK_GROUP,
    }
)
_IN_SEGMENT = frozenset(
    {
        matroska.SEEK_HEAD,
        matroska.INFO,
        matroska.CLUSTER,
        matroska.TRACKS,
        matroska.CUES,
        matroska.ATTACHMENTS,
        matroska.CHAPTERS,
        matroska.TAGS,
    }
)
_KNOWN = _IN_CLUSTER | _IN_SEGMENT | {CRC_32, VOID}


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
    """Whether a block lies in the last cluster of a file that is sound from there to its end."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        try:
            segment = next(e for e in elements_in(data) if e.identifier == matroska.SEGMENT)
            place = segment.content
            while place < segment.end:
                element = next(elements_in(data, place, segment.end))
                place = element.end
                if element.identifier == matroska.CLUSTER and element.start > position_bytes:
                    return False
                if element.identifier == matroska.CLUSTER and element.end > position_bytes:
                    # Of unknown size, it ends where the next one begins.
                    place = element.content
                elif element.identifier not in _KNOWN:
                    return False
        except (ValueError, IndexError, StopIteration):
            return False
        return True
