"""Tags: what goes along, what would be untrue in the new file, and languages that MOV numbers."""

from __future__ import annotations

from pathlib import Path

import av
import pytest

from sdr2hdr.media.copying.metadata import (
    WRITER_NAME,
    container_tags,
    language_in,
    stream_tags,
    tags_without_a_place,
)

ALIKE = (
    *(("fre", "fra"), ("cze", "ces"), ("rum", "ron"), ("slo", "slk"), ("wel", "cym")),
    *(("alb", "sqi"), ("arm", "hye"), ("baq", "eus"), ("bur", "mya"), ("chi", "zho")),
    *(("dut", "nld"), ("geo", "kat"), ("ger", "deu"), ("gre", "ell"), ("ice", "isl")),
    *(("mac", "mkd"), ("may", "msa"), ("per", "fas"), ("tib", "bod")),
)
"""Both codes of each language that has two (ISO 639-2), but Maori, unknown to QuickTime."""
TEXTS = (
    *("title", "artist", "album_artist", "author", "composer", "album", "comment", "genre"),
    *("copyright", "grouping", "lyrics", "description", "synopsis", "show", "episode_id"),
    *("network", "keywords", "make", "model", "director", "weather"),
)
STATISTICS = ("BPS-eng", "NUMBER_OF_FRAMES", "_STATISTICS_WRITING_APP", "SOURCE_ID")


NUMBERS = {"eng": 0, "swe": 5, "hrv": 18, "fao": 30, "gle": 35, "srp": 42, "pan": 70, "wel": 128}
"""QuickTime File Format Specification, Language Code Values."""


def mov_in(codes: list[str], path: Path) -> tuple[list[int], list[str]]:
    """The numbers of the languages in a MOV with so many streams, and what libavformat reads."""
    with av.open(str(path), "w") as container:
        streams = [container.add_stream("pcm_s16le", rate=48000) for _ in codes]
        for stream, code in zip(streams, codes, strict=True):
            stream.metadata["language"] = language_in("mov", code)
        for stream in streams:
            frame = av.AudioFrame(format="s16", layout="stereo", samples=48)
            frame.sample_rate, frame.pts = 48000, 0
            container.mux(stream.encode(frame))
    # Behind version, flags, two times, timescale and duration.
    headers = path.read_bytes().split(b"mdhd")[1:]
    with av.open(str(path)) as container:
        read = [stream.metadata["language"] for stream in container.streams]
    return [int.from_bytes(header[20:22]) for header in headers], read


def test_mov_knows_a_language_by_either_code(tmp_path: Path):
    for pair in zip(*ALIKE, strict=True):
        numbers, read = mov_in(list(pair), tmp_path / "a.mov")
        assert len(set(numbers)) == len(ALIKE)
        assert all(back in both for back, both in zip(read, ALIKE, strict=True))


def test_languages_have_quicktime_s_numbers_and_come_back_out_of_a_mov(tmp_path: Path):
    numbers, read = mov_in(list(NUMBERS), tmp_path / "a.mov")
    assert numbers == list(NUMBERS.values())
    for target in ("matroska", "mp4"):
        back = [stream_tags({"language": each}, target, is_changed=False) for each in read]
        assert back == [{"language": code} for code in NUMBERS]
    assert [language_in("mov", each) for each in read] == read


def test_what_is_said_of_the_old_file_stays_there():
    old = {"title": "A film", "encoder": "Lavf62", "encoding_tool": "Other", "DURATION": "1"}
    old |= {"major_brand": "qt  ", "minor_version": "512", "compatible_brands": "qt  "}
    assert container_tags(old, None) == {"title": "A film", "encoding_tool": WRITER_NAME}


@pytest.mark.parametrize("is_changed", [True, False])
def test_statistics_stay_only_with_packets_that_stay(is_changed: bool):
    said = {"title": "Sound", "language": "ger", "handler_name": "Main"}
    statistics = dict.fromkeys(STATISTICS, "1")
    tags = stream_tags({**said, **statistics, "DURATION": "1"}, "matroska", is_changed=is_changed)
    assert tags == (said if is_changed else {**said, **statistics})


@pytest.mark.parametrize("container_format", ["mp4", "mov"])
def test_tags_without_a_place_are_those_that_the_muxer_leaves_out(
    tmp_path: Path, container_format: str
):
    tags = {key: f"what {key} says" for key in TEXTS}
    path = tmp_path / "a"
    with av.open(str(path), "w", format=container_format) as container:
        container.metadata.update(tags)
        sound = container.add_stream("ac3", rate=48000)
        frame = av.AudioFrame(format="fltp", layout="stereo", samples=1536)
        frame.sample_rate, frame.pts = 48000, 0
        container.mux(sound.encode(frame))
    data = path.read_bytes()
    left_out = tuple(key for key, text in tags.items() if text.encode() not in data)
    assert tags_without_a_place(tags, container_format) == left_out
