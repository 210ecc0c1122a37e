"""Whether a stream's frames come at a constant rate, told without decoding."""

from __future__ import annotations

from itertools import islice, pairwise
from typing import TYPE_CHECKING

import av.error

from sdr2hdr.errors import InputError
from sdr2hdr.media.opening import open_input

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from av.video.stream import VideoStream

__all__ = ["has_variable_rate"]

PACKETS_LOOKED_AT = 240
ROUNDING_TICKS = 1
REORDERED_PACKETS = 16
"""Packets at the end of a look whose neighbours in time may not have been seen yet."""


def has_variable_rate(path: Path, stream: VideoStream) -> bool | None:
    """Whether frame durations differ by more than the rounding of the time base.

    Args:
        path: The file, which is opened once more if its index does not tell.
        stream: The stream of the file as it is open already.

    Returns:
        None if only the first frames could be seen and they come at a constant rate, or there
        are fewer than three.
    """
    if len(stream.index_entries) == stream.frames and stream.frames > 2:
        # The index of MP4 and MOV holds every frame, by decoding time: its steps are the
        # frames' durations, if in another order.
        return _differs([entry.timestamp for entry in stream.index_entries])
    times, seen_all = _first_times(path, stream.index)
    if len(times) < 3:
        return None
    if _differs(times):
        return True
    return False if seen_all else None


def _first_times(path: Path, index: int) -> tuple[list[int], bool]:
    """Sorted times of the first packets of a stream, and whether these are all."""
    times: list[int] = []
    seen_all = False
    try:
        with open_input(path) as container:
            for packet in islice(container.demux(container.streams[index]), PACKETS_LOOKED_AT):
                if packet.pts is not None:
                    times.append(packet.pts)
                # The packet that flushes the decoder ends the stream.
                seen_all = packet.size == 0
    except (av.error.FFmpegError, InputError, IndexError):
        seen_all = False
    times.sort()
    return (times, True) if seen_all else (times[:-REORDERED_PACKETS], False)


def _differs(times: Sequence[int]) -> bool:
    steps = [later - earlier for earlier, later in pairwise(times)]
    return max(steps) - min(steps) > ROUNDING_TICKS
