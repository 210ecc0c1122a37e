"""One input or many: which file goes where, and what is said of each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sdr2hdr.cli.console import Console
from sdr2hdr.cli.look_options import parse_look
from sdr2hdr.cli.parameters import combined, parse_encode, parse_engine, parse_read
from sdr2hdr.cli.planned_jobs import SegmentsType, convert_planned_segments, open_plan
from sdr2hdr.cli.signals import stop_on_signals
from sdr2hdr.errors import PartialFailureError, Sdr2HdrError
from sdr2hdr.options import ConvertOptions, JobOptions

if TYPE_CHECKING:
    from sdr2hdr.pipeline import Conversion, ConversionSummary

__all__ = ["job_arguments", "job_options", "parse_convert", "run_jobs"]

CONTAINERS = ("mkv", "mp4", "mov")
BATCH_SUFFIX = "_hdr"


@dataclass(frozen=True)
class Job:
    """One input and the name of its output."""

    source: Path
    target: Path


job_arguments = click.argument(
    "paths",
    nargs=-1,
    required=True,
    metavar="INPUT OUTPUT | --out-dir DIR INPUT...",
    type=click.Path(path_type=Path),
)

job_options = combined(
    click.option(
        "--out-dir",
        type=click.Path(path_type=Path),
        help="Convert all inputs into this folder, as NAME_hdr.EXT.",
    ),
    click.option(
        "--container",
        type=click.Choice(CONTAINERS),
        help="With --out-dir: the outputs' container. [default: the input's if it can, else mkv]",
    ),
    click.option(
        "--verify/--no-verify",
        default=True,
        show_default=True,
        help="Read the finished file again, and keep it only if it is as promised.",
    ),
    click.option("--overwrite", is_flag=True, help="Replace an existing output."),
    click.option("--dry-run", is_flag=True, help="Show what would be done, write nothing."),
    click.option(
        "--temp-dir",
        type=click.Path(path_type=Path),
        help="Folder for the work folder. [default: the output's own]",
    ),
    click.option(
        "--resume/--no-resume",
        default=True,
        show_default=True,
        help="Go on with what an earlier run of the same command has finished.",
    ),
    click.option(
        "--plan",
        type=click.Path(dir_okay=False, path_type=Path),
        help="Follow a plan of `sdr2hdr plan`; it says all that matters to the picture.",
    ),
    click.option(
        "--segments",
        type=SegmentsType(),
        metavar="A-B",
        help="With --plan: convert these segments only, for `sdr2hdr merge`.",
    ),
    click.option(
        "--allow-mixed",
        is_flag=True,
        help="With --plan or a cluster: though a machine may give other bytes than the plan's.",
    ),
    click.option(
        "--cluster",
        metavar="ADDRESS",
        help="Convert on the workers of this Dask scheduler, as tcp://host:8786.",
    ),
    click.option(
        "--workers",
        type=click.IntRange(1),
        metavar="N",
        help="Convert in N processes, each with its share of the threads.",
    ),
    click.option(
        "--temporal",
        type=click.Choice(["on", "off"]),
        default="on",
        show_default=True,
        help="Keep what a network takes from the whole frame steady along a shot.",
    ),
    click.option(
        "--max-flicker",
        type=float,
        metavar="X",
        help="Fail with code 9 if a shot flickers more than X times what its source does.",
    ),
    click.option(
        "--light-log",
        type=click.Path(dir_okay=False, path_type=Path),
        help="Write the light of every frame to this .csv or .json file.",
    ),
    click.option(
        "--robust-light-levels",
        is_flag=True,
        help="Store MaxCLL and MaxFALL that a few odd pixels cannot move. [default: exact]",
    ),
    click.option(
        "--super-white",
        type=click.Choice(["clip", "scale"]),
        default="clip",
        show_default=True,
        help="Codes above nominal white: clip them, or scale the signal so that they stay.",
    ),
)


def parse_convert(given: dict[str, Any], model: str, scale: int) -> ConvertOptions:
    """Everything one conversion needs, from the values of all options."""
    return ConvertOptions(
        model=model,
        scale=scale,
        super_white=given["super_white"],
        read=parse_read(given),
        encode=parse_encode(given),
        engine=parse_engine(given),
        look=parse_look(given),
        dither=given["dither"],
        verify_roundtrip=given["verify_roundtrip"],
        light_log=given["light_log"],
        robust_light_levels=given["robust_light_levels"],
        verify=given["verify"],
        overwrite=given["overwrite"],
        temp_dir=given["temp_dir"],
        temporal=given["temporal"] == "on",
        max_flicker=given["max_flicker"],
    )


def parse_job(given: dict[str, Any]) -> JobOptions:
    """How the work is carried out, from the values of `job_options`.

    Raises:
        click.UsageError: Options that only a plan gives a meaning, without one.
    """
    if given["plan"] is None and given["segments"] is not None:
        raise click.UsageError("--segments goes with --plan.")
    if given["allow_mixed"] and all(given[name] is None for name in ("plan", "cluster", "workers")):
        raise click.UsageError("--allow-mixed goes with --plan, --cluster or --workers.")
    if given["plan"] is not None and given["out_dir"] is not None:
        raise click.UsageError("A plan is about one input; --plan does not go with --out-dir.")
    return JobOptions(
        resume=given["resume"],
        plan=given["plan"],
        segments=given["segments"],
        allow_mixed=given["allow_mixed"],
        cluster=given["cluster"],
        workers=given["workers"],
    )


def plan_jobs(
    paths: tuple[Path, ...], out_dir: Path | None, container: str | None, *, json: bool
) -> list[Job]:
    """Pair inputs with outputs.

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
                f"Found {len(paths)} path{'s' if len(paths) > 1 else ''}; expected one input and "
                "one output, or --out-dir and any number of inputs."
            )
        if str(paths[1]) == "-" and json:
            raise click.UsageError("Standard output is the video's with -; --json needs it too.")
        return [Job(*paths)]
    jobs = [
        Job(path, out_dir / f"{path.stem}{BATCH_SUFFIX}.{container or own_container(path)}")
        for path in paths
    ]
    sources = {}
    for job in jobs:
        if job.target in sources:
            raise click.UsageError(
                f"{sources[job.target]} and {job.source} would both become {job.target}."
            )
        sources[job.target] = job.source
    return jobs


def own_container(path: Path) -> str:
    """The input's container if HDR10 can be written to it, else Matroska."""
    extension = path.suffix.lower().removeprefix(".")
    return extension if extension in CONTAINERS else "mkv"


def run_jobs(console: Console, given: dict[str, Any], options: ConvertOptions) -> None:
    """Convert every input; one that fails does not stop the others.

    Raises:
        Sdr2HdrError: The error of a single input, or `PartialFailureError` for a batch.
    """
    jobs = plan_jobs(given["paths"], given["out_dir"], given["container"], json=console.json)
    how = parse_job(given)
    perform = show_plan if given["dry_run"] else partial(perform_job, how=how)
    if given["out_dir"] is None:
        perform(console, jobs[0], options)
        return
    failed = run_batch(console, jobs, options, perform)
    console.say(f"{len(jobs) - failed} succeeded, {failed} failed.")
    if failed:
        raise PartialFailureError(f"{failed} of {len(jobs)} inputs were not converted.")


def run_batch(
    console: Console,
    jobs: list[Job],
    options: ConvertOptions,
    perform: Callable[[Console, Job, ConvertOptions], None],
) -> int:
    """Perform jobs one after another and give the number that failed."""
    failed = 0
    for job in jobs:
        try:
            perform(console, job, options)
        except Sdr2HdrError as error:
            failed += 1
            console.error(error, job.source)
    return failed


def perform_job(
    console: Console, job: Job, options: ConvertOptions, how: JobOptions | None = None
) -> None:
    """Convert one file and say how it went."""
    from sdr2hdr import pipeline
    from sdr2hdr.cli.job_news import ConsoleListener
    from sdr2hdr.jobs import run

    how = how or JobOptions()
    if how.plan is None:
        plan, conversion = None, pipeline.prepare(job.source, job.target, options)
    else:
        plan, conversion = open_plan(how.plan, job.source, job.target, options)
    for notice in conversion.notices:
        console.notice(notice, job.source)
    for line in plan_lines(conversion):
        console.detail(line)
    with (
        stop_on_signals(console, conversion.kind) as stop,
        console.progress(job.source) as on_progress,
    ):
        listener = ConsoleListener(console, job.source, on_progress)
        if plan is not None and how.segments is not None:
            convert_planned_segments(console, conversion, plan, how, listener, stop)
            return
        summary = run.convert(conversion, how, listener, stop, plan)
    for notice in summary.notices:
        console.notice(notice, job.source)
    report(console, job, summary)


def report(console: Console, job: Job, summary: ConversionSummary) -> None:
    """Say what was done."""
    from rich.filesize import decimal

    own_frames = summary.frames - summary.resumed_frames
    frames_per_second = own_frames / max(summary.elapsed_seconds, 1e-9)
    frames = "1 frame" if summary.frames == 1 else f"{summary.frames} frames"
    if summary.resumed_frames:
        frames += f", {own_frames} of them"
    console.say(
        f"{job.target}: {frames} in {summary.elapsed_seconds:.1f} s "
        f"({frames_per_second:.2f} fps), {decimal(summary.size_bytes)}, "
        f"MaxCLL {summary.light.max_cll}, MaxFALL {summary.light.max_fall} cd/m2."
    )
    for shot in summary.roundtrips:
        score = shot.score
        verdict = "imperceptible" if score.imperceptible else "perceptible"
        console.say(
            f"{job.target}: shot from frame {shot.first_frame} on, {score.frames} frames: taken "
            f"back to SDR, Delta E ITP to the source is {score.mean:.3f} on average, "
            f"{score.p99:.3f} at the 99th percentile, {score.maximum:.3f} at most: {verdict}."
        )
    if console.json:
        console.event(
            "done",
            {
                "input": str(job.source),
                "output": str(job.target),
                "frames": summary.frames,
                "resumed_frames": summary.resumed_frames,
                "damage": {
                    "packets_failed": summary.damage.packets_failed,
                    "frames_corrupt": summary.damage.frames_corrupt,
                    "frames_lost": summary.damage.frames_lost,
                },
                "elapsed_seconds": round(summary.elapsed_seconds, 3),
                "size_bytes": summary.size_bytes,
                "light_levels": asdict(summary.light),
                "flicker": [asdict(shot) for shot in summary.flicker],
                "roundtrips": [
                    {"first_frame": shot.first_frame, **asdict(shot.score)}
                    for shot in summary.roundtrips
                ],
            },
        )


def show_plan(console: Console, job: Job, options: ConvertOptions) -> None:
    """Say on stdout what a conversion would do."""
    from sdr2hdr import pipeline

    conversion = pipeline.prepare(job.source, job.target, options)
    if console.json:
        console.event("plan", plan_content(conversion))
        return
    for line in plan_lines(conversion):
        console.result(line)
    for notice in conversion.notices:
        console.notice(notice, job.source)


def plan_lines(conversion: Conversion) -> list[str]:
    """A conversion's plan for people."""
    from sdr2hdr.cli.describe import source_lines

    return [
        *source_lines(conversion.source),
        f"method: {conversion.engine.describe()}",
        f"output: {conversion.target}, {conversion.width_px}x{conversion.height_px}, "
        + output_words(conversion),
        *(f"stream {line}" for line in stream_lines(conversion)),
    ]


def output_words(conversion: Conversion) -> str:
    """What is written, in words."""
    from sdr2hdr.media.encoders import choose_encoder
    from sdr2hdr.media.targets import target_kind

    kind = target_kind(conversion.target)
    if kind == "sequence":
        return "one picture a frame, BT.2020"
    signal = conversion.signal
    codec = (
        "Y4M"
        if kind == "pipe"
        else choose_encoder(conversion.options.encode, conversion.target).name
    )
    digits = "".join(character for character in signal.subsampling.name if character.isdigit())
    return (
        f"{codec}, BT.2020 PQ, {signal.colour_range.value} range, {signal.bit_depth}-bit {digits}"
    )


def stream_lines(conversion: Conversion) -> tuple[str, ...]:
    """What becomes of the source's streams."""
    return () if conversion.streams is None else conversion.streams.lines


def plan_content(conversion: Conversion) -> dict[str, object]:
    """A conversion's plan for scripts."""
    from sdr2hdr.cli.describe import source_content

    return {
        "input": source_content(conversion.source),
        "output": str(conversion.target),
        "method": conversion.engine.describe(),
        "width_px": conversion.width_px,
        "height_px": conversion.height_px,
        "frame_count": conversion.frame_count,
        "streams": list(stream_lines(conversion)),
        "notices": [
            {"severity": notice.severity, "text": notice.text} for notice in conversion.notices
        ],
    }
