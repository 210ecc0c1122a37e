"""`sdr2hdr check`: whether a file is the HDR that it should be, and says so everywhere."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sdr2hdr.cli.console import Console
from sdr2hdr.cli.parameters import ANY_PATH, output_options
from sdr2hdr.errors import InputError, PartialFailureError, VerificationError
from sdr2hdr.wording import how_many

if TYPE_CHECKING:
    from sdr2hdr.delivery.check import CheckReport
    from sdr2hdr.media.hdr10.hdr_facts import HdrFacts

__all__ = ["command"]


@click.command("check")
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=ANY_PATH)
@click.option(
    "--profile",
    metavar="NAME",
    default="hdr10",
    show_default=True,
    help="hdr10, youtube, uhd-bd, prores-hdr or archive.",
)
@click.option(
    "--all-frames", is_flag=True, help="Decode and measure every frame, not a sample of them."
)
@output_options
def command(console: Console, files: tuple[Path, ...], profile: str, all_frames: bool) -> None:
    """Check HDR FILEs of any tool against the rules of a profile.

    Compared are the tags of the coded stream, of the container and of the decoder, the mastering
    display, the light levels (also with the decoded frames), the form of the video, and the codes
    of the pictures. Exit code 7 if there is an error; warnings do not change it.
    """
    from sdr2hdr.delivery.check import check_file
    from sdr2hdr.delivery.profiles import profile_named

    rules = profile_named(profile)
    broken, unreadable = 0, 0
    for path in files:
        try:
            report = check_file(path, rules, frames="all" if all_frames else "sample")
        except InputError as error:
            if len(files) == 1:
                raise
            console.error(error, path)
            unreadable += 1
            continue
        broken += not report.passed
        show(console, report)
    if broken:
        which = f"{broken} of {len(files)} files" if len(files) > 1 else "The file"
        raise VerificationError(
            f"{which} broke rules of the profile {profile}; expected no error. --profile chooses "
            "other rules."
        )
    if unreadable:
        raise PartialFailureError(f"{unreadable} of {len(files)} files could not be read.")


def show(console: Console, report: CheckReport) -> None:
    """Print the findings of one file."""
    if console.json:
        console.event("checked", content_of(report))
        return
    counts = {
        severity: sum(finding.severity == severity for finding in report.findings)
        for severity in ("error", "warning")
    }
    verdict = "passed" if report.passed else "failed"
    console.result(
        f"{report.path}: {verdict} {report.profile} "
        f"({how_many(counts['error'], 'error')}, {how_many(counts['warning'], 'warning')})"
    )
    said = report.signalling
    console.result(
        f"  {said.codec} {said.profile}, {said.width_px}x{said.height_px} {said.pixel_format}, "
        f"{said.format_name}"
    )
    for place, facts in said.places.items():
        console.result(f"  {place:9} {in_words(facts)}")
    if report.measured is not None:
        cll, fall = report.measured
        console.result(
            f"  {'measured':9} MaxCLL {cll}, MaxFALL {fall} cd/m2 in "
            f"{how_many(report.frames_measured, 'decoded frame')}"
        )
    for finding in report.findings:
        console.result(f"  {finding}")


def in_words(facts: HdrFacts) -> str:
    """One place's statement in a line; a dash is silence."""
    codes = "/".join(
        "-" if code is None else str(code)
        for code in (facts.primaries, facts.transfer, facts.matrix)
    )
    colour_range = {None: "-", False: "limited", True: "full"}[facts.is_full_range]
    siting = "-" if facts.siting is None else str(facts.siting)
    levels = "-" if facts.max_cll is None else f"{facts.max_cll}/{facts.max_fall}"
    return (
        f"primaries/transfer/matrix {codes}, range {colour_range}, siting {siting}, "
        f"MaxCLL/MaxFALL {levels}, mastering {facts.mastering or '-'}"
    )


def content_of(report: CheckReport) -> dict[str, object]:
    """The report for scripts."""
    said, picture = report.signalling, report.active_picture
    return {
        "input": str(report.path),
        "profile": report.profile,
        "passed": report.passed,
        "codec": said.codec,
        "codec_profile": said.profile,
        "pixel_format": said.pixel_format,
        "width_px": said.width_px,
        "height_px": said.height_px,
        "places": {place: asdict(facts) for place, facts in said.places.items()},
        "frames_measured": report.frames_measured,
        "measured_max_cll_cd_m2": None if report.measured is None else report.measured[0],
        "measured_max_fall_cd_m2": None if report.measured is None else report.measured[1],
        "active_picture": None if picture is None else asdict(picture),
        "findings": [asdict(finding) for finding in report.findings],
    }
