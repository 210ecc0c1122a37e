"""A range by frames is bit for bit the same part of a pass over the whole, for every kind."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from av import VideoFrame
from source_clips import Clip, packet_places, smooth_planes, spoil, write_clip

from sdr2hdr.errors import InputError
from sdr2hdr.frames import CodedBatch, FrameTime, Timeline
from sdr2hdr.media.reading.decoding import Decoder
from sdr2hdr.media.reading.frame_range import Approach, FrameRange, frame_fingerprint
from sdr2hdr.media.reading.probe import probe
from sdr2hdr.media.reading.reader import VideoReader
from sdr2hdr.options import ReadOptions, TimeRange
from sdr2hdr.signal import HDR10_SIGNAL

FRAMES = 40
MILLISECOND = Fraction(1, 1000)
IRREGULAR = tuple(sorted({(37 * number * number) % 2500 + 3 * number for number in range(FRAMES)}))
H264 = Clip(codec="libx264", options={"qp": "20", "bf": "3"}, pts=tuple(range(FRAMES)))
HEVC = replace(H264, codec="libx265", options={"preset": "fast"})
MPEG2 = replace(H264, codec="mpeg2video", options={"g": "9", "bf": "2", "qmin": "4", "qmax": "4"})
VP9 = replace(
    H264,
    codec="libvpx-vp9",
    options={"g": "12", "deadline": "good", "cpu-used": "4", "auto-alt-ref": "1", "b": "200k"},
)
AV1 = replace(H264, codec="libsvtav1", options={"preset": "12", "g": "9", "svtav1-params": "lp=1"})


def noisy_planes(clip: Clip, number: int) -> list[np.ndarray]:
    """No frame is like another, and each can be told from its neighbours' leavings."""
    random = np.random.default_rng(number)
    return [
        (plane // 2 + random.integers(0, 90, plane.shape)).astype(np.uint8)
        for plane in smooth_planes(clip, number)
    ]


def avc(clip: Clip, **params: int) -> Clip:
    text = ":".join(f"{key.replace('_', '-')}={value}" for key, value in params.items())
    key = "x264-params" if clip.codec == "libx264" else "x265-params"
    quiet = "" if clip.codec == "libx264" else ":log-level=error"
    return replace(clip, options={**clip.options, key: f"scenecut=0:keyint=8:{text}{quiet}"})


def woven(clip: Clip) -> Clip:
    if clip.codec == "libx264":
        options = {**clip.options, "x264-params": "tff=1:keyint=8:scenecut=0"}
    else:
        options = {**clip.options, "flags": "+ilme+ildct"}
    return replace(clip, options=options, filters=(("setfield", "tff"),))


def trimmed(path: Path, frames: int) -> Path:
    """Let an edit list hide the first frames, in the middle of a group of pictures."""
    data = bytearray(path.read_bytes())
    place = data.index(b"elst") + 4
    assert data[place] == 0 and struct.unpack_from(">I", data, place + 4) == (1,)
    duration, media_time = struct.unpack_from(">Ii", data, place + 8)
    timescale = struct.unpack_from(">I", data, data.index(b"mdhd") + 16)[0]
    movie = struct.unpack_from(">I", data, data.index(b"mvhd") + 16)[0]
    cut = Fraction(frames, 25)
    struct.pack_into(
        ">Ii", data, place + 8, duration - int(cut * movie), media_time + int(cut * timescale)
    )
    path.write_bytes(data)
    return path


def spliced(folder: Path, frames: int = FRAMES // 2) -> Path:
    """Two recordings one after the other, the second with a clock that starts again.

    Less than a second back is taken for a slip.
    """
    parts = [
        write_clip(
            folder / f"{number}.ts",
            avc(replace(H264, pts=tuple(range(frames)), width_px=64), open_gop=0),
            lambda clip, frame, number=number: noisy_planes(clip, frame + 100 * number),
        )
        for number in range(2)
    ]
    path = folder / "spliced.ts"
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    return path


def damaged(path: Path, numbers: tuple[int, ...], keep: int = 5) -> Path:
    spoil(path, numbers, keep)
    return path


def half_damaged(path: Path, numbers: tuple[int, ...]) -> Path:
    """Noise in the second half of packets: the decoder makes up what is missing."""
    data = bytearray(path.read_bytes())
    places = packet_places(path)
    for number in numbers:
        position, size = places[number]
        noise = np.random.default_rng(number).integers(0, 256, size // 2).astype(np.uint8)
        data[position + size - len(noise) : position + size] = noise.tobytes()
    path.write_bytes(data)
    return path


def clip(name: str, described: Clip) -> Callable[[Path], Path]:
    return lambda folder: write_clip(folder / name, described, noisy_planes)


OPEN_264 = avc(H264, open_gop=1, bframes=3, b_pyramid=2)
OPEN_265 = avc(HEVC, open_gop=1, bframes=4)
VFR = replace(OPEN_264, pts=IRREGULAR, time_base=MILLISECOND)
PRORES = Clip("prores_ks", "yuv422p10le", pts=tuple(range(FRAMES)))
KINDS: dict[str, Callable[[Path], Path]] = {
    "H.264 closed GOP, MP4": clip("a.mp4", avc(H264, open_gop=0)),
    "H.264 open GOP, MP4": clip("a.mp4", OPEN_264),
    "H.264 open GOP, Matroska": clip("a.mkv", OPEN_264),
    "H.264 open GOP, MPEG-TS from 1095 s": clip(
        "a.ts", replace(OPEN_264, muxer_options={"output_ts_offset": "1095"})
    ),
    "H.264 intra refresh, MP4": clip("a.mp4", avc(H264, intra_refresh=1, bframes=0)),
    "HEVC closed GOP, MP4": clip("a.mp4", avc(HEVC, open_gop=0)),
    "HEVC open GOP, MP4": clip("a.mp4", OPEN_265),
    "HEVC open GOP, Matroska": clip("a.mkv", OPEN_265),
    "HEVC open GOP, MPEG-TS": clip("a.ts", OPEN_265),
    "MPEG-2 open GOP, Matroska": clip("a.mkv", MPEG2),
    "MPEG-2 open GOP, MPEG-TS": clip("a.ts", MPEG2),
    "MPEG-2 open GOP, MPEG-PS": clip("a.vob", MPEG2),
    "MPEG-4 with B-frames, AVI": clip(
        "a.avi", replace(MPEG2, codec="mpeg4", options={"g": "9", "bf": "2"})
    ),
    "VP9 with hidden frames, Matroska": clip("a.mkv", VP9),
    "AV1, MP4": clip("a.mp4", AV1),
    "variable rate, MP4": clip("a.mp4", VFR),
    "variable rate, Matroska": clip("a.mkv", VFR),
    "start trimmed by edit list, MP4": lambda folder: trimmed(clip("a.mp4", OPEN_264)(folder), 5),
    "start trimmed by edit list, MOV": lambda folder: trimmed(clip("a.mov", OPEN_265)(folder), 11),
    "ProRes, MOV": clip("a.mov", PRORES),
    "interlaced MPEG-2, MPEG-TS": clip("a.ts", woven(MPEG2)),
    "interlaced MPEG-2, Matroska": clip("a.mkv", woven(MPEG2)),
    "interlaced H.264, MP4": clip("a.mp4", woven(H264)),
    "interlaced, variable rate, Matroska": clip(
        "a.mkv", replace(woven(H264), pts=IRREGULAR, time_base=MILLISECOND)
    ),
    "no timestamps, H.264": clip("a.h264", replace(OPEN_264, muxer="h264")),
    "no timestamps, MPEG-2": clip("a.m2v", replace(MPEG2, muxer="mpeg2video")),
    "clock that slips back, MPEG-TS": spliced,
    "clock that starts again, MPEG-TS": lambda folder: spliced(folder, frames=30),
    "packets lost, H.264 MP4": lambda folder: damaged(
        clip("a.mp4", OPEN_264)(folder), (3, 12, 13, 27)
    ),
    "key frames lost, H.264 MP4": lambda folder: damaged(
        clip("a.mp4", avc(H264, open_gop=0))(folder), (8, 24)
    ),
    "half packets lost, H.264 Matroska": lambda folder: half_damaged(
        clip("a.mkv", OPEN_264)(folder), (8, 9, 16, 21, 30)
    ),
    "packets lost, HEVC MP4": lambda folder: damaged(
        clip("a.mp4", OPEN_265)(folder), (3, 12, 13, 24)
    ),
    "half packets lost, MPEG-2 Matroska": lambda folder: half_damaged(
        clip("a.mkv", MPEG2)(folder), (9, 10, 18, 23, 30)
    ),
}


def read(
    path: Path, options: ReadOptions, frames: FrameRange | None = None
) -> tuple[list[CodedBatch], VideoReader]:
    with VideoReader(probe(path, options), options, frames) as reader:
        return list(reader), reader


def assert_every_part_is_as_in_the_whole(path: Path, options: ReadOptions, length: int) -> None:
    whole, whole_reader = read(path, options)
    assert len(whole) > length
    for first, batch in enumerate(whole):
        last = min(first + length, len(whole))
        wanted = FrameRange(
            batch.timeline.frames[0].pts,
            whole[last].timeline.frames[0].pts if last < len(whole) else None,
            frame_fingerprint(batch),
            Approach.to_parts(
                has_repaired_times=whole_reader.has_repaired_times,
                has_joined_clocks=whole_reader.has_joined_clocks,
            ),
        )
        part, _ = read(path, options, wanted)
        assert [b.timeline for b in part] == [b.timeline for b in whole[first:last]], first
        for found, expected in zip(part, whole[first:last], strict=True):
            for plane in ("luma", "cb", "cr"):
                assert torch.equal(getattr(found, plane), getattr(expected, plane)), first


@pytest.fixture(autouse=True)
def _quiet_svt_av1(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SVT_LOG", "1")


@pytest.mark.parametrize("kind", KINDS)
def test_every_start(tmp_path: Path, kind: str):
    """In two threads, but where the source is damaged: parts of that are decoded in one."""
    path = KINDS[kind](tmp_path)
    threads = 1 if "lost" in kind else 2
    assert_every_part_is_as_in_the_whole(path, ReadOptions(threads=threads), 3)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if "interlaced" in kind])
def test_every_field(tmp_path: Path, kind: str):
    """Starts at second fields too, and the deinterlacer has seen what it would have seen."""
    path = KINDS[kind](tmp_path)
    assert_every_part_is_as_in_the_whole(path, ReadOptions(threads=2, deinterlace="field"), 3)


@pytest.mark.parametrize("suffix", ["mp4", "ts"])
def test_within_a_time_range(tmp_path: Path, suffix: str):
    path = write_clip(tmp_path / f"a.{suffix}", OPEN_264, noisy_planes)
    options = ReadOptions(threads=2, time_range=TimeRange(0.5, 1.3))
    assert len(read(path, options)[0]) == 20
    assert_every_part_is_as_in_the_whole(path, options, 5)


def test_most_starts_are_near_by(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Otherwise the time for a film would grow with the square of its length."""
    path = write_clip(tmp_path / "a.mkv", replace(OPEN_264, pts=tuple(range(120))), noisy_planes)
    whole, _ = read(path, ReadOptions(threads=2))
    beginnings = []
    monkeypatch.setattr(Decoder, "_begin", lambda decoder: beginnings.append(decoder))
    for number in range(20, 120, 10):
        start = whole[number].timeline.frames[0].pts
        wanted = FrameRange(start, start + 1, frame_fingerprint(whole[number]))
        assert len(read(path, ReadOptions(threads=2), wanted)[0]) == 1
    assert not beginnings


def test_what_lies_before_a_start_behind_a_jump_is_read_but_not_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    path = spliced(tmp_path, frames=30)
    whole, reader = read(path, ReadOptions())
    assert reader.has_joined_clocks and not reader.has_repaired_times
    decoded = []

    def checked(decoder: Decoder, frame: VideoFrame) -> VideoFrame:
        decoded.append(frame.pts)
        return check(decoder, frame)

    check = Decoder._checked
    monkeypatch.setattr(Decoder, "_checked", checked)
    for number in (26, 30, 45, 59):
        start = whole[number].timeline.frames[0].pts
        picture = frame_fingerprint(whole[number])
        wanted = FrameRange(start, start + 1, picture, Approach.BY_READING)
        assert len(read(path, ReadOptions(threads=1), wanted)[0]) == 1
        # Groups of pictures have 8 frames, and the key frame comes half a second before at most.
        assert len(decoded) <= 20
        decoded.clear()


@pytest.mark.parametrize("number", [0, 20])
def test_another_picture_than_the_planned_one_is_an_error(tmp_path: Path, number: int):
    path = write_clip(tmp_path / "a.mp4", OPEN_264, noisy_planes)
    whole, _ = read(path, ReadOptions())
    start = whole[number].timeline.frames[0].pts
    for wanted in (FrameRange(start, None, "0" * 32), FrameRange(start + 1, None, None)):
        with pytest.raises(InputError, match="not as it was planned"):
            read(path, ReadOptions(), wanted)


def test_same_clock_reading_elsewhere_is_not_taken_for_the_frame(tmp_path: Path):
    """Without being told that times were repaired: the fingerprint finds out."""
    path = spliced(tmp_path)
    whole, reader = read(path, ReadOptions())
    assert reader.has_repaired_times
    for number in (5, 16, 19, 25, 35):
        wanted = FrameRange(
            whole[number].timeline.frames[0].pts, None, frame_fingerprint(whole[number])
        )
        part, _ = read(path, ReadOptions(), wanted)
        assert [b.timeline for b in part] == [b.timeline for b in whole[number:]]
        assert torch.equal(part[0].luma, whole[number].luma)


def test_damage_of_parts_adds_up(tmp_path: Path):
    path = damaged(write_clip(tmp_path / "a.mkv", OPEN_264, noisy_planes), (3, 12, 13, 27))
    whole, reader = read(path, ReadOptions(threads=1))
    starts = [batch.timeline.frames[0].pts for batch in whole]
    bounds = [*starts[::9], None]
    parts = [
        read(path, ReadOptions(threads=1), FrameRange(first, last))[1].damage
        for first, last in pairwise(bounds)
        if first is not None
    ]
    assert reader.damage.frames_lost == 4
    assert sum(part.frames_lost for part in parts) == 4
    assert sum(part.packets_failed for part in parts) == reader.damage.packets_failed


def test_damage_before_the_first_frame_is_that_of_the_first_part(tmp_path: Path):
    path = damaged(write_clip(tmp_path / "a.mkv", OPEN_264, noisy_planes), (0, 1))
    whole, reader = read(path, ReadOptions(threads=1))
    assert reader.damage
    start = whole[0].timeline.frames[0].pts
    assert start > 0
    _, first = read(path, ReadOptions(threads=1), FrameRange(start, is_first=True))
    assert first.damage == reader.damage
    _, later = read(path, ReadOptions(threads=1), FrameRange(start))
    assert later.damage.packets_failed < reader.damage.packets_failed


def test_what_an_edit_list_hides_is_not_lost(tmp_path: Path):
    path = trimmed(write_clip(tmp_path / "a.mov", OPEN_265, noisy_planes), 11)
    whole, reader = read(path, ReadOptions(strict=True))
    assert len(whole) == FRAMES - 11 and not reader.damage


def test_fingerprints():
    def batch(luma: int, chroma: int, dtype: torch.dtype = torch.uint8) -> CodedBatch:
        planes = [torch.full((2, 4, 4), luma, dtype=dtype)]
        planes += [torch.full((2, 2, 2), chroma + n, dtype=dtype) for n in range(2)]
        timeline = Timeline(Fraction(1, 25), (FrameTime(0, 1), FrameTime(1, 1)))
        return CodedBatch(planes[0], planes[1], planes[2], HDR10_SIGNAL, timeline)

    prints = [
        frame_fingerprint(batch(16, 128)),
        frame_fingerprint(batch(17, 128)),
        frame_fingerprint(batch(16, 129)),
        frame_fingerprint(batch(16, 128, torch.uint16)),
    ]
    assert len(set(prints)) == 4 and all(len(bytes.fromhex(text)) == 16 for text in prints)
    assert frame_fingerprint(batch(16, 128)) == prints[0]
    with pytest.raises(ValueError, match="expected some"):
        FrameRange(5, 5)
