"""Let the video track of a finished MP4 or MOV name its chapter track beside its timecode track.

libavformat keeps one reference a track: with a timecode, the video's reference to the chapters is
overwritten, and where no other track names them, players show the chapters as stray subtitles. The
index is rewritten within its own length (the chapter track's handler gets a shorter name), so no
media data moves.

Boxes: ISO/IEC 14496-12:2022, 8.3.3 (`tref`), 8.4.3 (`hdlr`), 8.3.2 (`tkhd`); chapter lists:
QuickTime File Format Specification, "Chapter Lists".
"""

from __future__ import annotations

import mmap
import struct
from pathlib import Path

from sdr2hdr.media.containers.isobmff import Box, boxes_in, find_box, make_box, track_id_bytes

__all__ = ["name_chapter_track"]

_HANDLER_NAME_OFFSET = 24
_REFERENCE_BYTES = 12
_NAME = b"Toc\0"


def name_chapter_track(path: Path) -> None:
    """Add a chapter reference to the first video track, if there is one to add and room for it.

    Args:
        path: A file that libavformat has just finished, with chapters and a timecode.
    """
    with path.open("r+b") as file:
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            (movie,) = find_box(data, [b"moov"])
            patched = _with_reference(data[movie.start : movie.end])
        if patched is not None:
            file.seek(movie.start)
            file.write(patched)


def _with_reference(moov: bytes) -> bytes | None:
    """The index with the reference, in as many bytes; None if it cannot be done."""
    (outer,) = boxes_in(moov)
    tracks = [box for box in boxes_in(moov, outer.content) if box.name == b"trak"]
    videos = [track for track in tracks if _handler(moov, track) == b"vide"]
    texts = [track for track in tracks if _handler(moov, track) == b"text"]
    if not videos or not texts or texts[-1].start < videos[0].start:
        return None
    video, chapters = videos[0], texts[-1]
    references = next(
        (b for b in boxes_in(moov, video.content, video.end) if b.name == b"tref"), None
    )
    if references is None or any(
        box.name == b"chap" for box in boxes_in(moov, references.content, references.end)
    ):
        return None
    media, handler = find_box(moov, [b"mdia", b"hdlr"], chapters)
    name_at = handler.content + _HANDLER_NAME_OFFSET
    if handler.end - name_at != _REFERENCE_BYTES + len(_NAME):
        return None
    result = bytearray(moov)
    for box in (chapters, media, handler):
        struct.pack_into(">I", result, box.start, box.end - box.start - _REFERENCE_BYTES)
    for box in (video, references):
        struct.pack_into(">I", result, box.start, box.end - box.start + _REFERENCE_BYTES)
    # From the back, so that positions in front stay true.
    result[name_at : handler.end] = _NAME
    result[references.end : references.end] = make_box(b"chap", track_id_bytes(moov, chapters))
    return bytes(result)


def _handler(moov: bytes, track: Box) -> bytes:
    _, handler = find_box(moov, [b"mdia", b"hdlr"], track)
    return moov[handler.content + 8 : handler.content + 12]
