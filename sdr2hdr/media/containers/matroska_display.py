"""Write the displayed size of non-square pixels into a finished Matroska file.

libavformat takes it from a field that PyAV does not let us set, and says instead that the size is
unknown. The track's description is rewritten within its own length, so nothing else moves.
"""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

from sdr2hdr.media.containers import matroska_elements as matroska
from sdr2hdr.media.containers.ebml import (
    VOID,
    Element,
    element_bytes,
    elements_in,
    uint_bytes,
    uint_in,
)
from sdr2hdr.media.containers.matroska_tracks import is_video, rewrite_tracks

__all__ = ["write_display_size"]

_DISPLAYED = frozenset({matroska.DISPLAY_WIDTH, matroska.DISPLAY_HEIGHT, matroska.DISPLAY_UNIT})


def write_display_size(path: Path, sample_aspect_ratio: Fraction) -> None:
    """Describe non-square pixels in the first video track, if there is room for it.

    Args:
        path: A file that libavformat has just finished.
        sample_aspect_ratio: Width to height of a pixel.
    """
    found: list[bytes | None] = []

    def described(head: bytes, element: Element) -> bytes:
        raw = head[element.start : element.end]
        is_track = element.identifier == matroska.TRACK_ENTRY
        if found or not is_track or not is_video(head, element):
            return raw
        found.append(_rewritten_entry(head, element, sample_aspect_ratio))
        return found[0] or raw

    rewrite_tracks(path, described)


def display_size(width_px: int, height_px: int, sample_aspect_ratio: Fraction) -> tuple[int, int]:
    """Whole numbers of square pixels with the picture's shape: exact, if one side can stay.

    >>> display_size(720, 576, Fraction(16, 15)), display_size(720, 480, Fraction(32, 27))
    ((768, 576), (720, 405))
    """
    width, height = width_px * sample_aspect_ratio, height_px / sample_aspect_ratio
    if width.denominator != 1 and height.denominator == 1:
        return width_px, int(height)
    return round(width), height_px


def _shown_px(head: bytes, video: Element) -> tuple[int, int]:
    """Width and height of what cropping leaves, whose displayed size is said (RFC 9559, 11.1)."""

    def px(identifier: int) -> int:
        return uint_in(head, video, identifier, 0)

    return (
        px(matroska.PIXEL_WIDTH) - px(matroska.CROP_LEFT) - px(matroska.CROP_RIGHT),
        px(matroska.PIXEL_HEIGHT) - px(matroska.CROP_TOP) - px(matroska.CROP_BOTTOM),
    )


def _rewritten_entry(head: bytes, entry: Element, sample_aspect_ratio: Fraction) -> bytes | None:
    """The track entry in as many bytes as before; what only repeats a default makes room."""
    parts: list[bytes] = []
    for child in elements_in(head, entry.content, entry.end):
        raw = head[child.start : child.end]
        if child.identifier == VOID:
            continue
        is_default = head[child.content : child.end] == b"\0"
        if child.identifier == matroska.MAX_BLOCK_ADDITION_ID and is_default:
            continue
        if child.identifier == matroska.VIDEO:
            width, height = display_size(*_shown_px(head, child), sample_aspect_ratio)
            kept = [
                head[e.start : e.end]
                for e in elements_in(head, child.content, child.end)
                if e.identifier not in _DISPLAYED
            ]
            kept.append(element_bytes(matroska.DISPLAY_WIDTH, uint_bytes(width)))
            kept.append(element_bytes(matroska.DISPLAY_HEIGHT, uint_bytes(height)))
            raw = element_bytes(matroska.VIDEO, b"".join(kept))
        parts.append(raw)
    content = b"".join(parts)
    spare = entry.end - entry.content - len(content)
    if spare == 1 or spare < 0:
        return None
    if spare:
        size_width = 1 if spare < 100 else 4
        content += element_bytes(VOID, bytes(spare - 1 - size_width), size_width)
    return element_bytes(matroska.TRACK_ENTRY, content, _size_width(entry))


def _size_width(element: Element) -> int:
    """Bytes of an element's size field."""
    identifier_width = (element.identifier.bit_length() + 7) // 8
    return element.content - element.start - identifier_width
