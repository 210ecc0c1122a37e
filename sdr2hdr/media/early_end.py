"""Tell whether a Matroska file can be read to its end.

Its demuxer may stop at damage without a word. In other containers an index tells what is missing,
or nothing does.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import av.error

from sdr2hdr.media.opening import open_input

__all__ = ["unread_seconds"]

_LEAST_SECONDS = 0.5
"""Writers round durations, and count the last packet of a stream or not."""
_MICROSECONDS = 1_000_000


def unread_seconds(path: Path, video_end_seconds: float) -> float:
    """How much of a file's end cannot be read, neither video nor sound nor subtitles.

    Args:
        path: A file of any container.
        video_end_seconds: Where the last frame ends that could be read, on the file's own clock.

    Returns:
        0 where something is read up to the duration that the file states.
    """
    with open_input(path) as container:
        if "matroska" not in container.format.name.split(",") or not container.duration:
            return 0.0
        duration = container.duration / _MICROSECONDS
        end = video_end_seconds
        if duration - end < _LEAST_SECONDS:
            return 0.0
        with suppress(av.error.FFmpegError, OSError):
            container.seek(round(end * _MICROSECONDS), backward=True)
            for packet in container.demux():
                if packet.pts is not None:
                    end = max(end, float((packet.pts + (packet.duration or 0)) * packet.time_base))
        return duration - end if duration - end >= _LEAST_SECONDS else 0.0
