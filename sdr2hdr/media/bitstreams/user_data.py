"""What television puts into coded pictures beside the picture: captions, active format (AFD).

Closed captions are those of CEA-608 and CEA-708; an active format description says what part of the
picture matters. A decoder gives both of each frame, from MPEG-2's user data, H.264's SEI or the
user data of DVDs alike. HEVC has them in a message registered by Rec. ITU-T T.35 (Rec. ITU-T H.265
(08/2021), D.2.6), AV1 in a metadata unit of that (AV1 Bitstream & Decoding Process Specification,
5.8.2), with the content of ATSC A/53 Part 4:2009, 6.2.3 (captions) and of ETSI TS 101 154, Annex B
(`afd_data`).
"""

from __future__ import annotations

from collections.abc import Sequence

from av.sidedata.sidedata import Type
from av.video.frame import VideoFrame

from sdr2hdr.media.bitstreams.hdr10_obu import ITUT_T35, metadata_unit, with_frame_metadata
from sdr2hdr.media.bitstreams.hdr10_sei import (
    SeiMessage,
    join_units,
    sei_unit,
    split_units,
    with_message_units,
)
from sdr2hdr.media.bitstreams.side_data import frame_side_data

__all__ = [
    "USER_DATA_CODECS",
    "caption_payloads",
    "frame_user_data",
    "has_active_format",
    "has_captions",
    "with_user_data",
]

USER_DATA_CODECS = frozenset({"hevc", "av1"})
"""The coded forms that are given it here."""

_REGISTERED_USER_DATA = 4
_UNITED_STATES, _ATSC = b"\xb5", b"\x00\x31"
_CAPTION_HEAD = _UNITED_STATES + _ATSC + b"GA94\x03"
_ACTIVE_FORMAT_HEAD = _UNITED_STATES + _ATSC + b"DTG1"
_PROCESS_CAPTIONS = 0xC0
"""`process_cc_data_flag` behind a reserved bit; the count of constructs has the five low bits."""
_EMPTY_BYTE = _MARKER = b"\xff"
_CONSTRUCT_BYTES = 3
_MOST_CONSTRUCTS = 31
_ACTIVE_FORMAT_FOLLOWS = 0x41
"""`active_format_flag` among reserved bits."""
_ACTIVE_FORMAT_RESERVED = 0xF0
"""In front of the four bits of `active_format`."""


def frame_user_data(frame: VideoFrame) -> tuple[bytes, ...]:
    """What came with a frame, as messages of T.35; none without any."""
    found = {data.type: bytes(data) for data in frame_side_data(frame)}
    payloads = caption_payloads(found.get(Type.A53_CC, b""))
    if active_format := found.get(Type.AFD):
        said = bytes((_ACTIVE_FORMAT_FOLLOWS, _ACTIVE_FORMAT_RESERVED | active_format[0]))
        payloads.append(_ACTIVE_FORMAT_HEAD + said)
    return tuple(payloads)


def caption_payloads(captions: bytes) -> list[bytes]:
    """Messages of T.35 for a frame's captions, as many as their number of constructs needs.

    Args:
        captions: Constructs of 3 bytes, as a decoder gives them.
    """
    most = _MOST_CONSTRUCTS * _CONSTRUCT_BYTES
    parts = [captions[start : start + most] for start in range(0, len(captions), most)]
    return [
        _CAPTION_HEAD
        + bytes((_PROCESS_CAPTIONS | len(part) // _CONSTRUCT_BYTES,))
        + _EMPTY_BYTE
        + part
        + _MARKER
        for part in parts
    ]


def has_captions(user_data: Sequence[bytes]) -> bool:
    """Whether closed captions are among a frame's messages."""
    return any(payload.startswith(_CAPTION_HEAD) for payload in user_data)


def has_active_format(user_data: Sequence[bytes]) -> bool:
    """Whether an active format description is among a frame's messages."""
    return any(payload.startswith(_ACTIVE_FORMAT_HEAD) for payload in user_data)


def with_user_data(codec: str, data: bytes, user_data: Sequence[bytes]) -> bytes:
    """A coded picture with messages in front of it.

    Args:
        codec: "hevc" (with start codes) or "av1".
        data: A packet of it.
        user_data: As `frame_user_data` gives it.
    """
    if codec == "av1":
        return with_frame_metadata(data, [metadata_unit(ITUT_T35, each) for each in user_data])
    units = [sei_unit([SeiMessage(_REGISTERED_USER_DATA, each)]) for each in user_data]
    return join_units(with_message_units(split_units(data, 0), units), 0)
