"""A description of the video stream that muxers understand, HDR10 metadata included.

libav's encoders tell a muxer nothing of the mastering display, the light levels, the chroma siting
or padding. A muxer does write all of them when it copies a stream from a file that has them. So a
Matroska file with a description and no frames is made in memory, and the stream read back from it
is what the real file's stream is modelled on, whatever its container.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Sequence

import av
from av.container import InputContainer

from sdr2hdr.media.av_log import captured_av_log
from sdr2hdr.media.containers import matroska_elements as matroska
from sdr2hdr.media.containers.ebml import (
    DOC_TYPE,
    DOC_TYPE_READ_VERSION,
    DOC_TYPE_VERSION,
    HEADER,
    element_bytes,
    uint_bytes,
)
from sdr2hdr.media.encoding.encoders import UNMEASURED_LIGHT_LEVEL_CD_M2, EncoderSpec
from sdr2hdr.media.encoding.output_video import OutputVideo
from sdr2hdr.media.mastering import MasteringDisplay
from sdr2hdr.media.signalling.colour_codes import PQ_CODE
from sdr2hdr.signal import ChromaSiting, CodedSignal, ColourRange, Subsampling, Transfer

__all__ = ["TRANSFER_CODES", "mastering_element", "open_track_template"]

TRANSFER_CODES = {Transfer.PQ: PQ_CODE}
"""Those of what is written."""

_CODEC_IDS = {
    "hevc": "V_MPEGH/ISO/HEVC",
    "av1": "V_AV1",
    "prores": "V_PRORES",
    "dnxhd": "V_MS/VFW/FOURCC",
    "ffv1": "V_FFV1",
}
"""Matroska codec IDs by libav's name (matroska.org, Codec Mappings)."""

_PROGRESSIVE = 2
_RANGE_CODES = {
    ColourRange.LIMITED: matroska.LIMITED_RANGE,
    ColourRange.FULL: matroska.FULL_RANGE,
}
_SITING_CODES = {
    ChromaSiting.LEFT: (matroska.COLLOCATED, matroska.HALF_WAY),
    ChromaSiting.CENTRE: (matroska.HALF_WAY, matroska.HALF_WAY),
    ChromaSiting.TOP_LEFT: (matroska.COLLOCATED, matroska.COLLOCATED),
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


def mastering_element(values: Sequence[float]) -> bytes:
    """Matroska's description of a mastering display.

    Args:
        values: x and y of red, green, blue and white, then the greatest and the least luminance in
            cd/m².
    """
    display = b"".join(
        element_bytes(identifier, struct.pack(">d", value))
        for identifier, value in zip(matroska.MASTERING_VALUES, values, strict=True)
    )
    return element_bytes(matroska.MASTERING, display)


def _matroska(spec: EncoderSpec, video: OutputVideo, mastering: MasteringDisplay) -> bytes:
    picture = [
        _uint(matroska.PIXEL_WIDTH, video.width_px),
        _uint(matroska.PIXEL_HEIGHT, video.height_px),
        _uint(matroska.FLAG_INTERLACED, _PROGRESSIVE),
        element_bytes(matroska.COLOUR, _colour(video.signal, mastering)),
    ]
    if video.crop_right_px or video.crop_bottom_px:
        picture.append(_uint(matroska.CROP_RIGHT, video.crop_right_px))
        picture.append(_uint(matroska.CROP_BOTTOM, video.crop_bottom_px))
    track = [
        _uint(matroska.TRACK_NUMBER, 1),
        _uint(matroska.TRACK_UID, 1),
        _uint(matroska.TRACK_TYPE, matroska.VIDEO_TRACK),
        element_bytes(matroska.CODEC_ID, _CODEC_IDS[spec.codec].encode()),
        element_bytes(matroska.VIDEO, b"".join(picture)),
    ]
    private = _codec_private(spec, video)
    if private:
        track.append(element_bytes(matroska.CODEC_PRIVATE, private))
    header = (
        element_bytes(DOC_TYPE, b"matroska")
        + _uint(DOC_TYPE_VERSION, 4)
        + _uint(DOC_TYPE_READ_VERSION, 2)
    )
    segment = (
        element_bytes(matroska.INFO, _uint(matroska.TIMESTAMP_SCALE, 1_000_000))
        + element_bytes(matroska.TRACKS, element_bytes(matroska.TRACK_ENTRY, b"".join(track)))
        + element_bytes(matroska.CLUSTER, _uint(matroska.CLUSTER_TIMESTAMP, 0))
    )
    return element_bytes(HEADER, header) + element_bytes(matroska.SEGMENT, segment)


def _colour(signal: CodedSignal, mastering: MasteringDisplay) -> bytes:
    values = (
        *(*mastering.red, *mastering.green, *mastering.blue, *mastering.white),
        *(mastering.max_luminance_cd_m2, mastering.min_luminance_cd_m2),
    )
    parts = [
        _uint(matroska.MATRIX, int(signal.matrix)),
        _uint(matroska.RANGE, _RANGE_CODES[signal.colour_range]),
        _uint(matroska.TRANSFER, TRANSFER_CODES[signal.transfer]),
        _uint(matroska.PRIMARIES, int(signal.primaries)),
        _uint(matroska.MAX_CLL, UNMEASURED_LIGHT_LEVEL_CD_M2),
        _uint(matroska.MAX_FALL, UNMEASURED_LIGHT_LEVEL_CD_M2),
        mastering_element(values),
    ]
    if signal.subsampling is not Subsampling.YUV444:
        across, down = _SITING_CODES[signal.siting]
        parts += [_uint(matroska.SITING_ACROSS, across), _uint(matroska.SITING_DOWN, down)]
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
