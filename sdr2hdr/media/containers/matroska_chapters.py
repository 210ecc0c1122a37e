"""What Matroska says of chapters that libavformat does not read: it would be lost in silence.

It reads the chapters of an edition, not those inside them, and of several names the last.
Chapters: RFC 9559, 5.1.7.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from pathlib import Path

from sdr2hdr.media.containers import matroska_elements as matroska
from sdr2hdr.media.containers.ebml import Element, elements_named, find_element
from sdr2hdr.media.mapped_file import mapped

__all__ = ["unread_chapters"]


def unread_chapters(path: Path) -> tuple[int, int]:
    """How many chapters of a file lie inside others, and how many names go beside another's.

    Args:
        path: A Matroska file.
    """
    with mapped(path) as data:
        try:
            *_, chapters = find_element(data, matroska.SEGMENT, matroska.CHAPTERS)
            read = [
                atom
                for edition in elements_named(data, chapters, matroska.EDITION_ENTRY)
                for atom in elements_named(data, edition, matroska.CHAPTER_ATOM)
            ]
            names = (list(elements_named(data, atom, matroska.CHAPTER_DISPLAY)) for atom in read)
            return (
                sum(1 for atom in read for _ in _atoms_inside(data, atom)),
                sum(max(0, len(each) - 1) for each in names),
            )
        except (ValueError, IndexError):
            return 0, 0


def _atoms_inside(data: mmap.mmap, atom: Element) -> Iterator[Element]:
    for inside in elements_named(data, atom, matroska.CHAPTER_ATOM):
        yield inside
        yield from _atoms_inside(data, inside)
