"""Files that end early, whatever cut them, are told; whole ones are not suspected."""

from __future__ import annotations

import re
import struct
from dataclasses import replace
from pathlib import Path

import pytest
from source_clips import NTSC_DV, Clip, write_clip

from sdr2hdr.errors import InputError
from sdr2hdr.media.containers.cut_short import cut_short
from sdr2hdr.media.containers.ebml import elements_in
from sdr2hdr.media.containers.matroska_elements import CLUSTER, SEGMENT
from sdr2hdr.media.reading.damage import Damage
from sdr2hdr.media.reading.early_end import unread_seconds
from sdr2hdr.media.reading.probe import probe
from sdr2hdr.media.reading.reader import VideoReader
from sdr2hdr.options import ReadOptions, TimeRange

FRAMES = 40
H264 = Clip(codec="libx264", options={"qp": "10", "g": "8", "bf": "2"}, pts=tuple(range(FRAMES)))
CLUSTERED = replace(H264, muxer_options={"cluster_time_limit": "500"})
INDEX_FIRST = replace(H264, muxer_options={"movflags": "+faststart"})
UNKNOWN_SIZE = (1 << 56) - 1


def count_frames(path: Path, start: float | None = None, end: float | None = None, **options):
    read = ReadOptions(time_range=TimeRange(start, end), **options)
    with VideoReader(probe(path, read), read) as reader:
        count = sum(len(batch.timeline.frames) for batch in reader)
        return count, reader.damage


def said_sizes(data: bytes, segment_size: int, duration_ms: float | None = None) -> bytearray:
    """A file of `CLUSTERED` whose segment says another size, and whose clusters say none."""
    segment = next(e for e in elements_in(data) if e.identifier == SEGMENT)
    clusters = [e for e in elements_in(data, segment.content) if e.identifier == CLUSTER]
    assert len(clusters) > 1
    changed = bytearray(data)
    for element in (segment, *clusters):
        width = element.content - element.start - 4
        size = segment_size if element is segment else UNKNOWN_SIZE
        changed[element.start + 4 : element.content] = (
            1 << 7 * width | size & (1 << 7 * width) - 1
        ).to_bytes(width, "big")
    if duration_ms is not None:
        # Duration (RFC 9559, 5.1.2.11), a float of 8 bytes, in milliseconds.
        place = data.index(b"\x44\x89\x88") + 3
        changed[place : place + 8] = struct.pack(">d", duration_ms)
    return changed


def zeroed_from(data: bytes, place: int) -> bytes:
    """What a download that was never finished leaves in a file of its full length."""
    return data[:place] + bytes(len(data) - place)


def test_mp4_counts_what_is_missing(tmp_path: Path):
    path = write_clip(tmp_path / "a.mp4", INDEX_FIRST)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 2 // 3])
    count, damage = count_frames(path)
    assert 5 < count < FRAMES
    assert damage.frames_lost == FRAMES - count


@pytest.mark.parametrize(
    ("suffix", "codec", "pixel_format"),
    [("avi", "mjpeg", "yuvj420p"), ("mxf", "mpeg2video", "yuv420p")],
)
def test_avi_and_mxf_say_what_is_missing(
    tmp_path: Path, suffix: str, codec: str, pixel_format: str
):
    clip = Clip(codec=codec, pixel_format=pixel_format, pts=tuple(range(FRAMES)))
    data = write_clip(tmp_path / f"whole.{suffix}", clip).read_bytes()
    assert cut_short(tmp_path / f"whole.{suffix}") == ""
    path = tmp_path / f"cut.{suffix}"
    path.write_bytes(data[: len(data) // 2])
    said = re.search(r"its last (\d+) bytes are missing", cut_short(path))
    assert said is not None
    # The footer of an MXF is not counted, nor the index in it.
    assert int(said[1]) == pytest.approx(len(data) - len(data) // 2, abs=5000)
    _, damage = count_frames(path)
    assert damage
    with pytest.raises(InputError, match="damaged"):
        count_frames(path, strict=True)


def test_an_avi_whose_writer_never_came_back_says_nothing(tmp_path: Path):
    clip = Clip(codec="mjpeg", pixel_format="yuvj420p", pts=tuple(range(FRAMES)))
    data = bytearray(write_clip(tmp_path / "whole.avi", clip).read_bytes())
    path = tmp_path / "cut.avi"
    for size in (0, 0xFFFFFFFF, len(data)):
        data[4:8] = struct.pack("<I", size)
        path.write_bytes(data)
        assert cut_short(path) == ""


def test_a_frame_of_dv_that_is_cut_short_is_one_lost(tmp_path: Path):
    """Its decoder does not call that invalid data."""
    data = write_clip(tmp_path / "whole.avi", NTSC_DV).read_bytes()
    path = tmp_path / "cut.avi"
    path.write_bytes(data[: len(data) - 60_000])
    count, damage = count_frames(path)
    assert (count, damage.packets_failed) == (2, 1)
    with pytest.raises(InputError, match="a packet cannot be decoded"):
        count_frames(path, strict=True)


def test_matroska_is_told_and_refused_under_strict(tmp_path: Path):
    data = write_clip(tmp_path / "whole.mkv", H264).read_bytes()
    assert probe(tmp_path / "whole.mkv", ReadOptions()).cut_short == ""
    path = tmp_path / "cut.mkv"
    path.write_bytes(data[: len(data) * 2 // 3])
    info = probe(path, ReadOptions())
    missing = len(data) - len(data) * 2 // 3
    assert info.cut_short == f"its last {missing} bytes are missing"
    assert any(f"last {missing} bytes" in notice.text for notice in info.notices)
    count, damage = count_frames(path)
    assert 5 < count < FRAMES
    assert damage.packets_failed == 1
    with pytest.raises(InputError, match="--strict"):
        count_frames(path, strict=True)


def test_what_lies_behind_damage_in_matroska_is_lost_and_told(tmp_path: Path):
    data = write_clip(tmp_path / "whole.mkv", H264).read_bytes()
    assert count_frames(tmp_path / "whole.mkv") == (FRAMES, Damage())
    path = tmp_path / "spoiled.mkv"
    path.write_bytes(zeroed_from(data, len(data) // 3))
    count, damage = count_frames(path)
    assert count < 30
    assert abs(count + damage.frames_lost - FRAMES) <= 2


@pytest.mark.parametrize("form", ["mkv", "mp4"])
def test_a_part_that_begins_in_the_middle_is_told_too(tmp_path: Path, form: str):
    """As the last segment of a long film does."""
    path = write_clip(tmp_path / f"a.{form}", H264 if form == "mkv" else INDEX_FIRST)
    data = path.read_bytes()
    place = len(data) // 2
    path.write_bytes(zeroed_from(data, place) if form == "mkv" else data[:place])
    count, damage = count_frames(path, start=0.4)
    assert 2 < count < FRAMES - 10
    assert abs(count + damage.frames_lost - (FRAMES - 10)) <= (2 if form == "mkv" else 0)


def test_a_part_before_the_cut_is_whole(tmp_path: Path):
    data = write_clip(tmp_path / "whole.mkv", H264).read_bytes()
    path = tmp_path / "cut.mkv"
    path.write_bytes(data[: len(data) * 2 // 3])
    assert count_frames(path, end=0.4, strict=True) == (10, Damage())


def test_a_file_that_its_writer_never_finished_is_told(tmp_path: Path):
    """Some writers leave a size of 0 until the end; a full disk leaves it so for ever."""
    data = write_clip(tmp_path / "plain.mkv", CLUSTERED).read_bytes()
    path = tmp_path / "unfinished.mkv"
    path.write_bytes(said_sizes(data, 0)[: len(data) * 2 // 3])
    info = probe(path, ReadOptions())
    assert any("never finished" in notice.text for notice in info.notices)
    count, damage = count_frames(path)
    assert 5 < count < FRAMES
    assert damage


def test_a_streamed_file_far_shorter_than_it_says_is_cut(tmp_path: Path):
    """A copy into a pipe says how long the film is before it begins."""
    data = write_clip(tmp_path / "plain.mkv", CLUSTERED).read_bytes()
    path = tmp_path / "cut.mkv"
    path.write_bytes(said_sizes(data, UNKNOWN_SIZE, duration_ms=60_000.0))
    lost = 58.4 * 25
    assert abs(unread_seconds(path) * 25 - lost) < 1
    count, damage = count_frames(path)
    assert count == FRAMES and abs(damage.frames_lost - lost) <= 1
    with pytest.raises(InputError, match="--strict"):
        count_frames(path, strict=True)


def test_a_duration_that_is_too_long_is_no_damage(tmp_path: Path):
    """Browsers record into clusters of unknown size, and measure the duration by the wall."""
    data = write_clip(tmp_path / "plain.mkv", CLUSTERED).read_bytes()
    path = tmp_path / "recorded.mkv"
    path.write_bytes(said_sizes(data, UNKNOWN_SIZE, duration_ms=2500.0))
    assert count_frames(path) == (FRAMES, Damage())
    assert unread_seconds(path) == 0


def test_matroska_of_unknown_size_is_whole(tmp_path: Path):
    path = write_clip(tmp_path / "live.mkv", replace(H264, muxer_options={"live": "1"}))
    assert probe(path, ReadOptions()).cut_short == ""
    assert count_frames(path) == (FRAMES, Damage())


def test_a_part_of_an_mp4_that_plays_what_it_holds_in_two_pieces_is_whole(tmp_path: Path):
    """Its index has frames that are read and not shown."""
    options = {**H264.options, "bf": "0", "g": "20", "sc_threshold": "0"}
    clip = replace(H264, options=options, pts=tuple(range(25, 25 + FRAMES)))
    path = write_clip(tmp_path / "a.mp4", clip)
    data = bytearray(path.read_bytes())
    # Edits (ISO/IEC 14496-12:2022, 8.6.6) of libavformat: one to wait, one for the film.
    place = data.index(b"elst") + 4
    version_and_count = struct.unpack_from(">II", data, place)
    assert version_and_count == (0, 2)
    _, start, rate = struct.unpack_from(">IiI", data, place + 20)
    tick = struct.unpack_from(">I", data, data.index(b"mdhd") + 16)[0] // 25
    pieces = (400, start, rate, 600, start + 20 * tick, rate)
    struct.pack_into(">IiIIiI", data, place + 8, *pieces)
    path.write_bytes(data)
    for begin, frames in ((None, 25), (0.2, 20), (0.8, 5)):
        assert count_frames(path, start=begin) == (frames, Damage())
