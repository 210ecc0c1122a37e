"""The options of all commands that convert, and what they mean together."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from sdr2hdr.cli.look_options import parse_look
from sdr2hdr.cli.parameters import (
    ANY_PATH,
    POSITIVE_NUMBER,
    combined,
    parse_encode,
    parse_engine,
    parse_read,
)
from sdr2hdr.cli.planned_jobs import SegmentsType
from sdr2hdr.options import ConvertOptions, JobOptions

__all__ = [
    "CONTAINERS",
    "job_arguments",
    "job_options",
    "light_log_option",
    "max_flicker_option",
    "overwrite_option",
    "parse_convert",
    "parse_job",
    "parse_picture",
    "robust_light_levels_option",
    "super_white_option",
    "temporal_option",
    "verify_option",
]

CONTAINERS = ("mkv", "mp4", "mov")

job_arguments = click.argument(
    "paths",
    nargs=-1,
    required=True,
    metavar="INPUT OUTPUT | --out-dir DIR INPUT...",
    type=ANY_PATH,
)

verify_option = click.option(
    "--verify/--no-verify",
    default=True,
    show_default=True,
    help="Read the finished file again, and keep it only if it is as promised.",
)

overwrite_option = click.option(
    "--overwrite", is_flag=True, help="Replace an existing output or light log."
)

temporal_option = click.option(
    "--temporal",
    type=click.Choice(["on", "off"]),
    default="on",
    show_default=True,
    help="Keep what a network takes from the whole frame steady along a shot.",
)

max_flicker_option = click.option(
    "--max-flicker",
    type=POSITIVE_NUMBER,
    metavar="X",
    help="Fail with code 9 if a shot flickers more than X times what its source does.",
)

light_log_option = click.option(
    "--light-log",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the light of every frame to this .csv or .json file.",
)

robust_light_levels_option = click.option(
    "--robust-light-levels",
    is_flag=True,
    help="Store MaxCLL and MaxFALL that a few odd pixels cannot move. [default: exact]",
)

super_white_option = click.option(
    "--super-white",
    type=click.Choice(["clip", "scale"]),
    default="clip",
    show_default=True,
    help="Codes above nominal white: clip them, or scale the signal so that they stay.",
)

job_options = combined(
    click.option(
        "--out-dir",
        type=ANY_PATH,
        help="Convert all inputs into this folder, as NAME_hdr.EXT.",
    ),
    click.option(
        "--container",
        type=click.Choice(CONTAINERS),
        help="With --out-dir: the outputs' container. [default: the input's if it holds the codec, "
        "else mkv, or mov]",
    ),
    verify_option,
    overwrite_option,
    click.option(
        "--skip-existing",
        is_flag=True,
        help="Leave out inputs whose output exists, as it does only when it is whole.",
    ),
    click.option("--dry-run", is_flag=True, help="Show what would be done, write nothing."),
    click.option(
        "--temp-dir",
        type=ANY_PATH,
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
    temporal_option,
    max_flicker_option,
    light_log_option,
    robust_light_levels_option,
    super_white_option,
)


def parse_picture(given: dict[str, Any], model: str, scale: int) -> ConvertOptions:
    """What a plan pins of a conversion: how it is read, computed and encoded."""
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
        temporal=given["temporal"] == "on",
    )


def parse_convert(given: dict[str, Any], model: str, scale: int) -> ConvertOptions:
    """Everything one conversion needs, from the values of all options."""
    return replace(
        parse_picture(given, model, scale),
        light_log=given["light_log"],
        robust_light_levels=given["robust_light_levels"],
        verify=given["verify"],
        overwrite=given["overwrite"],
        temp_dir=given["temp_dir"],
        max_flicker=given["max_flicker"],
    )


def parse_job(given: dict[str, Any]) -> JobOptions:
    """How the work is carried out, from the values of `job_options`.

    Raises:
        click.UsageError: Options that contradict each other, or that only a plan gives a meaning,
            without one.
    """
    if given["plan"] is None and given["segments"] is not None:
        raise click.UsageError("--segments goes with --plan.")
    if given["allow_mixed"] and all(given[name] is None for name in ("plan", "cluster", "workers")):
        raise click.UsageError("--allow-mixed goes with --plan, --cluster or --workers.")
    if given["skip_existing"] and given["overwrite"]:
        raise click.UsageError("--skip-existing leaves alone what --overwrite replaces; name one.")
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
