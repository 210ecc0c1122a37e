"""Check any tool's HDR file against a profile: what it says, and what its pictures are."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from sdr2hdr.delivery.file_light import measure_inside_bars
from sdr2hdr.delivery.findings import Finding, has_error
from sdr2hdr.delivery.profiles import Profile
from sdr2hdr.delivery.signalling_rules import Reporter, signalling_findings
from sdr2hdr.errors import InputError
from sdr2hdr.frames import Rectangle
from sdr2hdr.media.hdr10.hdr_sample import all_frames, sample_frames
from sdr2hdr.media.hdr10.hdr_signalling import Signalling, read_signalling
from sdr2hdr.media.hdr10.hdr_source import probe_hdr
from sdr2hdr.media.reading.early_end import unread_seconds
from sdr2hdr.media.reading.letterbox import detect_active_picture
from sdr2hdr.quality.code_statistics import CodeStatistics
from sdr2hdr.quality.light_levels import LightMeter
from sdr2hdr.wording import how_many

__all__ = ["CheckReport", "check_file"]

LEVEL_TOLERANCE = 0.05
"""Share of a stored level within which the measured one is as good as equal."""
LEVEL_TOLERANCE_CD_M2 = 2.0
"""The same for dark programmes, where a code is a large share."""
OUTSIDE_RANGE_SHARE = 0.001
"""Overshoot of filters and codecs stays below a thousandth of the samples."""
OUTSIDE_P3_SHARE = 0.001
LIFTED_BLACK_CD_M2 = 0.05


@dataclass(frozen=True)
class CheckReport:
    """What was found in one file.

    Attributes:
        findings: Errors first, then warnings, then the rest.
        measured: MaxCLL and MaxFALL of the decoded frames, cd/m2; None if none was measured.
        active_picture: Inside black bars; None without bars.
    """

    path: Path
    profile: str
    signalling: Signalling
    findings: tuple[Finding, ...]
    frames_measured: int
    measured: tuple[int, int] | None
    active_picture: Rectangle | None

    @property
    def passed(self) -> bool:
        """Whether there is no error; warnings are allowed."""
        return not has_error(self.findings)


@dataclass
class _Pictures:
    codes: CodeStatistics
    light: LightMeter
    active_picture: Rectangle | None = None


def check_file(
    path: Path, profile: Profile, *, frames: Literal["sample", "all"] = "sample"
) -> CheckReport:
    """Check a video file.

    Args:
        path: A local file, made by any tool.
        profile: The rules.
        frames: Decode a few frames across the file, or every one. Levels that are stored too high
            are found only with all of them.

    Raises:
        InputError: The file cannot be read, or has no video that can be decoded.
    """
    said = read_signalling(path)
    report = Reporter(profile)
    pictures = _Pictures(CodeStatistics(), LightMeter())
    try:
        _measure(path, pictures, every=frames == "all")
    except InputError as error:
        found, _, expected = str(error).partition("; expected ")
        is_damaged = frames == "all" and pictures.codes.frames > 0
        rule = "pictures-damaged" if is_damaged else "not-measured"
        expected = expected.rstrip(".") or "PQ video that can be decoded"
        report.add(rule, "picture", found.rstrip("."), expected)
    if not said.container.fault and (unread := unread_seconds(path)):
        found = f"the last {unread:.3f} s that it says it has cannot be read"
        report.add("container-damaged", "container", found, "a whole file")
    if pictures.codes.frames:
        _judge_codes(pictures.codes, report)
        _judge_levels(said, pictures.light, report, every=frames == "all")
    order = ("error", "warning", "info")
    found = [*signalling_findings(said, profile), *report.findings]
    levels = pictures.light.levels() if pictures.light.frames else None
    return CheckReport(
        path=path,
        profile=profile.name,
        signalling=said,
        findings=tuple(sorted(found, key=lambda finding: order.index(finding.severity))),
        frames_measured=pictures.codes.frames,
        measured=None if levels is None else (levels.max_cll, levels.max_fall),
        active_picture=pictures.active_picture,
    )


def _measure(path: Path, pictures: _Pictures, *, every: bool) -> None:
    picture = detect_active_picture(probe_hdr(path, assume_pq=True).info)
    pictures.active_picture = picture
    for batch in all_frames(path) if every else sample_frames(path):
        pictures.codes.add(batch)
        pictures.light.add(measure_inside_bars(batch, picture))


def _judge_codes(codes: CodeStatistics, report: Reporter) -> None:
    place = f"picture, {how_many(codes.frames, 'frame')}"
    if codes.forbidden:
        found = f"{codes.forbidden} samples of {codes.samples}"
        report.add("forbidden-codes", place, found, "none of 0-3 and 1020-1023 (at 10 bits)")
    if codes.outside_range > OUTSIDE_RANGE_SHARE * codes.samples:
        found = f"{codes.outside_range / codes.samples:.2%} of the samples"
        report.add("outside-range", place, found, "Y' in 64-940, Cb and Cr in 64-960 (at 10 bits)")
    if codes.outside_p3 > OUTSIDE_P3_SHARE * max(codes.pixels, 1):
        found = f"{codes.outside_p3 / codes.pixels:.2%} of the pixels"
        report.add("outside-p3", place, found, "colours that displays of today can show, P3-D65")
    if codes.darkest_light_cd_m2 > LIFTED_BLACK_CD_M2:
        found = f"no pixel darker than {codes.darkest_light_cd_m2:.3g} cd/m2"
        report.add("black-lift", place, found, f"some as dark as {LIFTED_BLACK_CD_M2} cd/m2")


def _judge_levels(said: Signalling, light: LightMeter, report: Reporter, *, every: bool) -> None:
    facts = [facts for facts in said.places.values() if facts.max_cll]
    if not facts:
        return
    measured = light.levels()
    pairs = (
        ("MaxCLL", facts[0].max_cll, measured.max_cll, measured.robust_max_cll),
        ("MaxFALL", facts[0].max_fall, measured.max_fall, measured.robust_max_fall),
    )
    for name, stored, exact, robust in pairs:
        if not stored:
            continue
        allowed = max(LEVEL_TOLERANCE * stored, LEVEL_TOLERANCE_CD_M2)
        # Either way of measuring may have been stored; a sample can only miss bright frames.
        is_too_low = robust > stored + allowed
        is_too_high = every and exact < stored - allowed
        if is_too_low or is_too_high:
            report.add(
                "light-measured",
                f"picture, {how_many(light.frames, 'frame')}",
                f"{name} {exact} cd/m2 (robust {robust})",
                f"the stored {stored} within {allowed:.3g} cd/m2",
            )
