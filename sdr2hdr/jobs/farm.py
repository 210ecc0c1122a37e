"""Work on one plan in many places: some segments here, others elsewhere, and one merge."""

from __future__ import annotations

from sdr2hdr.conversion import Conversion
from sdr2hdr.errors import BackendUnavailableError, PartialFailureError, UsageError
from sdr2hdr.jobs.ending import ended_before
from sdr2hdr.jobs.job_log import make_way_for_log
from sdr2hdr.jobs.listener import JobListener
from sdr2hdr.jobs.lock import output_lock
from sdr2hdr.jobs.perform import check_source
from sdr2hdr.jobs.plan import Plan, Segment
from sdr2hdr.jobs.records import FinishedSegment
from sdr2hdr.jobs.run import converted, finished_before, merged, stops_told
from sdr2hdr.jobs.segment_loop import JobRun
from sdr2hdr.jobs.settings import SAME_EVERYWHERE, check_same_machine, differences
from sdr2hdr.jobs.stopping import StopRequest
from sdr2hdr.jobs.work_folder import WorkFolder
from sdr2hdr.options import JobOptions
from sdr2hdr.pipeline import ConversionSummary
from sdr2hdr.whole_file import check_is_new

__all__ = ["chosen_segments", "convert_segments", "merge_segments"]


def convert_segments(
    conversion: Conversion,
    plan: Plan,
    job: JobOptions,
    listener: JobListener,
    stop: StopRequest,
) -> list[FinishedSegment]:
    """Convert some segments of a plan into the work folder, and make no output.

    Any number of such runs may work on one plan, on all machines that see the work folder.

    Args:
        conversion: What to do, as the plan pins it, for the target that will be merged.
        plan: Made before.
        job: Which segments, and whether this machine may differ from the plan's.
        listener: Hears how it goes.
        stop: Asked while it goes whether to end.

    Returns:
        These segments.

    Raises:
        UsageError: There are no such segments.
        BackendUnavailableError: This machine would give other bytes than the plan's.
        Sdr2HdrError: As `sdr2hdr.jobs.run.convert`.
    """
    segments = chosen_segments(conversion, plan, job)
    with output_lock(conversion.target, shared=True):
        check_is_new(conversion.target, overwrite=conversion.options.overwrite)
        run = JobRun.of(conversion, listener, stop, plan)
        run.folder.make()
        run.folder.join(plan)
        with stops_told(run.folder):
            finished = finished_before(run, plan, segments) if job.resume else {}
            listener.planned(plan, len(finished))
            return converted(run, plan, segments, finished, job)


def merge_segments(
    conversion: Conversion,
    plan: Plan,
    job: JobOptions,
    listener: JobListener,
    stop: StopRequest,
) -> ConversionSummary:
    """Make the output of segments that other runs have converted.

    Args:
        conversion: As for `convert_segments`.
        plan: Made before.
        job: Whether segments from machines unlike the plan's are taken.
        listener: Hears how it goes.
        stop: Asked while it goes whether to end.

    Raises:
        PartialFailureError: Segments are missing or damaged.
        BackendUnavailableError: Segments were made by a machine unlike the plan's.
        Sdr2HdrError: As `sdr2hdr.jobs.run.convert`.
    """
    with output_lock(conversion.target):
        run = JobRun.of(conversion, listener, stop, plan)
        known = ended_before(run)
        if known is not None:
            return known
        make_way_for_log(conversion, run.folder)
        run.folder.refuse_other_plan(plan)
        with stops_told(run.folder):
            finished = finished_before(run, plan, plan.segments)
            _check_all_there(plan, run.folder, finished)
            if not job.allow_mixed:
                _check_unmixed(plan, finished)
            segments = [finished[segment.index] for segment in plan.segments]
            return merged(run, plan, segments, plan.frame_count)


def chosen_segments(conversion: Conversion, plan: Plan, job: JobOptions) -> list[Segment]:
    """The segments of a plan that are asked for, once it is sure that they can be made here.

    Args:
        conversion: As the plan pins it.
        plan: Made before.
        job: Which segments, and whether this machine may differ from the plan's.

    Raises:
        UsageError: There are no such segments.
        InputError: The source is not what was planned.
        BackendUnavailableError: This machine would give other bytes than the plan's.
    """
    last = len(plan.segments) - 1
    first, end = (0, last) if job.segments is None else job.segments
    if not 0 <= first <= end <= last:
        raise UsageError(
            f"Segments {first} to {end} were asked for; the plan has 0 to {last} (--segments)."
        )
    check_source(conversion, plan)
    if not job.allow_mixed:
        check_same_machine(plan, conversion)
    return list(plan.segments[first : end + 1])


def _check_all_there(plan: Plan, folder: WorkFolder, finished: dict[int, FinishedSegment]) -> None:
    missing = [segment.index for segment in plan.segments if segment.index not in finished]
    if missing:
        raise PartialFailureError(
            f"{len(missing)} of {len(plan.segments)} segments are not finished in {folder.path}: "
            f"{ranges(missing)}. `sdr2hdr convert ... --plan ... --segments A-B` converts them."
        )


def _check_unmixed(plan: Plan, finished: dict[int, FinishedSegment]) -> None:
    for index, segment in finished.items():
        found = differences(plan.pinned.get(SAME_EVERYWHERE, {}), segment.made_with)
        if found:
            raise BackendUnavailableError(
                f"Segment {index} was converted by a machine unlike the plan's: "
                f"{'; '.join(found)}. --allow-mixed takes it all the same."
            )


def ranges(numbers: list[int]) -> str:
    """Whole numbers in few words.

    >>> ranges([1, 2, 3, 7])
    '1-3, 7'
    """
    parts: list[list[int]] = []
    for number in numbers:
        if parts and number == parts[-1][-1] + 1:
            parts[-1] = [parts[-1][0], number]
        else:
            parts.append([number])
    return ", ".join("-".join(map(str, part)) for part in parts)
