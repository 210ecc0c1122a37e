"""What a run knows of single frames does not stay in memory, however long the film."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import pytest

from sdr2hdr.delivery.light_log import LightLog
from sdr2hdr.errors import OutputError
from sdr2hdr.frames import FrameTime, PresentationTimes, Timeline
from sdr2hdr.jobs import merge
from sdr2hdr.jobs.records import FinishedSegment, SegmentRecord
from sdr2hdr.jobs.work_folder import WorkFolder
from sdr2hdr.media.reading.damage import Damage
from sdr2hdr.quality.flicker import FlickerTally
from sdr2hdr.quality.light_levels import FrameLight
from sdr2hdr.range_summary import RangeSummary, added_up

SEGMENT_FRAMES = 200
SHORT_FRAMES, LONG_FRAMES = 1_000, 5_000
TICK = Fraction(1, 24000)
SEGMENT_BYTES_A_FRAME = 8
"""For what is kept of each finished segment, by way of its frames: 1600 bytes for 200."""


def summary(index: int) -> RangeSummary:
    """Frames whose every number is an object of its own, as those that are measured."""
    first = index * SEGMENT_FRAMES
    frames = range(first, first + SEGMENT_FRAMES)
    return RangeSummary(
        first_frame=first,
        times=tuple(FrameTime(1001 * frame, 1001) for frame in frames),
        lights=tuple(FrameLight(*(frame / 7 + part for part in range(4))) for frame in frames),
        super_white=0.5,
        damage=Damage(),
        tallies=(),
        flicker=(FlickerTally(0, pairs=SEGMENT_FRAMES, worst=float(index)),),
        notices=(),
    )


def fill(folder: WorkFolder, frames: int) -> list[FinishedSegment]:
    """Write records as finished segments have them, and keep what a run keeps."""
    folder.path.mkdir()
    finished = []
    for index in range(frames // SEGMENT_FRAMES):
        record = SegmentRecord(
            key="0" * 64,
            index=index,
            file_name=f"{index:06d}.mp4",
            size_bytes=1000 + index,
            sha256=f"{index:064x}",
            seconds=1.5,
            made_with={"version": "1", "processor": "one"},
            summary=summary(index),
        )
        (folder.path / f"{index:06d}.json").write_text(record.to_json(), encoding="utf-8")
        finished.append(record.finished)
    return finished


def peak_bytes(act: Callable[[], object]) -> int:
    """The most that is in use at once while something is done, beyond what was before."""
    gc.collect()
    tracemalloc.start()
    try:
        result = act()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    del result
    return peak


Act = Callable[[WorkFolder, Sequence[FinishedSegment]], object]


def add_up(folder: WorkFolder, segments: Sequence[FinishedSegment]) -> object:
    return added_up(map(folder.summary_of, segments))


def take_times(folder: WorkFolder, segments: Sequence[FinishedSegment]) -> object:
    """As the writer takes them: one by one."""
    return sum(time.duration for time in merge._times(folder, segments))


def keep_shown_times(folder: WorkFolder, segments: Sequence[FinishedSegment]) -> object:
    return PresentationTimes((time.pts for time in merge._times(folder, segments)), TICK)


def write_log(folder: WorkFolder, segments: Sequence[FinishedSegment]) -> object:
    log = LightLog()
    for part in map(folder.summary_of, segments):
        log.add(Timeline(TICK, part.times), part.lights)
    levels = added_up(map(folder.summary_of, segments)).light
    log.write(folder.path / "light.json", levels, overwrite=True)
    return log


@pytest.mark.parametrize(
    ("act", "most_bytes_a_frame"),
    # Later records are longer, as their numbers are. An array that grows has room for an eighth
    # more, and is there twice while it moves.
    [(add_up, 4), (take_times, 4), (keep_shown_times, 8 * 2.2 + 4), (write_log, 40 * 2.2 + 4)],
)
def test_merge_needs_a_few_bytes_a_frame(act: Act, most_bytes_a_frame: float, tmp_path: Path):
    peaks = []
    for frames in (SHORT_FRAMES, LONG_FRAMES):
        folder = WorkFolder(tmp_path / str(frames), tmp_path / "out.mkv")
        segments = fill(folder, frames)
        act(folder, segments[:1])
        peaks.append(peak_bytes(lambda folder=folder, segments=segments: act(folder, segments)))
    short, long = peaks
    assert (long - short) / (LONG_FRAMES - SHORT_FRAMES) < most_bytes_a_frame, peaks


def kept_bytes(folder: WorkFolder, frames: int) -> int:
    """What is in use while a run holds its finished segments."""
    gc.collect()
    tracemalloc.start()
    try:
        finished = fill(folder, frames)
        gc.collect()
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(finished) == frames // SEGMENT_FRAMES
    return kept


def test_run_keeps_little_of_finished_segments(tmp_path: Path):
    kept = [
        kept_bytes(WorkFolder(tmp_path / str(frames), tmp_path / "out.mkv"), frames)
        for frames in (SHORT_FRAMES, LONG_FRAMES)
    ]
    grown = (kept[1] - kept[0]) / (LONG_FRAMES - SHORT_FRAMES)
    assert grown < SEGMENT_BYTES_A_FRAME, kept


def test_nothing_is_lost_by_adding_up_one_by_one(tmp_path: Path):
    folder = WorkFolder(tmp_path / "work", tmp_path / "out.mkv")
    segments = fill(folder, SHORT_FRAMES)
    totals = added_up(map(folder.summary_of, segments))
    assert totals.frame_count == SHORT_FRAMES
    assert totals.light.max_cll == round((SHORT_FRAMES - 1) / 7)
    assert totals.super_white == 0.5 * len(segments)
    (shot,) = totals.flicker
    assert (shot.pairs, shot.worst) == (SHORT_FRAMES, len(segments) - 1)
    times = list(merge._times(folder, segments))
    assert [time.pts for time in times] == [1001 * frame for frame in range(SHORT_FRAMES)]
    with pytest.raises(ValueError, match="expected frame 200"):
        added_up(map(folder.summary_of, (segments[0], segments[2])))


def test_a_record_that_changed_meanwhile_is_told(tmp_path: Path):
    folder = WorkFolder(tmp_path / "work", tmp_path / "out.mkv")
    first, second, *_ = fill(folder, SHORT_FRAMES)
    path, other = folder.path / "000000.json", folder.path / "000001.json"
    path.write_bytes(other.read_bytes())
    with pytest.raises(OutputError, match="has changed"):
        folder.summary_of(first)
    other.unlink()
    with pytest.raises(OutputError, match="cannot be read"):
        folder.summary_of(second)
