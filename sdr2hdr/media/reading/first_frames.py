"""Decode the first frames of a stream: what only a decoded picture tells."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from math import atan2, degrees
from typing import TYPE_CHECKING

import av.error
from av.sidedata.sidedata import Type

from sdr2hdr.media.bitstreams.side_data import frame_side_data
from sdr2hdr.media.bitstreams.user_data import frame_user_data, has_active_format, has_captions
from sdr2hdr.media.opening import demuxed
from sdr2hdr.media.signalling.colour_facts import ColourTags

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

__all__ = ["DisplayTurn", "FirstFrames", "display_turn", "look_at_first_frames"]

FRAMES_LOOKED_AT = 6
MOST_PACKETS = 1000
"""A stream that gives no frame within so many packets is taken as undecodable. A recording that
begins between key frames gives none before the next: 10 s at 60 frames a second are not rare."""

HDR_METADATA = frozenset(
    {
        Type.MASTERING_DISPLAY_METADATA,
        Type.DYNAMIC_HDR_PLUS,
        Type.DYNAMIC_HDR_VIVID,
        Type.DOVI_RPU_BUFFER,
        Type.DOVI_METADATA,
    }
)


@dataclass(frozen=True)
class FirstFrames:
    """What the first frames show; taken from the first that could be decoded, if not said else.

    Attributes:
        pixel_format: FFmpeg's name of it.
        pts: Of the first frame, in ticks of the stream's time base.
        rotation_degrees: Counter-clockwise, 0, 90, 180 or 270.
        is_mirrored: The display matrix swaps left and right behind that.
        off_quarter_degrees: How far from quarter turns the display matrix leaves an axis.
        earlier: Times of packets, in ticks, that come before `pts` and gave neither a frame nor an
            error: they lean on pictures that the file does not have.
        interlaced_count: How many of the frames are flagged as interlaced.
        has_captions: Whether closed captions came with a frame.
        has_active_format: Whether an active format description came with a frame.
        has_alpha_beside: Whether an alpha channel came beside a coded picture, which decoders of
            VP8 and VP9 leave there (WebM Container Guidelines, "Alpha Channel").
    """

    count: int
    width_px: int
    height_px: int
    pixel_format: str
    pts: int | None
    tags: ColourTags
    rotation_degrees: int
    is_mirrored: bool
    off_quarter_degrees: float
    interlaced_count: int
    has_hdr_metadata: bool
    has_captions: bool
    has_active_format: bool
    has_alpha_beside: bool
    earlier: tuple[int, ...]


def look_at_first_frames(
    container: InputContainer, stream: VideoStream
) -> tuple[FirstFrames | None, bytes]:
    """Decode a few frames from where the container stands; damaged ones are passed over.

    Returns:
        The findings, None if no frame could be decoded, and the first packet's bytes.
    """
    first: VideoFrame | None = None
    count = interlaced = 0
    has_hdr = has_alpha = False
    user_data: list[bytes] = []
    header = b""
    taken: list[int] = []
    for packets, packet in enumerate(_packets(container, stream), start=1):
        if not header and packet.size:
            header = bytes(packet)
        has_alpha = has_alpha or packet.has_sidedata("matroska_block_additional")
        try:
            frames = packet.decode()
        except (av.error.FFmpegError, ValueError):
            frames = []
        else:
            if packet.pts is not None and packet.size and not packet.is_discard:
                taken.append(packet.pts)
        for frame in frames:
            first = frame if first is None else first
            count += 1
            interlaced += frame.interlaced_frame
            has_hdr = has_hdr or any(data.type in HDR_METADATA for data in frame_side_data(frame))
            user_data += frame_user_data(frame)
        if count >= FRAMES_LOOKED_AT or (packets >= MOST_PACKETS and not count):
            break
    if first is None:
        return None, header
    codec = stream.codec_context.codec.canonical_name
    turn = display_turn(first)
    pts = first.pts if first.pts is not None else first.dts
    findings = FirstFrames(
        count=count,
        width_px=first.width,
        height_px=first.height,
        pixel_format=first.format.name,
        pts=pts,
        tags=ColourTags.of(first),
        rotation_degrees=turn.rotation_degrees,
        is_mirrored=turn.is_mirrored,
        off_quarter_degrees=turn.off_quarter_degrees,
        interlaced_count=interlaced,
        has_hdr_metadata=has_hdr,
        has_captions=has_captions(user_data),
        has_active_format=has_active_format(user_data),
        has_alpha_beside=has_alpha and codec in ("vp8", "vp9"),
        earlier=tuple(sorted(time for time in taken if pts is not None and time < pts)),
    )
    return findings, header


def _packets(container: InputContainer, stream: VideoStream) -> Iterator[Packet[VideoStream]]:
    try:
        yield from demuxed(container, [stream])
    except av.error.FFmpegError:
        return


@dataclass(frozen=True)
class DisplayTurn:
    """What a player does with a picture; see `FirstFrames`."""

    rotation_degrees: int = 0
    is_mirrored: bool = False
    off_quarter_degrees: float = 0.0


def display_turn(frame: VideoFrame) -> DisplayTurn:
    """What a player does with a picture by its display matrix, to the nearest quarter turn.

    The matrix: ISO/IEC 14496-12:2022, 8.3.2; of it a and b say where the picture's horizontal axis
    goes, c and d where its vertical one does.
    """
    for data in frame_side_data(frame):
        if data.type is Type.DISPLAYMATRIX and data.buffer_size >= 36:
            a, b, _, c, d = struct.unpack("=5i", bytes(data)[:20])
            is_mirrored = a * d - b * c < 0
            turns_degrees = (
                -degrees(atan2(b, -a if is_mirrored else a)),
                -degrees(atan2(-c, d)),
            )
            off_degrees = max(abs(turn - round(turn / 90) * 90) for turn in turns_degrees)
            return DisplayTurn(round(turns_degrees[0] / 90) * 90 % 360, is_mirrored, off_degrees)
    return DisplayTurn()
