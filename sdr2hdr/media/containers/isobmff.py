"""Boxes of ISO base media files (MP4, MOV): find one, make one, see whether all are there.

Box layout: ISO/IEC 14496-12:2022, 4.2; track headers: 8.3.2; `stsd` and sample entries: 8.5.2;
file structure: 6.2.3.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from mmap import ACCESS_READ, mmap
from os import SEEK_END
from pathlib import Path

__all__ = [
    "VISUAL_SAMPLE_ENTRY_BYTES",
    "Box",
    "boxes_in",
    "boxes_of_sample_entry",
    "children_start",
    "find_box",
    "make_box",
    "missing_box_bytes",
    "sample_entries",
    "sample_entry_name",
    "track_box",
    "track_id_bytes",
]

VISUAL_SAMPLE_ENTRY_BYTES = 86
"""Of a visual sample entry before its child boxes, box header included (12.1.3)."""
_VISUAL_SAMPLE_ENTRIES = frozenset(
    {b"hvc1", b"hev1", b"avc1", b"av01", b"apch", b"apcn", b"ap4h", b"AVdh", b"AVdn"}
)

_FIRST_BOXES = frozenset({b"ftyp", b"styp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot"})
"""What a file begins with; all but the first two may do so in QuickTime's alone."""
_BOXES_WITH_CONTENT = frozenset({b"moov", b"moof", b"mdat"})
"""Whose end counts: behind the last of them, some writers leave bytes that are no box."""
_LONGEST_HEADER_BYTES = 16


@dataclass(frozen=True)
class Box:
    """Where a box lies: its name, and the byte offsets of its start, content and end."""

    name: bytes
    start: int
    content: int
    end: int


def boxes_in(data: bytes | mmap, start: int = 0, end: int | None = None) -> Iterator[Box]:
    """The boxes of `data[start:end]`, one after the other.

    Raises:
        ValueError: A box is longer than what holds it.
    """
    position, end = start, len(data) if end is None else end
    while position + 8 <= end:
        size, name = struct.unpack_from(">I4s", data, position)
        content = position + 8
        if size == 1:
            (size,) = struct.unpack_from(">Q", data, content)
            content += 8
        elif size == 0:
            size = end - position
        if size < content - position or position + size > end:
            raise ValueError(f"Box {name!r} at byte {position} has the impossible size {size}.")
        yield Box(name, position, content, position + size)
        position += size


def children_start(box: Box) -> int:
    """Where the boxes inside `box` begin: behind the fields that some boxes carry first."""
    if box.name in (b"stsd", b"meta"):
        return box.content + (8 if box.name == b"stsd" else 4)
    if box.name in _VISUAL_SAMPLE_ENTRIES:
        return box.start + VISUAL_SAMPLE_ENTRY_BYTES
    return box.content


def find_box(data: bytes | mmap, path: Sequence[bytes], inside: Box | None = None) -> list[Box]:
    """The first box at `path`, in the data or a box of it, with its parents, outermost first.

    Raises:
        ValueError: There is no such box.
    """
    found: list[Box] = []
    start, end = (0, len(data)) if inside is None else (children_start(inside), inside.end)
    for name in path:
        box = next((box for box in boxes_in(data, start, end) if box.name == name), None)
        if box is None:
            raise ValueError(f"No box {name!r} on the path {b'/'.join(path)!r}.")
        found.append(box)
        start, end = children_start(box), box.end
    return found


def track_box(data: bytes | mmap, track_id: int) -> Box:
    """The track of a number.

    Raises:
        ValueError: There is no such track.
    """
    (movie,) = find_box(data, [b"moov"])
    for track in boxes_in(data, movie.content, movie.end):
        if track.name == b"trak" and int.from_bytes(track_id_bytes(data, track)) == track_id:
            return track
    raise ValueError(f"There is no track {track_id}.")


def track_id_bytes(data: bytes | mmap, track: Box) -> bytes:
    """The number of a track, as it is stored.

    Raises:
        ValueError: The track has no header.
    """
    (header,) = find_box(data, [b"tkhd"], track)
    # Version 1 has 64-bit times before the number.
    start = header.content + (20 if data[header.content] == 1 else 12)
    return data[start : start + 4]


def sample_entries(data: bytes | mmap, track: Box) -> Iterator[Box]:
    """The descriptions of a track's samples; most tracks have one.

    Raises:
        ValueError: There are none, or one is longer than what holds it.
    """
    *_, table = find_box(data, [b"mdia", b"minf", b"stbl", b"stsd"], track)
    return boxes_in(data, children_start(table), table.end)


def sample_entry_name(path: Path, track_id: int) -> str:
    """What a file says the samples of a track are, as "gpmd"; "" where that cannot be read."""
    try:
        with path.open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as data:
            entry = next(sample_entries(data, track_box(data, track_id)), None)
    except (OSError, ValueError, struct.error, IndexError):
        return ""
    return "" if entry is None else entry.name.decode("latin-1")


def boxes_of_sample_entry(data: bytes | mmap, entry: Box) -> Iterator[Box]:
    """The boxes of a visual sample entry, up to what is no box: QuickTime ends lists with zeros."""
    try:
        yield from boxes_in(data, entry.start + VISUAL_SAMPLE_ENTRY_BYTES, entry.end)
    except ValueError:
        return


def make_box(name: bytes, content: bytes) -> bytes:
    """A box with a 32-bit size."""
    return struct.pack(">I4s", 8 + len(content), name) + content


def missing_box_bytes(path: Path) -> int:
    """How many bytes a file of boxes is shorter than the last of them says.

    Returns:
        0 for a whole file, for one whose last box goes on to the end, whatever that is, and for
        what is no file of boxes.
    """
    with path.open("rb") as file:
        length, position = file.seek(0, SEEK_END), 0
        while position + 8 <= length:
            file.seek(position)
            header = file.read(_LONGEST_HEADER_BYTES)
            size, name = struct.unpack_from(">I4s", header)
            if size == 1 and len(header) == _LONGEST_HEADER_BYTES:
                (size,) = struct.unpack_from(">Q", header, 8)
            if size < 8 or (position == 0 and name not in _FIRST_BOXES):
                return 0
            position += size
            if position > length:
                return position - length if name in _BOXES_WITH_CONTENT else 0
    return 0
