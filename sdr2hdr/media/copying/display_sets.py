"""Put the segments of Blu-ray subtitles (PGS) together to display sets, as Matroska holds them.

MPEG-TS has each segment in a packet of its own, with a time of its own: that of the composition,
which comes first, says when the set is shown; those behind it say when a decoder must be done with
a part of it. Matroska has a set in a block (matroska.org, Subtitles, "HDMV presentation graphics").
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from av.packet import Packet

from sdr2hdr.media.containers.packets import with_data

__all__ = ["PGS_CODEC", "PGS_COMPOSITION", "whole_display_sets"]

PGS_CODEC = "hdmv_pgs_subtitle"
"""FFmpeg's name."""

PGS_COMPOSITION = 0x16
_PGS_END = 0x80
_PGS_END_SEGMENT = bytes([_PGS_END, 0, 0])
_PGS_HEADER_BYTES = 3


def whole_display_sets(packets: Iterable[Packet], pgs_streams: Collection[int]) -> Iterator[Packet]:
    """Pass packets on, those of PGS streams as whole sets.

    A set without an end, of a recording that is cut or damaged, gets one: the muxer would put the
    next set behind it, at its time.

    Args:
        packets: Of any streams, in the file's order; sets that are whole already stay as they are.
        pgs_streams: Indices of the PGS streams among them.
    """
    begun: dict[int, list[Packet]] = {}
    for packet in packets:
        index = packet.stream.index
        if index not in pgs_streams:
            yield packet
            continue
        kinds = _segment_kinds(bytes(packet))
        if index in begun and PGS_COMPOSITION in kinds:
            yield _joined(begun.pop(index), _PGS_END_SEGMENT)
        parts = begun.setdefault(index, [])
        parts.append(packet)
        if _PGS_END in kinds:
            yield _joined(begun.pop(index))
    for parts in begun.values():
        yield _joined(parts, _PGS_END_SEGMENT)


def _joined(parts: list[Packet], end: bytes = b"") -> Packet:
    """One packet with the times of the first part."""
    first = parts[0]
    if len(parts) == 1 and not end:
        return first
    joined = with_data(first, b"".join(bytes(part) for part in parts) + end)
    joined.stream = first.stream
    return joined


def _segment_kinds(data: bytes) -> list[int]:
    kinds: list[int] = []
    at = 0
    while at + _PGS_HEADER_BYTES <= len(data):
        kinds.append(data[at])
        at += _PGS_HEADER_BYTES + int.from_bytes(data[at + 1 : at + _PGS_HEADER_BYTES])
    return kinds
