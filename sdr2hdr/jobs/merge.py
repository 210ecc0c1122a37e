"""Join finished segments into the output: copied, measured, verified, and only then named.

What is known of single frames is read from one record after another, as often as it is wanted, so
that a film takes no more memory than its longest segment: but for eight bytes a frame while it is
verified, and forty for a light log.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from fractions import Fraction
from pathlib import Path

from sdr2hdr.conversion import Conversion
from sdr2hdr.delivery.findings import Finding
from sdr2hdr.delivery.light_patch import PatchSummary, patch_light_levels
from sdr2hdr.delivery.target_file import publish
from sdr2hdr.delivery.verify import Expectation, expected_streams, verify_output
from sdr2hdr.errors import Notice, VerificationError
from sdr2hdr.frames import FrameTime, PresentationTimes
from sdr2hdr.jobs.job_log import write_job_log
from sdr2hdr.jobs.records import FinishedSegment
from sdr2hdr.jobs.work_folder import WorkFolder
from sdr2hdr.media.encoding.encoders import choose_encoder
from sdr2hdr.media.encoding.output_video import OutputVideo
from sdr2hdr.media.mastering import mastering_display
from sdr2hdr.media.reading.timing import has_uneven_steps
from sdr2hdr.media.writing.merge_writer import MergeWriter
from sdr2hdr.media.writing.output_clock import OutputClock
from sdr2hdr.media.writing.written import WrittenSummary
from sdr2hdr.pipeline import flicker_of
from sdr2hdr.quality.flicker import check_flicker
from sdr2hdr.range_summary import RangeSummary, RangeTotals, added_up

__all__ = ["Merged", "merge"]


@dataclasses.dataclass(frozen=True)
class Merged:
    """The output that was made of segments."""

    written: WrittenSummary
    totals: RangeTotals


def merge(
    conversion: Conversion,
    folder: WorkFolder,
    segments: Sequence[FinishedSegment],
    check_stop: Callable[[], None] = lambda: None,
    on_whole: Callable[[Merged, Path], None] = lambda merged, unfinished: None,
) -> Merged:
    """Make the output of a plan's segments and give it its name.

    Args:
        conversion: What was done.
        folder: Where the segments lie.
        segments: All of them, in order.
        check_stop: Called on the way; may raise to stop.
        on_whole: Told the whole output's file before it gets its name.

    Raises:
        GateError: A shot flickers too much; the segments stay.
        VerificationError: Frames are missing or doubled, or the finished file is not what was
            promised; the segments stay.
        OutputError: The output cannot be written, or a record cannot be read again.
    """
    options, streams = conversion.options, conversion.streams
    if streams is None:
        raise ValueError(f"{conversion.target} is no video file; expected one.")
    totals = added_up(_summaries(folder, segments))
    if options.max_flicker is not None:
        check_flicker(flicker_of(totals), options.max_flicker)
    try:
        with MergeWriter(
            folder.merged,
            conversion.source,
            streams,
            options.encode,
            _video(conversion, _times(folder, segments)),
            _times(folder, segments),
        ) as writer:
            for segment in segments:
                check_stop()
                writer.add_segment(folder.file_of(segment))
            check_stop()
            written = writer.finish()
        patched = patch_light_levels(
            folder.merged, totals.light, robust=options.robust_light_levels
        )
        if options.verify:
            shown = _shown_at(conversion, _times(folder, segments))
            expectation = _expectation(conversion, written, patched, shown)
            check_stop()
            written = _with_findings(conversion, folder, written, expectation)
        check_stop()
        write_job_log(conversion, folder, _summaries(folder, segments), totals.light)
        result = Merged(written, totals)
        publish(
            folder.merged,
            conversion.target,
            overwrite=options.overwrite,
            on_whole=lambda unfinished: on_whole(result, unfinished),
        )
    finally:
        with suppress(OSError):
            folder.merged.unlink(missing_ok=True)
    return result


def _summaries(folder: WorkFolder, segments: Sequence[FinishedSegment]) -> Iterator[RangeSummary]:
    return map(folder.summary_of, segments)


def _times(folder: WorkFolder, segments: Sequence[FinishedSegment]) -> Iterator[FrameTime]:
    for summary in _summaries(folder, segments):
        yield from summary.times


def _video(conversion: Conversion, times: Iterator[FrameTime]) -> OutputVideo:
    """The output's video; what the source's first packets do not tell, all frames' times do."""
    video = conversion.video
    if video.variable_rate is not None:
        return video
    rounding_ticks = int(conversion.source.video.time_base / video.time_base)
    uneven = has_uneven_steps((time.pts for time in times), rounding_ticks)
    return dataclasses.replace(video, variable_rate=uneven)


def _expectation(
    conversion: Conversion,
    written: WrittenSummary,
    patched: PatchSummary,
    shown: PresentationTimes,
) -> Expectation:
    """All that can be looked up in the file again."""
    options, streams, video = conversion.options, conversion.streams, conversion.video
    if streams is None:
        raise ValueError(f"{conversion.target} is no video file; expected one.")
    part = options.read.time_range
    is_whole = part.start_seconds is None and part.end_seconds is None
    return Expectation(
        signal=video.signal,
        codec=choose_encoder(options.encode, streams.target).codec,
        width_px=video.width_px,
        height_px=video.height_px,
        mastering=mastering_display(options.encode.mastering),
        max_cll=patched.max_cll,
        max_fall=patched.max_fall,
        frame_count=written.frames,
        frame_times=shown,
        streams=expected_streams(streams, written.copied_packets),
        chapters=len(conversion.source.chapters) if is_whole else None,
        active_picture=conversion.output_picture,
    )


def _shown_at(conversion: Conversion, times: Iterator[FrameTime]) -> PresentationTimes:
    """When the output shows frames: the source's times, on the output's clock."""
    shift_seconds = Fraction(0) if conversion.streams is None else conversion.streams.shift_seconds
    clock = OutputClock.of(conversion.video.time_base, shift_seconds)
    return PresentationTimes((clock.placed(time).pts for time in times), clock.time_base)


def _with_findings(
    conversion: Conversion, folder: WorkFolder, written: WrittenSummary, expectation: Expectation
) -> WrittenSummary:
    """Read the file again; what is not as promised is an error, the rest worth a word."""
    findings = verify_output(folder.merged, expectation)
    broken = [finding for finding in findings if finding.severity == "error"]
    if broken:
        raise VerificationError(
            f"{conversion.target.name} was written but is not what was promised, and was not kept: "
            + "; ".join(_in_words(finding) for finding in broken)
            + ". --no-verify keeps such a file: the same command with it goes on with the finished "
            "segments."
        )
    worth_a_word = tuple(
        Notice("warning", f"{_in_words(finding)}.")
        for finding in findings
        if finding.severity == "warning"
    )
    return dataclasses.replace(written, notices=(*written.notices, *worth_a_word))


def _in_words(finding: Finding) -> str:
    return f"{finding.place}: {finding.found}; expected {finding.expected} ({finding.rule})"
