"""Write MPEG-2 with captions and AFD in its user data (ATSC A/53 Part 4): no encoder here does."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.packet import Packet
from av.sidedata.sidedata import Type

_FIRST_SLICE = b"\0\0\1\1"
_CAPTIONS = b"\0\0\1\xb2GA94\x03"
_ACTIVE_FORMAT = b"\0\0\1\xb2DTG1\x41"
_B_FRAMES = 2


def captions_of(number: int, constructs: int = 2) -> bytes:
    """Captions that only frame `number` has."""
    return b"".join(bytes((0xFC, 0x41 + number, 0x30 + part)) for part in range(constructs))


def write_captioned(
    path: Path,
    frames: int,
    *,
    constructs: int = 2,
    interlaced: bool = False,
    every: int = 1,
    first: int = 0,
    active_format: int | None = None,
    first_active: int = 0,
) -> Path:
    """Write 64x48 px at 25 frames a second, with B-frames and a tone.

    Args:
        path: Its suffix says the container.
        frames: How many; frame `number` has `captions_of(number)`.
        constructs: Caption constructs of a frame.
        interlaced: Whether the frames are flagged as woven, top field first.
        every: Frames whose number this does not divide have no captions.
        first: Nor have those before this one.
        active_format: The AFD of the frames; without any if None.
        first_active: Frames before this one have no AFD.
    """
    with av.open(str(path), "w") as container:
        video = container.add_stream("mpeg2video", 25)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        video.codec_context.max_b_frames = _B_FRAMES
        video.codec_context.options = {"g": "6", **({"flags": "+ildct+ilme"} if interlaced else {})}
        packets: list[Packet] = []
        for number in range(frames):
            picture = np.full((48, 64, 3), 40 + 8 * (number % 20), np.uint8)
            frame = av.VideoFrame.from_ndarray(picture, "rgb24").reformat(format="yuv420p")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            packets += video.encode(woven(frame) if interlaced else frame)
        for packet in [*packets, *video.encode(None)]:
            number = round(packet.pts * packet.time_base * 25)
            if number % every == 0 and number >= first:
                packet = captioned(packet, captions_of(number, constructs))
            if active_format is not None and number >= first_active:
                packet = with_user_data(packet, _ACTIVE_FORMAT + bytes((0xF0 | active_format,)))
            container.mux(packet)
    return path


def woven(frame: av.VideoFrame) -> av.VideoFrame:
    graph = av.filter.Graph()
    source = graph.add_buffer(
        width=frame.width, height=frame.height, format=frame.format, time_base=Fraction(1, 25)
    )
    graph.link_nodes(source, graph.add("setfield", "tff"), graph.add("buffersink")).configure()
    graph.push(frame)
    return graph.pull()


def captioned(packet: Packet, captions: bytes) -> Packet:
    head = bytes((0xC0 | len(captions) // 3, 0xFF))
    return with_user_data(packet, _CAPTIONS + head + captions + b"\xff")


def with_user_data(packet: Packet, user_data: bytes) -> Packet:
    data, place = bytes(packet), bytes(packet).index(_FIRST_SLICE)
    new = Packet(data[:place] + user_data + data[place:])
    new.pts, new.dts, new.time_base = packet.pts, packet.dts, packet.time_base
    new.duration, new.is_keyframe, new.stream = packet.duration, packet.is_keyframe, packet.stream
    return new


def decoded_captions(path: Path) -> list[bytes]:
    """The captions of each frame of a file, in presentation order; b"" where it has none."""
    return decoded_side_data(path, Type.A53_CC)


def decoded_side_data(path: Path, kind: Type) -> list[bytes]:
    """What came of one kind with each frame of a file, b"" where nothing has."""
    with av.open(str(path)) as container:
        found = [frame.side_data.get(kind) for frame in container.decode(video=0)]
    return [b"" if data is None else bytes(data) for data in found]
