"""Timed text goes between MP4's and Matroska's form without losing text, faces or colours."""

from __future__ import annotations

import struct

import pytest

from sdr2hdr.media.copying.subtitles import (
    mov_text_is_empty,
    mov_text_to_subrip,
    subrip_to_mov_text,
)


def sample(text: bytes, *records: tuple[int, int, int, tuple[int, int, int]]) -> bytes:
    """A text sample as 3GPP TS 26.245 lays it out."""
    styles = b"".join(
        struct.pack(">HHHBB4B", start, end, 1, face, 18, *colour, 255)
        for start, end, face, colour in records
    )
    if not records:
        return struct.pack(">H", len(text)) + text
    box = struct.pack(">I4sH", 10 + len(styles), b"styl", len(records)) + styles
    return struct.pack(">H", len(text)) + text + box


WHITE = (255, 255, 255)


@pytest.mark.parametrize(
    ("mov_text", "subrip"),
    [
        (sample(b"plain"), "plain"),
        (sample("zwei\nÄpfel".encode()), "zwei\nÄpfel"),
        (sample(b"a bold b", (2, 6, 1, WHITE)), "a <b>bold</b> b"),
        (sample(b"slanted", (0, 7, 2, WHITE)), "<i>slanted</i>"),
        (sample("Ä u".encode(), (2, 3, 4, WHITE)), "Ä <u>u</u>"),
        (sample(b"all", (0, 3, 7, WHITE)), "<b><i><u>all</u></i></b>"),
        (sample(b"red", (0, 3, 0, (255, 0, 16))), '<font color="#ff0010">red</font>'),
    ],
)
def test_both_ways(mov_text: bytes, subrip: str):
    there = mov_text_to_subrip(mov_text)
    assert (there.data.decode(), there.lost) == (subrip, "")
    back = subrip_to_mov_text(subrip.encode())
    assert (back.data, back.lost) == (mov_text, "")


def test_utf16_text():
    assert mov_text_to_subrip(sample("\ufeffhé".encode("utf-16-be"))).data.decode() == "hé"


def test_nested_and_unclosed_tags():
    cue = subrip_to_mov_text(b"<b>x<i>y</b>z\r\nw")
    assert cue.data == sample(b"xyz\nw", (0, 1, 1, WHITE), (1, 2, 3, WHITE), (2, 5, 2, WHITE))


def test_a_face_inside_a_colour_does_not_end_the_colour():
    cue = subrip_to_mov_text(b'<font color="#ff0000">a<font face="Arial">b</font>c</font>d')
    assert (cue.data, cue.lost) == (sample(b"abcd", (0, 3, 0, (255, 0, 0))), '<font face="Arial">')


@pytest.mark.parametrize("text", [r"{\an8}up", '<font face="Arial">x</font>', "<s>gone</s>"])
def test_what_mov_text_cannot_say_is_named(text: str):
    cue = subrip_to_mov_text(text.encode())
    assert cue.lost
    assert b"{" not in cue.data and b"<" not in cue.data


def test_what_subrip_cannot_say_is_named():
    karaoke = struct.pack(">I4sIH", 14, b"krok", 0, 0)
    assert mov_text_to_subrip(sample(b"la") + karaoke).lost == "krok"


def test_text_that_only_looks_like_a_tag_stays():
    assert subrip_to_mov_text(b"1 < 2 <3 <blink>").data == sample(b"1 < 2 <3 <blink>")


def test_empty_samples():
    assert mov_text_is_empty(b"\0\0") and not mov_text_is_empty(sample(b"x"))


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(b"\0\x09abc", id="text cut short"),
        pytest.param(sample(b"abc") + b"\0\0\0\x03styl", id="a box of an impossible size"),
        pytest.param(sample(b"abc") + struct.pack(">I4s", 8, b"styl"), id="no count of styles"),
        pytest.param(sample(b"abc") + struct.pack(">I4sH", 10, b"styl", 2), id="no styles"),
    ],
)
def test_a_damaged_sample_keeps_what_can_be_read(damage: bytes):
    cue = mov_text_to_subrip(damage)
    assert (cue.data, cue.lost, cue.is_damaged) == (b"abc", "", True)


def test_styles_do_not_read_on_into_the_next_box():
    """A `styl` box that counts more records than it holds, and twelve bytes of another behind."""
    short = struct.pack(">I4sH", 10, b"styl", 1)
    other = struct.pack(">I4s12s", 20, b"encd", b"\0\0\0\x03\0\1\1\x12" + b"\xff" * 4)
    cue = mov_text_to_subrip(sample(b"abc") + short + other)
    assert (cue.data, cue.is_damaged) == (b"abc", True)


def test_text_too_long_for_a_sample_is_cut_between_letters_and_named():
    cue = subrip_to_mov_text(("<i>" + "é" * 40_000 + "</i>").encode())
    assert cue.lost == "text beyond 65535 bytes"
    assert cue.data == sample(("é" * 32_767).encode(), (0, 32_767, 2, WHITE))
