"""Decide, before any work, what becomes of each stream of the source in the target container."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from math import ceil
from pathlib import Path

from av.container import InputContainer
from av.packet import Packet
from av.stream import Discard, Stream

from sdr2hdr.errors import Notice, OutputError
from sdr2hdr.media.containers.container_trial import sample_packets
from sdr2hdr.media.containers.format_names import is_matroska
from sdr2hdr.media.containers.matroska_chapters import unread_chapters
from sdr2hdr.media.containers.matroska_languages import full_languages
from sdr2hdr.media.copying.dispositions import dispositions_without_a_place
from sdr2hdr.media.copying.metadata import tags_without_a_place
from sdr2hdr.media.copying.plan_words import CONTAINER_NAMES, way_out
from sdr2hdr.media.copying.stream_decision import StreamAction, StreamFacts
from sdr2hdr.media.copying.subtitles import converted_cue
from sdr2hdr.media.copying.timecode import advance_timecode, counted_faster, start_timecode
from sdr2hdr.media.encoding.encoder_opening import require_encoder
from sdr2hdr.media.encoding.encoders import choose_encoder
from sdr2hdr.media.opening import demuxed, open_input
from sdr2hdr.media.source import SourceInfo, StreamInfo
from sdr2hdr.options import EncodeOptions, TimeRange
from sdr2hdr.wording import how_many

__all__ = ["CONTAINERS", "PlannedStream", "StreamPlan", "plan_streams"]

CONTAINERS: Mapping[str, str] = {
    ".mkv": "matroska",
    ".mp4": "mp4",
    ".m4v": "mp4",
    ".mov": "mov",
}
"""libavformat's muxer by the extension of the target."""


@dataclass(frozen=True)
class PlannedStream:
    """One stream of the source.

    Attributes:
        codec: Of the stream in the target, "" where it has none there.
        reason: Why it is not simply copied, or what is lost with it; "" without either.
        priming_seconds: How long before 0 on the output's clock a copied stream begins: samples
            that its decoder needs and nobody is to hear.
    """

    source: StreamInfo
    action: StreamAction
    codec: str
    reason: str
    priming_seconds: Fraction = Fraction(0)

    @property
    def line(self) -> str:
        """What happens, for a person."""
        what = {
            "convert": "converted to HDR10",
            "copy": "copied",
            "convert-subtitle": f"converted to {self.codec}",
            "convert-audio": f"converted to {self.codec}",
            "unwrap-audio": f"copied as {self.codec}",
            "attach": "copied as an attachment",
            "timecode-to-tag": "kept as a timecode tag",
            "chapters": "kept as chapters",
            "drop": "dropped",
        }[self.action]
        head = f"{self.source.label}: {what}"
        return f"{head} ({self.reason})" if self.reason else head


@dataclass(frozen=True)
class StreamPlan:
    """What becomes of the streams of a source in a target.

    Attributes:
        container_format: libavformat's name of the muxer.
        streams: Every stream of the source, in its order.
        notices: What the user should know of it.
        shift_seconds: What is taken off every timestamp of the source.
        start_seconds: Packets of copied streams before this time of the output are left out;
            None keeps what comes before 0, such as the priming of an audio codec.
        end_seconds: Packets from this time of the output on are left out.
        timecode: Of the first frame of the output, None if the source has none.
        free_tags: Whether an MP4 or MOV writes tags by key and value (`mdta`), because some have
            no place in iTunes' list.
    """

    target: Path
    container_format: str
    streams: tuple[PlannedStream, ...]
    notices: tuple[Notice, ...]
    shift_seconds: Fraction
    start_seconds: Fraction | None
    end_seconds: Fraction | None
    timecode: str | None
    free_tags: bool = False

    @property
    def lines(self) -> tuple[str, ...]:
        """One line a stream, for `--dry-run`."""
        return tuple(stream.line for stream in self.streams)


def plan_streams(
    info: SourceInfo,
    target: Path,
    options: EncodeOptions,
    time_range: TimeRange,
    *,
    rate_factor: int = 1,
) -> StreamPlan:
    """Ask the target's muxer about every stream of the source.

    Args:
        info: Of the probed source.
        target: The output as the user named it; its extension chooses the container.
        options: How to encode; `drop_unsupported` turns refusals into warnings.
        time_range: The part of the source that is converted.
        rate_factor: Frames of the output for each of the source; 2 where fields become frames.

    Raises:
        UsageError: There is no such encoder, or it has no such quality or preset.
        OutputError: The extension is unknown, the container cannot hold what the encoder makes,
            the encoder is not here, or audio, subtitles or attachments would be lost; every such
            stream is named in the one message.
        InputError: The source cannot be opened again.
    """
    container_format = _container_format(target)
    encoder = choose_encoder(options, target)
    require_encoder(encoder)
    with open_input(info.path) as source:
        streams = _other_streams(source, info)
        facts = StreamFacts(
            info.path,
            sample_packets(source, list(streams.values())),
            bool(source.chapters()),
            start_timecode(source),
        )
        planned, problems = [], []
        for entry in info.streams:
            if entry.index == info.video.index:
                planned.append(PlannedStream(entry, "convert", encoder.codec, ""))
                continue
            decision = facts.decide(streams.get(entry.index), container_format)
            priming = Fraction(0)
            if decision.action in ("copy", "unwrap-audio") and time_range.start_seconds is None:
                priming = _priming(facts.samples[entry.index], info.start_seconds)
            planned.append(
                PlannedStream(entry, decision.action, decision.codec, decision.reason, priming)
            )
            if decision.problem:
                problems.append(f"{entry.label}: {decision.problem}")
        others = _holding_all(facts, streams.values(), container_format) if problems else []
        chapters = _chapter_notices(info.path, source)
        full = {} if container_format == "matroska" else full_languages(info.path, source)
    planned, lossy = _without_lossy_subtitles(info, planned, container_format)
    if lossy and not problems:
        others = [".mov" if container_format == "matroska" else ".mkv"]
    problems += lossy
    if problems and not options.drop_unsupported:
        raise OutputError(
            f"{target.suffix} cannot hold everything in {info.path.name}: "
            + "; ".join(problems)
            + f". {way_out(others)}, or pass --drop-unsupported."
        )
    unplaced = (
        ()
        if container_format == "matroska"
        else tags_without_a_place(info.metadata, container_format)
    )
    keeps_cover = any(item.action == "copy" and item.source.is_cover_art for item in planned)
    notices = [
        *_notices(planned, lossy, container_format),
        *_language_notices(planned, full, container_format),
        *chapters,
    ]
    if unplaced and keeps_cover:
        notices.append(
            Notice(
                "warning",
                f"{CONTAINER_NAMES[container_format]} holds either cover art or the tags "
                f"{', '.join(unplaced)}: the tags are dropped.",
            )
        )
    return StreamPlan(
        target=target,
        container_format=container_format,
        streams=tuple(planned),
        notices=tuple(notices),
        shift_seconds=info.start_seconds + _seconds(time_range.start_seconds),
        start_seconds=None if time_range.start_seconds is None else Fraction(0),
        end_seconds=(
            None
            if time_range.end_seconds is None
            else _seconds(time_range.end_seconds) - _seconds(time_range.start_seconds)
        ),
        timecode=_timecode_at(facts.timecode, info, time_range, rate_factor),
        free_tags=bool(unplaced) and not keeps_cover,
    )


def _container_format(target: Path) -> str:
    suffix = target.suffix.lower()
    if suffix == ".webm":
        raise OutputError(
            "WebM cannot hold HEVC, and HDR10 is written into it in no other codec; name the "
            "output .mkv, .mp4 or .mov."
        )
    if suffix not in CONTAINERS:
        raise OutputError(
            f"The output's extension is {suffix or 'missing'}; expected one of "
            f"{', '.join(CONTAINERS)}, which chooses the container."
        )
    return CONTAINERS[suffix]


def _other_streams(source: InputContainer, info: SourceInfo) -> dict[int, Stream]:
    """The streams besides the video, by index; none of the rest is read."""
    known = {entry.index for entry in info.streams if entry.index != info.video.index}
    others = {stream.index: stream for stream in source.streams if stream.index in known}
    for stream in source.streams:
        if stream.index not in others:
            stream.discard = Discard.all
    return others


def _holding_all(
    facts: StreamFacts, streams: Collection[Stream], container_format: str
) -> list[str]:
    """Suffixes of the containers that hold what one does not."""
    return [
        suffix
        for suffix, other in CONTAINERS.items()
        if other != container_format
        and not any(facts.decide(stream, other).problem for stream in streams)
    ]


def _without_lossy_subtitles(
    info: SourceInfo, planned: list[PlannedStream], container_format: str
) -> tuple[list[PlannedStream], list[str]]:
    """Read through the subtitles to be converted; say which would lose more than their form."""
    indexes = [item.source.index for item in planned if item.action == "convert-subtitle"]
    if not indexes:
        return planned, []
    lost: dict[int, set[str]] = {index: set() for index in indexes}
    with open_input(info.path) as source:
        for stream in source.streams:
            if stream.index not in lost:
                stream.discard = Discard.all
        for packet in demuxed(source, [source.streams[index] for index in indexes]):
            if packet.size:
                cue = converted_cue(bytes(packet), container_format)
                if cue is not None and cue.lost:
                    lost[packet.stream.index].add(cue.lost)
    problems: list[str] = []
    result: list[PlannedStream] = []
    for item in planned:
        gone = sorted(lost.get(item.source.index, ()))
        if gone:
            shown = ", ".join(gone[:3]) + (" and more" if len(gone) > 3 else "")
            reason = f"as {item.codec} it would lose formatting: {shown}"
            problems.append(f"{item.source.label}: {reason}")
            result.append(replace(item, reason=reason))
        else:
            result.append(item)
    return result, problems


def _notices(planned: list[PlannedStream], lossy: list[str], container_format: str) -> list[Notice]:
    # That only one video stream is converted is said when it is chosen.
    notices = [
        Notice("warning", f"Stream {item.line}.")
        for item in planned
        if (item.action == "drop" and (item.source.kind != "video" or item.source.is_cover_art))
        or (item.action in ("copy", "convert-audio") and item.reason)
    ]
    notices += [
        Notice("notice", f"Stream {item.line}.")
        for item in planned
        if item.action in ("convert-subtitle", "convert-audio", "unwrap-audio") and not item.reason
    ]
    notices += [Notice("warning", f"Stream {problem}.") for problem in lossy]
    for item in planned:
        unsaid = dispositions_without_a_place(item.source, container_format)
        if unsaid and item.action not in ("drop", "attach"):
            text = (
                f"Stream {item.source.label}: {CONTAINER_NAMES[container_format]} has no place for "
                f"what it is marked as ({', '.join(unsaid)}): that is dropped."
            )
            notices.append(Notice("warning", text))
    return notices


def _language_notices(
    planned: list[PlannedStream], full: Mapping[int, str], container_format: str
) -> list[Notice]:
    """Say which languages lose their region or script: the code of three letters has neither."""
    return [
        Notice(
            "warning",
            f"Stream {item.source.label}: {CONTAINER_NAMES[container_format]} is written with a "
            f"code of three letters for its language: of {full[item.source.index]!r} that is "
            f"{item.source.language or 'und'!r}.",
        )
        for item in planned
        if item.action not in ("drop", "attach") and "-" in full.get(item.source.index, "")
    ]


def _chapter_notices(path: Path, source: InputContainer) -> list[Notice]:
    """Say which chapters, and which of their names, are not copied."""
    if not source.chapters() or not is_matroska(source.format.name):
        return []
    inside, names = unread_chapters(path)
    lost = [f"{how_many(inside, 'chapter')} inside others"] * bool(inside)
    lost += [f"{how_many(names, 'further name')} of chapters"] * bool(names)
    text = f"Dropped, because libavformat does not read them: {' and '.join(lost)}."
    return [Notice("warning", text)] if lost else []


def _priming(packets: list[Packet], start_seconds: Fraction) -> Fraction:
    """How long before 0 the first of a stream's packets starts."""
    times = [packet.pts * packet.time_base for packet in packets if packet.pts is not None]
    return max(Fraction(0), start_seconds - min(times)) if times else Fraction(0)


def _seconds(value: float | None) -> Fraction:
    """Seconds as the user wrote them: 0.1 is a tenth, not its nearest binary fraction."""
    return Fraction(0) if value is None else Fraction(repr(value))


def _timecode_at(
    timecode: str | None, info: SourceInfo, time_range: TimeRange, rate_factor: int
) -> str | None:
    """The timecode of the first frame that starts in the range, counted at the output's rate."""
    if timecode is None or info.video.average_rate is None:
        return timecode
    rate = info.video.average_rate * rate_factor
    timecode = counted_faster(timecode, rate_factor)
    if not time_range.start_seconds:
        return timecode
    return advance_timecode(timecode, ceil(_seconds(time_range.start_seconds) * rate), rate)
