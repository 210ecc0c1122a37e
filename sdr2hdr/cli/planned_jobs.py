"""Work on a plan that was made before: all of it, or some of its segments."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from sdr2hdr.cli.console import Console
from sdr2hdr.options import ConvertOptions, JobOptions
from sdr2hdr.wording import how_many

if TYPE_CHECKING:
    from sdr2hdr.conversion import Conversion
    from sdr2hdr.jobs.listener import JobListener
    from sdr2hdr.jobs.plan import Plan
    from sdr2hdr.jobs.stopping import StopRequest

__all__ = ["SegmentsType", "convert_planned_segments", "open_plan"]

ALLOWED_WITH_A_PLAN = frozenset(
    {
        *("paths", "plan", "segments", "allow_mixed", "resume", "temp_dir", "overwrite", "verify"),
        *("skip_existing", "cluster", "workers", "dry_run"),
        *("light_log", "robust_light_levels", "drop_unsupported", "strict", "threads"),
        *("weights_dir", "max_flicker", "json", "quiet", "verbose", "log_file"),
    }
)
"""Parameters that a plan does not decide."""


class SegmentsType(click.ParamType):
    """Segments of a plan: one number, or the first and the last."""

    name = "segments"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, int]:
        """First and last of "3", "0-7"."""
        if isinstance(value, tuple):
            return value
        match = re.fullmatch(r"([0-9]{1,9})(?:-([0-9]{1,9}))?", str(value))
        if match is None:
            self.fail(f"{value!r} is not A-B; expected two segment numbers from 0.", param, ctx)
        return int(match[1]), int(match[2] or match[1])


def open_plan(
    path: Path, source: Path, target: Path, local: ConvertOptions
) -> tuple[Plan, Conversion]:
    """Read a plan, and prepare the conversion that it pins.

    Raises:
        UsageError: The command line says what the plan says too.
        Sdr2HdrError: The plan cannot be read, or the conversion not be prepared here.
    """
    from sdr2hdr.delivery.light_log import check_log_place
    from sdr2hdr.jobs.plan import read_plan
    from sdr2hdr.jobs.settings import pinned_conversion

    context = click.get_current_context()
    said = [
        parameter.opts[-1]
        for parameter in context.command.params
        if parameter.name is not None
        and parameter.name not in ALLOWED_WITH_A_PLAN
        and context.get_parameter_source(parameter.name) is ParameterSource.COMMANDLINE
    ]
    if said:
        raise click.UsageError(f"The plan says what {', '.join(said)} shall be; leave it out.")
    plan = read_plan(path)
    if local.light_log is not None:
        check_log_place(local.light_log, (path,))
    return plan, pinned_conversion(source, target, plan, local)


def convert_planned_segments(
    console: Console,
    conversion: Conversion,
    plan: Plan,
    job: JobOptions,
    listener: JobListener,
    stop: StopRequest,
) -> None:
    """Convert some segments, and say how it went."""
    from sdr2hdr.jobs.farm import convert_segments

    segments = convert_segments(conversion, plan, job, listener, stop)
    frames = sum(segment.frame_count for segment in segments)
    console.say(
        f"{conversion.target}: {len(segments)} of {len(plan.segments)} segments are finished, "
        f"{how_many(frames, 'frame')}; `sdr2hdr merge` joins all when they are there."
    )
    if console.json:
        console.event(
            "segments_done",
            {
                "output": str(conversion.target),
                "segments": [segment.index for segment in segments],
                "frames": frames,
            },
        )
