"""Clips that are cut into several segments, and conversions of them that fail where they should."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import av
import pytest
from clips import ClipRecipe, make_clip

from sdr2hdr.conversion import Conversion
from sdr2hdr.errors import Notice
from sdr2hdr.jobs import run, segment_loop
from sdr2hdr.jobs.listener import JobListener, SegmentNews
from sdr2hdr.jobs.plan import Plan, Segment
from sdr2hdr.jobs.published import prepare_job
from sdr2hdr.jobs.segmentation import SegmentRule
from sdr2hdr.options import ConvertOptions, EncodeOptions, JobOptions
from sdr2hdr.pipeline import ConversionSummary

FRAMES = 40
SEGMENT_FRAMES = 8
OPTIONS = ConvertOptions("bt2408", encode=EncodeOptions(preset="ultrafast", threads=1))


def make_source(folder: Path, frames: int = FRAMES, size_px: tuple[int, int] = (64, 48)) -> Path:
    """B-frames, closed groups of pictures of 5, sound."""
    recipe = ClipRecipe(
        *size_px,
        pts=tuple(range(frames)),
        audio_seconds=frames / 25,
        codec_options=(("qp", "20"), ("g", "5")),
    )
    return make_clip(folder / "source.mp4", recipe)


def spoil(path: Path, frame: int) -> Path:
    """Overwrite most of a video packet, so that the decoder gives no frame, or one made up."""
    with av.open(str(path)) as container:
        packet = [packet for packet in container.demux(video=0) if packet.size][frame]
        place, size = packet.pos, packet.size
    data = bytearray(path.read_bytes())
    data[place + 5 : place + size] = b"\xff" * (size - 5)
    path.write_bytes(data)
    return path


def use_short_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut every 8 frames, so that small clips have several segments."""
    rule = SegmentRule(longest_frames=SEGMENT_FRAMES, joined_frames=SEGMENT_FRAMES)
    monkeypatch.setattr("sdr2hdr.jobs.planning.segment_rule", lambda conversion: rule)


class Ears(JobListener):
    """Keeps what is said."""

    def __init__(self) -> None:
        self.notices: list[Notice] = []
        self.news: list[SegmentNews] = []
        self.resumed: list[int] = []
        self.plans: list[Plan] = []

    def notice(self, notice: Notice) -> None:
        self.notices.append(notice)

    def planned(self, plan: Plan, resumed_segments: int) -> None:
        self.plans.append(plan)
        self.resumed.append(resumed_segments)

    def segment(self, news: SegmentNews) -> None:
        self.news.append(news)

    @property
    def text(self) -> str:
        return " ".join(notice.text for notice in self.notices)


def before_segment(
    monkeypatch: pytest.MonkeyPatch, act: Callable[[Segment, Conversion], None]
) -> None:
    """Do something, such as failing, before a segment is converted."""
    real = segment_loop.perform

    def perform(conversion: Conversion, plan: Plan, segment: Segment, *rest: object):
        act(segment, conversion)
        return real(conversion, plan, segment, *rest)

    monkeypatch.setattr(segment_loop, "perform", perform)


class Killed(BaseException):
    """Ends a run as rudely as can be done without ending the test."""


def convert_as_command(
    source: Path,
    target: Path,
    options: ConvertOptions = OPTIONS,
    job: JobOptions | None = None,
    ears: Ears | None = None,
) -> ConversionSummary:
    """Convert as the command does, which prepares a job so that an output is known again."""
    return run.convert(prepare_job(source, target, options), job, ears)
