"""One input or many: which file goes where, and their conversion one after another."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import click

from sdr2hdr.cli.console import Console
from sdr2hdr.cli.conversion_words import (
    plan_content,
    plan_lines,
    planned_content,
    planned_line,
    report,
)
from sdr2hdr.cli.job_options import parse_job
from sdr2hdr.cli.parameters import check_open_log
from sdr2hdr.cli.planned_jobs import convert_planned_segments, open_plan
from sdr2hdr.cli.signals import stop_on_signals
from sdr2hdr.delivery.target_file import check_folder
from sdr2hdr.errors import PartialFailureError, Sdr2HdrError, StoppedError
from sdr2hdr.jobs.stopping import StopRequest
from sdr2hdr.media.encoding.encoders import DEFAULT_CODEC, ENCODERS
from sdr2hdr.options import ConvertOptions, JobOptions
from sdr2hdr.path_kinds import exists
from sdr2hdr.wording import how_many

__all__ = ["run_jobs"]

BATCH_SUFFIX = "_hdr"


@dataclass(frozen=True)
class Job:
    """One input and the name of its output."""

    source: Path
    target: Path


def plan_jobs(
    paths: tuple[Path, ...],
    out_dir: Path | None,
    container: str | None,
    codec: str | None,
    *,
    json: bool,
) -> list[Job]:
    """Pair inputs with outputs.

    Args:
        paths: As given.
        out_dir: Where the outputs of a batch go; None is no batch.
        container: Of a batch's outputs; None is each input's own, if it can hold the video.
        codec: Of the video; None is the default.
        json: Whether standard output is taken already.

    Raises:
        click.UsageError: Not one input and one output, or two inputs with one output's name.
    """
    if out_dir is None:
        if container is not None:
            raise click.UsageError(
                "--container goes with --out-dir; else the output's name says it."
            )
        if len(paths) != 2:
            raise click.UsageError(
                f"Found {how_many(len(paths), 'path')}; expected one input and "
                "one output, or --out-dir and any number of inputs."
            )
        if str(paths[1]) == "-" and json:
            raise click.UsageError("Standard output is the video's with -; --json needs it too.")
        return [Job(*paths)]
    jobs = []
    for path in paths:
        suffix = own_suffix(path, codec) if container is None else f".{container}"
        jobs.append(Job(path, out_dir / f"{path.stem}{BATCH_SUFFIX}{suffix}"))
    sources = {}
    for job in jobs:
        if job.target in sources:
            raise click.UsageError(
                f"{sources[job.target]} and {job.source} would both become {job.target}."
            )
        sources[job.target] = job.source
    return jobs


def own_suffix(path: Path, codec: str | None) -> str:
    """The input's own suffix if such a file can hold the codec, else one that can: .mkv mostly."""
    able = ENCODERS[codec or DEFAULT_CODEC].extensions
    return next(suffix for suffix in (path.suffix.lower(), ".mkv", *able) if suffix in able)


def run_jobs(console: Console, given: dict[str, Any], options: ConvertOptions) -> None:
    """Convert every input; one that fails does not stop the others.

    Raises:
        OutputError: The folder of a batch is not there.
        Sdr2HdrError: The error of a single input, or `PartialFailureError` for a batch.
    """
    if given["out_dir"] is not None:
        check_folder(given["out_dir"], "--out-dir")
    jobs = plan_jobs(
        *(given[name] for name in ("paths", "out_dir", "container", "codec")), json=console.json
    )
    check_open_log(console, [job.target for job in jobs])
    how = parse_job(given)
    if given["light_log"] is not None and len(jobs) > 1:
        raise click.UsageError(
            f"Found {len(jobs)} inputs; expected one, since a light log is of one film. Leave out "
            "--light-log, or convert one at a time."
        )
    stop = StopRequest()
    perform = partial(show_plan, how=how)
    if not given["dry_run"]:
        perform = partial(perform_job, how=how, stop=stop)
    wanted = jobs
    if given["skip_existing"]:
        wanted = without_existing(console, jobs, options.temp_dir, dry_run=given["dry_run"])
    check_no_input_is_lost(jobs, wanted)
    if given["out_dir"] is None:
        for job in wanted:
            perform(console, job, options)
        return
    failed = run_batch(console, wanted, options, perform, stop)
    skipped = f"{len(jobs) - len(wanted)} skipped, " if given["skip_existing"] else ""
    console.say(f"{len(wanted) - failed} succeeded, {skipped}{failed} failed.")
    if failed:
        raise PartialFailureError(f"{failed} of {len(jobs)} inputs were not converted.")


def check_no_input_is_lost(jobs: list[Job], wanted: list[Job]) -> None:
    """Refuse a batch in which an output has the name of another's input.

    Raises:
        click.UsageError: There is such a name.
    """
    sources = {file_identity(job.source): job.source for job in jobs}
    for job in wanted:
        identity = file_identity(job.target)
        # A job that would overwrite its own input fails alone.
        if identity is not None and sources.get(identity, job.source) != job.source:
            raise click.UsageError(
                f"{job.source} would become {job.target}, which is an input too; an input is "
                "never overwritten. Leave it out, or name another folder with --out-dir."
            )


def file_identity(path: Path) -> tuple[int, int] | None:
    """What all names of a file have in common, links too; None if it is not there."""
    try:
        found = path.stat()
    except (OSError, ValueError):
        return None
    return found.st_dev, found.st_ino


def without_existing(
    console: Console, jobs: list[Job], temp_dir: Path | None, *, dry_run: bool
) -> list[Job]:
    """Give the jobs whose output is not there yet; tell of the others, and end their work."""
    from sdr2hdr.jobs.ending import end_named

    wanted = []
    for job in jobs:
        try:
            is_there = exists(job.target)
        except OSError:
            # A name that no file can have: what is wrong with it is told where it is used.
            is_there = False
        if not is_there:
            wanted.append(job)
            continue
        if not dry_run:
            end_named(job.target, temp_dir)
        console.say(f"{job.source}: skipped, since {job.target} exists.")
        if console.json:
            console.event("skipped", {"input": str(job.source), "output": str(job.target)})
    return wanted


def run_batch(
    console: Console,
    jobs: list[Job],
    options: ConvertOptions,
    perform: Callable[[Console, Job, ConvertOptions], None],
    stop: StopRequest,
) -> int:
    """Perform jobs one after another and give the number that failed, be it by our fault.

    Raises:
        StoppedError: The user wants no more of it.
    """
    failed = 0
    for job in jobs:
        if stop.exit_code is not None:
            # It came when the job before was as good as done, or failed.
            raise StoppedError(
                f"Stopped before {job.source}; the same command with --skip-existing goes on.",
                stop.exit_code,
            )
        try:
            perform(console, job, options)
        except Sdr2HdrError as error:
            failed += 1
            console.error(error, job.source)
        except (
            *(StoppedError, BrokenPipeError),
            *(click.ClickException, click.exceptions.Exit, click.Abort),
        ):
            # These concern the whole command.
            raise
        except Exception as error:
            failed += 1
            console.bug(error, job.source)
    return failed


def perform_job(
    console: Console, job: Job, options: ConvertOptions, how: JobOptions, stop: StopRequest
) -> None:
    """Convert one file and say how it went."""
    from sdr2hdr.cli.job_news import ConsoleListener
    from sdr2hdr.jobs import run
    from sdr2hdr.jobs.published import prepare_job

    if how.plan is None:
        plan, conversion = None, prepare_job(job.source, job.target, options)
    else:
        plan, conversion = open_plan(how.plan, job.source, job.target, options)
    for notice in conversion.notices:
        console.notice(notice, job.source)
    for line in plan_lines(conversion):
        console.detail(line)
    with (
        stop_on_signals(console, conversion.kind, stop),
        console.progress(job.source) as on_progress,
    ):
        listener = ConsoleListener(console, job.source, on_progress)
        if plan is not None and how.segments is not None:
            convert_planned_segments(console, conversion, plan, how, listener, stop)
            return
        summary = run.convert(conversion, how, listener, stop, plan)
    for notice in summary.notices:
        console.notice(notice, job.source)
    report(console, job.source, job.target, summary)


def show_plan(console: Console, job: Job, options: ConvertOptions, how: JobOptions) -> None:
    """Say on stdout what a conversion would do, and refuse what it would refuse."""
    from sdr2hdr.jobs.ending import check_pictures
    from sdr2hdr.jobs.farm import chosen_segments
    from sdr2hdr.jobs.job_log import check_job_log
    from sdr2hdr.jobs.published import prepare_job
    from sdr2hdr.jobs.work_folder import WorkFolder

    if how.plan is None:
        conversion = prepare_job(job.source, job.target, options)
        if conversion.kind == "sequence":
            check_pictures(job.target, overwrite=options.overwrite)
        content, lines = plan_content(conversion), plan_lines(conversion)
    else:
        plan, conversion = open_plan(how.plan, job.source, job.target, options)
        segments = chosen_segments(conversion, plan, how)
        content = plan_content(conversion) | planned_content(plan, segments, how.plan)
        lines = [*plan_lines(conversion), planned_line(plan, segments, how.plan)]
    if how.segments is None:
        check_job_log(conversion, WorkFolder.of(conversion.target, options.temp_dir))
    if console.json:
        console.event("plan", content)
        return
    for line in lines:
        console.result(line)
    for notice in conversion.notices:
        console.notice(notice, job.source)
