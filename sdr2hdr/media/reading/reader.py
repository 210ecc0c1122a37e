"""Read a stream's frames as batches of integer planes, and change no value unasked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING, Self

import numpy as np
import torch

from sdr2hdr.errors import InputError, Notice
from sdr2hdr.frames import CodedBatch, FrameTime, Timeline
from sdr2hdr.media.bitstreams.user_data import frame_user_data, has_active_format, has_captions
from sdr2hdr.media.pixel_formats import pixel_layout
from sdr2hdr.media.planes import Planes, frame_planes
from sdr2hdr.media.reading.damage import Damage, DamageCounter
from sdr2hdr.media.reading.debanding import Debander, read_signal
from sdr2hdr.media.reading.decoding import Decoder
from sdr2hdr.media.reading.deinterlace import (
    TimedFrame,
    deinterlaced,
    deinterlaced_timing,
    is_woven,
)
from sdr2hdr.media.reading.frame_range import Approach, FrameRange, frame_fingerprint
from sdr2hdr.media.reading.lead_in import LeadIn
from sdr2hdr.media.reading.timestamps import TimestampRepair, time_in_ticks
from sdr2hdr.media.source import SourceInfo
from sdr2hdr.options import ReadOptions
from sdr2hdr.signal import CodedSignal

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

__all__ = ["VideoReader"]

LEAD_IN_FRAMES = 3
"""Frames before a range that the deinterlacer looks at, so that a cut does not show."""


class VideoReader:
    """Gives the frames of a probed file, in presentation order.

    Use it in a `with` block and iterate once::

        with VideoReader(info, options) as reader:
            for batch in reader:
                ...

    Frame times are the source's own (`info.start_seconds` is not taken off), in ticks of
    `time_base`, strictly increasing. A time range keeps the frames with start <= time < end,
    to the frame.

    A `FrameRange` gives exactly the frames, and the times, that a pass with the same options and
    without it gives there. Decoding starts at a key frame near by where that is found to lead to
    the expected first frame, at earlier ones where not, and in the end at the beginning.

    Args:
        info: Of the source.
        options: How to read it.
        frames: The part to read; within the time range of the options, if they have one.
    """

    def __init__(
        self, info: SourceInfo, options: ReadOptions, frames: FrameRange | None = None
    ) -> None:
        self._info = info
        self._frames = frames
        self._options = options
        self._layout = pixel_layout(info.video.pixel_format)
        self._signal = read_signal(info.video, deband=options.deband)
        self._debander: Debander | None = None
        if self._signal != info.video.colour.signal:
            self._debander = Debander(info.video.colour.signal, options.threads)
        self._time_base, self._rate = deinterlaced_timing(info.video, options.deinterlace)
        self._start, self._end = self._range_ticks(self._time_base)
        counted_from = self._start
        if frames is not None:
            ends = (frames.end_pts, self._end)
            self._start = Fraction(frames.start_pts)
            self._end = min((Fraction(end) for end in ends if end is not None), default=None)
            if not frames.is_first:
                counted_from = self._start
        self._counter = DamageCounter(
            is_strict=options.strict,
            start_seconds=self._seconds_from_start(counted_from),
            end_seconds=self._seconds_from_start(self._end),
        )
        self._repair: TimestampRepair | None = None
        self._decoder: Decoder | None = None
        self._has_captions = self._has_active_format = False

    def __enter__(self) -> Self:
        """Open the file.

        Raises:
            InputError: It cannot be opened any more.
        """
        self._decoder = Decoder(self._info, self._options, self._counter)
        return self

    def __exit__(self, *exception: object) -> None:
        if self._decoder is not None:
            self._decoder.close()

    @property
    def signal(self) -> CodedSignal:
        """What the codes of every batch mean."""
        return self._signal

    @property
    def time_base(self) -> Fraction:
        """Seconds a tick of every batch's timeline; half the stream's for `--deinterlace field`."""
        return self._time_base

    @property
    def average_rate(self) -> Fraction | None:
        """Frames a second on average; twice the stream's for `--deinterlace field`."""
        return self._rate

    @property
    def damage(self) -> Damage:
        """What was found broken so far."""
        return self._counter.damage

    @property
    def has_repaired_times(self) -> bool:
        """Whether frames read so far had no time of their own, or one that could not be."""
        return self._repair is not None and self._repair.count > 0

    @property
    def has_joined_clocks(self) -> bool:
        """Whether frames read so far were moved, because the file's clock jumps."""
        return self._decoder is not None and self._decoder.has_joined_clocks

    @property
    def has_captions(self) -> bool:
        """Whether closed captions came with frames read so far."""
        return self._has_captions

    @property
    def has_active_format(self) -> bool:
        """Whether an active format description came with frames read so far."""
        return self._has_active_format

    @property
    def notices(self) -> tuple[Notice, ...]:
        """What the user should know after reading beside `damage`: repaired times, changed tags."""
        notices = [] if self._repair is None else list(self._repair.notices())
        if self._decoder is not None:
            notices.extend(self._decoder.notices)
        return tuple(notices)

    def __iter__(self) -> Iterator[CodedBatch]:
        """Decode the range and give it in batches of `options.batch_frames`.

        Raises:
            InputError: Size or pixel format change on the way, damage under `--strict`, or a
                `FrameRange` whose first frame is not there.
        """
        planes: list[Planes] = []
        times: list[FrameTime] = []
        user_data: list[tuple[bytes, ...]] = []
        wanted = self._frames
        given = self._from_beginning() if wanted is None else self._from_near_by(wanted)
        for timed in given:
            read = frame_planes(timed.frame, self._layout)
            planes.append(read if self._debander is None else self._debander.debanded(read))
            times.append(FrameTime(timed.pts, timed.duration))
            user_data.append(timed.user_data)
            self._has_captions = self._has_captions or has_captions(timed.user_data)
            said = has_active_format(timed.user_data)
            self._has_active_format = self._has_active_format or said
            if len(planes) >= self._options.batch_frames:
                yield self._batch(planes, times, self.signal, user_data)
                planes, times, user_data = [], [], []
        if planes:
            yield self._batch(planes, times, self.signal, user_data)

    def _batch(
        self,
        planes: list[Planes],
        times: list[FrameTime],
        signal: CodedSignal,
        user_data: Sequence[tuple[bytes, ...]] = (),
    ) -> CodedBatch:
        return CodedBatch(
            luma=_stacked([plane.luma for plane in planes]),
            cb=_stacked([plane.cb for plane in planes]),
            cr=_stacked([plane.cr for plane in planes]),
            signal=signal,
            timeline=Timeline(
                self._time_base, tuple(times), tuple(user_data) if any(user_data) else ()
            ),
        )

    def _from_beginning(self) -> Iterator[TimedFrame]:
        """Decode from the beginning of the options' time range."""
        start, _ = self._range_ticks(self._info.video.time_base)
        lead_in = LEAD_IN_FRAMES * self._usual_ticks()
        frames = self._opened_decoder().frames(None if start is None else start - lead_in)
        return self._in_range(self._timed(frames))

    def _from_near_by(self, wanted: FrameRange) -> Iterator[TimedFrame]:
        """Decode from as late as gives the frames that `_from_beginning` gives.

        Raises:
            InputError: The first frame that is wanted is not there.
        """
        place = wanted.start_pts * self._time_base / self._info.video.time_base
        for frames in self._starts_near_by(place, wanted.approach):
            lead_in = LeadIn(place, self._counter)
            part = self._in_range(self._timed(lead_in.watched(frames)))
            first = next(part, None)
            is_sound = lead_in.is_sound(self._lead_in_frames) and not self.has_repaired_times
            if is_sound and first is not None and self._is_first(first, wanted):
                yield first
                yield from part
                return
        part = self._from_beginning()
        first = next(part, None)
        if first is None or not self._is_first(first, wanted):
            found = "no frame" if first is None else f"one at {first.pts}"
            raise InputError(
                f"{self._info.path} is not as it was planned: expected a known frame at "
                f"{wanted.start_pts} (ticks of {self._time_base} s), found {found} or another "
                "picture. The file has changed, or another decoder is at work; plan again."
            )
        yield first
        yield from part

    def _starts_near_by(
        self, place: Fraction, approach: Approach
    ) -> Iterator[Iterator[VideoFrame]]:
        if approach is Approach.FROM_BEGINNING:
            return iter(())
        by_reading = approach is Approach.BY_READING
        return self._opened_decoder().starts_before(place, by_reading=by_reading)

    @property
    def _lead_in_frames(self) -> int:
        """How many frames before the first one must be decoded too."""
        video = self._info.video
        is_filtered = is_woven(video) and self._options.deinterlace != "off"
        return LEAD_IN_FRAMES if is_filtered else 0

    def _is_first(self, found: TimedFrame, wanted: FrameRange) -> bool:
        if found.pts != wanted.start_pts:
            return False
        if wanted.fingerprint is None:
            return True
        # Frames are recognised as they are decoded: a plan is made without smoothing bands.
        planes = frame_planes(found.frame, self._layout)
        signal = self._info.video.colour.signal
        batch = self._batch([planes], [FrameTime(found.pts, found.duration)], signal)
        return frame_fingerprint(batch) == wanted.fingerprint

    def _opened_decoder(self) -> Decoder:
        if self._decoder is None:
            raise RuntimeError("VideoReader is iterated outside its with block.")
        return self._decoder

    def _timed(self, frames: Iterator[VideoFrame]) -> Iterator[TimedFrame]:
        """Frames with their times, deinterlaced, in ticks of `time_base`."""
        return deinterlaced(self._placed(frames), self._info.video, self._options.deinterlace)

    def _placed(self, frames: Iterator[VideoFrame]) -> Iterator[TimedFrame]:
        """Give every frame a time and a duration; this takes a look at the frame after it."""
        video = self._info.video
        repair = TimestampRepair(video.time_base, self._usual_ticks(), video.start_pts or 0)
        self._repair = repair
        end = None if self._end is None else self._end * self._time_base / video.time_base
        waiting: TimedFrame | None = None
        for frame in frames:
            said = self._said_ticks(frame)
            pts = repair.placed(frame.pts, said)
            if waiting is not None:
                # A frame is seen until the next one, whatever the container says: it rounds, and
                # in MP4 durations come in decoding order.
                yield replace(waiting, duration=pts - waiting.pts)
            waiting = TimedFrame(frame, pts, said, frame_user_data(frame))
            if end is not None and pts >= end:
                # The deinterlacer wants one frame more than the range has; nobody wants two.
                break
        if waiting is not None:
            said = waiting.duration
            yield replace(waiting, duration=said if said > 0 else self._usual_ticks())

    def _said_ticks(self, frame: VideoFrame) -> int:
        """How long a frame lasts by the file's word, 0 without one.

        Of a frame that is coded as two pictures, one a field, it says how long the first lasts.
        """
        usual = self._usual_ticks()
        # Where a tick is a frame (AVI, MXF), a whole one lies within the rounding of a half, too.
        is_short = frame.duration < usual and abs(2 * frame.duration - usual) <= 1
        is_half = frame.interlaced_frame and is_short
        return 2 * frame.duration if is_half else frame.duration

    def _in_range(self, frames: Iterator[TimedFrame]) -> Iterator[TimedFrame]:
        for timed in frames:
            if self._end is not None and timed.pts >= self._end:
                return
            if self._start is None or timed.pts >= self._start:
                yield timed

    def _seconds_from_start(self, ticks: Fraction | None) -> float | None:
        if ticks is None:
            return None
        return float(ticks * self._time_base - self._info.start_seconds)

    def _range_ticks(self, time_base: Fraction) -> tuple[Fraction | None, Fraction | None]:
        wanted = self._options.time_range
        first, last = (
            None if seconds is None else time_in_ticks(seconds, time_base, self._info.start_seconds)
            for seconds in (wanted.start_seconds, wanted.end_seconds)
        )
        return first, last

    def _usual_ticks(self) -> int:
        video = self._info.video
        rate = video.average_rate or Fraction(25)
        return max(1, round(1 / (rate * video.time_base)))


def _stacked(planes: list[np.ndarray]) -> torch.Tensor:
    # A single plane is a copy of its own already.
    return torch.from_numpy(planes[0][np.newaxis] if len(planes) == 1 else np.stack(planes))
