"""`sdr2hdr merge`: the output of segments that were converted on a farm."""

from __future__ import annotations

from pathlib import Path

import click

from sdr2hdr.cli.console import Console
from sdr2hdr.cli.conversion_words import report
from sdr2hdr.cli.job_options import (
    light_log_option,
    max_flicker_option,
    overwrite_option,
    robust_light_levels_option,
    verify_option,
)
from sdr2hdr.cli.parameters import (
    ANY_PATH,
    check_open_log,
    combined,
    drop_unsupported_option,
    output_options,
    weights_option,
)
from sdr2hdr.cli.signals import stop_on_signals
from sdr2hdr.options import ConvertOptions, EncodeOptions, EngineOptions, JobOptions

__all__ = ["command"]

merge_options = combined(
    click.option(
        "--source",
        type=ANY_PATH,
        help="Where the input lies here. [default: where the plan says]",
    ),
    click.option(
        "--temp-dir",
        type=ANY_PATH,
        help="Folder of the segments, as `convert` had it. [default: the output's own]",
    ),
    verify_option,
    overwrite_option,
    light_log_option,
    robust_light_levels_option,
    drop_unsupported_option,
    max_flicker_option,
    click.option(
        "--allow-mixed", is_flag=True, help="Take segments of machines unlike the plan's."
    ),
)


@click.command("merge")
@click.argument("plan", type=ANY_PATH)
@click.argument("output", type=ANY_PATH)
@merge_options
@weights_option
@output_options
def command(
    console: Console,
    plan: Path,
    output: Path,
    source: Path | None,
    temp_dir: Path | None,
    verify: bool,
    overwrite: bool,
    light_log: Path | None,
    robust_light_levels: bool,
    drop_unsupported: bool,
    max_flicker: float | None,
    allow_mixed: bool,
    weights_dir: Path | None,
) -> None:
    """Join the segments of PLAN into OUTPUT.

    They are those that `sdr2hdr convert INPUT OUTPUT --plan PLAN --segments A-B` has converted, on
    any machine that sees the folder of OUTPUT.
    """
    from sdr2hdr.cli.job_news import ConsoleListener
    from sdr2hdr.delivery.light_log import check_log_place
    from sdr2hdr.jobs.farm import merge_segments
    from sdr2hdr.jobs.plan import read_plan
    from sdr2hdr.jobs.settings import pinned_conversion, planned_options

    made = read_plan(plan)
    if light_log is not None:
        check_log_place(light_log, (plan,))
    given = source or made.source_path
    check_open_log(console, (given,))
    local = ConvertOptions(
        planned_options(made.pinned).model,
        encode=EncodeOptions(drop_unsupported=drop_unsupported),
        engine=EngineOptions(weights_dir=weights_dir),
        light_log=light_log,
        robust_light_levels=robust_light_levels,
        verify=verify,
        overwrite=overwrite,
        temp_dir=temp_dir,
        max_flicker=max_flicker,
    )
    conversion = pinned_conversion(given, output, made, local, computes=False)
    with stop_on_signals(console, conversion.kind) as stop, console.progress(given) as on_progress:
        listener = ConsoleListener(console, given, on_progress)
        how = JobOptions(allow_mixed=allow_mixed)
        summary = merge_segments(conversion, made, how, listener, stop)
    for notice in summary.notices:
        console.notice(notice, given)
    report(console, given, output, summary)
