"""Decode one stream from a place in the file, past damage, without losing a frame silently."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import av
import av.error

from sdr2hdr.errors import InputError, Notice
from sdr2hdr.media.containers.format_names import is_mp4
from sdr2hdr.media.opening import open_input
from sdr2hdr.media.reading.constancy import Constancy
from sdr2hdr.media.reading.damage import DamageCounter
from sdr2hdr.media.reading.early_end import unread_seconds
from sdr2hdr.media.reading.spliced_clock import SplicedClock, starts_anywhere
from sdr2hdr.media.reading.timestamps import time_in_ticks
from sdr2hdr.media.source import SourceInfo
from sdr2hdr.options import ReadOptions

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

__all__ = ["Decoder"]

FIRST_STEP_BACK_SECONDS = Fraction(1, 4)
"""How far before a wanted time to seek at first: an index by decoding time runs ahead of it."""

DECODED_BY_SLICES = frozenset({"dvvideo"})
"""Decoders that refuse a broken frame, and by threads of whole frames only while they are flushed:
PyAV 18 then drops the frames before it."""
MOST_READ_ERRORS = 50
"""Demuxer errors in a row after which a file is taken as ended."""

ONE_PACKET_A_FRAME = frozenset(
    {"av1", "dnxhd", "ffv1", "h264", "hevc", "mjpeg", "mpeg2video", "prores", "vp9"}
)
"""Codecs of which a packet that gives no frame means a frame lost."""


class Decoder:
    """Gives the frames of the probed video stream as libavcodec makes them."""

    def __init__(self, info: SourceInfo, options: ReadOptions, counter: DamageCounter) -> None:
        """Open the file; `close` it in the end.

        Raises:
            InputError: It cannot be opened any more, or is another file by now.
        """
        self._info = info
        self._options = options
        self._counter = counter
        self._resources = ExitStack()
        self._open()
        self._packets = 0
        self._first_place: tuple[int, int] | None = None
        self._position_bytes: int | None = None
        self._read_already: list[Packet[Any]] = []
        self._last_pts: int | None = None
        self._has_guessed_times = info.container == "avi"
        self._dts_to_pts: int | None = None
        self._last_step = 0
        self._expected: set[int] = set()
        self._has_given = False
        video = info.video
        start, self._end = (
            None if seconds is None else time_in_ticks(seconds, video.time_base, info.start_seconds)
            for seconds in (options.time_range.start_seconds, options.time_range.end_seconds)
        )
        self._constancy = Constancy(info, options, start)
        self._counts_lost = video.codec in ONE_PACKET_A_FRAME and (
            video.codec == "mpeg2video" or video.field_order in ("progressive", "unknown")
        )

    @property
    def notices(self) -> tuple[Notice, ...]:
        """What was noticed while decoding."""
        return (*self._clock.notices(self._info.start_seconds), *self._constancy.notices)

    @property
    def has_joined_clocks(self) -> bool:
        """Whether times so far were moved, because the file's clock jumps."""
        return bool(self._clock.joined_at)

    def frames(self, from_pts: Fraction | None) -> Iterator[VideoFrame]:
        """Decode, in presentation order.

        Args:
            from_pts: Frames from this time on are wanted; some before it may come first. None
                decodes the whole stream.

        Raises:
            InputError: Size or pixel format change, or damage under `--strict`.
            AlreadyHdrError: The video becomes HDR on the way.
        """
        if from_pts is None:
            self._begin()
            yield from self._decoded()
            return
        reach_bytes = self._bytes_before(from_pts)
        for frames in self.starts_before(from_pts, by_reading=reach_bytes is None):
            first = next(frames, None)
            if first is None or first.pts is None or first.pts > from_pts:
                continue
            if reach_bytes is None or (self._position_bytes or 0) <= reach_bytes:
                yield first
                yield from frames
                return
        self._begin()
        yield from self._decoded()

    def starts_before(self, pts: Fraction, *, by_reading: bool) -> Iterator[Iterator[VideoFrame]]:
        """Decode from key frames near a time: first one close by, then earlier and earlier ones.

        Each pass ends the one before it; the beginning of the stream is not among them.

        Args:
            pts: In ticks of the stream.
            by_reading: Find the key frame by reading the file up to it.

        Yields:
            Frames in presentation order from a key frame on, which may lie behind the time; the
            caller looks.
        """
        if self._has_guessed_times and self._stream.codec_context.has_b_frames:
            # Their times are counted from the first frame on.
            return
        step_back = FIRST_STEP_BACK_SECONDS
        find = self._read_up_to if by_reading else self._sought
        while find(pts - step_back / self._info.video.time_base):
            yield self._from_key_frame(self._decoded())
            step_back *= 4

    def close(self) -> None:
        """Close the file."""
        self._resources.close()

    def _open(self) -> None:
        self._container = self._resources.enter_context(open_input(self._info.path))
        try:
            self._stream = _video_stream(self._container, self._info)
        except InputError:
            self._resources.close()
            raise
        codec = self._stream.codec_context.codec.canonical_name
        self._stream.thread_type = "SLICE" if codec in DECODED_BY_SLICES else "AUTO"
        self._stream.thread_count = self._options.threads or 0
        self._clock = SplicedClock(self._container, self._stream.index)
        self._has_moved = False

    def _bytes_before(self, pts: Fraction) -> int | None:
        """How many bytes of the file come before a time; None if its clock jumps on the way there.

        Behind a jump the same times may come again: what is sought by its time may be found there.
        """
        if not starts_anywhere(self._info.container):
            return sys.maxsize
        self._begin()
        self._has_moved = True
        for packet in self._demuxed():
            if self.has_joined_clocks:
                return None
            if packet.dts is not None and packet.dts > pts and packet.pos is not None:
                return packet.pos
        return sys.maxsize

    def _begin(self) -> None:
        self._forget()
        if self._has_moved:
            # Seeking to the first frame misses it in MPEG-TS; opening anew never does.
            self._resources.close()
            self._open()

    def _sought(self, pts: Fraction) -> bool:
        """Seek to a key frame before a time; False if there is no such place."""
        start = self._info.video.start_pts
        if start is None or pts <= start:
            return False
        try:
            self._container.seek(int(pts), stream=self._stream)
        except av.error.FFmpegError:
            return False
        self._forget()
        return True

    def _read_up_to(self, pts: Fraction) -> bool:
        """Read up to a time, and keep what comes from the last key frame before it on.

        Returns:
            False if there is no such frame but at the beginning.
        """
        self._begin()
        self._has_moved = True
        key_frames = 0
        found: list[Packet[Any]] = []
        for packet in self._demuxed():
            if packet.is_keyframe and packet.pts is not None and packet.pts <= pts:
                key_frames += 1
                found = []
            found.append(packet)
            if packet.dts is not None and packet.dts > pts:
                break
        self._counter.forget()
        self._read_already = found
        return key_frames > 1

    def _forget(self) -> None:
        self._read_already = []
        self._packets = 0
        self._first_place = None
        self._position_bytes = None
        self._clock = SplicedClock(self._container, self._stream.index)
        self._dts_to_pts = None
        self._expected.clear()
        self._has_given = False
        self._counter.forget()

    def _from_key_frame(self, frames: Iterator[VideoFrame]) -> Iterator[VideoFrame]:
        """Leave out what a decoder that starts in the middle makes up before a key frame."""
        for frame in frames:
            if frame.key_frame:
                yield frame
                yield from frames
                return

    def _decoded(self) -> Iterator[VideoFrame]:
        for packet in self._demuxed():
            self._has_moved = True
            if packet.size:
                self._packets += 1
                if self._first_place is None and packet.pos is not None and packet.dts is not None:
                    self._first_place = packet.pos, packet.dts
            if self._position_bytes is None:
                self._position_bytes = packet.pos
            if packet.pts is not None and packet.size and not packet.is_discard:
                self._expected.add(packet.pts)
            try:
                frames = packet.decode()
            except av.error.EOFError:
                # The decoder has been flushed already.
                frames = []
            except av.error.MemoryError as error:
                raise InputError(f"Decoding fails: {error.strerror}.") from error
            except av.error.FFmpegError:
                # Each decoder has numbers of its own for damage: DV's says -1, which is EPERM too.
                frames = []
                self._counter.packet_failed(self._seconds(packet.pts))
            for frame in frames:
                if self._is_of_what_follows(frame):
                    return
                yield self._checked(frame)
        self._lose(self._expected)
        if self._info.cut_short and not self._counter.met:
            # The demuxer ends without a word where a file without an index does.
            self._counter.packet_failed(self._seconds(self._last_pts))
        self._check_whole()

    def _demuxed(self) -> Iterator[Packet[Any]]:
        """Demux; a broken place in the file is counted and passed over if there is more."""
        read_already, self._read_already = self._read_already, []
        yield from read_already
        errors = 0
        while True:
            try:
                for packet in self._clock.demuxed([self._stream]):
                    errors = 0
                    yield packet
                return
            except av.error.InvalidDataError:
                errors += 1
                self._counter.packet_failed(None)
                if errors > MOST_READ_ERRORS:
                    yield self._flushing_packet()
                    return
            except av.error.FFmpegError as error:
                # A disk or a network that fails is no damage of the file.
                raise InputError(
                    f"{self._info.path} cannot be read on: {error.strerror}."
                ) from error

    def _flushing_packet(self) -> Packet[Any]:
        packet: Packet[Any] = av.Packet()
        packet.stream = self._stream
        return packet

    def _checked(self, frame: VideoFrame) -> VideoFrame:
        if frame.pts is None:
            frame.pts = frame.dts
        if frame.is_corrupt:
            self._counter.frame_corrupt(self._seconds(frame.pts))
        self._count_lost(frame.pts)
        if self._has_guessed_times:
            self._place_by_dts(frame)
        self._constancy.check(frame, self._stream.codec_context.sample_aspect_ratio)
        self._has_given = True
        self._last_pts = frame.pts
        return frame

    def _place_by_dts(self, frame: VideoFrame) -> None:
        """Count on from the first frame: AVI has no times of its own to show frames at.

        What libavformat guesses is out of order where B-frames are.
        """
        if frame.pts is None:
            return
        if self._dts_to_pts is None:
            self._dts_to_pts = 0 if frame.dts is None else frame.pts - frame.dts
        elif frame.dts is not None:
            frame.pts = frame.dts + self._dts_to_pts
            if self._last_pts is not None:
                self._last_step = frame.pts - self._last_pts
        elif self._last_pts is not None:
            # The last frames come when there is no packet any more.
            frame.pts = self._last_pts + max(1, self._last_step)

    def _count_lost(self, pts: int | None) -> None:
        if pts is None:
            return
        if self._has_given and self._has_guessed_times:
            # Guessed times come out of order: only at the end is it known what never came.
            self._expected.discard(pts)
            return
        earlier = {expected for expected in self._expected if expected < pts}
        self._expected -= earlier
        self._expected.discard(pts)
        # Pictures before the first whole one lean on others that the file never had.
        if self._has_given:
            self._lose(earlier)

    def _lose(self, missing: set[int]) -> None:
        if self._counts_lost:
            for pts in sorted(missing):
                self._counter.frames_lost(1, self._seconds(pts))

    def _check_whole(self) -> None:
        """At the end of the stream: frames that the container promised and that never came."""
        promised = self._info.video.frame_count
        if promised is not None and is_mp4(self._info.container):
            # The index comes before the media in many files, and survives when they are cut short.
            # It has no longer what an edit list hides.
            places = [(entry.pos, entry.timestamp) for entry in self._stream.index_entries]
            if self._first_place is not None and self._first_place in places:
                promised = min(promised, len(places) - places.index(self._first_place))
                end = None if self._last_pts is None else self._seconds(self._last_pts)
                self._counter.frames_lost(max(0, promised - self._packets), end)
        elif self._last_pts is not None and not self._info.cut_short:
            end = float(self._last_pts * self._info.video.time_base)
            lost = unread_seconds(self._info.path, end) * float(self._info.video.average_rate or 1)
            self._counter.frames_lost(round(lost), self._seconds(self._last_pts))

    def _is_of_what_follows(self, frame: VideoFrame) -> bool:
        """Whether a frame behind the time range cannot be read like the range, and need not be.

        One frame behind it is decoded to see when the last one ends.
        """
        pts = frame.dts if frame.pts is None else frame.pts
        if self._end is None or pts is None or pts < self._end:
            return False
        return not self._constancy.can_be_read(frame)

    def _seconds(self, pts: int | None) -> float | None:
        if pts is None:
            return None
        return float(pts * self._info.video.time_base - self._info.start_seconds)


def _video_stream(container: InputContainer, info: SourceInfo) -> VideoStream:
    index = info.video.index
    for stream in container.streams.video:
        if stream.index == index and stream.codec_context is not None:
            return stream
    raise InputError(f"{info.path} has changed: stream {index} is no longer its video.")
