"""Write the converted video and everything that is copied from the source into one file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from fractions import Fraction
from math import lcm
from pathlib import Path
from types import TracebackType
from typing import Self

import av
import av.error
from av.container import OutputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from sdr2hdr.errors import Notice, OutputError
from sdr2hdr.frames import CodedBatch
from sdr2hdr.media.chapter_reference import name_chapter_track
from sdr2hdr.media.encoder_opening import open_encoder
from sdr2hdr.media.encoders import choose_encoder
from sdr2hdr.media.matroska_display import write_display_size
from sdr2hdr.media.metadata import WRITER_NAME, container_tags, stream_tags
from sdr2hdr.media.output_video import OutputVideo
from sdr2hdr.media.source import SourceInfo
from sdr2hdr.media.stream_copy import StreamCopier
from sdr2hdr.media.stream_plan import StreamPlan
from sdr2hdr.options import EncodeOptions

__all__ = ["OutputVideo", "VideoWriter", "WrittenSummary", "output_time_base"]

_FINEST_TIMESCALE = 1 << 24
"""Ticks a second above which MP4's 32-bit durations would hold less than two minutes."""
_COARSE_TIMESCALE = 1_000_000
_USUAL_TIMESCALE = 10_000
_LARGEST_TIMESCALE = (1 << 31) - 1


@dataclass(frozen=True)
class WrittenSummary:
    """What a finished file holds.

    Attributes:
        frames: Converted frames.
        size_bytes: Of the file.
        copied_packets: By stream index of the source.
        notices: What happened on the way that the user should know.
    """

    frames: int
    size_bytes: int
    copied_packets: Mapping[int, int]
    notices: tuple[Notice, ...]


class VideoWriter:
    """Encodes batches into a file and copies the other streams along; a context manager.

    Leaving the context without `finish` removes the unfinished file.

    Args:
        path: The file to write, replaced if it exists; it is never renamed.
        info: Of the source.
        plan: What becomes of the source's streams, and the container.
        options: How to encode.
        video: What to encode.

    Raises:
        UsageError: The encoder does not know a parameter, its quality or its preset.
        OutputError: The encoder or the file cannot be opened, or the container cannot hold what
            the encoder makes.
        InputError: The source cannot be opened again.
    """

    def __init__(
        self,
        path: Path,
        info: SourceInfo,
        plan: StreamPlan,
        options: EncodeOptions,
        video: OutputVideo,
    ) -> None:
        self._path = path
        self._plan = plan
        if video.variable_rate is None:
            video = replace(video, variable_rate=info.video.variable_rate)
        self._video = video
        self._time_base = output_time_base(video.time_base, plan.shift_seconds)
        self._shift = round(plan.shift_seconds / self._time_base)
        self._durations: dict[int, int] = {}
        self._last_pts: int | None = None
        self._frames = 0
        self._finished = False
        self._resources = ExitStack()
        try:
            spec = choose_encoder(options, plan.target)
            self._encoder = open_encoder(spec, video, options, self._time_base)
            self._resources.callback(self._encoder.close)
            copier = StreamCopier(info.path, plan)
            self._copier = self._resources.enter_context(copier)
            tags = container_tags(copier.source_metadata, plan.timecode)
            self._output = self._opened(path, self._muxer_options())
            self._output.metadata.update(tags)
            self._stream = self._add_streams(info)
            copier.add_chapters(self._output)
            with self._errors_told():
                self._output.start_encoding()
        except BaseException:
            self._resources.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.abort()

    def write(self, batch: CodedBatch) -> None:
        """Encode the frames of a batch, and copy other streams up to where they are.

        Args:
            batch: In the size and signal of the `OutputVideo`, at times of the source that
                increase from frame to frame and batch to batch.

        Raises:
            ValueError: Another size or signal, or times that do not increase.
            OutputError: The encoder failed, or the disk is full.
        """
        video = self._video
        size = tuple(batch.luma.shape[1:])
        if size != (video.height_px, video.width_px) or batch.signal != video.signal:
            raise ValueError(
                f"A batch of {size[1]}x{size[0]} px, {batch.signal}; "
                f"expected {video.width_px}x{video.height_px}, {video.signal}."
            )
        scale = batch.timeline.time_base / self._time_base
        for number, time in enumerate(batch.timeline.frames):
            pts = round(time.pts * scale) - self._shift
            if self._last_pts is not None and pts <= self._last_pts:
                raise ValueError(f"Frame times do not increase: {pts} after {self._last_pts}.")
            self._durations[pts] = round(time.duration * scale) or self._usual_duration(pts)
            self._last_pts = pts
            planes = (batch.luma[number], batch.cb[number], batch.cr[number])
            self._mux(self._encoder.encode(planes, pts))
            self._frames += 1

    def finish(self) -> WrittenSummary:
        """Encode and copy what is left, and close the file.

        Raises:
            OutputError: The encoder failed, the disk is full, or no frame was written.
        """
        if self._frames == 0:
            raise OutputError("No frame was written; expected at least one in the time range.")
        self._mux(self._encoder.flush())
        with self._errors_told():
            self._copier.finish()
            self._output.close()
            self._complete_description()
        self._finished = True
        self._resources.close()
        return WrittenSummary(
            self._frames,
            self._path.stat().st_size,
            dict(self._copier.counts),
            self.notices,
        )

    def _complete_description(self) -> None:
        """Put into the finished file what libavformat leaves out."""
        video = self._video
        if self._plan.container_format != "matroska" and self._plan.timecode is not None:
            name_chapter_track(self._path)
        if self._plan.container_format == "matroska" and video.sample_aspect_ratio != 1:
            write_display_size(
                self._path,
                video.width_px - video.crop_right_px,
                video.height_px - video.crop_bottom_px,
                video.sample_aspect_ratio,
            )

    @property
    def notices(self) -> tuple[Notice, ...]:
        """What happened on the way that the user should know."""
        notices: list[Notice] = []
        if self._copier.damage is not None:
            notices.append(Notice("warning", f"{self._copier.damage}."))
        if self._copier.repaired:
            notices.append(
                Notice(
                    "warning",
                    f"{self._copier.repaired} packets of copied streams had decoding times that "
                    "did not increase; they were moved to the next possible time.",
                )
            )
        return tuple(notices)

    def abort(self) -> None:
        """Stop and remove the file, unless it is finished; may be called at any time."""
        self._resources.close()

    def _opened(self, path: Path, options: dict[str, str]) -> OutputContainer:
        try:
            # The scheme keeps a name such as "a:b.mkv" from being anything but a file; touching
            # it first gives the plain reason where it cannot be written.
            path.open("wb").close()
            output = av.open(
                f"file:{path}",
                "w",
                format=self._plan.container_format,
                container_options=options,
            )
        except (av.error.FFmpegError, OSError) as error:
            raise OutputError(f"{path} cannot be written: {error.strerror}.") from error
        self._resources.callback(self._discard, output)
        return output

    def _usual_duration(self, pts: int) -> int:
        """Ticks for a frame whose duration is unknown: as long as the one before it."""
        if self._last_pts is not None:
            return pts - self._last_pts
        rate = self._video.average_rate
        return max(1, round(1 / rate / self._time_base)) if rate else 1

    def _discard(self, output: OutputContainer) -> None:
        """Close an unfinished file and remove it; a finished one is left alone."""
        if self._finished:
            return
        # Without its name first: closing would otherwise move a long file's data about.
        with suppress(OSError):
            self._path.unlink(missing_ok=True)
        with suppress(av.error.FFmpegError, OSError):
            output.close()
        with suppress(OSError):
            self._path.unlink(missing_ok=True)

    def _muxer_options(self) -> dict[str, str]:
        """What makes the bytes the same on every run, and the times exact."""
        options = {"fflags": "+bitexact"}
        if self._plan.container_format == "matroska":
            return options
        # Timestamps before 0 (B-frames, the priming of audio codecs) become edit lists, whose
        # clock is the movie's: a common multiple keeps the starts of all tracks exact.
        timescale = self._time_base.denominator
        movie = lcm(timescale, *self._copier.sample_rates)
        flags = "+faststart+use_metadata_tags" if self._plan.free_tags else "+faststart"
        return {
            **options,
            "movflags": flags,
            "video_track_timescale": str(timescale),
            "movie_timescale": str(movie if movie <= _LARGEST_TIMESCALE else timescale),
        }

    def _add_streams(self, info: SourceInfo) -> VideoStream:
        video_stream: VideoStream | None = None
        for planned in self._plan.streams:
            if planned.source.index == info.video.index:
                video_stream = self._add_video(planned.source.index)
            else:
                self._copier.add_stream(planned, self._output)
        if video_stream is None:
            raise ValueError(f"The plan has no stream {info.video.index}, the one to convert.")
        return video_stream

    def _add_video(self, index: int) -> VideoStream:
        encoder, spec = self._encoder, self._encoder.spec
        stream = self._output.add_stream_from_template(encoder.template, opaque=True)
        context = stream.codec_context
        context.pix_fmt = spec.pixel_format
        context.sample_aspect_ratio = self._video.sample_aspect_ratio.limit_denominator(1_000_000)
        if encoder.parameter_sets:
            # HEVC's with start codes: muxers then take them off the packets too.
            context.extradata = encoder.parameter_sets
        if encoder.profile is not None:
            context.profile = encoder.profile
        if spec.tag and (self._plan.container_format != "matroska" or spec.codec == "prores"):
            context.codec_tag = spec.tag
        rate = self._video.average_rate
        steady = rate is not None and self._video.variable_rate is False
        if rate is not None and (steady or self._plan.container_format != "matroska"):
            context.framerate = rate.limit_denominator(1_000_000)
        else:
            context.framerate = Fraction(0, 1)
        stream.time_base = self._time_base
        if self._video.rotation_degrees:
            stream.set_display_rotation(self._video.rotation_degrees)
        stream.disposition = self._copier.stream_disposition(index)
        metadata = self._copier.stream_metadata(index)
        tags = stream_tags(metadata, self._plan.container_format, is_changed=True)
        stream.metadata.clear()
        stream.metadata.update(tags, encoder=f"{WRITER_NAME} {spec.libav_encoder}")
        if self._plan.timecode is not None:
            stream.metadata["timecode"] = self._plan.timecode
        return stream

    def _mux(self, packets: list[Packet]) -> None:
        with self._errors_told():
            for packet in packets:
                pts, dts = packet.pts, packet.dts
                if pts is None or dts is None:
                    raise OutputError(
                        f"{self._encoder.spec.libav_encoder} gave a packet without a time."
                    )
                packet.stream = self._stream
                packet.time_base = self._time_base
                packet.duration = self._durations.pop(pts, 0)
                self._copier.advance(dts * self._time_base)
                self._output.mux_one(packet)

    @contextmanager
    def _errors_told(self) -> Iterator[None]:
        """Tell libav's errors while writing in our own words."""
        try:
            yield
        except (av.error.FFmpegError, OSError) as error:
            reason = error.strerror or str(error)
            raise OutputError(f"{self._path} cannot be written: {reason}.") from error


def output_time_base(time_base: Fraction, shift_seconds: Fraction) -> Fraction:
    """The ticks of the output's video: the source's own, as far as a muxer can count in them.

    Args:
        time_base: Of the source's frame times.
        shift_seconds: What will be taken off them; a coarse clock is refined if this does not
            fall on one of its ticks.

    Returns:
        One over a whole number, of which `time_base` is a multiple unless it is finer than a
        2^24th of a second: then a microsecond.
    """
    ticks = time_base.denominator
    if ticks > _FINEST_TIMESCALE:
        return Fraction(1, _COARSE_TIMESCALE)
    if (shift_seconds * ticks).denominator != 1:
        ticks *= -(-_USUAL_TIMESCALE // ticks)
    return Fraction(1, ticks)
