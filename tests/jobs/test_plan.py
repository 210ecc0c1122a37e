from __future__ import annotations

import json
import os
from fractions import Fraction
from pathlib import Path

import pytest

from sdr2hdr.errors import InputError, SourceChangedError
from sdr2hdr.frames import Rectangle
from sdr2hdr.jobs.plan import Fade, Plan, Segment, Shot, read_plan
from sdr2hdr.jobs.source_identity import SourceIdentity, SourceWatch, identify

PLAN = Plan(
    source_path=Path("/films/a.mkv"),
    source=SourceIdentity(1000, "ab" * 32, 0.25),
    time_base=Fraction(1, 1000),
    frame_pts=(0, 42, 83, 125, 167, 208),
    shots=(Shot(0, 4, "start"), Shot(4, 2, "cut")),
    fades=(Fade(0, 2, "from black"),),
    active_picture=Rectangle(10, 0, 90, 160),
    segments=(Segment(0, 0, 4, 0, 167, 0, "00" * 8), Segment(1, 4, 2, 167, None, 0, "11" * 8)),
    pinned={"model": "bt2446a", "threads": 2},
)


def edited(**fields: object) -> str:
    return json.dumps(json.loads(PLAN.to_json()) | fields)


def read(tmp_path: Path, text: str) -> Plan:
    path = tmp_path / "plan.json"
    path.write_text(text, encoding="utf-8")
    return read_plan(path)


def test_file_is_read(tmp_path: Path):
    path = tmp_path / "plan.json"
    path.write_text(PLAN.to_json(), encoding="utf-8")
    assert read_plan(path) == PLAN
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match="not text"):
        read_plan(path)
    with pytest.raises(InputError, match="cannot be read"):
        read_plan(tmp_path / "none.json")


def test_key_says_all_but_the_place(tmp_path: Path):
    moved = read(tmp_path, PLAN.to_json().replace("/films", "/mnt/films"))
    assert moved.key == PLAN.key
    assert PLAN.with_pinned({"model": "bt2446a", "threads": 3}).key != PLAN.key


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"format": "another"}, "no plan"),
        ({"version": 1}, "version 1; expected 4"),
        ({"pinned": {"model": "bt2408"}}, "edited"),
        ({"extra": 1}, '"extra" that nobody knows'),
        ({"time_base": "1/0"}, "fraction"),
        ({"time_base": "1e9"}, "fraction"),
        ({"frame_pts": [0, 42, 83, 125, 167, 208.5]}, r'"frame_pts"\[5\] is 208.5'),
        ({"frame_pts": [0, 42, 83, 125, 167, 167]}, "do not increase"),
        ({"frame_pts": [0, 42, 83, 125, 167]}, "hold 6 frames of 5"),
        ({"frame_pts": []}, "no frames"),
        ({"shots": [{"first_frame": 0, "frame_count": 6}]}, r'"shots"\[0\] has no "transition"'),
        ({"active_picture": {"top": 0}}, 'no "left"'),
        ({"source": None}, "expected an object"),
    ],
)
def test_what_is_not_a_plan_is_refused(fields: dict[str, object], message: str, tmp_path: Path):
    with pytest.raises(InputError, match=message):
        read(tmp_path, edited(**fields))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not JSON"),
        ("[]", "expected an object"),
        ("[" * 100_000, "not JSON"),
        ('{"a": ' + "9" * 5001 + "}", "5001 digits that 64 bits do not hold"),
        ('{"a": 1e999}', "1e999, a number that 64 bits do not hold"),
    ],
)
def test_what_is_no_object_is_refused(text: str, message: str, tmp_path: Path):
    with pytest.raises(InputError, match=message):
        read(tmp_path, text)


def test_every_number_fits_into_64_bits(tmp_path: Path):
    for digits in ("9" * 401, "9223372036854775808"):
        text = PLAN.to_json().replace('"duration_seconds": 0.25', f'"duration_seconds": {digits}')
        with pytest.raises(InputError, match="64 bits"):
            read(tmp_path, text)
    with pytest.raises(InputError, match="edited"):
        read(tmp_path, PLAN.to_json().replace("0.25", "9223372036854775807"))


def test_segments_must_hold_each_frame_once(tmp_path: Path):
    for first, count in ((0, 3), (0, 5), (1, 3)):
        segments = [json.loads(PLAN.to_json())["segments"][1]]
        segments.insert(
            0,
            {**json.loads(PLAN.to_json())["segments"][0]}
            | {"first_frame": first, "frame_count": count},
        )
        with pytest.raises(InputError, match="segments"):
            read(tmp_path, edited(segments=segments))


def test_identity_follows_the_middle_of_a_long_file(tmp_path: Path):
    path = tmp_path / "film"
    content = bytearray(16 << 20)
    path.write_bytes(content)
    identity = identify(path, None)
    # Another take of the same size, written over in place: longer than two samples lie apart.
    content[5 << 20 : 6 << 20] = b"x" * (1 << 20)
    path.write_bytes(content)
    changed = identify(path, None)
    assert changed.size_bytes == identity.size_bytes
    assert changed != identity


def test_watch_tells_writing_and_replacing(tmp_path: Path):
    path = tmp_path / "film"
    path.write_bytes(b"one")
    os.utime(path, ns=(0, 10**18))
    watch = SourceWatch(path)
    watch.check()
    path.write_bytes(b"two")
    with pytest.raises(SourceChangedError, match="written to or replaced"):
        watch.check()
    other = tmp_path / "other"
    other.write_bytes(b"three")
    os.utime(other, ns=(0, 10**18))
    other.replace(path)
    with pytest.raises(SourceChangedError):
        watch.check()
    path.unlink()
    with pytest.raises(InputError, match="cannot be read"):
        watch.check()
    with pytest.raises(InputError, match="cannot be read"):
        SourceWatch(path)


def test_identity_follows_either_end_and_the_size(tmp_path: Path):
    path = tmp_path / "film"
    content = bytearray(3 << 20)
    path.write_bytes(content)
    identity = identify(path, 1.0)
    assert identity.size_bytes == 3 << 20
    for place in (5, len(content) - 5):
        changed = bytearray(content)
        changed[place] = 1
        path.write_bytes(changed)
        assert identify(path, 1.0) != identity
    path.write_bytes(content + b"\0")
    assert identify(path, 1.0) != identity
    with pytest.raises(InputError, match="cannot be read"):
        identify(tmp_path / "none", None)
