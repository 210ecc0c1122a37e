"""A description of the video stream that muxers understand, HDR10 metadata included.

libav's encoders tell a muxer nothing of the mastering display, the light levels, the chroma siting
or padding. A muxer does write all of them when it copies a stream from a file that has them. So a
Matroska file with a description and no frames is made in memory, and the stream read back from it
is what the real file's stream is modelled on, whatever its container.
"""

from __future__ import annotations

import io
import struct

import av
from av.container import InputContainer

from sdr2hdr.media.av_log import captured_av_log
from sdr2hdr.media.ebml import element_bytes, uint_bytes
from sdr2hdr.media.encoders import UNMEASURED_LIGHT_LEVEL_CD_M2, EncoderSpec
from sdr2hdr.media.mastering import MasteringDisplay
from sdr2hdr.media.output_video import OutputVideo
from sdr2hdr.signal import ChromaSiting, CodedSignal, ColourRange, Subsampling, Transfer

__all__ = ["TRANSFER_CODES", "open_track_template"]

TRANSFER_CODES = {Transfer.PQ: 16}
"""Rec. ITU-T H.273 (07/2021), Table 3."""

_CODEC_IDS = {
    "hevc": "V_MPEGH/ISO/HEVC",
    "av1": "V_AV1",
    "prores": "V_PRORES",
    "dnxhd": "V_MS/VFW/FOURCC",
    "ffv1": "V_FFV1",
}
"""Matroska codec IDs by libav's name (matroska.org, Codec Mappings)."""

_EBML, _DOC_TYPE, _DOC_TYPE_VERSION, _DOC_TYPE_READ_VERSION = 0x1A45DFA3, 0x4282, 0x4287, 0x4285
_SEGMENT, _INFO, _TIMESTAMP_SCALE = 0x18538067, 0x1549A966, 0x2AD7B1
_TRACKS, _TRACK_ENTRY, _TRACK_NUMBER, _TRACK_UID = 0x1654AE6B, 0xAE, 0xD7, 0x73C5
_TRACK_TYPE, _CODEC_ID, _CODEC_PRIVATE, _VIDEO = 0x83, 0x86, 0x63A2, 0xE0
_PIXEL_WIDTH, _PIXEL_HEIGHT, _FLAG_INTERLACED = 0xB0, 0xBA, 0x9A
_CROP_RIGHT, _CROP_BOTTOM = 0x54DD, 0x54AA
_CLUSTER, _CLUSTER_TIMESTAMP = 0x1F43B675, 0xE7
_COLOUR, _MASTERING = 0x55B0, 0x55D0
_MATRIX, _RANGE, _TRANSFER, _PRIMARIES = 0x55B1, 0x55B9, 0x55BA, 0x55BB
_SITING_ACROSS, _SITING_DOWN = 0x55B7, 0x55B8
_MAX_CLL, _MAX_FALL = 0x55BC, 0x55BD
_MASTERING_VALUES = range(0x55D1, 0x55DB)
"""IDs of RFC 9559, clause 5.1; the values are x and y of red, green, blue and white, max, min."""

_PROGRESSIVE = 2
_RANGE_CODES = {ColourRange.LIMITED: 1, ColourRange.FULL: 2}
_COLLOCATED, _HALF = 1, 2
_SITING_CODES = {
    ChromaSiting.LEFT: (_COLLOCATED, _HALF),
    ChromaSiting.CENTRE: (_HALF, _HALF),
    ChromaSiting.TOP_LEFT: (_COLLOCATED, _COLLOCATED),
}


def open_track_template(
    spec: EncoderSpec, video: OutputVideo, mastering: MasteringDisplay
) -> InputContainer:
    """Open the description; its only stream is valid as long as the container is open.

    Light levels are `UNMEASURED_LIGHT_LEVEL_CD_M2`.
    """
    # libav complains, rightly, that there are no frames to learn more from.
    with captured_av_log():
        return av.open(io.BytesIO(_matroska(spec, video, mastering)), "r", format="matroska")


def _matroska(spec: EncoderSpec, video: OutputVideo, mastering: MasteringDisplay) -> bytes:
    picture = [
        _uint(_PIXEL_WIDTH, video.width_px),
        _uint(_PIXEL_HEIGHT, video.height_px),
        _uint(_FLAG_INTERLACED, _PROGRESSIVE),
        element_bytes(_COLOUR, _colour(video.signal, mastering)),
    ]
    if video.crop_right_px or video.crop_bottom_px:
        picture.append(_uint(_CROP_RIGHT, video.crop_right_px))
        picture.append(_uint(_CROP_BOTTOM, video.crop_bottom_px))
    track = [
        _uint(_TRACK_NUMBER, 1),
        _uint(_TRACK_UID, 1),
        _uint(_TRACK_TYPE, 1),
        element_bytes(_CODEC_ID, _CODEC_IDS[spec.codec].encode()),
        element_bytes(_VIDEO, b"".join(picture)),
    ]
    private = _codec_private(spec, video)
    if private:
        track.append(element_bytes(_CODEC_PRIVATE, private))
    header = (
        element_bytes(_DOC_TYPE, b"matroska")
        + _uint(_DOC_TYPE_VERSION, 4)
        + _uint(_DOC_TYPE_READ_VERSION, 2)
    )
    segment = (
        element_bytes(_INFO, _uint(_TIMESTAMP_SCALE, 1_000_000))
        + element_bytes(_TRACKS, element_bytes(_TRACK_ENTRY, b"".join(track)))
        + element_bytes(_CLUSTER, _uint(_CLUSTER_TIMESTAMP, 0))
    )
    return element_bytes(_EBML, header) + element_bytes(_SEGMENT, segment)


def _colour(signal: CodedSignal, mastering: MasteringDisplay) -> bytes:
    values = (
        *(*mastering.red, *mastering.green, *mastering.blue, *mastering.white),
        *(mastering.max_luminance_cd_m2, mastering.min_luminance_cd_m2),
    )
    display = b"".join(
        element_bytes(identifier, struct.pack(">d", value))
        for identifier, value in zip(_MASTERING_VALUES, values, strict=True)
    )
    parts = [
        _uint(_MATRIX, int(signal.matrix)),
        _uint(_RANGE, _RANGE_CODES[signal.colour_range]),
        _uint(_TRANSFER, TRANSFER_CODES[signal.transfer]),
        _uint(_PRIMARIES, int(signal.primaries)),
        _uint(_MAX_CLL, UNMEASURED_LIGHT_LEVEL_CD_M2),
        _uint(_MAX_FALL, UNMEASURED_LIGHT_LEVEL_CD_M2),
        element_bytes(_MASTERING, display),
    ]
    if signal.subsampling is not Subsampling.YUV444:
        across, down = _SITING_CODES[signal.siting]
        parts += [_uint(_SITING_ACROSS, across), _uint(_SITING_DOWN, down)]
    return b"".join(parts)


def _codec_private(spec: EncoderSpec, video: OutputVideo) -> bytes:
    """What Matroska wants where the codec ID alone does not name the codec."""
    if spec.codec == "prores":
        return spec.tag.encode()
    if spec.codec == "dnxhd":
        # BITMAPINFOHEADER of Video for Windows
        return struct.pack(
            "<IiiHH4sIiiII",
            *(40, video.width_px, video.height_px, 1, 24, spec.tag.encode()),
            *(0, 0, 0, 0, 0),
        )
    return b""


def _uint(identifier: int, value: int) -> bytes:
    return element_bytes(identifier, uint_bytes(value))
