"""Write a file again with other HDR10 metadata: every stream copied, no picture coded anew."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import av
import av.error
from av.format import Flags
from av.stream import Discard

from sdr2hdr.errors import InputError, Notice, OutputError
from sdr2hdr.media.bitstreams.hdr10_sei import HdrSei
from sdr2hdr.media.bitstreams.resignalling import ColourCodes, Resignaller
from sdr2hdr.media.containers.container_trial import refusal
from sdr2hdr.media.copying.metadata import container_tags, stream_tags
from sdr2hdr.media.copying.muxing import complete_description, copying_notices, muxer_options
from sdr2hdr.media.copying.stream_copy import StreamCopier
from sdr2hdr.media.copying.stream_plan import StreamPlan
from sdr2hdr.media.hdr10.hdr10_template import described_stream
from sdr2hdr.media.hdr10.hdr_source import HdrSource
from sdr2hdr.media.opening import open_input
from sdr2hdr.media.reading.early_end import unread_seconds
from sdr2hdr.media.reading.spliced_clock import SplicedClock, streams_with
from sdr2hdr.media.signalling.colour_codes import AV_RANGES, PQ_CODE
from sdr2hdr.media.writing.writing_errors import writing_errors_told

if TYPE_CHECKING:
    from av.container import OutputContainer
    from av.packet import Packet
    from av.video.stream import VideoStream

    from sdr2hdr.media.source import VideoInfo

__all__ = ["RemuxSummary", "check_container", "remux_hdr10"]


@dataclass(frozen=True)
class RemuxSummary:
    """What was written.

    Attributes:
        frames: Packets of the video.
        key_frames: How many of them are key frames.
        colour_added: Whether the stream's header lacked colour and was given it.
        notices: What was found on the way.
    """

    frames: int
    key_frames: int
    colour_added: bool
    notices: tuple[Notice, ...]


def remux_hdr10(source: HdrSource, plan: StreamPlan, path: Path, sei: HdrSei) -> RemuxSummary:
    """Copy a file, saying HDR10 in the stream and in the container.

    Args:
        source: The file.
        plan: What becomes of its streams; the one to be "converted" is the video.
        path: The file to write, replaced if it exists.
        sei: What to say. A mastering display of None keeps what the stream says.

    Raises:
        OutputError: The target cannot be written, or its container cannot hold the video.
        InputError: The source cannot be read to its end.
    """
    info = source.info
    with ExitStack() as resources:
        reader = resources.enter_context(open_input(info.path))
        stream = next(s for s in reader.streams.video if s.index == info.video.index)
        read = streams_with(reader, [stream])
        for other in reader.streams:
            if other not in read:
                other.discard = Discard.all
        signal = info.video.colour.signal
        colour = ColourCodes(int(signal.primaries), PQ_CODE, int(signal.matrix))
        said = colour.is_said_by(source.header)
        resignaller = Resignaller(
            info.video.codec, stream.codec_context.extradata, sei, None if said else colour
        )
        copier = resources.enter_context(StreamCopier(info.path, plan))
        template = resources.enter_context(described_stream(stream, sei, info.path))
        with writing_errors_told(path):
            output = av.open(
                f"file:{path}",
                "w",
                format=plan.container_format,
                container_options=muxer_options(plan, copier, info.video.time_base),
            )
        resources.callback(_close, output)
        output.metadata.update(container_tags(copier.source_metadata, plan.timecode))
        target = None
        for planned in plan.streams:
            if planned.source.index != info.video.index:
                copier.add_stream(planned, output)
                continue
            target = output.add_stream_from_template(template, opaque=True)
            target.codec_context.extradata = resignaller.extradata or None
            tags = copier.stream_metadata(stream.index)
            _describe(target, stream, tags, info.video, colour, plan)
        if target is None:
            raise ValueError(f"The plan has no stream {info.video.index}.")
        copier.add_chapters(output)
        frames = key_frames = end_pts = 0
        with writing_errors_told(path):
            output.start_encoding()
        shift = round(plan.shift_seconds / info.video.time_base)
        clock = SplicedClock(reader, stream.index)
        for packet in _timed(_read(stream, clock, info.path)):
            data = resignaller.packet(bytes(packet), is_key=packet.is_keyframe)
            copy = _with_data(packet, data, shift)
            copy.stream = target
            end_pts = max(end_pts, (packet.pts or 0) + (packet.duration or 0))
            frames += 1
            key_frames += packet.is_keyframe
            with writing_errors_told(path):
                copier.advance((copy.dts or 0) * info.video.time_base)
                output.mux_one(copy)
        with writing_errors_told(path):
            copier.finish()
            output.close()
            complete_description(path, plan, info.video.sample_aspect_ratio, copier.disabled)
        if copier.damage is not None:
            raise InputError(f"{copier.damage}; expected a whole file.")
        if unread := unread_seconds(info.path, float(end_pts * info.video.time_base)):
            raise InputError(
                f"{info.path} is damaged or cut short: the last {unread:.3f} s that it says it has "
                "cannot be read; expected a whole file."
            )
        notices = (*clock.notices(info.start_seconds), *copying_notices(plan, copier))
        return RemuxSummary(frames, key_frames, resignaller.colour_added, notices)


def check_container(source: HdrSource, plan: StreamPlan) -> None:
    """Refuse a container that cannot hold the video, before any work is done, and a bare stream.

    Raises:
        OutputError: It cannot.
        InputError: The source is a stream in no container, so that no frame has a time.
    """
    video = source.info.video
    with open_input(source.info.path) as reader:
        if reader.format.flags & Flags.no_timestamps.value:
            raise InputError(
                f"{source.info.path} is a bare {video.codec} stream, whose frames have no times; "
                "expected a video in a container: mkvmerge, for one, puts it into Matroska."
            )
        reason = refusal(reader.streams[video.index], (), plan.container_format)
    if reason is not None:
        raise OutputError(
            f"{plan.target.suffix} cannot hold {video.codec} video ({reason}); choose the "
            f"container that {source.info.path.name} has."
        )


def _describe(
    target: VideoStream,
    stream: VideoStream,
    tags: Mapping[str, str],
    video: VideoInfo,
    colour: ColourCodes,
    plan: StreamPlan,
) -> None:
    """Say of the copied video what the source said, and HDR10's colour."""
    is_matroska = plan.container_format == "matroska"
    context = target.codec_context
    context.color_primaries = colour.primaries
    context.color_trc = colour.transfer
    context.colorspace = colour.matrix
    context.color_range = AV_RANGES[video.colour.signal.colour_range]
    context.sample_aspect_ratio = video.sample_aspect_ratio
    if video.codec == "hevc" and not is_matroska:
        context.codec_tag = "hvc1"
    elif video.codec == "prores":
        # The kind, "apco" to "ap4x": no frame says it (SMPTE RDD 36).
        context.codec_tag = stream.codec_context.codec_tag
    elif video.codec == "dnxhd" and stream.profile:
        # libavformat tells DNxHR ("AVdh") from DNxHD ("AVdn") by it alone.
        context.profile = stream.profile
    elif video.codec == "vp9":
        # MP4's `vpcC` says it, and libavformat leaves the box empty where it does not know.
        context.pix_fmt = video.pixel_format
    rate = video.average_rate
    if rate is not None and (video.variable_rate is False or not is_matroska):
        context.framerate = rate.limit_denominator(1_000_000)
    else:
        context.framerate = Fraction(0, 1)
    target.time_base = video.time_base
    target.disposition = stream.disposition
    target.metadata.clear()
    target.metadata.update(stream_tags(tags, plan.container_format, is_changed=False))
    if plan.timecode is not None:
        target.metadata["timecode"] = plan.timecode


def _read(stream: VideoStream, clock: SplicedClock, path: Path) -> Iterator[Packet]:
    try:
        yield from (packet for packet in clock.demuxed([stream]) if packet.size)
    except av.error.FFmpegError as error:
        raise InputError(f"{path} cannot be read to its end: {error.strerror}.") from error


def _timed(packets: Iterator[Packet]) -> Iterator[Packet]:
    """The packets with decoding times: Matroska leaves out the first few of streams with B-frames.

    They are set back from the first that is known, a frame each.
    """
    waiting: list[Packet] = []
    for packet in packets:
        if packet.dts is None:
            waiting.append(packet)
            continue
        yield from _set_back(waiting, packet.dts)
        waiting = []
        yield packet
    yield from _set_back(waiting, None)


def _set_back(waiting: list[Packet], next_dts: int | None) -> Iterator[Packet]:
    """The packets, each decoded a frame before the one behind it and never after it is shown."""
    if not waiting:
        return
    step = waiting[0].duration or 1
    left = range(len(waiting), 0, -1)
    latest = [
        packet.pts + step * count
        for packet, count in zip(waiting, left, strict=True)
        if packet.pts is not None
    ]
    if next_dts is not None:
        latest.append(next_dts)
    end = min(latest, default=0)
    for packet, count in zip(waiting, left, strict=True):
        packet.dts = end - step * count
        yield packet


def _with_data(packet: Packet, data: bytes, shift: int) -> Packet:
    """A packet with other bytes, on the output's clock."""
    copy = av.Packet(data)
    copy.time_base = packet.time_base
    copy.pts = None if packet.pts is None else packet.pts - shift
    copy.dts = None if packet.dts is None else packet.dts - shift
    copy.duration, copy.is_keyframe = packet.duration, packet.is_keyframe
    return copy


def _close(output: OutputContainer) -> None:
    with suppress(av.error.FFmpegError, OSError):
        output.close()
