"""Decode a few frames across an HDR file, or all of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import av.error

from sdr2hdr.errors import InputError
from sdr2hdr.frames import CodedBatch
from sdr2hdr.media.hdr10.hdr_frames import coded_batch, open_hdr
from sdr2hdr.media.opening import demuxed, open_input
from sdr2hdr.media.pixel_formats import pixel_layout
from sdr2hdr.media.reading.streams import choose_video

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

__all__ = ["all_frames", "sample_frames"]

MICROSECONDS = 1_000_000
FRAMES_A_PLACE = 2
MOST_PACKETS = 120


def all_frames(path: Path) -> Iterator[CodedBatch]:
    """Every frame of a PQ video, one a batch.

    Raises:
        InputError: The file cannot be read to its end, or is not PQ video.
    """
    with open_hdr(path, assume_pq=True) as hdr:
        yield from hdr.coded_frames


def sample_frames(path: Path, places: int = 8) -> Iterator[CodedBatch]:
    """Two frames at each of some places that are spread evenly over a PQ video.

    Args:
        path: A local file.
        places: Where to look, the beginning first. A seek goes to the key frame before, in MPEG-TS
            to the one behind; frames that have been given are passed over. What cannot be sought
            in is looked at from its beginning on.

    Raises:
        InputError: The file cannot be read, or is not PQ video.
    """
    with open_hdr(path, assume_pq=True) as hdr:
        signal = next(hdr.coded_frames).signal
    seen: set[int | None] = set()
    with open_input(path) as container:
        stream, _, _ = choose_video(container, None, str(path))
        duration = (container.duration or 0) / MICROSECONDS
        start = (container.start_time or 0) / MICROSECONDS
        for place in range(places):
            seconds = start + duration * place / places
            if place:
                with suppress(av.error.FFmpegError):
                    container.seek(round(seconds * MICROSECONDS), backward=True)
            for frame in islice(_unseen_frames(container, stream, seen), FRAMES_A_PLACE):
                layout = pixel_layout(frame.format.name)
                yield coded_batch(frame, layout, signal, stream.time_base)


def _unseen_frames(
    container: InputContainer, stream: VideoStream, seen: set[int | None]
) -> Iterator[VideoFrame]:
    """Frames from where the container stands that have not been given yet."""
    try:
        for packet in islice(demuxed(container, [stream]), MOST_PACKETS):
            for frame in packet.decode():
                if frame.pts is None or frame.pts not in seen:
                    seen.add(frame.pts)
                    yield frame
    except av.error.EOFError:
        # It could not be sought in, and has been read to its end.
        return
    except av.error.FFmpegError as error:
        raise InputError(f"A sampled frame cannot be decoded: {error.strerror}.") from error
