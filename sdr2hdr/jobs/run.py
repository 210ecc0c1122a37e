"""Carry out a conversion so that a long one never has to start again.

A video file is planned, converted segment by segment, and merged; whatever ends a run, the same
command goes on with what is finished, and the result has the same bytes. Pictures and pipes have
nothing to merge: they are converted in one go, and of pictures only the naming is gone on with.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from sdr2hdr.conversion import Conversion, letterbox_correction
from sdr2hdr.engine.tile_choice import SMALLEST_TILE_PX
from sdr2hdr.errors import (
    BackendUnavailableError,
    DiskFullError,
    FrameMemoryError,
    Notice,
    Sdr2HdrError,
    StoppedError,
    UsageError,
)
from sdr2hdr.jobs.cluster import cluster_executor
from sdr2hdr.jobs.cluster_client import check_cluster
from sdr2hdr.jobs.disk import full_disk_told
from sdr2hdr.jobs.ending import close_folder, ended_before, sequence_ended_before
from sdr2hdr.jobs.job_log import check_job_log, make_way_for_log
from sdr2hdr.jobs.leftovers import remove_pictures_of
from sdr2hdr.jobs.listener import JobListener
from sdr2hdr.jobs.lock import output_lock
from sdr2hdr.jobs.merge import Merged, merge
from sdr2hdr.jobs.perform import check_source
from sdr2hdr.jobs.plan import Plan, Segment
from sdr2hdr.jobs.planning import look_through, make_plan
from sdr2hdr.jobs.published import Published, remember_output, remember_pictures
from sdr2hdr.jobs.records import FinishedSegment
from sdr2hdr.jobs.segment_loop import JobRun, run_segments
from sdr2hdr.jobs.settings import (
    as_pinned,
    changes_since,
    check_same_machine,
    is_smaller_tiled,
    with_tile,
)
from sdr2hdr.jobs.source_identity import SourceWatch, identify
from sdr2hdr.jobs.space import check_room
from sdr2hdr.jobs.stopping import StopRequest
from sdr2hdr.jobs.work_folder import WorkFolder
from sdr2hdr.media.reading.damage import strict_error
from sdr2hdr.options import JobOptions
from sdr2hdr.output import open_segment_sink
from sdr2hdr.pipeline import (
    ConversionSummary,
    FrameSpan,
    Progress,
    convert_directly,
    flicker_of,
    roundtrips_of,
    summary_notices,
)

__all__ = ["convert", "converted", "finished_before", "merged", "stops_told"]


def convert(
    conversion: Conversion,
    job: JobOptions | None = None,
    listener: JobListener | None = None,
    stop: StopRequest | None = None,
    plan: Plan | None = None,
) -> ConversionSummary:
    """Convert every frame, and copy all that is not video.

    The target's name appears only when the file is whole. What is finished before that lies in the
    work folder, and the same call goes on with it.

    Args:
        conversion: What to do, as prepared.
        job: How to carry it out; None is the usual way.
        listener: Hears how it goes.
        stop: Asked while it goes whether to end.
        plan: Made before; None makes one, or takes up that of an earlier run.

    Raises:
        InputError: The source is damaged under `--strict`, or changes on the way.
        OutputError: The output cannot be written, or the disk is full.
        LockedError: Another run works on the same output.
        PartialFailureError: Some segments failed, and the others are finished.
        VerificationError: The finished file does not hold what was promised.
        StoppedError: `stop` asked for it.
    """
    listener = listener or JobListener()
    job = job or JobOptions()
    if conversion.kind != "container":
        if job.cluster is not None or job.workers is not None:
            raise UsageError(
                f"{conversion.target} is no video file, and only these are made in segments; leave "
                "out --cluster and --workers."
            )
        run = JobRun.of(conversion, listener, stop or StopRequest())
        if conversion.kind == "pipe":
            check_job_log(conversion, run.folder)
            return _convert_in_one_go(run)
        with output_lock(conversion.target):
            known = sequence_ended_before(run, resume=job.resume)
            if known is not None:
                return known
            check_job_log(conversion, run.folder)
            remove_pictures_of(conversion.target)
            return _convert_in_one_go(run)
    with output_lock(conversion.target):
        run = JobRun.of(conversion, listener, stop or StopRequest(), plan)
        known = ended_before(run, resume=job.resume)
        if known is not None:
            return known
        make_way_for_log(conversion, run.folder)
        run.folder.remove_partials()
        with stops_told(run.folder), _kept_if_useful(run.folder):
            return _convert_file(run, job, plan)


def _convert_in_one_go(run: JobRun) -> ConversionSummary:
    """Make pictures or a pipe; the source is looked through before where shots or bars matter."""
    conversion, listener = run.conversion, run.listener
    watch = SourceWatch(conversion.source.path)

    def on_progress(progress: Progress) -> None:
        watch.check()
        listener.progress(progress)

    def on_whole(summary: ConversionSummary, folder: Path, log: Path | None) -> None:
        source = identify(conversion.source.path, None)
        remember_pictures(folder, log, Published(run.asked, source, summary))

    options = conversion.options
    remembers = options.temporal and conversion.engine.preroll_frames > 0
    by_shot = remembers or options.verify_roundtrip or options.max_flicker is not None
    if not by_shot and conversion.active_picture is None:
        return convert_directly(conversion, on_progress, on_whole=on_whole)
    plan = look_through(conversion, listener.progress)
    _tell_of_letterbox(run, plan)
    conversion = replace(conversion, active_picture=plan.active_picture)
    if plan.in_one_thread:
        conversion = conversion.decoded_in_one_thread()
    span = FrameSpan(shots=tuple(shot.first_frame for shot in plan.shots))
    return convert_directly(conversion, on_progress, span, on_whole)


def _convert_file(run: JobRun, job: JobOptions, given: Plan | None) -> ConversionSummary:
    plan = _own_plan(run, job) if given is None else _given_plan(run, given, job)
    _tell_of_letterbox(run, plan)
    while True:
        pinned = replace(run, conversion=as_pinned(run.conversion, plan))
        try:
            finished = finished_before(pinned, plan, plan.segments)
            run.listener.planned(plan, len(finished))
            resumed_frames = sum(done.frame_count for done in finished.values())
            segments = converted(pinned, plan, plan.segments, finished, job)
            return merged(pinned, plan, segments, resumed_frames)
        except FrameMemoryError as error:
            plan = _with_smaller_tiles(run, plan, error)


def _own_plan(run: JobRun, job: JobOptions) -> Plan:
    """Take up the plan of an earlier run, or make a new one."""
    known = run.folder.plan() if job.resume else None
    if known is not None:
        changes = changes_since(known, run.conversion)
        if not changes:
            _tell_if_touched(run)
            return known
        text = (
            f"What an earlier run has finished for {run.conversion.target} does not fit any more "
            f"({'; '.join(changes)}): starting over."
        )
        run.listener.notice(Notice("warning", text))
    check_cluster(job, run.stop)
    run.folder.clear()
    run.folder.make()
    _check_encoder(run)

    def on_progress(progress: Progress) -> None:
        run.stop.check()
        run.listener.progress(progress)

    plan = make_plan(run.conversion, on_progress)
    run.folder.begin(plan)
    return plan


def _tell_of_letterbox(run: JobRun, plan: Plan) -> None:
    """Correct what was said of the bars before every frame was looked at."""
    for notice in letterbox_correction(run.conversion.active_picture, plan.active_picture):
        run.listener.notice(notice)


def _tell_if_touched(run: JobRun) -> None:
    """Say so if the source is newer than its plan though nothing else speaks of a change."""
    source, planned = run.conversion.source.path, run.folder.plan_path
    with suppress(OSError):
        if source.stat().st_mtime <= planned.stat().st_mtime:
            return
        text = (
            f"{source} was written to after it was planned, but its size and the places that were "
            "looked at are as they were: going on. --no-resume starts over."
        )
        run.listener.notice(Notice("warning", text))


def _given_plan(run: JobRun, plan: Plan, job: JobOptions) -> Plan:
    """Take up a plan that was made before."""
    check_source(run.conversion, plan)
    if not job.allow_mixed:
        check_same_machine(plan, as_pinned(run.conversion, plan))
    known = run.folder.plan() if job.resume else None
    if known is not None and known.key == plan.key:
        return plan
    if known is not None and is_smaller_tiled(known, plan):
        # Memory ran out under the plan as it was given; see `_with_smaller_tiles`.
        return known
    if known is not None and run.folder.count_finished():
        text = (
            f"What an earlier run has finished for {run.conversion.target} is of another plan "
            f"(key {known.key[:12]}; expected {plan.key[:12]}): starting over."
        )
        run.listener.notice(Notice("warning", text))
    run.folder.begin(plan)
    return plan


def _check_encoder(run: JobRun) -> None:
    """Open the encoder once, so that what it does not take is said before the plan is made."""
    conversion = run.conversion
    if conversion.streams is None:
        return
    trial = run.folder.path / "trial"
    with open_segment_sink(trial, conversion.video, conversion.options, conversion.streams):
        pass


def finished_before(
    run: JobRun, plan: Plan, segments: Iterable[Segment]
) -> dict[int, FinishedSegment]:
    """The segments that are there and whole, by index.

    Raises:
        InputError: One was converted from a damaged part of the source, and `--strict` is asked
            for now. No byte depends on that option, so the segments fit; what an earlier run let
            pass is in their records.
    """
    finished = {}
    for segment in segments:
        run.stop.check()
        record = run.folder.finished(plan, segment)
        if record is not None:
            if run.conversion.options.read.strict and record.summary.damage:
                raise strict_error(
                    f": {record.summary.damage} (segment {segment.index} of an earlier run)"
                )
            finished[segment.index] = record.finished
        elif run.folder.has_traces_of(segment):
            text = f"Segment {segment.index} of an earlier run is damaged and does not count."
            run.listener.notice(Notice("warning", text))
    return finished


def converted(
    run: JobRun,
    plan: Plan,
    segments: Sequence[Segment],
    finished: dict[int, FinishedSegment],
    job: JobOptions,
) -> list[FinishedSegment]:
    """Convert what is missing of some segments: here, or on the cluster that is asked for."""
    if len(finished) == len(segments):
        return run_segments(run, plan, segments, finished)
    with cluster_executor(job, run.conversion, plan, run.listener, run.stop) as executor:
        return run_segments(run, plan, segments, finished, executor)


def merged(
    run: JobRun, plan: Plan, segments: list[FinishedSegment], resumed_frames: int
) -> ConversionSummary:
    """Make the output of all segments, and remove the work folder."""
    conversion = run.conversion
    check_source(conversion, plan)
    check_room(conversion, run.folder.path, sum(segment.size_bytes for segment in segments))
    run.stop.check()
    run.listener.merging(len(segments))

    def on_whole(result: Merged, unfinished: Path) -> None:
        summary = _summary(run, result, resumed_frames)
        remember_output(run.folder, unfinished, Published(run.asked, plan.source, summary))

    with full_disk_told():
        result = merge(conversion, run.folder, segments, run.stop.check, on_whole)
    close_folder(run)
    return _summary(run, result, resumed_frames)


def _summary(run: JobRun, result: Merged, resumed_frames: int) -> ConversionSummary:
    conversion = run.conversion
    return ConversionSummary(
        target=conversion.target,
        frames=result.totals.frame_count,
        damage=result.totals.damage,
        light=result.totals.light,
        roundtrips=roundtrips_of(result.totals),
        flicker=flicker_of(result.totals),
        elapsed_seconds=run.elapsed_seconds,
        size_bytes=result.written.size_bytes,
        notices=(
            *summary_notices(result.totals, conversion.options.super_white),
            *result.written.notices,
        ),
        resumed_frames=resumed_frames,
    )


def _with_smaller_tiles(run: JobRun, plan: Plan, error: FrameMemoryError) -> Plan:
    """Pin smaller tiles; they may give other bytes, so all begins anew."""
    tile_px = error.tile_px // 2
    if tile_px < SMALLEST_TILE_PX:
        raise error
    text = (
        f"Memory ran out with tiles of {error.tile_px} px: starting over with {tile_px} px, so "
        "that all frames are computed alike."
    )
    run.listener.notice(Notice("warning", text))
    plan = with_tile(plan, tile_px)
    run.folder.begin(plan)
    return plan


@contextmanager
def _kept_if_useful(folder: WorkFolder) -> Iterator[None]:
    """Remove the work folder after an error if nothing in it spares any work."""
    try:
        yield
    except (DiskFullError, BackendUnavailableError):
        # Of a film, the plan alone is worth keeping until there is room, or a cluster.
        raise
    except Sdr2HdrError:
        if not folder.count_finished():
            folder.clear()
        raise
    finally:
        folder.remove_if_useless()


@contextmanager
def stops_told(folder: WorkFolder) -> Iterator[None]:
    """Say how to go on after a stop."""
    try:
        yield
    except StoppedError as stopped:
        text = "Stopped before anything was finished; the same command begins anew."
        if folder.path.is_dir():
            text = (
                f"Stopped; what is finished is kept in {folder.path}. The same command goes on "
                f"with it, `sdr2hdr clean {shlex.quote(str(folder.path))}` removes it."
            )
        raise StoppedError(text, stopped.exit_code) from stopped
