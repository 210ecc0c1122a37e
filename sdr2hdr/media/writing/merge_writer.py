"""Join segments and everything that is copied from the source into the finished file."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
from av.container import OutputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from sdr2hdr.errors import OutputError, VerificationError
from sdr2hdr.frames import FrameTime
from sdr2hdr.media.bitstreams.decoding_times import DecodingTimes, reorder_depth
from sdr2hdr.media.copying.metadata import WRITER_NAME, container_tags, stream_tags
from sdr2hdr.media.copying.muxing import complete_description, copying_notices, muxer_options
from sdr2hdr.media.copying.stream_copy import StreamCopier
from sdr2hdr.media.copying.stream_plan import StreamPlan
from sdr2hdr.media.encoding.encoders import choose_encoder
from sdr2hdr.media.encoding.output_video import OutputVideo
from sdr2hdr.media.encoding.track_template import open_track_template
from sdr2hdr.media.mastering import mastering_display
from sdr2hdr.media.source import SourceInfo
from sdr2hdr.media.writing.file_writer import FileWriter
from sdr2hdr.media.writing.output_clock import OutputClock
from sdr2hdr.media.writing.planned_frames import PlannedFrames
from sdr2hdr.media.writing.segment_file import SegmentReader
from sdr2hdr.media.writing.writing_errors import writing_errors_told
from sdr2hdr.media.writing.written import WrittenSummary
from sdr2hdr.options import EncodeOptions

__all__ = ["MergeWriter"]


class MergeWriter(FileWriter):
    """Copies segments, in order, and the other streams along; a context manager.

    The bytes of the file follow from the frames, not from where the film was cut, as far as the
    encoder made the same packets. Leaving the context without `finish` removes the unfinished file.

    Args:
        path: The file to write, replaced if it exists; it is never renamed.
        info: Of the source.
        plan: What becomes of the source's streams, and the container.
        encode: How the segments were encoded.
        video: What was encoded.
        times: When each frame of the film is shown, in ticks of `video.time_base`, increasing;
            taken one by one.

    Raises:
        UsageError: The encoder does not know its quality or its preset.
        OutputError: The container cannot hold what the encoder makes, or the file cannot be
            written.
        InputError: The source cannot be opened again.
    """

    def __init__(
        self,
        path: Path,
        info: SourceInfo,
        plan: StreamPlan,
        encode: EncodeOptions,
        video: OutputVideo,
        times: Iterable[FrameTime],
    ) -> None:
        if video.variable_rate is None:
            video = replace(video, variable_rate=info.video.variable_rate)
        super().__init__(path)
        self._info = info
        self._plan = plan
        self._video = video
        self._mastering = video.mastering or mastering_display(encode.mastering)
        self._spec = choose_encoder(encode, plan.target)
        self._clock = OutputClock.of(video.time_base, plan.shift_seconds)
        self._planned = PlannedFrames(map(self._clock.placed, times), self._clock.time_base)
        self._parameter_sets = b""
        self._decoding_times: DecodingTimes | None = None
        try:
            self._copier = self._resources.enter_context(StreamCopier(info.path, plan))
            self._make_file()
        except BaseException:
            self._resources.close()
            raise

    def add_segment(self, path: Path) -> None:
        """Copy the next segment, and other streams up to where it ends.

        Raises:
            VerificationError: Its frames are not the next ones of the film, or it was encoded in
                another way than those before it.
            OutputError: It cannot be read, or the disk is full.
        """
        with SegmentReader(path) as segment:
            self._check_encoding(path, segment)
            if self._output is None:
                self._open(segment)
            is_first = True
            for packet in segment:
                if is_first and not packet.is_keyframe:
                    raise VerificationError(f"{path} begins without a key frame; expected one.")
                is_first = False
                self._mux(packet, path)
            if is_first:
                raise VerificationError(f"{path} holds no frames; expected at least one.")
            self._planned.check_none_left(path)

    def finish(self) -> WrittenSummary:
        """Copy what is left, and close the file.

        Raises:
            VerificationError: Frames are missing at the end.
            OutputError: The disk is full, or no segment was added.
        """
        if self._output is None:
            raise OutputError("No frame was written; expected at least one in the time range.")
        self._planned.check_all_seen()
        with writing_errors_told(self._path):
            self._copier.finish()
            self._output.close()
            complete_description(
                self._path, self._plan, self._video.sample_aspect_ratio, self._copier.disabled
            )
        self._finished = True
        self._resources.close()
        return WrittenSummary(
            self._planned.seen,
            self._path.stat().st_size,
            dict(self._copier.counts),
            copying_notices(self._plan, self._copier),
        )

    def _check_encoding(self, path: Path, segment: SegmentReader) -> None:
        expected = (self._spec.codec, self._clock.time_base)
        found = (segment.codec, segment.time_base)
        if found != expected:
            raise VerificationError(
                f"{path} holds {found[0]} in ticks of {found[1]} s; expected {expected[0]} in "
                f"ticks of {expected[1]} s."
            )
        if self._output is not None and segment.parameter_sets != self._parameter_sets:
            raise VerificationError(
                f"{path} was encoded with other parameter sets than the segments before it; "
                "expected one encoder and the same options for all."
            )

    def _open(self, segment: SegmentReader) -> None:
        """Write the header; what the encoder says of its stream comes from the first segment."""
        self._parameter_sets = segment.parameter_sets
        depth = reorder_depth(self._spec.codec, self._parameter_sets)
        first_frames = self._planned.peek(depth + 1)
        if not first_frames:
            raise VerificationError("No frames were planned; expected at least one.")
        self._decoding_times = DecodingTimes(depth, first_frames)
        with writing_errors_told(self._path):
            # The scheme keeps a name such as "a:b.mkv" from being anything but a file.
            self._output = output = av.open(
                f"file:{self._path}",
                "w",
                format=self._plan.container_format,
                container_options=muxer_options(self._plan, self._copier, self._clock.time_base),
            )
        tags = container_tags(self._copier.source_metadata, self._plan.timecode)
        output.metadata.update(tags)
        self._stream = self._add_streams(output)
        self._copier.add_chapters(output)
        with writing_errors_told(self._path):
            output.start_encoding()

    def _mux(self, packet: Packet, path: Path) -> None:
        output, decoding_times = self._output, self._decoding_times
        if output is None or decoding_times is None or packet.pts is None:
            raise RuntimeError("A packet is copied before the header is written.")
        time, shown = self._planned.take(packet.pts, path)
        for frame in shown:
            decoding_times.show(frame)
        packet.dts = decoding_times.next_dts()
        if packet.dts > packet.pts:
            raise VerificationError(
                f"{path} reorders more frames than its header says; expected it to keep to that."
            )
        packet.stream = self._stream
        packet.time_base = self._clock.time_base
        packet.duration = time.duration
        with writing_errors_told(self._path):
            self._copier.advance(packet.dts * self._clock.time_base)
            output.mux_one(packet)

    def _add_streams(self, output: OutputContainer) -> VideoStream:
        video_stream: VideoStream | None = None
        for planned in self._plan.streams:
            if planned.source.index == self._info.video.index:
                video_stream = self._add_video(planned.source.index, output)
            else:
                self._copier.add_stream(planned, output)
        if video_stream is None:
            raise ValueError(f"The plan has no stream {self._info.video.index} to convert.")
        return video_stream

    def _add_video(self, index: int, output: OutputContainer) -> VideoStream:
        spec, container_format = self._spec, self._plan.container_format
        described = open_track_template(spec, self._video, self._mastering)
        self._resources.callback(described.close)
        stream = output.add_stream_from_template(described.streams.video[0], opaque=True)
        context = stream.codec_context
        context.pix_fmt = spec.pixel_format
        context.sample_aspect_ratio = self._video.sample_aspect_ratio.limit_denominator(1_000_000)
        if self._parameter_sets:
            # HEVC's with start codes: muxers then take them off the packets too.
            context.extradata = self._parameter_sets
        if spec.profile:
            context.profile = spec.profile
        if spec.tag and (container_format != "matroska" or spec.codec == "prores"):
            context.codec_tag = spec.tag
        rate = self._video.average_rate
        steady = rate is not None and self._video.variable_rate is False
        if rate is not None and (steady or container_format != "matroska"):
            context.framerate = rate.limit_denominator(1_000_000)
        else:
            context.framerate = Fraction(0, 1)
        stream.time_base = self._clock.time_base
        if self._video.rotation_degrees or self._video.is_mirrored:
            stream.set_display_rotation(self._video.rotation_degrees, hflip=self._video.is_mirrored)
        stream.disposition = self._copier.stream_disposition(index)
        tags = stream_tags(self._copier.stream_metadata(index), container_format, is_changed=True)
        stream.metadata.clear()
        stream.metadata.update(tags, encoder=f"{WRITER_NAME} {spec.libav_encoder}")
        if self._plan.timecode is not None:
            stream.metadata["timecode"] = self._plan.timecode
        return stream
