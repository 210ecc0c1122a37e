"""Write a film as the program does: segments first, then the file that they are merged into."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from sdr2hdr.frames import CodedBatch, FrameTime
from sdr2hdr.media.copying.stream_plan import StreamPlan
from sdr2hdr.media.encoding.output_video import OutputVideo
from sdr2hdr.media.source import SourceInfo
from sdr2hdr.media.writing.merge_writer import MergeWriter
from sdr2hdr.media.writing.segment_file import SegmentSummary, SegmentWriter
from sdr2hdr.media.writing.written import WrittenSummary
from sdr2hdr.options import EncodeOptions


def write_segment(
    path: Path,
    plan: StreamPlan,
    options: EncodeOptions,
    video: OutputVideo,
    batches: Iterable[CodedBatch],
) -> tuple[SegmentSummary, list[FrameTime]]:
    """Write one segment; also gives the times of its frames."""
    times: list[FrameTime] = []
    with SegmentWriter(path, video, options, plan) as writer:
        for batch in batches:
            writer.write(batch)
            times += batch.timeline.frames
        return writer.finish(), times


def merge_segments(
    target: Path,
    info: SourceInfo,
    plan: StreamPlan,
    options: EncodeOptions,
    video: OutputVideo,
    segments: Sequence[Path],
    times: Sequence[FrameTime],
) -> WrittenSummary:
    """Merge segments into a file."""
    with MergeWriter(target, info, plan, options, video, times) as writer:
        for segment in segments:
            writer.add_segment(segment)
        return writer.finish()


def write_film(
    target: Path,
    info: SourceInfo,
    plan: StreamPlan,
    options: EncodeOptions,
    video: OutputVideo,
    batches: Iterable[CodedBatch],
) -> WrittenSummary:
    """Write a film of a single segment, which is removed again."""
    segment = target.with_name(f"{target.name}.segment")
    try:
        _, times = write_segment(segment, plan, options, video, batches)
        return merge_segments(target, info, plan, options, video, [segment], times)
    finally:
        segment.unlink(missing_ok=True)
