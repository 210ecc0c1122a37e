from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from field_pictures import write_field_pictures
from source_clips import Clip, decoded, write_clip

from sdr2hdr.media.reading.probe import probe
from sdr2hdr.media.reading.reader import VideoReader
from sdr2hdr.options import ReadOptions, TimeRange

WIDTH, HEIGHT, FRAMES, STEP_PX = 96, 64, 10, 3


def bar_field(time: int) -> np.ndarray:
    """A picture with a bright upright bar that has moved on by `STEP_PX` every field."""
    columns = np.arange(WIDTH)
    row = np.where((columns >= 8 + STEP_PX * time) & (columns < 20 + STEP_PX * time), 200, 60)
    return np.broadcast_to(row, (HEIGHT, WIDTH)).astype(np.uint8)


def woven_planes(order: str):
    first = 0 if order == "tff" else 1

    def planes(clip: Clip, number: int) -> list[np.ndarray]:
        luma = np.empty((HEIGHT, WIDTH), np.uint8)
        luma[first::2] = bar_field(2 * number)[first::2]
        luma[1 - first :: 2] = bar_field(2 * number + 1)[1 - first :: 2]
        neutral = np.full((HEIGHT // 2, WIDTH // 2), 128, np.uint8)
        return [luma, neutral, neutral]

    return planes


def interlaced(path: Path, order: str = "tff", **changes) -> Path:
    clip = Clip(
        codec="mpeg2video",
        options={"flags": "+ilme+ildct", "qmin": "1", "qmax": "1", "g": "5", "bf": "2"},
        width_px=WIDTH,
        height_px=HEIGHT,
        pts=range(FRAMES),
        filters=(("setfield", order),),
    )
    return write_clip(path, replace(clip, **changes), woven_planes(order))


def read(path: Path, **options):
    chosen = ReadOptions(**options)
    with VideoReader(probe(path, chosen), chosen) as reader:
        batches = list(reader)
    lumas = np.concatenate([batch.luma.numpy() for batch in batches])
    return lumas, [time for batch in batches for time in batch.timeline.frames], reader


def combing(luma: np.ndarray) -> float:
    """Mean difference between neighbouring lines; an upright bar has none unless woven."""
    return float(np.abs(np.diff(luma.astype(int), axis=0)).mean())


def bar_centre(luma: np.ndarray) -> float:
    weights = np.clip(luma.astype(float) - 60, 0, None).sum(0)
    return float((weights * np.arange(WIDTH)).sum() / weights.sum())


@pytest.mark.parametrize("order", ["tff", "bff"])
def test_interlacing_is_found_and_told(tmp_path, order):
    info = probe(interlaced(tmp_path / "a.mkv", order), ReadOptions())
    word = {"tff": "top", "bff": "bottom"}[order]
    assert info.video.field_order == word
    (notice,) = [n for n in info.notices if "Interlaced" in n.text]
    assert notice.severity == "notice"
    assert f"{word} field first" in notice.text
    assert "--deinterlace off" in notice.text


@pytest.mark.parametrize("order", ["tff", "bff"])
@pytest.mark.parametrize("suffix", ["mkv", "mp4", "ts"])
def test_frame_mode_gives_a_frame_for_a_frame_at_its_time(tmp_path, order, suffix):
    path = interlaced(tmp_path / f"a.{suffix}", order)
    lumas, times, reader = read(path)
    reference = decoded(path)
    assert [time.pts for time in times] == [frame.pts for frame in reference]
    assert {time.duration * reader.time_base for time in times} == {Fraction(1, 25)}
    assert reader.average_rate == 25
    woven = np.stack([frame.to_ndarray()[:HEIGHT] for frame in reference])
    assert combing(woven[4]) > 6
    for number in range(2, FRAMES - 1):
        assert combing(lumas[number]) < 0.2 * combing(woven[number])
        # The first field stays, whichever it is.
        assert bar_centre(lumas[number]) == pytest.approx(
            bar_centre(bar_field(2 * number)), abs=0.8
        )


@pytest.mark.parametrize("order", ["tff", "bff"])
def test_field_mode_gives_every_field_at_its_time(tmp_path, order):
    path = interlaced(tmp_path / "a.mkv", order)
    lumas, times, reader = read(path, deinterlace="field")
    assert len(times) == 2 * FRAMES
    assert reader.time_base == Fraction(1, 2000)
    assert reader.average_rate == 50
    assert [time.pts for time in times] == list(range(0, 2 * FRAMES * 40, 40))
    assert {time.duration for time in times} == {40}
    for number in range(4, 2 * FRAMES - 4):
        assert bar_centre(lumas[number]) == pytest.approx(bar_centre(bar_field(number)), abs=0.8)


def test_off_leaves_frames_as_decoded(tmp_path):
    path = interlaced(tmp_path / "a.mkv")
    lumas, times, _ = read(path, deinterlace="off")
    reference = np.stack([frame.to_ndarray()[:HEIGHT] for frame in decoded(path)])
    np.testing.assert_array_equal(lumas, reference)
    assert len(times) == FRAMES
    info = probe(path, ReadOptions(deinterlace="off"))
    assert [n.severity for n in info.notices if "combing" in n.text] == ["warning"]


@pytest.mark.parametrize("mode", ["frame", "field"])
def test_a_range_gives_the_same_frames_as_the_whole(tmp_path, mode):
    path = interlaced(tmp_path / "a.ts", pts=range(30))
    whole, times, reader = read(path, deinterlace=mode)
    base, start = reader.time_base, probe(path, ReadOptions()).start_seconds
    per_second = 50 if mode == "field" else 25
    for first in (0, 1, 7, 12, 25):
        wanted = TimeRange(first / 25, (first + 4) / 25)
        part, part_times, _ = read(path, deinterlace=mode, time_range=wanted)
        inside = [
            index
            for index, time in enumerate(times)
            if Fraction(first, 25) <= time.pts * base - start < Fraction(first + 4, 25)
        ]
        assert len(inside) == 4 * per_second // 25
        assert part_times == [times[index] for index in inside]
        np.testing.assert_array_equal(part, whole[inside])


def test_progressive_is_left_alone(tmp_path):
    clip = Clip(codec="mpeg2video", pts=range(8), width_px=WIDTH, height_px=HEIGHT)
    path = write_clip(tmp_path / "a.mkv", clip)
    lumas, times, reader = read(path, deinterlace="field")
    reference = np.stack([frame.to_ndarray()[:HEIGHT] for frame in decoded(path)])
    np.testing.assert_array_equal(lumas, reference)
    assert len(times) == 8
    assert reader.time_base == Fraction(1, 1000)


def test_one_interlaced_frame(tmp_path):
    path = interlaced(tmp_path / "a.mkv", pts=(0,))
    assert len(read(path)[1]) == 1
    _, times, _ = read(path, deinterlace="field")
    assert [(time.pts, time.duration) for time in times] == [(0, 40), (40, 40)]


@pytest.mark.parametrize(
    ("order", "word"),
    [
        pytest.param("tff", 2, id="tff separated"),
        pytest.param("bff", 3, id="bff separated"),
        pytest.param("tff", 4, id="tff interleaved"),
        pytest.param("bff", 5, id="bff interleaved"),
    ],
)
def test_container_word_counts_where_frames_carry_no_flag(tmp_path, order, word):
    def say_order(stream) -> None:
        stream.codec_context.field_order = word

    clip = Clip(
        codec="rawvideo",
        width_px=WIDTH,
        height_px=HEIGHT,
        pts=range(FRAMES),
        pixel_format="yuv420p",
        set_up=say_order,
    )
    path = write_clip(tmp_path / "a.mkv", clip, woven_planes(order))
    if probe(path, ReadOptions()).video.field_order == "unknown":
        pytest.fail("The muxer no longer keeps the field order.")
    lumas, _, _ = read(path, deinterlace="field")
    assert combing(lumas[4]) < 2
    # The wrong field first makes the bar go back and forth.
    centres = [bar_centre(luma) for luma in lumas]
    assert len(centres) == 2 * FRAMES
    assert np.all(np.diff(centres[2:-2]) > 0)


@pytest.mark.parametrize("mode", ["frame", "field"])
def test_packed_pairs_are_deinterlaced_as_planes_are(tmp_path, mode):
    def say_order(stream) -> None:
        stream.codec_context.field_order = 2

    def planes(clip: Clip, number: int) -> list[np.ndarray]:
        luma = woven_planes("tff")(clip, number)[0]
        return [luma, luma[:, ::2], 255 - luma[:, 1::2]]

    def pairs(clip: Clip, number: int) -> list[np.ndarray]:
        memory = np.empty((HEIGHT, 2 * WIDTH), np.uint8)
        memory[:, 1::2], memory[:, 0::4], memory[:, 2::4] = planes(clip, number)
        return [memory]

    batches = []
    for pixel_format, content in (("yuv422p", planes), ("uyvy422", pairs)):
        clip = Clip("rawvideo", pixel_format, WIDTH, HEIGHT, range(FRAMES), set_up=say_order)
        path = write_clip(tmp_path / f"{pixel_format}.mkv", clip, content)
        options = ReadOptions(deinterlace=mode, batch_frames=100)
        with VideoReader(probe(path, options), options) as reader:
            batches.extend(reader)
    planar, packed = batches
    assert combing(packed.luma[4].numpy()) < 2
    assert packed.timeline == planar.timeline
    for name in ("luma", "cb", "cr"):
        np.testing.assert_array_equal(getattr(packed, name), getattr(planar, name))


def test_frames_coded_as_two_fields_last_as_long_as_both(tmp_path):
    path = write_field_pictures(tmp_path / "a.h264", [(100 + n, 100 + n) for n in range(6)])
    options = ReadOptions()
    info = probe(path, options)
    assert info.video.field_order == "top"
    with VideoReader(info, options) as reader:
        batches = list(reader)
    times = [time for batch in batches for time in batch.timeline.frames]
    base = batches[0].timeline.time_base
    assert [time.pts * base for time in times] == [Fraction(n, 25) for n in range(6)]
    assert times[-1].duration * base == Fraction(1, 25)
    assert [int(batch.luma[0, 5, 5]) for batch in batches] == [100 + n for n in range(6)]


@pytest.mark.parametrize("suffix", [".avi", ".mxf"])
@pytest.mark.parametrize("mode", ["off", "frame", "field"])
def test_last_frame_lasts_as_long_as_the_others_where_a_tick_is_a_frame(tmp_path, suffix, mode):
    codec, options = "mpeg2video" if suffix == ".mxf" else "mpeg4", {"flags": "+ildct"}
    path = interlaced(tmp_path / f"a{suffix}", codec=codec, options=options)
    _, times, reader = read(path, deinterlace=mode)
    assert probe(path, ReadOptions()).video.field_order == "top"
    frame = Fraction(1, 50 if mode == "field" else 25)
    assert {time.duration * reader.time_base for time in times} == {frame}
