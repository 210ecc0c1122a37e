"""`sdr2hdr plan`: look through a source once, and write down how it will be converted."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import click

from sdr2hdr.cli.console import Console
from sdr2hdr.cli.convert import DEFAULT_MODEL
from sdr2hdr.cli.job_options import (
    CONTAINERS,
    parse_picture,
    super_white_option,
    temporal_option,
)
from sdr2hdr.cli.look_options import look_options
from sdr2hdr.cli.parameters import (
    ANY_PATH,
    encode_options,
    engine_options,
    output_options,
    read_options,
)
from sdr2hdr.errors import OutputError
from sdr2hdr.wording import how_many

if TYPE_CHECKING:
    from sdr2hdr.jobs.plan import Plan, Segment

__all__ = ["command"]


@click.command("plan")
@click.argument("source", metavar="INPUT", type=ANY_PATH)
@click.option(
    "-o",
    "--output",
    "plan_path",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="The plan's file.",
)
@click.option(
    "--model", default=DEFAULT_MODEL, show_default=True, metavar="NAME", help="The method."
)
@click.option(
    "--scale",
    type=click.Choice(["1", "2", "4"]),
    default="1",
    show_default=True,
    help="As `sdr2hdr upscale` has it; 1 for `convert`.",
)
@click.option(
    "--container",
    type=click.Choice(CONTAINERS),
    default="mkv",
    show_default=True,
    help="Of the output that the plan is for.",
)
@click.option("--overwrite", is_flag=True, help="Replace an existing plan.")
@temporal_option
@super_white_option
@read_options
@look_options
@encode_options
@engine_options
@output_options
def command(
    console: Console,
    source: Path,
    plan_path: Path,
    model: str,
    scale: str,
    container: str,
    overwrite: bool,
    **given: Any,
) -> None:
    """Find shots, fades and letterbox in INPUT, cut it into segments, and pin all settings.

    The plan is for `convert --plan` and `merge`. It is JSON, with one line for each of its fields.
    """
    from sdr2hdr.conversion import prepare
    from sdr2hdr.delivery.target_file import check_target
    from sdr2hdr.jobs.planning import make_plan

    check_target(source, plan_path, overwrite=overwrite)
    options = replace(parse_picture(given, model, int(scale)), overwrite=True)
    # The plan is for any output of this kind. Its name is not known yet: a drawn one is nobody's.
    target = plan_path.with_name(f"{uuid4().hex}.{container}")
    conversion = prepare(source, target, options)
    for notice in conversion.notices:
        console.notice(notice, source)
    with console.progress(source) as on_progress:
        plan = make_plan(conversion, on_progress)
    write_plan(plan, plan_path, overwrite=overwrite)
    if console.json:
        console.event("plan", plan_content(plan, plan_path))
        return
    for line in plan_lines(plan):
        console.result(line)


def write_plan(plan: Plan, path: Path, *, overwrite: bool) -> None:
    """Write a plan, all of it or nothing.

    Raises:
        OutputError: It cannot be written, or has appeared meanwhile without `overwrite`.
    """
    from sdr2hdr.delivery.target_file import publish, unfinished_file

    # A drawn name: a fixed one beside the plan might be somebody's file, the input even.
    with unfinished_file(path, None) as unfinished:
        try:
            unfinished.write_text(plan.to_json(), encoding="utf-8")
        except OSError as error:
            raise OutputError(
                f"{path} cannot be written: {error.strerror}; -o names another."
            ) from error
        publish(unfinished, path, overwrite=overwrite)


def plan_lines(plan: Plan) -> list[str]:
    """A plan in words."""
    cuts = sum(shot.transition == "cut" for shot in plan.shots)
    seconds = float((plan.frame_pts[-1] - plan.frame_pts[0]) * plan.time_base)
    picture = plan.active_picture
    return [
        f"{how_many(plan.frame_count, 'frame')} over {seconds:.3f} s",
        f"shots: {len(plan.shots)}, {cuts} of them after a cut; fades: {len(plan.fades)}",
        f"letterbox: {'none' if picture is None else f'the picture is {picture.words}'}",
        *(segment_line(segment) for segment in plan.segments),
    ]


def segment_line(segment: Segment) -> str:
    """A segment in words."""
    preroll = f", after {segment.preroll_frames} of pre-roll" if segment.preroll_frames else ""
    return (
        f"segment {segment.index}: frames {segment.first_frame} to {segment.end_frame - 1}{preroll}"
    )


def plan_content(plan: Plan, path: Path) -> dict[str, object]:
    """A plan's summary for scripts; the plan itself is in its file."""
    from dataclasses import asdict

    return {
        "plan": str(path),
        "input": str(plan.source_path),
        "key": plan.key,
        "frame_count": plan.frame_count,
        "shots": [asdict(shot) for shot in plan.shots],
        "fades": [asdict(fade) for fade in plan.fades],
        "active_picture": None if plan.active_picture is None else asdict(plan.active_picture),
        "segments": [
            {
                "index": segment.index,
                "first_frame": segment.first_frame,
                "frame_count": segment.frame_count,
                "preroll_frames": segment.preroll_frames,
            }
            for segment in plan.segments
        ],
    }
