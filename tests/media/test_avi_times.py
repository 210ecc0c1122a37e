"""AVI stores no presentation times; frames are in step all the same where B-frames are."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from rich_sources import Source, make_source

from sdr2hdr.media.reading.probe import probe
from sdr2hdr.media.reading.reader import VideoReader
from sdr2hdr.options import ReadOptions


@pytest.mark.parametrize("bframes", [0, 2, 3])
def test_frames_in_avi_are_evenly_apart(tmp_path: Path, bframes: int):
    path = make_source(tmp_path / "in.avi", Source(audio=(), bframes=bframes))
    with VideoReader(probe(path, ReadOptions()), ReadOptions()) as reader:
        times = [time.pts for batch in reader for time in batch.timeline.frames]
        notices, damage = reader.notices, reader.damage
    assert len(times) == 48
    steps = {after - before for before, after in pairwise(times)}
    assert max(steps) - min(steps) <= 1, "29.97 Hz in ticks of 1/600 s"
    assert not notices
    assert not damage
