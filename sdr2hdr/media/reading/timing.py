"""Whether a stream's frames come at a constant rate."""

from __future__ import annotations

from itertools import islice, pairwise
from typing import TYPE_CHECKING

import av.error

from sdr2hdr.errors import InputError
from sdr2hdr.media.opening import demuxed, open_input

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from av.video.stream import VideoStream

__all__ = ["has_uneven_steps", "has_variable_rate"]

PACKETS_LOOKED_AT = 240
ROUNDING_TICKS = 1
REORDERED_PACKETS = 16
"""Packets at the end of a look whose neighbours in time may not have been seen yet."""


def has_variable_rate(path: Path, stream: VideoStream) -> bool | None:
    """Whether frame durations differ by more than the rounding of the time base, not decoding any.

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
        return has_uneven_steps(entry.timestamp for entry in stream.index_entries)
    times, seen_all = _first_times(path, stream.index)
    if len(times) < 3:
        return None
    if has_uneven_steps(times):
        return True
    return False if seen_all else None


def has_uneven_steps(times: Iterable[int], rounding_ticks: int = ROUNDING_TICKS) -> bool:
    """Whether times do not follow each other at a constant rate.

    Args:
        times: In ticks, increasing; taken one by one.
        rounding_ticks: How much steps may differ.

    Returns:
        False too for fewer than three: a single step differs from no other.
    """
    shortest: int | None = None
    longest = 0
    for earlier, later in pairwise(times):
        step = later - earlier
        shortest = step if shortest is None else min(shortest, step)
        longest = max(longest, step)
    return shortest is not None and longest - shortest > rounding_ticks


def _first_times(path: Path, index: int) -> tuple[list[int], bool]:
    """Sorted times of the first packets of a stream, and whether these are all."""
    times: list[int] = []
    seen_all = False
    try:
        with open_input(path) as container:
            for packet in islice(demuxed(container, [container.streams[index]]), PACKETS_LOOKED_AT):
                if packet.pts is not None:
                    times.append(packet.pts)
                # The packet that flushes the decoder ends the stream.
                seen_all = packet.size == 0
    except (av.error.FFmpegError, InputError, IndexError):
        seen_all = False
    times.sort()
    return (times, True) if seen_all else (times[:-REORDERED_PACKETS], False)
