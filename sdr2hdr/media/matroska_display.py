"""Write the displayed size of non-square pixels into a finished Matroska file.

libavformat takes it from a field that PyAV does not let us set, and says instead that the size is
unknown. The track's description is rewritten within its own length, so nothing else moves.
"""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

from sdr2hdr.media.ebml import (
    CRC_32,
    Element,
    checksum_element,
    element_bytes,
    elements_in,
    find_element,
    uint_bytes,
)

__all__ = ["write_display_size"]

SEGMENT, TRACKS, TRACK_ENTRY, VIDEO = 0x18538067, 0x1654AE6B, 0xAE, 0xE0
DISPLAY_WIDTH, DISPLAY_HEIGHT, DISPLAY_UNIT = 0x54B0, 0x54BA, 0x54B2
TRACK_TYPE, MAX_BLOCK_ADDITION_ID = 0x83, 0x55EE
VOID = 0xEC
"""IDs of RFC 9559, clause 5.1, and RFC 8794, clause 11.3.2."""

_HEAD_BYTES = 16_000_000
"""Enough for what comes before the tracks; attachments come behind them."""


def write_display_size(
    path: Path, width_px: int, height_px: int, sample_aspect_ratio: Fraction
) -> bool:
    """Describe non-square pixels in the first video track.

    Args:
        path: A file that libavformat has just finished.
        width_px: Of the picture that is shown, in its own pixels.
        height_px: Likewise.
        sample_aspect_ratio: Width to height of a pixel.

    Returns:
        Whether there was room for it.
    """
    with path.open("r+b") as file:
        head = file.read(_HEAD_BYTES)
        *_, tracks = find_element(head, SEGMENT, TRACKS)
        size = display_size(width_px, height_px, sample_aspect_ratio)
        rewritten = _with_display_size(head, tracks, *size)
        if rewritten is None:
            return False
        file.seek(tracks.content)
        file.write(rewritten)
    return True


def display_size(width_px: int, height_px: int, sample_aspect_ratio: Fraction) -> tuple[int, int]:
    """Whole numbers of square pixels with the picture's shape: exact, if one side can stay.

    >>> display_size(720, 576, Fraction(16, 15)), display_size(720, 480, Fraction(32, 27))
    ((768, 576), (720, 405))
    """
    width, height = width_px * sample_aspect_ratio, height_px / sample_aspect_ratio
    if width.denominator != 1 and height.denominator == 1:
        return width_px, int(height)
    return round(width), height_px


def _with_display_size(head: bytes, tracks: Element, width: int, height: int) -> bytes | None:
    parts: list[bytes] = []
    done = False
    for child in elements_in(head, tracks.content, tracks.end):
        if child.identifier == CRC_32:
            continue
        raw = head[child.start : child.end]
        if child.identifier == TRACK_ENTRY and not done and _is_video(head, child):
            entry = _rewritten_entry(head, child, width, height)
            if entry is None:
                return None
            raw, done = entry, True
        parts.append(raw)
    content = b"".join(parts)
    first = next(elements_in(head, tracks.content, tracks.end))
    if first.identifier == CRC_32:
        content = checksum_element(content) + content
    return content if done and len(content) == tracks.end - tracks.content else None


def _is_video(head: bytes, entry: Element) -> bool:
    kinds = [e for e in elements_in(head, entry.content, entry.end) if e.identifier == TRACK_TYPE]
    return bool(kinds) and head[kinds[0].content : kinds[0].end] == b"\1"


def _rewritten_entry(head: bytes, entry: Element, width: int, height: int) -> bytes | None:
    """The track entry in as many bytes as before; what only repeats a default makes room."""
    parts: list[bytes] = []
    for child in elements_in(head, entry.content, entry.end):
        raw = head[child.start : child.end]
        if child.identifier == VOID:
            continue
        if child.identifier == MAX_BLOCK_ADDITION_ID and head[child.content : child.end] == b"\0":
            continue
        if child.identifier == VIDEO:
            kept = [
                head[e.start : e.end]
                for e in elements_in(head, child.content, child.end)
                if e.identifier not in (DISPLAY_WIDTH, DISPLAY_HEIGHT, DISPLAY_UNIT)
            ]
            kept.append(element_bytes(DISPLAY_WIDTH, uint_bytes(width)))
            kept.append(element_bytes(DISPLAY_HEIGHT, uint_bytes(height)))
            raw = element_bytes(VIDEO, b"".join(kept))
        parts.append(raw)
    content = b"".join(parts)
    spare = entry.end - entry.content - len(content)
    if spare == 1 or spare < 0:
        return None
    if spare:
        size_width = 1 if spare < 100 else 4
        content += element_bytes(VOID, bytes(spare - 1 - size_width), size_width)
    return element_bytes(TRACK_ENTRY, content, _size_width(entry))


def _size_width(element: Element) -> int:
    """Bytes of an element's size field."""
    identifier_width = (element.identifier.bit_length() + 7) // 8
    return element.content - element.start - identifier_width
