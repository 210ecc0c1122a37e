"""Closed captions that lie inside coded pictures: CEA-608 and CEA-708, as television has them.

A decoder gives those of each frame beside its picture, from MPEG-2's user data, H.264's SEI or the
user data of DVDs alike. HEVC has them in a message registered by Rec. ITU-T T.35 (Rec. ITU-T H.265
(08/2021), D.2.6), AV1 in a metadata unit of that (AV1 Bitstream & Decoding Process Specification,
5.8.2), both with the content of ATSC A/53 Part 4:2009, 6.2.3.
"""

from __future__ import annotations

from av.sidedata.sidedata import Type
from av.video.frame import VideoFrame

from sdr2hdr.media.bitstreams.hdr10_obu import ITUT_T35, metadata_unit, with_metadata_units
from sdr2hdr.media.bitstreams.hdr10_sei import (
    SeiMessage,
    join_units,
    sei_unit,
    split_units,
    with_message_units,
)
from sdr2hdr.media.bitstreams.side_data import frame_side_data

__all__ = ["CAPTIONED_CODECS", "caption_payloads", "frame_captions", "with_captions"]

CAPTIONED_CODECS = frozenset({"hevc", "av1"})
"""The coded forms that are given captions here."""

_REGISTERED_USER_DATA = 4
_UNITED_STATES, _ATSC = b"\xb5", b"\x00\x31"
_CAPTION_DATA = b"GA94\x03"
_PROCESS_CAPTIONS = 0xC0
"""`process_cc_data_flag` behind a reserved bit; the count of constructs has the five low bits."""
_EMPTY_BYTE = _MARKER = b"\xff"
_CONSTRUCT_BYTES = 3
_MOST_CONSTRUCTS = 31


def frame_captions(frame: VideoFrame) -> bytes:
    """The captions that came with a frame: constructs of 3 bytes; b"" without any."""
    found = (bytes(data) for data in frame_side_data(frame) if data.type is Type.A53_CC)
    return next(found, b"")


def caption_payloads(captions: bytes) -> list[bytes]:
    """Messages of T.35 for a frame's captions, as many as their number of constructs needs.

    Args:
        captions: As `frame_captions` gives them.
    """
    most = _MOST_CONSTRUCTS * _CONSTRUCT_BYTES
    parts = [captions[start : start + most] for start in range(0, len(captions), most)]
    head = _UNITED_STATES + _ATSC + _CAPTION_DATA
    return [
        head
        + bytes((_PROCESS_CAPTIONS | len(part) // _CONSTRUCT_BYTES,))
        + _EMPTY_BYTE
        + part
        + _MARKER
        for part in parts
    ]


def with_captions(codec: str, data: bytes, captions: bytes) -> bytes:
    """A coded picture with the captions in front of it.

    Args:
        codec: "hevc" (with start codes) or "av1".
        data: A packet of it.
        captions: As `frame_captions` gives them, not empty.
    """
    payloads = caption_payloads(captions)
    if codec == "av1":
        return with_metadata_units(data, [metadata_unit(ITUT_T35, each) for each in payloads])
    units = [sei_unit([SeiMessage(_REGISTERED_USER_DATA, each)]) for each in payloads]
    return join_units(with_message_units(split_units(data, 0), units), 0)
