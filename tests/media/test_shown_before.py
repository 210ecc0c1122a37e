"""A bitmap subtitle that is on the screen where a time range begins is in the output."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from rich_sources import Source, convert_grey, make_source, packets_of

from sdr2hdr.options import TimeRange


def pgs(*, state: int, objects: int) -> str:
    """A display set as Matroska has it: composition, window, end."""
    shown = struct.pack(">HHBB", 0, 0, 0, 0) + bytes(2)
    composition = struct.pack(">HHBHBBBB", 64, 48, 0x10, 1, state, 0, 0, objects) + shown * objects
    window = struct.pack(">BBHHHH", 1, 0, 0, 0, 8, 8)
    segments = ((0x16, composition), (0x17, window), (0x80, b""))
    return b"".join(struct.pack(">BH", kind, len(data)) + data for kind, data in segments).decode(
        "latin-1"
    )


def dvd(stop_seconds: float) -> str:
    """A subpicture whose commands start it at once and stop it later."""
    picture = b"\x00\x00"
    control = 4 + len(picture)
    second = control + 5 + 1
    starts = struct.pack(">HHBB", 0, second, 0x01, 0xFF)
    stops = struct.pack(">HHBB", round(stop_seconds * 90_000 / 1024), second, 0x02, 0xFF)
    size = second + len(stops)
    return (struct.pack(">HH", size, control) + picture + starts + stops).decode("latin-1")


SHOW, ADD, CLEAR = pgs(state=0x80, objects=1), pgs(state=0, objects=2), pgs(state=0, objects=0)


@pytest.mark.parametrize(
    ("codec", "cues", "expected"),
    [
        ("hdmv_pgs_subtitle", ((100, SHOW), (800, CLEAR)), ((0, SHOW), (300, CLEAR))),
        ("hdmv_pgs_subtitle", ((100, SHOW),), ((0, SHOW),)),
        ("hdmv_pgs_subtitle", ((100, SHOW), (200, SHOW), (300, ADD)), ((0, SHOW), (0, ADD))),
        ("hdmv_pgs_subtitle", ((100, SHOW), (400, CLEAR), (900, SHOW)), ((400, SHOW),)),
        ("dvd_subtitle", ((100, dvd(0.6)), (900, dvd(0.6))), ((0, dvd(0.6)), (400, dvd(0.6)))),
        ("dvd_subtitle", ((100, dvd(0.2)), (900, dvd(0.6))), ((400, dvd(0.6)),)),
    ],
)
def test_what_is_on_the_screen_at_the_start_is_kept(
    tmp_path: Path,
    codec: str,
    cues: tuple[tuple[int, str], ...],
    expected: tuple[tuple[int, str], ...],
):
    rich = Source(subtitle=codec, cues=tuple((at, 0, text) for at, text in cues))
    source = make_source(tmp_path / "in.mkv", rich)
    target = tmp_path / "out.mkv"
    convert_grey(source, target, time_range=TimeRange(0.5, 1.2))
    found = [
        (round(1000 * start), data.decode("latin-1"))
        for start, _, data in packets_of(target, "subtitle")
    ]
    assert found == list(expected)
