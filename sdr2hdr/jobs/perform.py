"""Convert one segment of a plan: the unit of work of every executor."""

from __future__ import annotations

import time
from bisect import bisect_right
from collections.abc import Callable

from sdr2hdr.conversion import Conversion
from sdr2hdr.errors import SourceChangedError
from sdr2hdr.jobs.disk import full_disk_told, sha256_of, told
from sdr2hdr.jobs.plan import Plan, Segment
from sdr2hdr.jobs.records import SegmentRecord
from sdr2hdr.jobs.settings import made_with
from sdr2hdr.jobs.source_identity import SourceWatch, identify
from sdr2hdr.jobs.work_folder import WorkFolder
from sdr2hdr.media.reading.frame_range import Approach, FrameRange
from sdr2hdr.media.writing.segment_file import segment_suffix
from sdr2hdr.output import open_segment_sink
from sdr2hdr.pipeline import FrameSpan, convert_range
from sdr2hdr.range_summary import RangeSummary
from sdr2hdr.wording import how_many

__all__ = ["check_source", "perform", "span_of"]


def perform(
    conversion: Conversion,
    plan: Plan,
    segment: Segment,
    folder: WorkFolder,
    on_frames: Callable[[int, int], None] = lambda frames, written_bytes: None,
    watch: SourceWatch | None = None,
) -> SegmentRecord:
    """Convert a segment and put it into the work folder.

    Args:
        conversion: As the plan pins it.
        plan: Of the whole job.
        segment: Which one.
        folder: Where it goes.
        on_frames: Told how many of the segment's frames are done, and what is on the disk; may
            raise to drop the segment.
        watch: On the source, since before the first segment of this run; None watches it for this
            segment alone.

    Raises:
        SourceChangedError: The source is not the one that was planned.
        InputError: The source is damaged under `--strict`.
        DiskFullError: The disk is full.
        OutputError: The segment cannot be written.
    """
    streams = conversion.streams
    if streams is None:
        raise ValueError(f"{conversion.target} is no video file; expected one.")
    if plan.in_one_thread:
        conversion = conversion.decoded_in_one_thread()
    started = time.monotonic()
    watch = watch or SourceWatch(conversion.source.path)
    check_source(conversion, plan)
    frames = FrameRange(
        plan.frame_pts[segment.first_decoded_frame],
        segment.end_pts,
        segment.fingerprint,
        Approach.to_parts(
            has_repaired_times=plan.has_repaired_times, has_joined_clocks=plan.has_joined_clocks
        ),
        is_first=segment.first_frame == 0,
    )
    with folder.unfinished(segment) as unfinished, full_disk_told():
        with open_segment_sink(unfinished, conversion.video, conversion.options, streams) as sink:
            summary = convert_range(
                conversion,
                span_of(plan, segment),
                sink,
                lambda done: on_frames(done, sink.written_bytes),
                frames,
            )
            watch.check()
            _check_frames(plan, segment, summary)
            sink.finish()
        with told(str(unfinished)):
            size_bytes, sha256 = unfinished.stat().st_size, sha256_of(unfinished)
        suffix = segment_suffix(conversion.options.encode, conversion.target)
        record = SegmentRecord(
            key=plan.key,
            index=segment.index,
            file_name=folder.segment_name(segment, suffix),
            size_bytes=size_bytes,
            sha256=sha256,
            seconds=round(time.monotonic() - started, 3),
            made_with=made_with(conversion),
            summary=summary,
        )
        folder.add(unfinished, record)
    return record


def span_of(plan: Plan, segment: Segment) -> FrameSpan:
    """The frames of a segment, and where shots begin among them."""
    starts = [shot.first_frame for shot in plan.shots]
    first = bisect_right(starts, segment.first_decoded_frame) - 1
    shots = [start for start in starts[first:] if start < segment.end_frame]
    return FrameSpan(segment.first_frame, segment.preroll_frames, tuple(shots))


def check_source(conversion: Conversion, plan: Plan) -> None:
    """Make sure that the source is still what was planned.

    Raises:
        SourceChangedError: It is not.
        InputError: It cannot be read any more.
    """
    path = conversion.source.path
    found = identify(path, plan.source.duration_seconds)
    if found != plan.source:
        raise SourceChangedError(
            f"{path} has changed since the work was planned: {how_many(found.size_bytes, 'byte')}, "
            f"hash of samples {found.samples_sha256[:12]}; expected "
            f"{how_many(plan.source.size_bytes, 'byte')}, hash {plan.source.samples_sha256[:12]}. "
            "The same command plans the new file, or `sdr2hdr plan` where that was planned."
        )


def _check_frames(plan: Plan, segment: Segment, summary: RangeSummary) -> None:
    planned = plan.frame_pts[segment.first_frame : segment.end_frame]
    found = tuple(time.pts for time in summary.times)
    if found == planned:
        return
    raise SourceChangedError(
        f"Segment {segment.index} gave {how_many(len(found), 'frame')} from pts "
        f"{found[0] if found else 'none'} on; expected {len(planned)} from {planned[0]} on, as "
        "planned. --no-resume plans anew."
    )
