"""Segments: pieces of the converted stream, each encoded for itself into a small file of its own.

A segment is an MP4 or, where MP4 does not name the codec, a MOV: both keep times as whole ticks of
the track's own clock, say how long the last frame lasts, and open in other tools. Its own times
begin at 0; a tag says where on the output's clock that is. NUT would keep packets as they are, but
counts in ticks of its own choice and takes neither ProRes nor DNxHR; Matroska rounds to
milliseconds.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Self

import av
import av.error
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from sdr2hdr.errors import OutputError
from sdr2hdr.frames import CodedBatch, FrameTime
from sdr2hdr.media.bitstreams.decoding_times import DecodingTimes, reorder_depth
from sdr2hdr.media.bitstreams.hdr10_sei import (
    join_units,
    record_length_size,
    record_units,
    split_units,
)
from sdr2hdr.media.bitstreams.sequence_header_av1 import av1c_content
from sdr2hdr.media.containers.container_trial import codec_name
from sdr2hdr.media.copying.stream_plan import StreamPlan
from sdr2hdr.media.encoding.encoder_opening import open_encoder
from sdr2hdr.media.encoding.encoders import EncoderSpec, choose_encoder
from sdr2hdr.media.encoding.output_video import OutputVideo
from sdr2hdr.media.encoding.video_encoder import VideoEncoder
from sdr2hdr.media.writing.file_writer import FileWriter
from sdr2hdr.media.writing.output_clock import OutputClock
from sdr2hdr.media.writing.writing_errors import writing_errors_told
from sdr2hdr.options import EncodeOptions

__all__ = ["SegmentReader", "SegmentSummary", "SegmentWriter", "segment_suffix"]

_FIRST_PTS_TAG = "sdr2hdr.first_pts"
_FORMATS = {"prores": "mov", "dnxhd": "mov"}
"""libavformat's muxers by codec; MP4 for the others."""


@dataclass(frozen=True)
class SegmentSummary:
    """What a finished segment holds.

    Attributes:
        frames: How many.
        time_base: Seconds a tick of the output's clock.
        first_pts: When the first frame is shown, on the output's clock.
        end_pts: When the last one ends.
        size_bytes: Of the file.
    """

    frames: int
    time_base: Fraction
    first_pts: int
    end_pts: int
    size_bytes: int


def segment_suffix(encode: EncodeOptions, target: Path) -> str:
    """What a segment's file is best named for other tools: ".mp4" or ".mov".

    Raises:
        UsageError: As `choose_encoder`.
        OutputError: As `choose_encoder`.
    """
    return f".{_format(choose_encoder(encode, target))}"


class SegmentWriter(FileWriter):
    """Encodes frames that follow one another into a file of their own; a context manager.

    Each segment has an encoder of its own and begins with a key frame, so that it depends on its
    frames alone. Leaving the context without `finish` removes the unfinished file.

    Args:
        path: The file to write, replaced if it exists; it is never renamed.
        video: What to encode.
        encode: How.
        plan: Of the whole output: its container and what is taken off the source's times.

    Raises:
        UsageError: The encoder does not know a parameter, its quality or its preset.
        OutputError: The encoder or the file cannot be opened, or the container of the output
            cannot hold what the encoder makes.
    """

    def __init__(
        self, path: Path, video: OutputVideo, encode: EncodeOptions, plan: StreamPlan
    ) -> None:
        super().__init__(path)
        self._video = video
        self._clock = OutputClock.of(video.time_base, plan.shift_seconds)
        self._spec = choose_encoder(encode, plan.target)
        self._last: FrameTime | None = None
        self._first_pts = 0
        self._frames = 0
        self._shown: dict[int, FrameTime] = {}
        self._decoding_times: DecodingTimes | None = None
        try:
            self._encoder: VideoEncoder = open_encoder(
                self._spec, video, encode, self._clock.time_base
            )
            self._resources.callback(self._encoder.close)
            self._depth = reorder_depth(self._spec.codec, self._encoder.parameter_sets)
            self._make_file()
        except BaseException:
            self._resources.close()
            raise

    def write(self, batch: CodedBatch) -> None:
        """Encode the frames of a batch.

        Args:
            batch: In the size and signal of the `OutputVideo`, at times of the source that
                increase from frame to frame and batch to batch.

        Raises:
            ValueError: Another size, signal or clock, or times that do not increase.
            OutputError: The encoder failed, or the disk is full.
        """
        video = self._video
        size = tuple(batch.luma.shape[1:])
        if size != (video.height_px, video.width_px) or batch.signal != video.signal:
            raise ValueError(
                f"A batch of {size[1]}x{size[0]} px, {batch.signal}; "
                f"expected {video.width_px}x{video.height_px}, {video.signal}."
            )
        timeline = self._clock.timeline(batch.timeline)
        for number, time in enumerate(timeline.frames):
            self._show(time)
            planes = (batch.luma[number], batch.cb[number], batch.cr[number])
            self._mux(self._encoder.encode(planes, time.pts, timeline.user_data_of(number)))

    def finish(self) -> SegmentSummary:
        """Encode what is left and close the file.

        Raises:
            OutputError: The encoder failed, the disk is full, or no frame was written.
        """
        if self._last is None:
            raise OutputError("No frame was written; expected at least one in the time range.")
        self._mux(self._encoder.flush())
        if self._shown or self._output is None:
            raise OutputError(
                f"{self._spec.libav_encoder} gave no packet for {len(self._shown)} of "
                f"{self._frames} frames; expected one for each."
            )
        with writing_errors_told(self._path):
            self._output.close()
            size_bytes = self._path.stat().st_size
        self._finished = True
        self._resources.close()
        end_pts = self._last.pts + self._last.duration
        return SegmentSummary(
            self._frames, self._clock.time_base, self._first_pts, end_pts, size_bytes
        )

    def _show(self, time: FrameTime) -> None:
        """Take a frame's time; one of unknown duration lasts as long as the one before it."""
        last = self._last
        if last is not None and time.pts <= last.pts:
            raise ValueError(f"Frame times do not increase: {time.pts} after {last.pts}.")
        duration = time.duration
        if not duration:
            rate = self._video.average_rate
            usual = round(1 / rate / self._clock.time_base) if rate else 1
            duration = max(1, usual) if last is None else time.pts - last.pts
        time = FrameTime(time.pts, duration)
        if last is None:
            self._first_pts = time.pts
        self._last = time
        self._shown[time.pts] = time
        if self._decoding_times is not None:
            self._decoding_times.show(time)
        self._frames += 1

    def _mux(self, packets: list[Packet]) -> None:
        for packet in packets:
            if self._decoding_times is None:
                self._decoding_times = DecodingTimes(self._depth, list(self._shown.values()))
                for time in self._shown.values():
                    self._decoding_times.show(time)
            pts = packet.pts
            time = None if pts is None else self._shown.pop(pts, None)
            if pts is None or time is None:
                raise OutputError(
                    f"{self._spec.libav_encoder} gave a packet at {pts}; expected the time of a "
                    "frame that it was given."
                )
            dts = self._decoding_times.next_dts()
            if dts > pts:
                raise OutputError(
                    f"{self._spec.libav_encoder} reorders more frames than its stream's header "
                    "says; change --encoder-params."
                )
            if self._output is None:
                if not packet.is_keyframe or pts != self._first_pts:
                    raise OutputError(
                        f"{self._spec.libav_encoder} did not begin with a key frame; change "
                        "--encoder-params."
                    )
                self._output, self._stream = self._opened()
            packet.stream = self._stream
            packet.time_base = self._clock.time_base
            packet.pts, packet.dts = pts - self._first_pts, dts - self._first_pts
            packet.duration = time.duration
            with writing_errors_told(self._path):
                self._output.mux_one(packet)

    def _opened(self) -> tuple[OutputContainer, VideoStream]:
        spec, encoder = self._spec, self._encoder
        timescale = str(self._clock.time_base.denominator)
        options = {
            "fflags": "+bitexact",
            "avoid_negative_ts": "disabled",
            "movflags": "use_metadata_tags",
            "video_track_timescale": timescale,
            "movie_timescale": timescale,
        }
        with writing_errors_told(self._path):
            output = av.open(
                f"file:{self._path}", "w", format=_format(spec), container_options=options
            )
            output.metadata[_FIRST_PTS_TAG] = str(self._first_pts)
            stream = output.add_stream_from_template(encoder.template, opaque=True)
            context = stream.codec_context
            context.pix_fmt = spec.pixel_format
            if encoder.parameter_sets:
                context.extradata = encoder.parameter_sets
            if spec.profile:
                context.profile = spec.profile
            if spec.tag:
                context.codec_tag = spec.tag
            stream.time_base = self._clock.time_base
            output.start_encoding()
        return output, stream


class SegmentReader:
    """Gives a segment's packets back as its encoder made them; a context manager.

    Args:
        path: A finished segment.

    Attributes:
        codec: libav's name of the coded form.
        time_base: Seconds a tick of the packets' times: the output's clock.
        first_pts: When the first frame is shown.
        parameter_sets: As `VideoEncoder.parameter_sets`.

    Raises:
        OutputError: It cannot be read, or is no segment.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._resources = ExitStack()
        try:
            container: InputContainer = self._resources.enter_context(
                # Edit lists would hide the times that are counted from.
                av.open(f"file:{path}", format="mov", options={"ignore_editlist": "1"})
            )
            self._stream = container.streams.video[0]
            self._container = container
            self.codec = codec_name(self._stream)
            record = bytes(self._stream.codec_context.extradata or b"")
            self._length_size = record_length_size(record) if self.codec == "hevc" else 0
            self.parameter_sets = _parameter_sets(self.codec, record)
            self.first_pts = int(container.metadata[_FIRST_PTS_TAG])
            if self._stream.time_base is None:
                raise ValueError("the track has no clock")
            self.time_base: Fraction = self._stream.time_base
        except (av.error.FFmpegError, OSError, LookupError, ValueError) as error:
            self._resources.close()
            raise self._unreadable(error) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._resources.close()

    def __iter__(self) -> Iterator[Packet]:
        """The packets in decoding order, each with its pts on the output's clock.

        Decoding times and durations are not as they were given: they follow from the pts of all.

        Raises:
            OutputError: The file is damaged.
        """
        start: int | None = None
        try:
            for packet in self._container.demux(self._stream):
                if not packet.size:
                    continue
                if packet.pts is None:
                    raise ValueError("a packet has no time")
                if start is None:
                    start = packet.pts
                if self._length_size:
                    # In place: a start code has as many bytes as a length, and flags stay.
                    units = split_units(bytes(packet), self._length_size)
                    packet.update(join_units(units, 0))
                packet.pts += self.first_pts - start
                yield packet
        except (av.error.FFmpegError, OSError, ValueError) as error:
            raise self._unreadable(error) from error

    def _unreadable(self, error: Exception) -> OutputError:
        return OutputError(
            f"The segment {self._path} cannot be read ({error}); expected a finished one. It has "
            "to be converted again: --no-resume does that for all."
        )


def _format(spec: EncoderSpec) -> str:
    return _FORMATS.get(spec.codec, "mp4")


def _parameter_sets(codec: str, record: bytes) -> bytes:
    """What an encoder describes its stream with, out of what the file describes it with."""
    if codec == "hevc":
        return join_units(record_units(record), 0)
    if codec == "av1":
        return av1c_content(record)
    return record if codec == "ffv1" else b""
