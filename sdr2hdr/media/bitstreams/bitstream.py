"""Colour and chroma siting as the coded stream itself says them, which PyAV does not show."""

from __future__ import annotations

from collections.abc import Iterator

from sdr2hdr.media.bitstreams import sps_h264, sps_hevc
from sdr2hdr.media.bitstreams.bits import EndOfBitsError, HeaderColour, annex_b_units
from sdr2hdr.media.bitstreams.sequence_header_av1 import (
    SEQUENCE_HEADER,
    av1_units,
    av1c_content,
    av1c_siting,
    sequence_header_colour,
)

__all__ = ["header_colour", "hevc_header_units", "hevc_packet_units"]

HVCC_ARRAYS_AT = 22


def header_colour(codec: str, extradata: bytes | None, packet: bytes | None) -> HeaderColour | None:
    """What the sequence header of an H.264, H.265 or AV1 stream says about colour.

    Args:
        codec: FFmpeg's name of the codec, such as "h264", "hevc", "av1".
        extradata: The stream's configuration record or byte-stream headers.
        packet: A packet with headers in it, usually the first; the extradata go first.

    Returns:
        What was found; None for other codecs, and where no header could be read.
    """
    parser = {"h264": _h264, "hevc": _hevc, "av1": _av1}.get(codec)
    if parser is None:
        return None
    return parser(extradata or b"", packet or b"")


def _h264(extradata: bytes, packet: bytes) -> HeaderColour | None:
    is_record = len(extradata) > 6 and extradata[0] == 1
    units = _avcc_units(extradata) if is_record else annex_b_units(extradata)
    for unit in (*units, *_packet_units(packet, _length_size(extradata, 4) if is_record else 0)):
        if unit and unit[0] & 0x1F == sps_h264.SPS_TYPE:
            try:
                return sps_h264.h264_sps_colour(unit)
            except EndOfBitsError:
                continue
    return None


def _hevc(extradata: bytes, packet: bytes) -> HeaderColour | None:
    for unit in (*hevc_header_units(extradata), *hevc_packet_units(extradata, packet)):
        if unit and unit[0] >> 1 & 0x3F == sps_hevc.SPS_TYPE:
            try:
                return sps_hevc.hevc_sps_colour(unit)
            except EndOfBitsError:
                continue
    return None


def _av1(extradata: bytes, packet: bytes) -> HeaderColour | None:
    for data in (av1c_content(extradata), packet):
        try:
            for kind, payload in av1_units(data):
                if kind == SEQUENCE_HEADER:
                    return sequence_header_colour(payload)
        except EndOfBitsError:
            continue
    siting = av1c_siting(extradata)
    return None if siting is None else HeaderColour(siting=siting)


def hevc_header_units(extradata: bytes) -> Iterator[bytes]:
    """NAL units of a configuration record or of headers with start codes; the last may be cut."""
    return _hvcc_units(extradata) if _is_hvcc(extradata) else annex_b_units(extradata)


def hevc_packet_units(extradata: bytes, packet: bytes) -> Iterator[bytes]:
    """NAL units of a packet, their lengths before them if there is a configuration record."""
    return _packet_units(packet, _length_size(extradata, 21) if _is_hvcc(extradata) else 0)


def _is_hvcc(extradata: bytes) -> bool:
    return len(extradata) > HVCC_ARRAYS_AT and extradata[0] == 1


def _length_size(record: bytes, position: int) -> int:
    return (record[position] & 3) + 1


def _avcc_units(record: bytes) -> Iterator[bytes]:
    """Sequence parameter sets of an AVCDecoderConfigurationRecord (ISO/IEC 14496-15, 5.3.3.1)."""
    position = 6
    for _ in range(record[5] & 0x1F):
        size = int.from_bytes(record[position : position + 2], "big")
        yield record[position + 2 : position + 2 + size]
        position += 2 + size


def _hvcc_units(record: bytes) -> Iterator[bytes]:
    """All units of an HEVCDecoderConfigurationRecord (ISO/IEC 14496-15, 8.3.3.1)."""
    position = HVCC_ARRAYS_AT + 1
    for _ in range(record[HVCC_ARRAYS_AT]):
        count = int.from_bytes(record[position + 1 : position + 3], "big")
        position += 3
        for _ in range(count):
            size = int.from_bytes(record[position : position + 2], "big")
            yield record[position + 2 : position + 2 + size]
            position += 2 + size
            if position >= len(record):
                return


def _packet_units(packet: bytes, length_size: int) -> Iterator[bytes]:
    if not length_size:
        yield from annex_b_units(packet)
        return
    position = 0
    while position + length_size < len(packet):
        size = int.from_bytes(packet[position : position + length_size], "big")
        position += length_size
        yield packet[position : position + size]
        position += size
