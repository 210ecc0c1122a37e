"""Keep the full language tags of Matroska's tracks: Brazilian Portuguese is more than Portuguese.

Matroska names a language twice: by an ISO 639-2 code in `Language` and, because that has one code
for all of Chinese, by a BCP 47 tag ("zh-Hant") in `LanguageBCP47`, which overrules it (RFC 9559,
5.1.4.1.19 and .20). libavformat reads and writes the first alone. So both are given to its muxer as
one code with room, which is split in the finished file within its own length.
"""

from __future__ import annotations

import mmap
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from sdr2hdr.media.containers import matroska_elements as matroska
from sdr2hdr.media.containers.ebml import Element, element_bytes, elements_in
from sdr2hdr.media.containers.format_names import is_matroska
from sdr2hdr.media.containers.matroska_tracks import rewrite_tracks, stream_entries
from sdr2hdr.media.mapped_file import mapped

if TYPE_CHECKING:
    from av.container import InputContainer

__all__ = ["full_languages", "language_with_room", "write_full_languages"]

_UNSAID = "eng"
"""What a track without `Language` is in (RFC 9559, 5.1.4.1.19)."""
_UNKNOWN = "und"
_TAG = re.compile(r"[A-Za-z0-9-]{1,100}")
"""RFC 5646, 2.1. The longest have some 35 characters; up to 100, the size of the code with room is
one byte."""
_WITH_ROOM = re.compile(rb"([^.]+)\.([^.]+)\.\.\.")


def full_languages(path: Path, container: InputContainer) -> dict[int, str]:
    """The BCP 47 tags of a file's tracks, by stream index; none of a file that is no Matroska.

    Args:
        path: The file.
        container: The same file, open. A track whose code is not its stream's is left out, as is
            what cannot be a tag.
    """
    if not is_matroska(container.format.name):
        return {}
    with mapped(path) as data:
        try:
            tracks = list(_languages(data))
        except (ValueError, IndexError):
            return {}
    return {
        stream.index: tag
        for stream, (code, tag) in zip(container.streams, tracks, strict=False)
        if tag != _UNKNOWN
        and _TAG.fullmatch(tag)
        and code == stream.metadata.get("language", _UNKNOWN)
    }


def language_with_room(code: str | None, tag: str) -> str:
    """What to give to the muxer as the language, so that there is room for both elements.

    >>> language_with_room("por", "pt-BR")
    'por.pt-BR...'
    """
    # A dot and three stand for the ID and the size of the second element: four bytes.
    return f"{code or _UNKNOWN}.{tag}..."


def write_full_languages(path: Path) -> None:
    """Split the codes with room in a file that libavformat has just finished."""
    rewrite_tracks(path, _split)


def _languages(data: mmap.mmap) -> Iterator[tuple[str, str]]:
    """Code and tag of each track, "" for no tag."""
    for entry in stream_entries(data):
        said = {
            child.identifier: data[child.content : child.end].rstrip(b"\0").decode("latin-1")
            for child in elements_in(data, entry.content, entry.end)
            if child.identifier in (matroska.LANGUAGE, matroska.LANGUAGE_BCP47)
        }
        yield said.get(matroska.LANGUAGE, _UNSAID), said.get(matroska.LANGUAGE_BCP47, "")


def _split(head: bytes, entry: Element) -> bytes:
    """A track entry with both elements for a code with room; anything else as it is."""
    raw = head[entry.start : entry.end]
    if entry.identifier != matroska.TRACK_ENTRY:
        return raw
    for child in elements_in(head, entry.content, entry.end):
        parts = _WITH_ROOM.fullmatch(head[child.content : child.end])
        if child.identifier == matroska.LANGUAGE and parts:
            code, tag = parts.groups()
            return (
                head[entry.start : child.start]
                + element_bytes(matroska.LANGUAGE, code)
                + element_bytes(matroska.LANGUAGE_BCP47, tag)
                + head[child.end : entry.end]
            )
    return raw
