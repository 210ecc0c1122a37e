"""HDR facts in the container: boxes of MP4 and MOV, elements of Matroska.

Written apart from what writes them, so that a mistake there is not made here again.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from sdr2hdr.media.cut_short import cut_short
from sdr2hdr.media.ebml import Element, elements_in
from sdr2hdr.media.hdr_facts import HdrFacts, StoredMastering
from sdr2hdr.media.isobmff import Box, boxes_in
from sdr2hdr.media.stream_facts import mastering_from_st2086

__all__ = ["ContainerFacts", "read_container_facts"]

UNSPECIFIED = 2
SAMPLE_ENTRY_CHILDREN_AT = 86
"""ISO/IEC 14496-12:2022, 12.1.3."""

SEGMENT, TRACKS, CLUSTER = 0x18538067, 0x1654AE6B, 0x1F43B675
TRACK_ENTRY, VIDEO, COLOUR = 0xAE, 0xE0, 0x55B0
MASTERING_METADATA = 0x55D0
SITINGS = {(1, 2): 0, (2, 2): 1, (1, 1): 2, (2, 1): 3}
"""Horizontal and vertical siting (1 collocated, 2 half way) as H.273's type."""


@dataclass(frozen=True)
class ContainerFacts:
    """What the container says of the video track.

    Attributes:
        form: "mp4" (MP4 and MOV), "matroska", or "" for containers that say nothing read here.
        sample_entry: Four characters that name the codec in MP4 and MOV, "" elsewhere.
        boxes: Names of the boxes in the sample entry.
        fault: Why the container could not be read or is not whole, "" if it could and is.
    """

    form: str = ""
    facts: HdrFacts = field(default_factory=HdrFacts)
    sample_entry: str = ""
    boxes: tuple[str, ...] = ()
    fault: str = ""


def read_container_facts(path: Path, container: str, track_id: int) -> ContainerFacts:
    """Read the description of one video track.

    Args:
        path: The file.
        container: libavformat's name of its format.
        track_id: Of the track in an MP4 or MOV, or its place among the tracks of a Matroska file.
    """
    names = container.split(",")
    form = "mp4" if "mov" in names else "matroska" if "matroska" in names else ""
    if not form:
        return ContainerFacts()
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        cut = cut_short(path)
        fault = f"cut short: {cut}" if cut else ""
        try:
            if form == "mp4":
                return replace(_movie(data, track_id), fault=fault)
            return ContainerFacts(form, _matroska(data, track_id), fault=fault)
        except (ValueError, struct.error, IndexError, StopIteration) as error:
            return ContainerFacts(form, fault=fault or str(error) or type(error).__name__)


def _movie(data: mmap.mmap, track_id: int) -> ContainerFacts:
    movie = _inside(data, Box(b"", 0, 0, len(data)), b"moov")
    for track in boxes_in(data, movie.content, movie.end):
        if track.name != b"trak":
            continue
        header = _inside(data, track, b"tkhd")
        place = 20 if data[header.content] == 1 else 12
        if struct.unpack_from(">I", data, header.content + place)[0] != track_id:
            continue
        table = _inside(data, track, b"mdia", b"minf", b"stbl", b"stsd")
        entry = next(boxes_in(data, table.content + 8, table.end))
        return _sample_entry(data, entry)
    raise ValueError(f"There is no track {track_id}.")


def _inside(data: mmap.mmap, box: Box, *path: bytes) -> Box:
    for name in path:
        found = (child for child in boxes_in(data, box.content, box.end) if child.name == name)
        inner = next(found, None)
        if inner is None:
            raise ValueError(f"There is no {name.decode()} box.")
        box = inner
    return box


def _sample_entry(data: mmap.mmap, entry: Box) -> ContainerFacts:
    facts: dict[str, object] = {}
    boxes: list[str] = []
    for box in _children(data, entry):
        boxes.append(box.name.decode("latin-1"))
        content = data[box.content : box.end]
        if box.name == b"colr" and content[:4] in (b"nclx", b"nclc"):
            codes = struct.unpack_from(">3H", content, 4)
            names = ("primaries", "transfer", "matrix")
            facts |= {n: c for n, c in zip(names, codes, strict=True) if c != UNSPECIFIED}
            if content[:4] == b"nclx":
                facts["is_full_range"] = bool(content[10] & 0x80)
        elif box.name == b"mdcv":
            facts["mastering"] = mastering_from_st2086(content)
        elif box.name == b"clli":
            facts["max_cll"], facts["max_fall"] = struct.unpack_from(">2H", content)
    return ContainerFacts(
        "mp4",
        HdrFacts(**facts),  # pyright: ignore[reportArgumentType]
        entry.name.decode("latin-1"),
        tuple(boxes),
    )


def _children(data: mmap.mmap, entry: Box) -> Iterator[Box]:
    """Boxes of a sample entry, up to what is no box: QuickTime ends lists with four zeros."""
    try:
        yield from boxes_in(data, entry.start + SAMPLE_ENTRY_CHILDREN_AT, entry.end)
    except ValueError:
        return


def _matroska(data: mmap.mmap, place: int) -> HdrFacts:
    segment = next(e for e in elements_in(data) if e.identifier == SEGMENT)
    for element in elements_in(data, segment.content, segment.end):
        if element.identifier == CLUSTER:
            break
        if element.identifier == TRACKS:
            entries = [
                e
                for e in elements_in(data, element.content, element.end)
                if e.identifier == TRACK_ENTRY
            ]
            return _colour(data, entries[place])
    raise ValueError("There are no Tracks before the first Cluster.")


def _content(data: mmap.mmap, parent: Element) -> dict[int, Element]:
    return {e.identifier: e for e in elements_in(data, parent.content, parent.end)}


def _colour(data: mmap.mmap, entry: Element) -> HdrFacts:
    """Elements of RFC 9559, 5.1.4.1.28.16 to .37."""
    video = _content(data, entry).get(VIDEO)
    colour = None if video is None else _content(data, video).get(COLOUR)
    if colour is None:
        return HdrFacts()
    found = _content(data, colour)

    def number(identifier: int) -> int | None:
        element = found.get(identifier)
        return None if element is None else int.from_bytes(data[element.content : element.end])

    def code(identifier: int) -> int | None:
        value = number(identifier)
        return None if value == UNSPECIFIED else value

    full_range = {1: False, 2: True}.get(number(0x55B9) or 0)
    mastering = found.get(MASTERING_METADATA)
    return HdrFacts(
        primaries=code(0x55BB),
        transfer=code(0x55BA),
        matrix=code(0x55B1),
        is_full_range=full_range,
        siting=SITINGS.get((number(0x55B7) or 0, number(0x55B8) or 0)),
        mastering=None if mastering is None else _mastering(data, mastering),
        max_cll=number(0x55BC),
        max_fall=number(0x55BD),
    )


def _mastering(data: mmap.mmap, element: Element) -> StoredMastering | None:
    values: dict[int, float] = {}
    for child in elements_in(data, element.content, element.end):
        size = child.end - child.content
        if size in (4, 8):
            (value,) = struct.unpack_from(">d" if size == 8 else ">f", data, child.content)
            values[child.identifier] = value
    numbers = [values.get(identifier) for identifier in range(0x55D1, 0x55DB)]
    if any(number is None for number in numbers):
        return None
    rx, ry, gx, gy, bx, by, wx, wy, brightest, darkest = (float(n or 0.0) for n in numbers)
    return StoredMastering((rx, ry), (gx, gy), (bx, by), (wx, wy), brightest, darkest)
