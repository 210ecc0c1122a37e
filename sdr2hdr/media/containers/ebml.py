"""Elements of EBML, the structure of Matroska files: find them, read them, write them.

Element layout: RFC 8794, clauses 4 (variable-size integers), 5 and 6.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from mmap import mmap
from os import SEEK_END
from pathlib import Path

__all__ = [
    "CRC_32",
    "DOC_TYPE",
    "DOC_TYPE_READ_VERSION",
    "DOC_TYPE_VERSION",
    "HEADER",
    "VOID",
    "EbmlBody",
    "Element",
    "checksum_element",
    "ebml_body",
    "element_bytes",
    "elements_in",
    "elements_named",
    "find_element",
    "uint_bytes",
    "uint_in",
]

HEADER, DOC_TYPE, DOC_TYPE_VERSION, DOC_TYPE_READ_VERSION = 0x1A45DFA3, 0x4282, 0x4287, 0x4285
"""RFC 8794, clause 11.2."""

CRC_32 = 0xBF
"""RFC 8794, clause 11.3.1: in front of all that it is taken over."""
VOID = 0xEC
"""RFC 8794, clause 11.3.2: room that holds nothing."""

_LARGEST_HEAD_BYTES = 4096
"""Of a file, within which its first two elements begin; a header takes some 40."""


@dataclass(frozen=True)
class Element:
    """Where an element lies: its ID, and the byte offsets of its start, content and end."""

    identifier: int
    start: int
    content: int
    end: int


def elements_in(data: bytes | mmap, start: int = 0, end: int | None = None) -> Iterator[Element]:
    """The elements of `data[start:end]`, one after the other.

    An element of unknown size, or longer than the data, ends where the data does.

    Raises:
        ValueError: What is there is no element.
    """
    position, end = start, len(data) if end is None else end
    while position < end:
        identifier, after = _integer(data, position, keep_marker=True)
        size, content = _integer(data, after, keep_marker=False)
        is_unknown = size == _unknown_size(content - after)
        stop = end if is_unknown else min(end, content + size)
        yield Element(identifier, position, content, stop)
        position = stop


def elements_named(data: bytes | mmap, parent: Element, identifier: int) -> Iterator[Element]:
    """The elements of one ID directly inside another element.

    Raises:
        ValueError: What is there is no element.
    """
    inside = elements_in(data, parent.content, parent.end)
    return (element for element in inside if element.identifier == identifier)


def uint_in(data: bytes | mmap, parent: Element, identifier: int, default: int) -> int:
    """What the first unsigned integer of one ID inside another element says.

    Raises:
        ValueError: What is there is no element.
    """
    element = next(elements_named(data, parent, identifier), None)
    return default if element is None else int.from_bytes(data[element.content : element.end])


def find_element(data: bytes | mmap, *path: int) -> list[Element]:
    """The first element at a path of IDs with all its parents, outermost first.

    Raises:
        ValueError: There is no such element.
    """
    found: list[Element] = []
    start, end = 0, len(data)
    for identifier in path:
        element = next(
            (e for e in elements_in(data, start, end) if e.identifier == identifier), None
        )
        if element is None:
            raise ValueError(f"No element {identifier:#x}.")
        found.append(element)
        start, end = element.content, element.end
    return found


@dataclass(frozen=True)
class EbmlBody:
    """The second element of a file, which holds all but the header.

    Attributes:
        size: Bytes of its content as the file says it; None if that is not known, as in what was
            written while it was streamed.
        present: Bytes that the file has.
    """

    size: int | None
    present: int

    @property
    def missing(self) -> int:
        """Bytes that the file is too short; 0 if it does not say."""
        return max(0, (self.size or 0) - self.present)

    @property
    def is_unfinished(self) -> bool:
        """Whether it says that it is empty, and is not: some writers set the size at the end."""
        return self.size == 0 and self.present > 0


def ebml_body(path: Path) -> EbmlBody | None:
    """The body of a file; None for what is no EBML."""
    with path.open("rb") as file:
        head = file.read(_LARGEST_HEAD_BYTES)
        length = file.seek(0, SEEK_END)
    try:
        identifier, after = _integer(head, 0, keep_marker=True)
        size, content = _integer(head, after, keep_marker=False)
        _, after = _integer(head, content + size, keep_marker=True)
        size, content = _integer(head, after, keep_marker=False)
    except ValueError:
        return None
    if identifier != HEADER:
        return None
    is_unknown = size == _unknown_size(content - after)
    return EbmlBody(None if is_unknown else size, length - content)


def element_bytes(identifier: int, content: bytes, size_width: int | None = None) -> bytes:
    """An element.

    Args:
        identifier: With its length marker, as the tables of formats print it.
        content: Its payload.
        size_width: Bytes of the size field, 1 to 8; None takes the fewest.
    """
    width = size_width or next(w for w in range(1, 9) if len(content) < (1 << 7 * w) - 1)
    size = ((1 << 7 * width) | len(content)).to_bytes(width, "big")
    return identifier.to_bytes((identifier.bit_length() + 7) // 8, "big") + size + content


def checksum_element(content: bytes) -> bytes:
    """The CRC-32 that stands in front of a master element's other content."""
    return element_bytes(CRC_32, zlib.crc32(content).to_bytes(4, "little"))


def uint_bytes(value: int) -> bytes:
    """The content of an unsigned integer element."""
    return value.to_bytes(max(1, (value.bit_length() + 7) // 8), "big")


def _unknown_size(width: int) -> int:
    """What a size field of so many bytes holds if the size is not known: all ones."""
    return (1 << 7 * width) - 1


def _integer(data: bytes | mmap, position: int, *, keep_marker: bool) -> tuple[int, int]:
    """A variable-size integer and the position behind it."""
    if position >= len(data) or data[position] == 0:
        raise ValueError(f"No EBML integer at byte {position}.")
    width = 9 - data[position].bit_length()
    value = int.from_bytes(data[position : position + width], "big")
    return (value if keep_marker else value & ((1 << 7 * width) - 1)), position + width
