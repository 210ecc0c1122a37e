"""Blu-ray subtitles: a transport stream has them in segments, Matroska in whole display sets."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from rich_sources import Source, make_source, packets_of

from sdr2hdr import ConvertOptions, convert
from sdr2hdr.options import EncodeOptions

END = struct.pack(">BH", 0x80, 0)


def segments(objects: int) -> tuple[bytes, bytes, bytes]:
    """Composition, window and end of a set that shows so many objects."""
    head = struct.pack(">HHBHBBBB", 64, 48, 0x10, 1, 0x80, 0, 0, objects)
    composition = head + bytes(8) * objects
    window = struct.pack(">BBHHHH", 1, 0, 0, 0, 8, 8)
    return (
        struct.pack(">BH", 0x16, len(composition)) + composition,
        struct.pack(">BH", 0x17, len(window)) + window,
        END,
    )


SHOW, CLEAR = segments(1), segments(0)


@pytest.mark.parametrize("lost_ends", [(), (0,), (1,)])
def test_segments_are_put_together_and_the_file_is_kept(tmp_path: Path, lost_ends: tuple[int, ...]):
    sets = ((300, SHOW), (900, CLEAR))
    cues = tuple(
        (at + number, 0, part.decode("latin-1"))
        for place, (at, parts) in enumerate(sets)
        for number, part in enumerate(parts)
        if part != END or place not in lost_ends
    )
    source = Source(audio=(), subtitle="hdmv_pgs_subtitle", cues=cues)
    target = tmp_path / "out.mkv"
    options = ConvertOptions(model="bt2446a", encode=EncodeOptions(preset="ultrafast"))
    convert(make_source(tmp_path / "in.m2ts", source), target, options)
    found = [(round(1000 * start), data) for start, _, data in packets_of(target, "subtitle")]
    assert found == [(at, b"".join(parts)) for at, parts in sets]
