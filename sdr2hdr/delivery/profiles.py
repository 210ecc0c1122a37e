"""The rules that a file is checked by, as data: what each purpose demands and who says so."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from sdr2hdr.delivery.findings import Severity
from sdr2hdr.errors import UsageError

__all__ = ["PROFILES", "Profile", "Rule", "profile_named"]


@dataclass(frozen=True)
class Rule:
    """How bad it is to break a rule, and where the rule comes from."""

    severity: Severity
    source: str


@dataclass(frozen=True)
class Profile:
    """What one purpose demands; an empty tuple demands nothing.

    Attributes:
        purpose: In words, told where no profile has the name that was given.
        rules: By name; a rule that is not here does not apply.
        codecs: FFmpeg's names.
        codec_profiles: As libavcodec names them, for codecs that have profiles of note.
        containers: Any word of libavformat's name of the format.
        bit_depths: At least one of them.
        subsamplings: Luma samples per chroma sample, across and down.
        sitings: H.273 chroma sample location types of 4:2:0.
        sizes_px: Width and height.
        rates: Frames a second.
    """

    name: str
    purpose: str
    rules: Mapping[str, Rule]
    codecs: tuple[str, ...] = ()
    codec_profiles: tuple[str, ...] = ()
    containers: tuple[str, ...] = ()
    bit_depths: tuple[int, ...] = ()
    subsamplings: tuple[tuple[int, int], ...] = ()
    sitings: tuple[int, ...] = (2,)
    sizes_px: tuple[tuple[int, int], ...] = ()
    rates: tuple[Fraction, ...] = ()


HDR10 = "CTA, HDR10 Media Profile (2015)"
H273 = "Rec. ITU-T H.273 (07/2021), Tables 2 to 4"
BT2100 = "Rec. ITU-R BT.2100-2, Table 9"
SITING = "Rec. ITU-R BT.2100-2, colour sub-sampling; Rec. ITU-T H.273 (07/2021), Figure 10"
ST2086 = "SMPTE ST 2086:2018, clause 5"
CTA = "CTA-861.3-A, Annex P"
ISOBMFF = "ISO/IEC 14496-12:2022, 12.1.5 to 12.1.7"
MATROSKA = "RFC 9559, 5.1.4.1.28.16"
HLS = "Apple, HLS Authoring Specification, 1.10"
YOUTUBE = "YouTube Help, Upload High Dynamic Range videos"
UHD_BD = "BDA, Ultra HD Blu-ray Format Video Characteristics (2015)"
PRORES = "SMPTE RDD 36:2022, 6.1.1"
APPLE = "Apple ProRes White Paper (2022)"
FFV1 = "RFC 9043"
OWN = "this program's rule"

COMMON: Mapping[str, Rule] = {
    "primaries": Rule("error", HDR10),
    "transfer": Rule("error", HDR10),
    "matrix": Rule("error", HDR10),
    "range": Rule("error", BT2100),
    "agreement": Rule("error", H273),
    "stream-silent": Rule("warning", H273),
    "container-silent": Rule("warning", f"{ISOBMFF}; {MATROSKA}"),
    "bit-depth": Rule("error", HDR10),
    "subsampling": Rule("error", HDR10),
    "siting": Rule("warning", SITING),
    "codec": Rule("error", HDR10),
    "codec-profile": Rule("error", HDR10),
    "container": Rule("error", HDR10),
    "container-damaged": Rule("error", f"{ISOBMFF}; {MATROSKA}"),
    "mastering-present": Rule("error", HDR10),
    "mastering-in-stream": Rule("warning", "Rec. ITU-T H.265, D.3.28; AV1, 6.7.4"),
    "mastering-in-container": Rule("warning", f"{ISOBMFF}; {MATROSKA}"),
    "mastering-plausible": Rule("error", ST2086),
    "mastering-agreement": Rule("error", ST2086),
    "light-present": Rule("error", HDR10),
    "light-in-stream": Rule("warning", "Rec. ITU-T H.265, D.3.35; AV1, 6.7.3"),
    "light-in-container": Rule("warning", f"{ISOBMFF}; {MATROSKA}"),
    "light-unknown": Rule("warning", CTA),
    "light-plausible": Rule("error", CTA),
    "light-above-mastering": Rule("warning", f"{CTA}; {ST2086}"),
    "light-agreement": Rule("error", CTA),
    "light-measured": Rule("warning", CTA),
    "forbidden-codes": Rule("error", BT2100),
    "outside-range": Rule("warning", BT2100),
    "outside-p3": Rule("info", "SMPTE RP 431-2"),
    "black-lift": Rule("info", OWN),
    "start-offset": Rule("warning", OWN),
    "sample-entry": Rule("warning", HLS),
    "not-measured": Rule("info", OWN),
    "pictures-damaged": Rule("error", OWN),
}
"""What HDR10 is, wherever it goes."""


def _rules(changed: Mapping[str, Rule], *without: str) -> Mapping[str, Rule]:
    return {name: rule for name, rule in {**COMMON, **changed}.items() if name not in without}


def _metadata(severity: Severity, source: str) -> Mapping[str, Rule]:
    return {name: Rule(severity, source) for name in ("mastering-present", "light-present")}


_420, _422, _444 = (2, 2), (2, 1), (1, 1)

PROFILES: Mapping[str, Profile] = {
    profile.name: profile
    for profile in (
        Profile(
            "hdr10",
            "plays as HDR10 wherever HDR10 plays",
            COMMON,
            codecs=("hevc", "av1", "vp9"),
            codec_profiles=("Main 10", "Main", "Profile 2"),
            bit_depths=(10,),
            subsamplings=(_420,),
        ),
        Profile(
            "youtube",
            "upload to YouTube",
            _rules(
                {
                    **_metadata("warning", YOUTUBE),
                    **{
                        name: Rule("error", YOUTUBE)
                        for name in ("primaries", "transfer", "matrix", "bit-depth", "codec")
                    },
                    "container": Rule("error", YOUTUBE),
                },
                *("codec-profile", "subsampling", "sample-entry"),
            ),
            codecs=("hevc", "av1", "vp9", "prores", "dnxhd", "h264"),
            containers=("mov", "matroska"),
            bit_depths=(10, 12),
            sitings=(0, 2),
        ),
        Profile(
            "uhd-bd",
            "video of an Ultra HD Blu-ray disc",
            _rules(
                {
                    **{
                        name: Rule("error", UHD_BD)
                        for name in (
                            *("codec", "codec-profile", "bit-depth", "subsampling", "siting"),
                            *("size", "frame-rate", "mastering-in-stream", "light-in-stream"),
                            *("mastering-present", "light-present"),
                        )
                    },
                },
                *("sample-entry", "container-silent"),
                *("mastering-in-container", "light-in-container"),
            ),
            codecs=("hevc",),
            codec_profiles=("Main 10",),
            bit_depths=(10,),
            subsamplings=(_420,),
            sizes_px=((3840, 2160), (1920, 1080)),
            rates=(
                *(Fraction(rate * 1000, 1001) for rate in (24, 60)),
                *(Fraction(rate) for rate in (24, 25, 50, 60)),
            ),
        ),
        Profile(
            "prores-hdr",
            "HDR in ProRes, for an editing system",
            _rules(
                {
                    **_metadata("warning", ISOBMFF),
                    "codec": Rule("error", APPLE),
                    "codec-profile": Rule("warning", APPLE),
                    "container": Rule("error", APPLE),
                    "subsampling": Rule("error", APPLE),
                    "bit-depth": Rule("error", APPLE),
                    "stream-silent": Rule("error", PRORES),
                    "container-silent": Rule("error", "Apple, QuickTime File Format, colr"),
                    "agreement": Rule("error", PRORES),
                },
                *("sample-entry", "siting"),
            ),
            codecs=("prores",),
            codec_profiles=("HQ", "4444", "4444XQ", "4444 XQ"),
            containers=("mov",),
            bit_depths=(10, 12),
            subsamplings=(_422, _444),
        ),
        Profile(
            "archive",
            "lossless, to be kept",
            _rules(
                {
                    **_metadata("warning", MATROSKA),
                    "codec": Rule("error", FFV1),
                    "bit-depth": Rule("error", BT2100),
                    "container": Rule("error", "RFC 9559"),
                },
                *("codec-profile", "subsampling", "sample-entry"),
                *("stream-silent", "mastering-in-stream", "light-in-stream"),
            ),
            codecs=("ffv1",),
            containers=("matroska",),
            bit_depths=(10, 12, 16),
            sitings=(0, 2),
        ),
    )
}


def profile_named(name: str) -> Profile:
    """The profile of a name.

    Raises:
        UsageError: There is none.
    """
    if name not in PROFILES:
        known = ", ".join(f"{each.name} ({each.purpose})" for each in PROFILES.values())
        raise UsageError(f"The profile is {name!r}; expected one of {known} (--profile).")
    return PROFILES[name]
