"""Find constant black bars around the picture: from a few frames, or from all as they pass."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING

import av.error
import numpy as np

from sdr2hdr.frames import CodedBatch, Rectangle
from sdr2hdr.media.opening import demuxed, open_input
from sdr2hdr.media.pixel_formats import pixel_layout
from sdr2hdr.media.planes import Planes, frame_planes
from sdr2hdr.media.reading.blackness import RINGING_PX, is_black_outside, is_bright, not_black
from sdr2hdr.media.source import SourceInfo

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

__all__ = ["LetterboxFinder", "detect_active_picture"]

SAMPLES = 12
MOST_PACKETS_PER_SAMPLE = 120
FRAMES_BETWEEN_LOOKS = 12
SHORTEST_SECONDS = 0.2
"""In less than this a dark edge cannot be told from a bar."""

CLEARLY_LIT = 32
"""Codes at 8 bits above black by which an edge must stand out from a bar."""

NARROWEST_BAR_PX = 8
NARROW_PAIR_PX = 4
"""Narrower bars count only in pairs of about equal width."""

EQUAL_BARS_PX = 2
"""Bars no more different than this are a pair made on purpose: one that is certain vouches for the
other, whose edge may lie in the dark of a night shot."""

SMALLEST_EDGE_SHARE = 0.4
"""Share of a line along the edge that must have been clearly lit at one time or another."""

SMALLEST_PICTURE_SHARE = 0.2
"""A picture that fills less of the frame, along either side, is a logo on black, not letterbox."""


def detect_active_picture(
    info: SourceInfo, start_seconds: float | None = None, end_seconds: float | None = None
) -> Rectangle | None:
    """Find the part of the frame that is not constant black bars.

    A few frames across the file are looked at. Whatever is not black in any of them is picture, but
    for single faint samples of noise, so the result is only ever too large; `is_black_outside`
    guards the frames not looked at.

    Args:
        info: A probed file.
        start_seconds: Begin of the part to look at, from the start of the file.
        end_seconds: End of it.

    Returns:
        The smallest rectangle with even edges, on whole chroma samples, that holds all picture, in
        px of the decoded frame; None without bars, or if nothing but black was seen.
    """
    duration = info.video_seconds
    if duration is None or duration < SHORTEST_SECONDS:
        return None
    start = start_seconds or 0.0
    end = min(duration, end_seconds if end_seconds is not None else duration)
    layout = pixel_layout(info.video.pixel_format)
    signal = info.video.colour.signal
    height, width = info.video.height_px, info.video.width_px
    seen = np.zeros((height, width), bool)
    lit = np.zeros((height, width), bool)
    taken: set[int] = set()
    with open_input(info.path) as container:
        stream = next((s for s in container.streams.video if s.index == info.video.index), None)
        if stream is None or stream.codec_context is None:
            return None
        for number in range(SAMPLES):
            seconds = start + (end - start) * (number + 0.5) / SAMPLES
            frame = _frame_near(container, stream, seconds + float(info.start_seconds), taken)
            if frame is None or frame.format.name != info.video.pixel_format:
                continue
            if (frame.height, frame.width) != (height, width):
                continue
            planes = frame_planes(frame, layout)
            seen |= not_black(planes, signal)
            if all(edge.any() for edge in (seen[0], seen[-1], seen[:, 0], seen[:, -1])):
                return None
            lit |= is_bright(planes.luma, signal, CLEARLY_LIT)
    return _active(seen, lit, signal.subsampling.horizontal)


class LetterboxFinder:
    """Finds the bars of a whole video while its frames pass.

    What `detect_active_picture` concludes from samples is certain here: `is_black_outside` holds
    for every frame and the result.

    Args:
        info: Of the source; in one that is too short none are found.
    """

    def __init__(self, info: SourceInfo) -> None:
        duration = info.video_seconds
        self._is_too_short = duration is not None and duration < SHORTEST_SECONDS
        self._across = info.video.colour.signal.subsampling.horizontal
        self._taken = 0
        self._picture: Rectangle | None = None
        self._lit: np.ndarray | None = None

    def add(self, batch: CodedBatch) -> None:
        """Look at frames, all of one size.

        Every frame is looked at outside of what is known to be picture, and all of it now and then,
        for where an edge is lit, and for the faintest of it.
        """
        if self._is_too_short:
            return
        size = (batch.luma.shape[1], batch.luma.shape[2])
        if self._lit is None:
            self._lit = np.zeros(size, bool)
        for number in range(len(batch.timeline)):
            if self._picture == Rectangle(0, 0, *size):
                return
            frame = batch.part(number, number + 1)
            is_look = self._taken % FRAMES_BETWEEN_LOOKS == 0
            self._taken += 1
            known = self._picture
            if known is not None and not is_look and is_black_outside(frame, known)[0]:
                continue
            planes = Planes(*(plane[0].cpu().numpy() for plane in (frame.luma, frame.cb, frame.cr)))
            self._picture = _grown(known, not_black(planes, batch.signal))
            self._lit |= is_bright(planes.luma, batch.signal, CLEARLY_LIT)

    def active_picture(self) -> Rectangle | None:
        """The result so far, as `detect_active_picture` gives it."""
        if self._picture is None or self._lit is None:
            return None
        known = self._picture
        seen = np.zeros(self._lit.shape, bool)
        seen[known.top : known.bottom, known.left : known.right] = True
        return _active(seen, self._lit, self._across)


def _grown(known: Rectangle | None, seen: np.ndarray) -> Rectangle | None:
    """The least rectangle around another and all that is set in a map, (H, W)."""
    rows, columns = np.flatnonzero(seen.any(1)), np.flatnonzero(seen.any(0))
    if not rows.size:
        return known
    found = Rectangle(int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1)
    if known is None:
        return found
    return Rectangle(
        min(known.top, found.top),
        min(known.left, found.left),
        max(known.bottom, found.bottom),
        max(known.right, found.right),
    )


def _active(seen: np.ndarray, lit: np.ndarray, across: int) -> Rectangle | None:
    """The rectangle with even edges around all that was ever seen; None without bars.

    Args:
        seen: (H, W), where anything but black was seen.
        lit: (H, W), where it was clearly lit.
        across: Luma px a chroma sample along a row: edges lie between samples.
    """
    if not seen.any():
        return None
    top, bottom = _bars(seen, lit, 2)
    left, right = _bars(seen.T, lit.T, max(2, across))
    height, width = seen.shape
    return _rectangle(top, bottom, left, right, height, width)


def _bars(seen: np.ndarray, lit: np.ndarray, step: int) -> tuple[int, int]:
    """First and last row of the picture (half open), outward to whole steps of px.

    All rows if there are no bars.
    """
    lines = np.flatnonzero(seen.any(1))
    first, last = int(lines[0]), int(lines[-1]) + 1
    size = seen.shape[0]
    # A bar ends in a straight edge, give or take a codec's ringing; where a picture only fades
    # into the dark, no line is full.
    before, after = first, size - last
    is_sure = (
        _has_full_line(lit[first : first + RINGING_PX]),
        _has_full_line(lit[max(0, last - RINGING_PX) : last]),
    )
    if not (any(is_sure) and abs(before - after) <= EQUAL_BARS_PX):
        before, after = before if is_sure[0] else 0, after if is_sure[1] else 0
    is_pair = min(before, after) >= NARROW_PAIR_PX and abs(before - after) <= NARROW_PAIR_PX
    if not is_pair:
        before = before if before >= NARROWEST_BAR_PX else 0
        after = after if after >= NARROWEST_BAR_PX else 0
    end = size - after
    return before - before % step, min(size, -(-end // step) * step)


def _has_full_line(lines: np.ndarray) -> bool:
    """Whether one of the lines was lit along enough of the frame."""
    return bool((lines.mean(1) >= SMALLEST_EDGE_SHARE).any())


def _rectangle(
    top: int, bottom: int, left: int, right: int, height: int, width: int
) -> Rectangle | None:
    picture = Rectangle(top, left, bottom, right)
    if (picture.height, picture.width) == (height, width):
        return None
    if picture.height < SMALLEST_PICTURE_SHARE * height:
        return None
    if picture.width < SMALLEST_PICTURE_SHARE * width:
        return None
    return picture


def _frame_near(
    container: InputContainer, stream: VideoStream, seconds: float, taken: set[int]
) -> VideoFrame | None:
    """A frame from about a time; a key frame nearby is good enough and cheap.

    Args:
        container: Any position.
        stream: Of the container.
        seconds: On the stream's clock.
        taken: Times of the frames looked at so far; the new one's is added. Where key frames are
            far apart, the frames on the way to the time wanted are decoded.
    """
    if stream.time_base is None:
        return None
    target = int(seconds / stream.time_base)
    frames = _frames_from(container, stream, target)
    found = next(frames, None)
    if found is not None and found.pts in taken:
        for found in frames:
            if found.pts is None or found.pts >= target:
                break
    if found is not None and found.pts is not None:
        taken.add(found.pts)
    return found


def _frames_from(
    container: InputContainer, stream: VideoStream, target: int
) -> Iterator[VideoFrame]:
    """Frames from the key frame before a time on; what cannot be decoded is passed over."""
    try:
        container.seek(target, stream=stream)
        for packet in islice(demuxed(container, [stream]), MOST_PACKETS_PER_SAMPLE):
            try:
                yield from packet.decode()
            except (av.error.FFmpegError, ValueError):
                continue
    except av.error.FFmpegError:
        return
