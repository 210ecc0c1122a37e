"""Tell whether a Matroska file can be read to its end.

Its demuxer may stop at damage without a word. In other containers an index tells what is missing,
or nothing does.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import av.error

from sdr2hdr.media.containers import matroska_elements as matroska
from sdr2hdr.media.containers.ebml import CRC_32, VOID, ebml_body, elements_in
from sdr2hdr.media.containers.format_names import is_matroska
from sdr2hdr.media.mapped_file import mapped
from sdr2hdr.media.opening import demuxed, open_input

if TYPE_CHECKING:
    from av.container import InputContainer

__all__ = ["unread_seconds"]

_LEAST_SECONDS = 0.5
"""Writers round durations, and count the last packet of a stream or not."""
_LEAST_UNFINISHED_SECONDS = 10.0
"""Of a file whose writer never came back to its beginning: a duration taken by the clock on the
wall is wrong by less, and one that was known before the writing began is not wrong at all."""
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


def unread_seconds(path: Path, video_end_seconds: float | None = None) -> float:
    """How much of a file's end cannot be read, neither video nor sound nor subtitles.

    Args:
        path: A file of any container.
        video_end_seconds: Where the last frame ends that could be read, on the file's own clock;
            None where nobody has read that far.

    Returns:
        0 where something is read up to the duration that the file states, or where nothing comes
        after what is read: few blocks say how long they last, and the last picture may stay long.
        Not so where a file of unknown size ends long before: its writing was cut short.
    """
    with open_input(path) as container:
        if not is_matroska(container.format.name) or not container.duration:
            return 0.0
        duration = container.duration / _MICROSECONDS
        if video_end_seconds is not None and duration - video_end_seconds < _LEAST_SECONDS:
            return 0.0
        places = (duration, 0.0) if video_end_seconds is None else (video_end_seconds,)
        end, position = video_end_seconds or 0.0, None
        for place in places:
            found_end, position = _read_on(container, place)
            if position is not None:
                end = max(end, found_end)
                break
    unread = duration - end
    if unread < _LEAST_SECONDS:
        return 0.0
    if position is not None and _is_last(path, position):
        body = ebml_body(path)
        is_cut = body is not None and body.size is None and unread >= _LEAST_UNFINISHED_SECONDS
        return unread if is_cut else 0.0
    return unread


def _read_on(container: InputContainer, seconds: float) -> tuple[float, int | None]:
    """When the last packet behind a place ends, and at which byte it lies; None without any."""
    end, position = 0.0, None
    with suppress(av.error.FFmpegError, OSError):
        container.seek(round(seconds * _MICROSECONDS), backward=True)
        for packet in demuxed(container, container.streams):
            if packet.pts is not None:
                end = max(end, float((packet.pts + (packet.duration or 0)) * packet.time_base))
                position = packet.pos
    return end, position


def _is_last(path: Path, position_bytes: int) -> bool:
    """Whether a block lies in the last cluster of a file that is sound from there to its end."""
    with mapped(path) as data:
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
