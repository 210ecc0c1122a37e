"""HDR facts in the container: boxes of MP4 and MOV, elements of Matroska.

What they say is read apart from what writes it, so that a mistake there is not made here again.
"""

from __future__ import annotations

import mmap
import struct
from dataclasses import dataclass, field, replace
from pathlib import Path

from sdr2hdr.media.bitstreams.bits import said
from sdr2hdr.media.containers import matroska_elements as matroska
from sdr2hdr.media.containers.cut_short import cut_short
from sdr2hdr.media.containers.ebml import Element, elements_in
from sdr2hdr.media.containers.format_names import is_matroska, is_mp4
from sdr2hdr.media.containers.isobmff import Box, boxes_of_sample_entry, sample_entries, track_box
from sdr2hdr.media.containers.matroska_tracks import video_track
from sdr2hdr.media.hdr10.hdr_facts import HdrFacts, StoredMastering
from sdr2hdr.media.hdr10.stream_facts import mastering_from_st2086
from sdr2hdr.media.mapped_file import mapped

__all__ = ["ContainerFacts", "read_container_facts"]


@dataclass(frozen=True)
class ContainerFacts:
    """What the container says of the video track.

    Attributes:
        form: "mp4" (MP4 and MOV), "matroska", or "" for containers that say nothing read here.
        sample_entry: Four characters that name the codec in MP4 and MOV, "" elsewhere.
        fault: Why the container could not be read or is not whole, "" if it could and is.
    """

    form: str = ""
    facts: HdrFacts = field(default_factory=HdrFacts)
    sample_entry: str = ""
    fault: str = ""


def read_container_facts(path: Path, container: str, track_id: int) -> ContainerFacts:
    """Read the description of one video track.

    Args:
        path: The file.
        container: libavformat's name of its format.
        track_id: In an MP4 or MOV; in a Matroska file the place among its video tracks.
    """
    form = "mp4" if is_mp4(container) else "matroska" if is_matroska(container) else ""
    if not form:
        return ContainerFacts()
    with mapped(path) as data:
        cut = cut_short(path)
        fault = f"cut short: {cut}" if cut else ""
        try:
            if form == "mp4":
                entry = next(sample_entries(data, track_box(data, track_id)))
                return replace(_sample_entry(data, entry), fault=fault)
            return ContainerFacts(form, _colour(data, video_track(data, track_id)), fault=fault)
        except (ValueError, struct.error, StopIteration) as error:
            return ContainerFacts(form, fault=fault or str(error) or type(error).__name__)


def _sample_entry(data: mmap.mmap, entry: Box) -> ContainerFacts:
    facts: dict[str, object] = {}
    for box in boxes_of_sample_entry(data, entry):
        content = data[box.content : box.end]
        if box.name == b"colr" and content[:4] in (b"nclx", b"nclc"):
            codes = struct.unpack_from(">3H", content, 4)
            names = ("primaries", "transfer", "matrix")
            facts |= {name: said(code) for name, code in zip(names, codes, strict=True)}
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
    )


def _content(data: mmap.mmap, parent: Element) -> dict[int, Element]:
    return {e.identifier: e for e in elements_in(data, parent.content, parent.end)}


def _colour(data: mmap.mmap, entry: Element) -> HdrFacts:
    """What Matroska says of the colour of a track's video."""
    video = _content(data, entry).get(matroska.VIDEO)
    colour = None if video is None else _content(data, video).get(matroska.COLOUR)
    if colour is None:
        return HdrFacts()
    found = _content(data, colour)

    def number(identifier: int) -> int | None:
        element = found.get(identifier)
        return None if element is None else int.from_bytes(data[element.content : element.end])

    def code(identifier: int) -> int | None:
        return said(number(identifier))

    full_range = {matroska.LIMITED_RANGE: False, matroska.FULL_RANGE: True}.get(
        number(matroska.RANGE) or 0
    )
    siting = (number(matroska.SITING_ACROSS) or 0, number(matroska.SITING_DOWN) or 0)
    mastering = found.get(matroska.MASTERING)
    return HdrFacts(
        primaries=code(matroska.PRIMARIES),
        transfer=code(matroska.TRANSFER),
        matrix=code(matroska.MATRIX),
        is_full_range=full_range,
        siting=matroska.SITINGS.get(siting),
        mastering=None if mastering is None else _mastering(data, mastering),
        max_cll=number(matroska.MAX_CLL),
        max_fall=number(matroska.MAX_FALL),
    )


def _mastering(data: mmap.mmap, element: Element) -> StoredMastering | None:
    values: dict[int, float] = {}
    for child in elements_in(data, element.content, element.end):
        size = child.end - child.content
        if size in (4, 8):
            (value,) = struct.unpack_from(">d" if size == 8 else ">f", data, child.content)
            values[child.identifier] = value
    numbers = [values.get(identifier) for identifier in matroska.MASTERING_VALUES]
    if any(number is None for number in numbers):
        return None
    rx, ry, gx, gy, bx, by, wx, wy, brightest, darkest = (float(n or 0.0) for n in numbers)
    return StoredMastering((rx, ry), (gx, gy), (bx, by), (wx, wy), brightest, darkest)
