"""What a finished file says of its HDR video in the three places where anyone looks.

The coded stream, the container, and what a decoder hands on with the first frame. Nothing here
judges; `sdr2hdr.delivery.check` and `sdr2hdr.delivery.verify` do.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import av.error
from av.sidedata.sidedata import Type

from sdr2hdr.errors import InputError
from sdr2hdr.media.bitstreams.bits import said
from sdr2hdr.media.bitstreams.side_data import frame_side_data
from sdr2hdr.media.containers.container_trial import codec_name
from sdr2hdr.media.containers.format_names import is_mp4
from sdr2hdr.media.hdr10.container_facts import ContainerFacts, read_container_facts
from sdr2hdr.media.hdr10.hdr_facts import HdrFacts, StoredMastering
from sdr2hdr.media.hdr10.stream_facts import StreamFacts, read_stream_facts
from sdr2hdr.media.opening import demuxed, open_input
from sdr2hdr.media.reading.streams import choose_video

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

__all__ = ["Signalling", "StreamStart", "decoded_mastering", "read_signalling"]

MOST_PACKETS = 300
MOST_KEY_FRAMES = 3
RATIONALS = 10


@dataclass(frozen=True)
class StreamStart:
    """When a stream begins.

    Attributes:
        kind: "video", "audio", ...
        start_seconds: On the file's clock.
    """

    index: int
    kind: str
    start_seconds: Fraction


@dataclass(frozen=True)
class Signalling:
    """Everything that a file says of its video stream.

    Attributes:
        profile: As libavcodec names it, "" if it does not.
        subsampling: Luma samples per chroma sample, across and down; None for grey and the like.
        stream: The coded stream's headers and first key frames.
        container: The track's description.
        decoder: What libavcodec says with the first frame, made of both.
        starts: Of the video stream and of all audio streams.
    """

    path: Path
    format_name: str
    codec: str
    profile: str
    pixel_format: str
    bit_depth: int
    subsampling: tuple[int, int] | None
    is_rgb: bool
    width_px: int
    height_px: int
    average_rate: Fraction | None
    stream: StreamFacts
    container: ContainerFacts
    decoder: HdrFacts
    starts: tuple[StreamStart, ...] = field(default=())

    @property
    def places(self) -> Mapping[str, HdrFacts]:
        """The three places by name."""
        return {
            "stream": self.stream.facts,
            "container": self.container.facts,
            "decoder": self.decoder,
        }


def read_signalling(path: Path, *, all_key_frames: bool = False) -> Signalling:
    """Look at a file in all three places.

    Args:
        path: A local video file of any tool.
        all_key_frames: Read the headers of every key frame of the file, not of the first three.

    Raises:
        InputError: The file cannot be read, or has no video that can be decoded.
    """
    with open_input(path) as container:
        stream, _, _ = choose_video(container, None, str(path))
        if stream.codec_context is None:
            raise InputError(f"{path} is coded in a way that this FFmpeg build cannot decode.")
        extradata = bytes(stream.codec_context.extradata or b"")
        codec = codec_name(stream)
        beginning = _Beginning(path)
        key_packets = beginning.key_packets(container, stream, all_of_file=all_key_frames)
        said = read_stream_facts(codec, extradata, key_packets)
        frame = beginning.frame()
        in_mp4 = is_mp4(container.format.name)
        track_id = stream.id if in_mp4 else list(container.streams.video).index(stream)
        components = frame.format.components
        return Signalling(
            path=path,
            format_name=container.format.name,
            codec=codec,
            profile=stream.profile or "",
            pixel_format=frame.format.name,
            bit_depth=max(component.bits for component in components),
            subsampling=_subsampling(frame),
            is_rgb=frame.format.is_rgb,
            width_px=frame.width,
            height_px=frame.height,
            average_rate=stream.average_rate,
            stream=said,
            container=read_container_facts(path, container.format.name, track_id),
            decoder=_decoder_facts(frame),
            starts=tuple(
                StreamStart(each.index, each.type, each.start_time * each.time_base)
                for each in container.streams
                if (each is stream or each.type == "audio")
                and each.start_time is not None
                and each.time_base is not None
            ),
        )


class _Beginning:
    """The first picture of a file, found while its key frames' packets pass."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._frame: VideoFrame | None = None

    def key_packets(
        self, container: InputContainer, stream: VideoStream, *, all_of_file: bool
    ) -> Iterator[bytes]:
        """Key frames' packets one by one, and the file's first whatever it is.

        Raises:
            InputError: Nothing can be decoded.
        """
        keys = 0
        try:
            for number, packet in enumerate(demuxed(container, [stream])):
                if packet.size and (packet.is_keyframe or not keys):
                    keys += 1
                    yield bytes(packet)
                if self._frame is None:
                    self._frame = next(iter(packet.decode()), None)
                is_enough = keys >= MOST_KEY_FRAMES or number >= MOST_PACKETS
                if self._frame is not None and is_enough and not all_of_file:
                    return
        except av.error.FFmpegError as error:
            if self._frame is None:
                raise InputError(f"{self._path} cannot be decoded: {error.strerror}.") from error

    def frame(self) -> VideoFrame:
        """The first picture, when the packets have passed.

        Raises:
            InputError: There is none.
        """
        if self._frame is None:
            raise InputError(f"{self._path} holds no picture that can be decoded.")
        return self._frame


def _subsampling(frame: VideoFrame) -> tuple[int, int] | None:
    components = frame.format.components
    if frame.format.is_rgb or len(components) < 3:
        return None
    luma, chroma = components[0], components[1]
    return round(luma.width / chroma.width), round(luma.height / chroma.height)


def _decoder_facts(frame: VideoFrame) -> HdrFacts:
    codes = (int(frame.color_primaries), int(frame.color_trc), int(frame.colorspace))
    primaries, transfer, matrix = map(said, codes)
    levels = (None, None)
    for data in frame_side_data(frame):
        if data.type is Type.CONTENT_LIGHT_LEVEL:
            levels = struct.unpack_from("=2I", bytes(data))
    return HdrFacts(
        primaries=primaries,
        transfer=transfer,
        matrix=matrix,
        is_full_range={1: False, 2: True}.get(int(frame.color_range)),
        mastering=decoded_mastering(frame),
        max_cll=levels[0],
        max_fall=levels[1],
    )


def decoded_mastering(frame: VideoFrame) -> StoredMastering | None:
    """The mastering display that libavcodec found in the stream or was told by the container.

    Its structure: ten fractions (x and y of red, green, blue and white, least and greatest
    luminance), then two flags that say whether primaries and luminance are set.
    """
    kind = Type.MASTERING_DISPLAY_METADATA
    data = next((bytes(data) for data in frame_side_data(frame) if data.type is kind), None)
    if data is None:
        return None
    numbers = struct.unpack_from(f"={2 * RATIONALS + 2}i", data)
    if not all(numbers[-2:]) or not all(numbers[1 : 2 * RATIONALS : 2]):
        return None
    rx, ry, gx, gy, bx, by, wx, wy, darkest, brightest = (
        numbers[2 * place] / numbers[2 * place + 1] for place in range(RATIONALS)
    )
    return StoredMastering((rx, ry), (gx, gy), (bx, by), (wx, wy), brightest, darkest)
