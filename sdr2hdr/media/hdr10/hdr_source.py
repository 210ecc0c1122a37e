"""Look at an HDR file as `probe` looks at an SDR one: streams, times, and what its codes mean."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import av.error

from sdr2hdr.errors import InputError
from sdr2hdr.media.bitstreams.bits import HeaderColour
from sdr2hdr.media.bitstreams.bitstream import header_colour
from sdr2hdr.media.containers.container_trial import codec_name
from sdr2hdr.media.containers.cut_short import cut_short
from sdr2hdr.media.hdr10.hdr_frames import open_hdr
from sdr2hdr.media.hdr10.hdr_signalling import decoded_mastering
from sdr2hdr.media.mastering import CHROMATICITY_STEP, LUMINANCE_STEP_CD_M2
from sdr2hdr.media.opening import demuxed, open_input
from sdr2hdr.media.reading.first_frames import display_turn
from sdr2hdr.media.reading.probe import MICROSECONDS, first_start_seconds
from sdr2hdr.media.reading.streams import choose_video, describe_streams
from sdr2hdr.media.reading.timing import has_variable_rate
from sdr2hdr.media.source import ColourReading, SourceInfo, VideoInfo

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

    from sdr2hdr.signal import CodedSignal

__all__ = ["HdrSource", "probe_hdr"]

_MOST_PACKETS = 120


@dataclass(frozen=True)
class HdrSource:
    """An HDR video file that has been looked at.

    Attributes:
        info: As `probe` would give it.
        mastering: Mastering display as the 24 bytes of an `mdcv` box, None if the file names none.
        header: Colour as the stream's own header says it, None where it has none.
    """

    info: SourceInfo
    mastering: bytes | None
    header: HeaderColour | None


def probe_hdr(path: Path, *, assume_pq: bool = False) -> HdrSource:
    """Find out what a PQ video file holds.

    Args:
        path: A local file.
        assume_pq: Take a file without a transfer tag as PQ, BT.2020.

    Raises:
        InputError: The file is missing, unreadable, no video, or not PQ.
    """
    with open_hdr(path, assume_pq=assume_pq) as hdr:
        signal, notices = next(hdr.coded_frames).signal, hdr.notices
    with open_input(path) as container:
        stream, ordinal, dropped = choose_video(container, None, str(path))
        packet, frame = _first_frame(path, container, stream)
        video = _video_info(path, stream, ordinal, frame, signal)
        info = SourceInfo(
            path=path,
            container=container.format.name,
            duration_seconds=_seconds(container.duration, Fraction(1, MICROSECONDS)),
            start_seconds=first_start_seconds(container, video),
            size_bytes=path.stat().st_size,
            metadata=dict(container.metadata),
            streams=describe_streams(container),
            chapters=(),
            video=video,
            cut_short=cut_short(path),
            notices=(*dropped, *notices),
        )
        codec = codec_name(stream)
        header = header_colour(codec, stream.codec_context.extradata, packet)
        return HdrSource(info, _mastering_payload(frame), header)


def _first_frame(
    path: Path, container: InputContainer, stream: VideoStream
) -> tuple[bytes, VideoFrame]:
    first = b""
    try:
        for number, packet in enumerate(demuxed(container, [stream])):
            first = first or bytes(packet)
            for frame in packet.decode():
                return first, frame
            if number > _MOST_PACKETS:
                break
    except av.error.FFmpegError as error:
        raise InputError(f"{path} cannot be decoded: {error.strerror}.") from error
    raise InputError(f"{path} holds no picture that can be decoded.")


def _video_info(
    path: Path, stream: VideoStream, ordinal: int, frame: VideoFrame, signal: CodedSignal
) -> VideoInfo:
    if stream.time_base is None:
        raise InputError("The video stream has no time base; expected timestamps.")
    turn = display_turn(frame)
    return VideoInfo(
        index=stream.index,
        ordinal=ordinal,
        codec=codec_name(stream),
        profile=stream.profile,
        width_px=frame.width,
        height_px=frame.height,
        pixel_format=frame.format.name,
        sample_aspect_ratio=stream.sample_aspect_ratio or Fraction(1),
        rotation_degrees=turn.rotation_degrees,
        is_mirrored=turn.is_mirrored,
        field_order="unknown",
        time_base=stream.time_base,
        average_rate=stream.average_rate or stream.guessed_rate or None,
        variable_rate=has_variable_rate(path, stream),
        frame_count=stream.frames or None,
        start_pts=frame.pts,
        duration_seconds=_seconds(stream.duration, stream.time_base),
        colour=ColourReading(signal, {}, ()),
    )


def _seconds(ticks: int | None, time_base: Fraction) -> float | None:
    return None if ticks is None else float(ticks * time_base)


def _mastering_payload(frame: VideoFrame) -> bytes | None:
    """The mastering display as the 24 bytes of an `mdcv` box."""
    display = decoded_mastering(frame)
    if display is None:
        return None
    points = (display.green, display.blue, display.red, display.white)
    return struct.pack(
        ">8H2I",
        *(round(coordinate / CHROMATICITY_STEP) for point in points for coordinate in point),
        round(display.max_luminance_cd_m2 / LUMINANCE_STEP_CD_M2),
        round(display.min_luminance_cd_m2 / LUMINANCE_STEP_CD_M2),
    )
