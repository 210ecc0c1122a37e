"""Read a finished file back and compare all that was promised with what is found.

Cheap beside the conversion: every packet is counted and timed, a few frames are decoded.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

from sdr2hdr.delivery.file_light import measure_inside_bars
from sdr2hdr.delivery.findings import Finding, Severity
from sdr2hdr.errors import InputError
from sdr2hdr.frames import Rectangle
from sdr2hdr.media.containers.container_trial import name_when_read_back
from sdr2hdr.media.copying.metadata import language_in
from sdr2hdr.media.copying.muxing import streams_left_empty
from sdr2hdr.media.copying.stream_decision import COPIED_ACTIONS
from sdr2hdr.media.copying.stream_plan import StreamPlan
from sdr2hdr.media.hdr10.hdr_facts import CODECS_THAT_SAY_LEVELS, HdrFacts, StoredMastering
from sdr2hdr.media.hdr10.hdr_sample import sample_frames
from sdr2hdr.media.hdr10.hdr_signalling import Signalling, read_signalling
from sdr2hdr.media.mastering import MasteringDisplay
from sdr2hdr.media.reading.packet_scan import FileContent, FoundStream, scan_packets
from sdr2hdr.media.signalling.colour_codes import PQ_CODE
from sdr2hdr.quality.light_levels import LightMeter
from sdr2hdr.signal import CodedSignal, ColourRange, Subsampling, Transfer

__all__ = ["Expectation", "ExpectedStream", "expected_streams", "verify_output"]

MATROSKA_ROUNDING = Fraction(1, 2000)
"""Matroska counts in milliseconds (RFC 9559, 5.1.2.9, at the usual TimestampScale)."""
CODECS_WITHOUT_DEPTH = frozenset({"prores"})
"""A ProRes frame names no bit depth (SMPTE RDD 36): each decoder chooses one, libav 12 for 4444."""
LEVEL_TOLERANCE = 0.10
"""Lossy coding rings: decoded levels may lie so much above those of the picture before it."""
LEVEL_TOLERANCE_CD_M2 = 2.0
PROMISE = "what this program promised before it wrote"
KINDS_WITHOUT_COUNT = ("attachment",)
FIRST_TIMES = 3


@dataclass(frozen=True)
class ExpectedStream:
    """A stream besides the converted video.

    Attributes:
        kind: "audio", "subtitle", "attachment", ...
        language: None if it was not tagged ("und" counts as that).
        packets: None if it is not known.
    """

    kind: str
    codec: str
    language: str | None = None
    packets: int | None = None


@dataclass(frozen=True)
class Expectation:
    """What a finished file must be.

    Attributes:
        signal: What the codes mean.
        codec: FFmpeg's name of the video's codec.
        mastering: In the stream, if the codec has a place for it, and in the container.
        max_cll: As stored, cd/m2; likewise `max_fall`.
        frame_count: Packets of the video stream.
        frame_times: When each frame is shown, seconds, increasing; None to leave it unchecked.
        streams: Of the copied streams, in the file's order; attachments count.
        chapters: None to leave it unchecked.
        active_picture: Inside black bars, px; the levels were measured there.
    """

    signal: CodedSignal
    codec: str
    width_px: int
    height_px: int
    mastering: MasteringDisplay
    max_cll: int
    max_fall: int
    frame_count: int
    frame_times: Sequence[Fraction] | None = field(default=None, repr=False)
    streams: tuple[ExpectedStream, ...] | None = None
    chapters: int | None = None
    active_picture: Rectangle | None = None


def expected_streams(plan: StreamPlan, counts: Mapping[int, int]) -> tuple[ExpectedStream, ...]:
    """What the copied streams of a plan must have become.

    Args:
        plan: That the file was written by.
        counts: Packets written, by stream index of the source, as the writer's summary has them.
    """
    expected = []
    left_empty = streams_left_empty(plan, counts)
    for planned in plan.streams:
        if planned.action not in COPIED_ACTIONS or planned in left_empty:
            continue
        source = planned.source
        is_attachment = planned.action == "attach" or source.is_cover_art
        kind = "attachment" if is_attachment else source.kind
        language = source.language and language_in(plan.container_format, source.language)
        expected.append(ExpectedStream(kind, planned.codec, language, counts.get(source.index, 0)))
    return tuple(expected)


class _Report:
    def __init__(self) -> None:
        self.findings: list[Finding] = []

    def expect(
        self, rule: str, place: str, found: object, expected: object, severity: Severity = "error"
    ) -> None:
        """Report where two values differ."""
        if found != expected:
            self.add(rule, place, found, expected, severity)

    def add(
        self, rule: str, place: str, found: object, expected: object, severity: Severity = "error"
    ) -> None:
        self.findings.append(Finding(severity, rule, place, str(found), str(expected), PROMISE))


def verify_output(path: Path, expectation: Expectation) -> list[Finding]:
    """Compare a finished file with what was promised.

    Args:
        path: The file, under whatever name.
        expectation: What it must be.

    Returns:
        Nothing if all is as promised. Broken promises are errors; levels of decoded frames above
        the stored ones by more than 10% (and 2 cd/m2) are warnings.
    """
    report = _Report()
    try:
        said = read_signalling(path, all_key_frames=True)
        content = scan_packets(path)
        _signalling(said, expectation, report)
        _frames(said, content, expectation, report)
        _streams(said, content, expectation, report)
        _decoded_levels(path, expectation, report)
    except InputError as error:
        report.add("readable", "file", error, "a whole file that can be read")
    return report.findings


def _signalling(said: Signalling, expectation: Expectation, report: _Report) -> None:
    signal = expectation.signal
    report.expect("codec", "stream", said.codec, expectation.codec)
    size = f"{expectation.width_px}x{expectation.height_px}"
    report.expect("size", "stream", f"{said.width_px}x{said.height_px}", size)
    if expectation.codec not in CODECS_WITHOUT_DEPTH or said.bit_depth < signal.bit_depth:
        report.expect("bit-depth", "stream", said.bit_depth, signal.bit_depth)
    report.expect("subsampling", "stream", said.subsampling, signal.subsampling.value)
    if said.container.fault:
        report.add("container-damaged", "container", said.container.fault, "a whole file")
    if expectation.codec in CODECS_THAT_SAY_LEVELS:
        _place("stream", said.stream.facts, expectation, report, has_siting=True)
        levels = (expectation.max_cll, expectation.max_fall)
        for found in said.stream.levels:
            report.expect("light", "key frames", found, levels)
        for display in said.stream.masterings:
            if not display.is_close_to(_stored(expectation.mastering)):
                report.add("mastering", "key frames", display, _stored(expectation.mastering))
    elif expectation.codec == "prores":
        _codes("stream", said.stream.facts, expectation, report)
    if said.container.form:
        is_matroska = said.container.form == "matroska"
        _place("container", said.container.facts, expectation, report, has_siting=is_matroska)
        if expectation.codec == "hevc" and not is_matroska:
            report.expect("sample-entry", "container", said.container.sample_entry, "hvc1")
    _codes("decoder", said.decoder, expectation, report)


def _codes(place: str, facts: HdrFacts, expectation: Expectation, report: _Report) -> None:
    signal = expectation.signal
    transfer = PQ_CODE if signal.transfer is Transfer.PQ else None
    report.expect("primaries", place, facts.primaries, int(signal.primaries))
    report.expect("transfer", place, facts.transfer, transfer)
    report.expect("matrix", place, facts.matrix, int(signal.matrix))
    if facts.is_full_range is not None:
        report.expect("range", place, facts.is_full_range, signal.colour_range is ColourRange.FULL)


def _place(
    place: str, facts: HdrFacts, expectation: Expectation, report: _Report, *, has_siting: bool
) -> None:
    _codes(place, facts, expectation, report)
    if has_siting and expectation.signal.subsampling is Subsampling.YUV420:
        report.expect("siting", place, facts.siting, expectation.signal.siting.value)
    report.expect("max-cll", place, facts.max_cll, expectation.max_cll)
    report.expect("max-fall", place, facts.max_fall, expectation.max_fall)
    promised = _stored(expectation.mastering)
    if facts.mastering is None or not facts.mastering.is_close_to(promised):
        report.add("mastering", place, facts.mastering or "none", promised)


def _stored(display: MasteringDisplay) -> StoredMastering:
    return StoredMastering(
        display.red,
        display.green,
        display.blue,
        display.white,
        display.max_luminance_cd_m2,
        display.min_luminance_cd_m2,
    )


def _frames(
    said: Signalling, content: FileContent, expectation: Expectation, report: _Report
) -> None:
    found = content.streams[content.video_index].packets
    report.expect("frame-count", "file", found, expectation.frame_count)
    times = expectation.frame_times
    if times is None:
        return
    allowed = MATROSKA_ROUNDING if said.container.form == "matroska" else Fraction(0)
    if len(times) != len(content.video_times):
        report.add("timestamps", "file", f"{len(content.video_times)} times", len(times))
        return
    wrong = [
        (number, here, there)
        for number, (here, there) in enumerate(zip(content.video_times, times, strict=True))
        if abs(here - there) > allowed
    ]
    if wrong:
        first = "; ".join(
            f"frame {number} at {float(here):.6f} s instead of {float(there):.6f} s"
            for number, here, there in wrong[:FIRST_TIMES]
        )
        tolerance = "exact times" if not allowed else "times within 0.5 ms"
        report.add("timestamps", "file", f"{len(wrong)} wrong: {first}", tolerance)


def _streams(
    said: Signalling, content: FileContent, expectation: Expectation, report: _Report
) -> None:
    if expectation.chapters is not None:
        report.expect("chapters", "file", content.chapters, expectation.chapters)
    if expectation.streams is None:
        return
    left = [stream for stream in content.streams if stream.index != content.video_index]
    for wanted in expectation.streams:
        alike = [each for each in left if _is_same(each, wanted)]
        alike.sort(key=lambda each: _language(each.language) != _language(wanted.language))
        match = next(iter(alike), None)
        if match is None:
            others = ", ".join(_named(each.kind, each.codec, each.language) for each in left)
            expected = _named(wanted.kind, wanted.codec, wanted.language)
            report.add("stream", "file", others or "no other stream", expected)
            continue
        left.remove(match)
        _packets(match, wanted, report)
        if wanted.kind != "attachment":
            # MOV knows only some languages, and one name of each.
            report.expect(
                "language",
                f"stream {match.index}",
                _language(match.language),
                _language(wanted.language),
                "error" if said.container.form == "matroska" else "warning",
            )


def _packets(found: FoundStream, wanted: ExpectedStream, report: _Report) -> None:
    """Compare the numbers of packets, as far as a container keeps them.

    MP4 and MOV cut PCM anew into packets, and fill the gaps between `mov_text` cues with empty
    ones.
    """
    if wanted.packets is None or wanted.kind in KINDS_WITHOUT_COUNT:
        return
    place = f"stream {found.index}"
    if wanted.codec.startswith("pcm_"):
        if wanted.packets and not found.packets:
            report.add("packets", place, "none", "sound")
    elif wanted.codec == "mov_text":
        if found.packets < wanted.packets:
            report.add("packets", place, found.packets, f"at least {wanted.packets}")
    else:
        report.expect("packets", place, found.packets, wanted.packets)


def _is_same(found: FoundStream, wanted: ExpectedStream) -> bool:
    if found.kind != wanted.kind:
        return False
    if found.kind == "attachment":
        return True
    return name_when_read_back(found.codec) == name_when_read_back(wanted.codec)


def _language(tag: str | None) -> str:
    return tag or "und"


def _named(kind: str, codec: str, language: str | None) -> str:
    return f"{kind} {codec} ({_language(language)})"


def _decoded_levels(path: Path, expectation: Expectation, report: _Report) -> None:
    meter = LightMeter()
    for batch in sample_frames(path):
        meter.add(measure_inside_bars(batch, expectation.active_picture))
    if not meter.frames:
        report.add("decodable", "picture", "no frame", "frames that can be decoded")
        return
    levels = meter.levels()
    for name, exact, robust, stored in (
        ("MaxCLL", levels.max_cll, levels.robust_max_cll, expectation.max_cll),
        ("MaxFALL", levels.max_fall, levels.robust_max_fall, expectation.max_fall),
    ):
        allowed = max(LEVEL_TOLERANCE * stored, LEVEL_TOLERANCE_CD_M2)
        # A few samples ring in every lossy file: those beside a bright edge.
        if robust > stored + allowed:
            found = f"{name} of {meter.frames} decoded frames is {exact} cd/m2 (robust {robust})"
            expected = f"at most {stored} + {allowed:.3g} cd/m2"
            report.add("decoded-levels", "picture", found, expected, "warning")
