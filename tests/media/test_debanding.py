from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from clips import SDR, read_planes
from source_clips import Clip, random_planes, write_clip

from sdr2hdr.colour.convert import planes_to_rgb
from sdr2hdr.frames import CodedBatch, FrameTime, Timeline
from sdr2hdr.jobs import run
from sdr2hdr.jobs.planning import make_plan
from sdr2hdr.jobs.segmentation import SegmentRule
from sdr2hdr.media.planes import Planes
from sdr2hdr.media.reading.debanding import Debander
from sdr2hdr.media.reading.frame_range import FrameRange, frame_fingerprint
from sdr2hdr.media.reading.probe import probe
from sdr2hdr.media.reading.reader import VideoReader
from sdr2hdr.options import ConvertOptions, EncodeOptions, ReadOptions
from sdr2hdr.pipeline import prepare
from sdr2hdr.signal import (
    CodedSignal,
    ColourRange,
    Matrix,
    Subsampling,
)

CODECS = {
    "yuv411p": ("ffv1", "mkv"),
    "yuvj422p": ("mjpeg", "mkv"),
    "gray": ("ffv1", "mkv"),
    "gbrp": ("utvideo", "avi"),
}
FULL = replace(SDR, colour_range=ColourRange.FULL)
DEBAND = ReadOptions(deband=True)


def neutral(luma: np.ndarray) -> Planes:
    chroma = np.full((-(-luma.shape[0] // 2), -(-luma.shape[1] // 2)), 128, np.uint8)
    return Planes(luma.astype(np.uint8), chroma, chroma)


def smoothed(luma: np.ndarray, signal: CodedSignal = SDR, threads: int | None = 1) -> np.ndarray:
    """Luma after debanding, in codes of 8 bits."""
    unit = 256 if signal.colour_range is ColourRange.LIMITED else 257
    return Debander(signal, threads).debanded(neutral(luma)).luma / unit


def dark_wall(px_per_code: int, height_px: int = 160, codes: int = 12) -> np.ndarray:
    """A shallow slope in the dark as 8 bits have it: flat bands, a code apart."""
    row = 30 + np.arange(px_per_code * codes) // px_per_code
    return np.repeat(row[np.newaxis], height_px, 0)


def read(path: Path, options: ReadOptions = DEBAND, part: FrameRange | None = None):
    with VideoReader(probe(path, options), options, part) as reader:
        return list(reader)


def write_lumas(path: Path, lumas: list[np.ndarray], **changes) -> Path:
    height, width = lumas[0].shape
    clip = Clip(width_px=width, height_px=height, pts=range(len(lumas)), **changes)

    def planes(clip: Clip, number: int) -> list[np.ndarray]:
        picture = neutral(lumas[number])
        return [picture.luma, picture.cb, picture.cr]

    return write_clip(path, clip, planes)


@pytest.mark.parametrize("signal", [SDR, FULL])
@pytest.mark.parametrize("px_per_code", [20, 40, 60])
def test_bands_become_a_slope(px_per_code: int, signal: CodedSignal):
    wall = dark_wall(px_per_code)
    slope = 30 - 0.5 + (np.arange(wall.shape[1]) + 0.5) / px_per_code
    # At either end the picture holds nothing to go on with.
    inside = slice(px_per_code, -px_per_code)
    before = np.abs(wall.mean(0) - slope)[inside]
    columns = smoothed(wall, signal).mean(0)
    assert before.max() > 0.47
    assert np.abs(columns - slope)[inside].max() < 0.2
    assert np.abs(np.diff(columns)).max() < 0.2


def test_dark_bands_come_out_finely_stepped_in_hdr(tmp_path: Path):
    """Of the curve that raises the dark most: 7 codes of 10 bits between neighbouring codes."""
    source = write_lumas(tmp_path / "wall.mkv", [dark_wall(40)])
    steps = {}
    for deband in (False, True):
        options = ConvertOptions(
            "bt2446a", read=ReadOptions(deband=deband), encode=EncodeOptions(codec="ffv1")
        )
        target = tmp_path / f"{deband}.mkv"
        run.convert(prepare(source, target, options))
        columns = read_planes(target)[0][0][0].astype(float).mean(0)
        steps[deband] = np.abs(columns[4:] - columns[:-4]).max()
    assert steps[False] >= 6
    assert steps[True] < 1.5


def test_what_differs_by_more_than_a_code_stays_to_the_bit():
    random = np.random.default_rng(0)
    page = np.where(random.random((90, 160)) < 0.3, 44, 40)
    grain = np.round(60 + random.normal(0, 2, (90, 160)))
    stripes = np.broadcast_to(np.where(np.arange(160) % 4 < 2, 40, 42), (90, 160))
    np.testing.assert_array_equal(smoothed(page), page)
    np.testing.assert_array_equal(smoothed(stripes), stripes)
    kept = smoothed(grain)
    assert kept.std() > 0.98 * grain.std()


def test_flat_areas_and_edges_stay_to_the_bit():
    edge = np.full((90, 160), 40)
    edge[:, 80:] = 42
    np.testing.assert_array_equal(smoothed(edge), edge)
    np.testing.assert_array_equal(smoothed(edge, FULL), edge)


@pytest.mark.parametrize("colour_range", list(ColourRange))
@pytest.mark.parametrize("matrix", [Matrix.BT709, Matrix.RGB])
def test_untouched_samples_mean_what_they_meant(colour_range: ColourRange, matrix: Matrix):
    """Of all codes but the lowest of full-range chroma, which lies outside of what 16 bits hold."""
    signal = replace(SDR, matrix=matrix, colour_range=colour_range, subsampling=Subsampling.YUV444)
    random = np.random.default_rng(0)
    # No two codes are within one of each other.
    codes = [(random.integers(1, 86, (48, 64)) * 3).astype(np.uint8) for _ in range(3)]
    planes = Debander(signal, 1).debanded(Planes(*codes))
    timeline = Timeline(Fraction(1, 25), (FrameTime(0, 1),))
    plain = CodedBatch(*(torch.from_numpy(plane)[None] for plane in codes), signal, timeline)
    wide = CodedBatch(
        *(torch.from_numpy(plane)[None] for plane in (planes.luma, planes.cb, planes.cr)),
        replace(signal, bit_depth=16),
        timeline,
    )
    assert torch.equal(planes_to_rgb(plain), planes_to_rgb(wide))


@pytest.mark.parametrize(
    "pixel_format", ["yuv411p", "yuvj422p", "gray", "uyvy422", "bgra", "nv12", "gbrp"]
)
def test_every_layout_of_8_bits_is_smoothed(tmp_path: Path, pixel_format: str):
    codec, suffix = CODECS.get(pixel_format, ("rawvideo", "nut"))
    clip = Clip(codec, pixel_format, width_px=66, height_px=50, pts=range(2))

    def bands(clip: Clip, number: int) -> list[np.ndarray]:
        planes = []
        for plane in av.VideoFrame(clip.width_px, clip.height_px, pixel_format).planes:
            rows = 100 + np.arange(plane.height, dtype=np.uint8) // 12
            planes.append(np.repeat(rows[:, np.newaxis], plane.line_size, 1))
        return planes

    path = write_clip(tmp_path / f"a.{suffix}", clip, bands)
    assert probe(path, DEBAND).video.pixel_format == pixel_format
    (plain, *_), (wide, *_) = read(path, ReadOptions()), read(path)
    assert wide.signal == replace(plain.signal, bit_depth=16)
    assert wide.luma.shape == plain.luma.shape and wide.cb.shape == plain.cb.shape
    unit = 257 if plain.signal.colour_range is ColourRange.FULL else 256
    moved = wide.luma.to(torch.int32) / unit - plain.luma.to(torch.int32)
    assert 0.05 < moved.abs().mean() < 1


def test_bars_stay_black_and_the_edge_beside_them_as_it_is(tmp_path: Path):
    luma = np.full((96, 200), 16)
    luma[20:76] = 30 + np.arange(200) // 25
    luma[50:70, 50:150] = 200
    source = write_lumas(tmp_path / "bars.mkv", [luma] * 8)
    (wide, *_) = read(source)
    seen = wide.luma[0].numpy()
    assert (seen[:20] == 16 * 256).all() and (seen[76:] == 16 * 256).all()
    assert seen[20:76].min() >= 30 * 256 and (seen[50:70, 50:150] == 200 * 256).all()
    options = ConvertOptions("bt2446a", read=DEBAND, encode=EncodeOptions(codec="ffv1"))
    run.convert(prepare(source, tmp_path / "out.mkv", options))
    for planes in read_planes(tmp_path / "out.mkv")[0]:
        for plane, black in zip(planes, (64, 512, 512), strict=True):
            assert (plane[:20] == black).all() and (plane[76:] == black).all()
        assert planes[0][20:76].min() > 100


def test_a_frame_depends_on_no_other_nor_on_threads():
    walls = [dark_wall(px_per_code)[:, :240] for px_per_code in (20, 24, 40)]
    one, many = Debander(SDR, 1), Debander(SDR, 7)
    first = [one.debanded(neutral(wall)).luma for wall in walls]
    again = [many.debanded(neutral(wall)).luma for wall in reversed(walls)]
    for ours, theirs in zip(first, reversed(again), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_a_part_is_read_as_in_the_whole_and_found_by_a_plan_without(tmp_path: Path):
    walls = [dark_wall(40, codes=5) + number for number in range(12)]
    path = write_lumas(tmp_path / "a.mkv", walls, options={"g": "1"})
    whole, plain = read(path), read(path, ReadOptions())
    start = plain[5].timeline.frames[0].pts
    part = read(path, DEBAND, FrameRange(start, None, frame_fingerprint(plain[5])))
    assert len(part) == 7
    for ours, theirs in zip(part, whole[5:], strict=True):
        assert torch.equal(ours.luma, theirs.luma) and ours.signal == theirs.signal
        assert ours.timeline == theirs.timeline


def test_interlaced_video_is_deinterlaced_first(tmp_path: Path):
    wall = dark_wall(20, height_px=64, codes=6)
    changes = {"codec": "ffv1", "filters": (("setfield", "tff"),), "options": {"flags": "+ilme"}}
    path = write_lumas(tmp_path / "a.mkv", [wall] * 4, **changes)
    plain, wide = read(path, ReadOptions()), read(path)
    assert [batch.timeline for batch in plain] == [batch.timeline for batch in wide]
    for before, after in zip(plain, wide, strict=True):
        picture = Planes(*(plane[0].numpy() for plane in (before.luma, before.cb, before.cr)))
        expected = Debander(before.signal, 1).debanded(picture)
        np.testing.assert_array_equal(after.luma[0].numpy(), expected.luma)


def test_what_the_option_does_is_told(tmp_path: Path):
    path = write_lumas(tmp_path / "a.mkv", [dark_wall(20)])
    assert not any("--deband" in notice.text for notice in probe(path, ReadOptions()).notices)
    (told,) = [notice for notice in probe(path, DEBAND).notices if "--deband" in notice.text]
    assert told.severity == "notice" and "smoothed" in told.text


def test_deeper_sources_are_left_alone_and_told(tmp_path: Path):
    clip = Clip(pixel_format="yuv420p10le", pts=range(1))
    path = write_clip(tmp_path / "a.mkv", clip, random_planes)
    (told,) = [notice for notice in probe(path, DEBAND).notices if "--deband" in notice.text]
    assert told.severity == "notice" and "this has 10 bits" in told.text
    (plain,), (same,) = read(path, ReadOptions()), read(path)
    assert same.signal == plain.signal and torch.equal(same.luma, plain.luma)


def test_segments_give_the_frames_of_the_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    source = write_lumas(
        tmp_path / "a.mkv", [dark_wall(30, 48, 4) + number for number in range(20)]
    )
    options = ConvertOptions("bt2446a", read=DEBAND, encode=EncodeOptions(codec="ffv1"))
    run.convert(prepare(source, tmp_path / "whole.mkv", options))
    rule = SegmentRule(longest_frames=5, joined_frames=5)
    monkeypatch.setattr("sdr2hdr.jobs.planning.segment_rule", lambda conversion: rule)
    plan = make_plan(prepare(source, tmp_path / "parts.mkv", options))
    assert len(plan.segments) == 4 and plan.pinned["options"]["read"]["deband"] is True
    run.convert(prepare(source, tmp_path / "parts.mkv", options))
    whole, parts = (read_planes(tmp_path / name)[0] for name in ("whole.mkv", "parts.mkv"))
    for ours, theirs in zip(parts, whole, strict=True):
        for plane, expected in zip(ours, theirs, strict=True):
            np.testing.assert_array_equal(plane, expected)
