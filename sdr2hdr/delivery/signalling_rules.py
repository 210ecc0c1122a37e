"""Rules on what a file says: tags, codec, mastering display and light levels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import combinations

from sdr2hdr.delivery.findings import Finding
from sdr2hdr.delivery.profiles import Profile
from sdr2hdr.media.encoding.encoders import UNMEASURED_LIGHT_LEVEL_CD_M2
from sdr2hdr.media.hdr10.hdr_facts import HdrFacts, StoredMastering
from sdr2hdr.media.hdr10.hdr_signalling import Signalling

__all__ = ["Reporter", "signalling_findings"]

HDR10_CODES = {"primaries": 9, "transfer": 16, "matrix": 9}
MEANINGS = {"primaries": "BT.2020", "transfer": "PQ", "matrix": "BT.2020 non-constant luminance"}
RGB_MATRIX = 0
PQ_PEAK_CD_M2 = 10_000
BRIGHTEST_DISPLAY_CD_M2 = 10_000.0
DIMMEST_DISPLAY_CD_M2 = 5.0
BRIGHTEST_BLACK_CD_M2 = 5.0
"""Of a mastering display (Rec. ITU-T H.265, D.3.28)."""
LATEST_START_SECONDS = 0.05


class Reporter:
    """Collects findings; a rule that the profile does not have is not reported."""

    def __init__(self, profile: Profile) -> None:
        self.profile = profile
        self.findings: list[Finding] = []

    def add(self, rule: str, place: str, found: object, expected: object) -> None:
        """Report that a rule is broken."""
        known = self.profile.rules.get(rule)
        if known is not None:
            self.findings.append(
                Finding(known.severity, rule, place, str(found), str(expected), known.source)
            )


def signalling_findings(said: Signalling, profile: Profile) -> list[Finding]:
    """Compare what a file says with itself and with a profile."""
    report = Reporter(profile)
    if said.container.fault:
        report.add("container-damaged", "container", said.container.fault, "a whole file")
    _colour(said, report)
    _form(said, profile, report)
    _mastering(said, report)
    _light(said, report)
    _starts(said, report)
    return report.findings


def _colour(said: Signalling, report: Reporter) -> None:
    for name, code in HDR10_CODES.items():
        values = {place: getattr(facts, name) for place, facts in said.places.items()}
        spoken = {place: value for place, value in values.items() if value is not None}
        accepted = {code, RGB_MATRIX} if name == "matrix" and said.is_rgb else {code}
        expected = f"{code} ({MEANINGS[name]})"
        if not spoken:
            report.add(name, "file", "nothing", expected)
            continue
        for place, value in spoken.items():
            if value not in accepted:
                report.add(name, place, value, expected)
        _agree(name, spoken, report)
        if values["stream"] is None and said.codec in ("hevc", "av1", "prores", "h264"):
            report.add("stream-silent", "stream", f"no {name}", expected)
        if values["container"] is None and said.container.form:
            report.add("container-silent", "container", f"no {name}", expected)
    ranges = {p: f.is_full_range for p, f in said.places.items() if f.is_full_range is not None}
    for place, is_full in ranges.items():
        if is_full:
            report.add("range", place, "full", "limited")
    _agree("range", ranges, report)
    _siting(said, report)


def _agree(name: str, spoken: Mapping[str, object], report: Reporter) -> None:
    if len(set(spoken.values())) > 1:
        words = ", ".join(f"{place} {value}" for place, value in spoken.items())
        report.add("agreement", "file", f"{name}: {words}", "the same in every place")


def _siting(said: Signalling, report: Reporter) -> None:
    if said.subsampling != (2, 2):
        return
    allowed = report.profile.sitings
    spoken = {p: f.siting for p, f in said.places.items() if f.siting is not None}
    expected = " or ".join(f"type {value}" for value in allowed)
    if not spoken:
        report.add("siting", "file", "nothing, which means left (type 0)", f"{expected}, said")
    for place, value in spoken.items():
        if value not in allowed:
            report.add("siting", place, f"type {value}", expected)
    _agree("siting", spoken, report)


def _form(said: Signalling, profile: Profile, report: Reporter) -> None:
    words = set(said.format_name.split(","))
    if profile.codecs and said.codec not in profile.codecs:
        report.add("codec", "stream", said.codec, " or ".join(profile.codecs))
    elif profile.codec_profiles and said.profile not in profile.codec_profiles:
        expected = " or ".join(profile.codec_profiles)
        report.add("codec-profile", "stream", said.profile or "no profile", expected)
    if profile.containers and not words & set(profile.containers):
        report.add("container", "file", said.format_name, " or ".join(profile.containers))
    if profile.bit_depths and said.bit_depth not in profile.bit_depths:
        expected = " or ".join(f"{depth} bits" for depth in profile.bit_depths)
        report.add("bit-depth", "stream", f"{said.bit_depth} bits", expected)
    if profile.subsamplings and said.subsampling not in profile.subsamplings:
        names = {(2, 2): "4:2:0", (2, 1): "4:2:2", (1, 1): "4:4:4"}
        found = "R'G'B'" if said.subsampling is None else names.get(said.subsampling, "another")
        expected = " or ".join(names[value] for value in profile.subsamplings)
        report.add("subsampling", "stream", found, expected)
    size = (said.width_px, said.height_px)
    if profile.sizes_px and size not in profile.sizes_px:
        expected = " or ".join(f"{width}x{height}" for width, height in profile.sizes_px)
        report.add("size", "stream", f"{size[0]}x{size[1]}", expected)
    if profile.rates and said.average_rate not in profile.rates:
        found = "unknown" if said.average_rate is None else f"{float(said.average_rate):.6g}"
        expected = ", ".join(f"{float(rate):.6g}" for rate in sorted(profile.rates))
        report.add("frame-rate", "file", found, f"one of {expected}")
    if said.container.sample_entry == "hev1":
        report.add("sample-entry", "container", "hev1", "hvc1: Apple's players refuse hev1")


def _mastering(said: Signalling, report: Reporter) -> None:
    found = {p: f.mastering for p, f in said.places.items() if f.mastering is not None}
    expected = "a mastering display"
    if not found:
        report.add("mastering-present", "file", "none", expected)
        return
    if "stream" not in found and said.stream.can_say:
        report.add("mastering-in-stream", "stream", "none", expected)
    if "container" not in found and said.container.form:
        report.add("mastering-in-container", "container", "none", expected)
    for place, display in found.items():
        for fault, wanted in implausible(display):
            report.add("mastering-plausible", place, fault, wanted)
    displays = {**found}
    displays |= {f"key frame statement {n}": m for n, m in enumerate(said.stream.masterings)}
    for (one, first), (other, second) in combinations(displays.items(), 2):
        if not first.is_close_to(second):
            found_words = f"{one}: {first}; {other}: {second}"
            report.add("mastering-agreement", "file", found_words, "the same in every place")
            return


def implausible(display: StoredMastering) -> Iterator[tuple[str, str]]:
    """What about a mastering display cannot be, with what would be expected."""
    high, low = display.max_luminance_cd_m2, display.min_luminance_cd_m2
    if not DIMMEST_DISPLAY_CD_M2 <= high <= BRIGHTEST_DISPLAY_CD_M2:
        wanted = f"{DIMMEST_DISPLAY_CD_M2:g} to {BRIGHTEST_DISPLAY_CD_M2:g} cd/m2"
        yield f"peak of {high:g} cd/m2", wanted
    if not 0 <= low <= BRIGHTEST_BLACK_CD_M2 or low >= high:
        wanted = f"at most {BRIGHTEST_BLACK_CD_M2:g} cd/m2, and below the peak"
        yield f"black of {low:g} cd/m2", wanted
    red, green, blue = display.red, display.green, display.blue
    if not (red[0] > max(green[0], blue[0]) and green[1] > max(red[1], blue[1])):
        yield f"primaries {display}", "red with the largest x, green with the largest y"
    elif not _is_inside(display.white, red, green, blue):
        yield f"white at {display.white}", "a white inside the primaries' triangle"


def _is_inside(point: tuple[float, float], *corners: tuple[float, float]) -> bool:
    def side(a: tuple[float, float], b: tuple[float, float]) -> float:
        return (b[0] - a[0]) * (point[1] - a[1]) - (b[1] - a[1]) * (point[0] - a[0])

    red, green, blue = corners
    sides = [side(red, green), side(green, blue), side(blue, red)]
    return all(value > 0 for value in sides) or all(value < 0 for value in sides)


def _light(said: Signalling, report: Reporter) -> None:
    found = {p: levels for p, f in said.places.items() if (levels := _levels(f)) is not None}
    if not found:
        report.add("light-present", "file", "none", "MaxCLL and MaxFALL")
        return
    if "stream" not in found and said.stream.can_say:
        report.add("light-in-stream", "stream", "none", "MaxCLL and MaxFALL")
    if "container" not in found and said.container.form:
        report.add("light-in-container", "container", "none", "MaxCLL and MaxFALL")
    display = next((f.mastering for f in said.places.values() if f.mastering is not None), None)
    for place, (max_cll, max_fall) in found.items():
        words = f"MaxCLL {max_cll}, MaxFALL {max_fall} cd/m2"
        if UNMEASURED_LIGHT_LEVEL_CD_M2 in (max_cll, max_fall):
            report.add("light-plausible", place, words, "levels measured, not a placeholder")
        elif 0 in (max_cll, max_fall):
            report.add("light-unknown", place, words, "levels above 0, which means unknown")
        elif max_fall > max_cll:
            report.add("light-plausible", place, words, "MaxFALL no greater than MaxCLL")
        elif max_cll > PQ_PEAK_CD_M2:
            report.add("light-plausible", place, words, f"at most {PQ_PEAK_CD_M2} cd/m2")
        elif display is not None and max_cll > display.max_luminance_cd_m2 * 1.01:
            wanted = f"at most the mastering peak, {display.max_luminance_cd_m2:g} cd/m2"
            report.add("light-above-mastering", place, words, wanted)
    statements = set(found.values()) | set(said.stream.levels)
    if len(statements) > 1:
        words = "; ".join(f"{place}: {cll}, {fall}" for place, (cll, fall) in found.items())
        if len(said.stream.levels) > 1:
            words += f"; key frames: {said.stream.levels}"
        report.add("light-agreement", "file", words, "the same in every place and key frame")


def _levels(facts: HdrFacts) -> tuple[int, int] | None:
    if facts.max_cll is None or facts.max_fall is None:
        return None
    return facts.max_cll, facts.max_fall


def _starts(said: Signalling, report: Reporter) -> None:
    video = next((each for each in said.starts if each.kind == "video"), None)
    for each in said.starts:
        if video is None or each.kind != "audio":
            continue
        offset = float(each.start_seconds - video.start_seconds)
        if abs(offset) > LATEST_START_SECONDS:
            report.add(
                "start-offset",
                f"stream {each.index}",
                f"audio starts {offset:+.3f} s from the video",
                f"within {LATEST_START_SECONDS} s",
            )
