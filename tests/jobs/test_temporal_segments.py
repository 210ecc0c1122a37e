"""What is kept along a shot is the same in a segment as in a whole run, to the bit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from clips import ClipRecipe, make_clip, read_planes
from lively_weights import write_lively_weights
from long_clips import make_source

from sdr2hdr.jobs import run
from sdr2hdr.jobs.segmentation import SegmentRule
from sdr2hdr.options import ConvertOptions, EncodeOptions, EngineOptions
from sdr2hdr.pipeline import prepare

FRAMES = 48
LOSSLESS = EncodeOptions(codec="ffv1")


@pytest.fixture(scope="module")
def lively(tmp_path_factory: pytest.TempPathFactory) -> EngineOptions:
    """A network that reacts to the whole frame strongly, whatever weights are shipped."""
    return EngineOptions(weights_dir=write_lively_weights(tmp_path_factory.mktemp("weights")))


def pictures(
    source: Path,
    target: Path,
    engine: EngineOptions,
    *,
    longest_frames: int,
    temporal: bool = True,
    preroll: bool = True,
) -> list[np.ndarray]:
    """Luma of every frame, converted in segments of some length."""
    options = ConvertOptions("irnet2", encode=LOSSLESS, engine=engine, temporal=temporal)
    conversion = prepare(source, target, options)
    frames = conversion.engine.preroll_frames if preroll and temporal else 0
    rule = SegmentRule(longest_frames, longest_frames, frames)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sdr2hdr.jobs.planning.segment_rule", lambda conversion: rule)
        run.convert(conversion)
    planes, _, _ = read_planes(target)
    return [frame[0] for frame in planes]


def differ(ours: list[np.ndarray], theirs: list[np.ndarray]) -> list[int]:
    """Numbers of the frames that are not the same."""
    pairs = zip(ours, theirs, strict=True)
    return [number for number, (a, b) in enumerate(pairs) if not np.array_equal(a, b)]


def test_segments_in_the_middle_of_a_shot_are_as_in_a_whole_run(
    tmp_path: Path, lively: EngineOptions
):
    source = make_source(tmp_path, FRAMES)
    whole = pictures(source, tmp_path / "whole.mkv", lively, longest_frames=1000)
    assert len(whole) == FRAMES
    parts = pictures(source, tmp_path / "parts.mkv", lively, longest_frames=16)
    assert differ(parts, whole) == []
    # The test can fail: without pre-roll, the frames after a boundary are others.
    cold = pictures(source, tmp_path / "cold.mkv", lively, longest_frames=16, preroll=False)
    assert 16 in differ(cold, whole)
    assert not any(number < 16 for number in differ(cold, whole))


def make_two_shots(path: Path, first_frame: int = 0) -> Path:
    """Grain over a dark picture in frames 0 to 19, over a bright one in 20 to 39.

    In either the 14th frame is a code brighter.
    """

    def planes(number: int) -> list[np.ndarray]:
        frame = first_frame + number
        still = np.linspace(30, 90, 64) if frame < 20 else np.linspace(200, 120, 64)
        grain = np.random.default_rng(frame).normal(frame % 20 == 13, 0.3, (48, 64))
        return [(still + grain).astype(np.uint8), *2 * [np.full((24, 32), 128, np.uint8)]]

    return make_clip(path, ClipRecipe(pts=range(40 - first_frame)), planes)


def test_frames_that_are_computed_again_are_measured_once(
    tmp_path: Path, lively: EngineOptions, monkeypatch: pytest.MonkeyPatch
):
    source = make_two_shots(tmp_path / "source.mkv")
    options = ConvertOptions("irnet2", encode=LOSSLESS, engine=lively, verify_roundtrip=True)
    done = []
    for longest_frames in (1000, 8):
        conversion = prepare(source, tmp_path / f"{longest_frames}.mkv", options)
        rule = SegmentRule(longest_frames, longest_frames, conversion.engine.preroll_frames)
        monkeypatch.setattr(
            "sdr2hdr.jobs.planning.segment_rule", lambda conversion, rule=rule: rule
        )
        done.append(run.convert(conversion))
    whole, parts = done
    for ours, theirs, first in zip(parts.roundtrips, whole.roundtrips, (0, 20), strict=True):
        assert ours.first_frame == theirs.first_frame == first
        assert ours.score.frames == theirs.score.frames == 20
        assert ours.score.mean == pytest.approx(theirs.score.mean, rel=1e-9)
    for ours, theirs, first in zip(parts.flicker, whole.flicker, (0, 20), strict=True):
        assert ours.first_frame == theirs.first_frame == first
        assert ours.frames == theirs.frames == 19
        assert ours.worst_frame == theirs.worst_frame >= first + 13
        assert ours.ratio == pytest.approx(theirs.ratio, rel=1e-9)


def test_a_shot_knows_nothing_of_the_one_before(tmp_path: Path, lively: EngineOptions):
    sources = (make_two_shots(tmp_path / f"from{first}.mkv", first) for first in (0, 20))
    both, alone = (
        pictures(source, source.with_suffix(".hdr.mkv"), lively, longest_frames=1000)
        for source in sources
    )
    assert differ(both[20:], alone) == []


def test_temporal_off_is_frame_by_frame(tmp_path: Path, lively: EngineOptions):
    source = make_source(tmp_path, 12)
    on = pictures(source, tmp_path / "on.mkv", lively, longest_frames=1000)
    off = pictures(source, tmp_path / "off.mkv", lively, longest_frames=1000, temporal=False)
    assert 0 not in differ(on, off)
    assert len(differ(on, off)) > 6


def test_pictures_are_those_of_the_video(tmp_path: Path, lively: EngineOptions):
    source = make_source(tmp_path, 6)
    logs = []
    for name in ("video.mkv", "p_%02d.png"):
        log = tmp_path / f"{len(logs)}.csv"
        options = ConvertOptions("irnet2", encode=EncodeOptions(), engine=lively, light_log=log)
        run.convert(prepare(source, tmp_path / name, options))
        logs.append(log.read_text())
    assert len(list(tmp_path.glob("p_*.png"))) == 6
    assert logs[0] == logs[1]
    assert len(logs[0].splitlines()) == 7
