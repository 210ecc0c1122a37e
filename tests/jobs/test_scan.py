from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from clips import ClipRecipe, blank_frame, fill_plane
from long_clips import OPTIONS, Ears

from sdr2hdr.errors import InputError
from sdr2hdr.frames import Rectangle
from sdr2hdr.jobs import run
from sdr2hdr.jobs.plan import Plan, Shot, read_plan
from sdr2hdr.jobs.scan import scan_source
from sdr2hdr.jobs.segmentation import SegmentRule
from sdr2hdr.media.reading.frame_range import frame_fingerprint
from sdr2hdr.media.reading.letterbox import detect_active_picture
from sdr2hdr.media.reading.probe import probe
from sdr2hdr.media.reading.reader import VideoReader
from sdr2hdr.options import ReadOptions, TimeRange
from sdr2hdr.pipeline import prepare

RECIPE = ClipRecipe(width_px=128, height_px=80)
BARS = Rectangle(12, 0, 68, 128)


def scene(seed: int, picture: Rectangle) -> np.ndarray:
    """A luma plane with blobs inside `picture` and black around it."""
    coarse = np.random.default_rng(seed).integers(40, 220, (8, 16))
    blobs = coarse.repeat(10, 0).repeat(8, 1)[: picture.height, : picture.width]
    luma = np.full((RECIPE.height_px, RECIPE.width_px), 16, np.uint8)
    luma[picture.top : picture.bottom, picture.left : picture.right] = blobs
    return luma


def make(path: Path, lumas: list[np.ndarray]) -> Path:
    neutral = np.full((RECIPE.height_px // 2, RECIPE.width_px // 2), 128, np.uint8)
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=25)
        video.width, video.height, video.pix_fmt = RECIPE.width_px, RECIPE.height_px, "yuv420p"
        video.codec_context.options = {"qp": "0", "preset": "ultrafast"}
        for number, luma in enumerate(lumas):
            frame = blank_frame(RECIPE)
            for plane, values in zip(frame.planes, (luma, neutral, neutral), strict=True):
                fill_plane(plane, values)
            frame.pts = number
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
    return path


def three_shots(path: Path) -> Path:
    return make(path, [scene(1, BARS)] * 9 + [scene(2, BARS)] * 30 + [scene(3, BARS)] * 6)


def scanned(path: Path, rule: SegmentRule, read: ReadOptions | None = None) -> Plan:
    read = read or ReadOptions()
    return scan_source(probe(path, read), read, rule)


def test_shots_bars_times_and_segments_of_a_clip(tmp_path: Path):
    path = three_shots(tmp_path / "clip.mkv")
    plan = scanned(path, SegmentRule(longest_frames=12, joined_frames=8, preroll_frames=5))
    assert plan.shots == (Shot(0, 9, "start"), Shot(9, 30, "cut"), Shot(39, 6, "cut"))
    assert plan.active_picture == BARS
    assert [(s.first_frame, s.frame_count, s.preroll_frames) for s in plan.segments] == [
        (0, 9, 0),
        (9, 12, 0),
        (21, 12, 5),
        (33, 6, 5),
        (39, 6, 0),
    ]
    with VideoReader(probe(path, ReadOptions()), ReadOptions()) as reader:
        batches = list(reader)
    assert plan.frame_pts == tuple(batch.timeline.frames[0].pts for batch in batches)
    assert plan.time_base == reader.time_base
    for segment in plan.segments:
        assert segment.fingerprint == frame_fingerprint(batches[segment.first_decoded_frame])
    file = tmp_path / "plan.json"
    file.write_text(plan.to_json(), encoding="utf-8")
    assert read_plan(file) == plan


def test_a_shot_that_comes_up_slowly_from_black_begins_with_a_fade(tmp_path: Path):
    picture = scene(1, BARS) - 16.0
    gains = [0.0] * 4 + [number / 100 for number in range(100)] + [1.0] * 6
    lumas = [np.round(16 + gain * picture).astype(np.uint8) for gain in gains]
    plan = scanned(make(tmp_path / "clip.mkv", lumas), SegmentRule())
    _, shown = plan.shots
    (fade,) = plan.fades
    assert (shown.transition, shown.first_frame) == ("fade", fade.first_frame)
    assert fade.kind == "from black"


def test_batches_change_nothing(tmp_path: Path):
    path = three_shots(tmp_path / "clip.mkv")
    rule = SegmentRule(12, 8, 5)
    assert scanned(path, rule, ReadOptions(batch_frames=7)) == scanned(path, rule)


def test_a_part_is_planned_for_itself(tmp_path: Path):
    path = three_shots(tmp_path / "clip.mkv")
    part = ReadOptions(time_range=TimeRange(0.2, 1.0))
    plan = scanned(path, SegmentRule(), part)
    assert plan.frame_count == 20
    assert plan.shots == (Shot(0, 4, "start"), Shot(4, 16, "cut"))
    with pytest.raises(InputError, match="--start"):
        scanned(path, SegmentRule(), ReadOptions(time_range=TimeRange(50.0, None)))


def test_one_frame_outside_the_samples_makes_the_picture_larger(tmp_path: Path):
    whole = Rectangle(0, 0, RECIPE.height_px, RECIPE.width_px)
    lumas = [scene(1, BARS)] * 40
    lumas[17] = scene(1, whole)
    assert scanned(make(tmp_path / "clip.mkv", lumas), SegmentRule()).active_picture is None


@pytest.mark.parametrize("name", ["out.mkv", "out_%03d.png"])
def test_bars_that_samples_took_for_black_are_corrected(tmp_path: Path, name: str):
    """A word in a bar, seen in one frame: video and pictures agree, and what was said is not left.

    Lines under the lower bar's word are picture from the first frame to the last, so all frames
    have the same light but for that one.
    """
    lumas = [scene(1, BARS)] * 40
    lumas[17] = scene(1, BARS)
    lumas[17][72:76, 40:80] = 235
    source, log = make(tmp_path / "clip.mkv", lumas), tmp_path / "light.csv"
    ears = Ears()
    conversion = prepare(source, tmp_path / name, replace(OPTIONS, light_log=log))
    assert "the picture is 128x56" in " ".join(notice.text for notice in conversion.notices)
    run.convert(conversion, listener=ears)
    assert "every frame was looked at: the picture is 128x68 at column 0, row 12" in ears.text
    with log.open() as file:
        means = [float(row["mean_max_rgb_cd_m2"]) for row in csv.DictReader(file)]
    assert means[16] == means[0]
    word_cd_m2 = 4 * 40 / (128 * 68) * 203
    assert means[17] - means[16] == pytest.approx(word_cd_m2, rel=0.01)


def test_bars_that_all_frames_have_are_told_once(tmp_path: Path):
    ears = Ears()
    source = make(tmp_path / "clip.mkv", [scene(1, BARS)] * 12)
    run.convert(prepare(source, tmp_path / "out.mkv", OPTIONS), listener=ears)
    assert "Letterbox" not in ears.text


def test_a_clip_of_a_few_frames_has_no_bars(tmp_path: Path):
    """All have one answer: what is planned, what is told, and what `check` measures by."""
    for frames in (4, 12):
        path = make(tmp_path / f"{frames}.mkv", [scene(1, BARS)] * frames)
        found = detect_active_picture(probe(path, ReadOptions()))
        assert scanned(path, SegmentRule()).active_picture == found
        assert found == (None if frames == 4 else BARS)


def test_progress_is_told_and_threads_are_given_back(tmp_path: Path):
    path = three_shots(tmp_path / "clip.mkv")
    threads = torch.get_num_threads()
    told: list[int] = []
    info = probe(path, ReadOptions())
    plan = scan_source(info, ReadOptions(), SegmentRule(), told.append)
    assert told == list(range(1, 46))
    assert torch.get_num_threads() == threads
    moved = path.rename(tmp_path / "moved.mkv")
    again = scan_source(replace(info, path=moved), ReadOptions(), SegmentRule())
    assert again.key == plan.key
