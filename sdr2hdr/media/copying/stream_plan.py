"""Decide, before any work, what becomes of each stream of the source in the target container."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from math import ceil
from pathlib import Path
from typing import Literal

from av.container import InputContainer
from av.packet import Packet
from av.stream import Discard, Stream

from sdr2hdr.errors import Notice, OutputError
from sdr2hdr.media.containers.channel_layout import order_left_unsaid
from sdr2hdr.media.containers.container_trial import (
    codec_name,
    data_kind,
    is_cover_art,
    refusal,
    sample_packets,
)
from sdr2hdr.media.copying.linear_pcm import plain_pcm
from sdr2hdr.media.copying.metadata import tags_without_a_place
from sdr2hdr.media.copying.plan_words import CONTAINER_NAMES, refusal_text, way_out
from sdr2hdr.media.copying.subtitles import (
    ConvertedCue,
    mov_text_is_empty,
    mov_text_to_subrip,
    subrip_to_mov_text,
)
from sdr2hdr.media.copying.timecode import advance_timecode
from sdr2hdr.media.encoding.encoder_opening import require_encoder
from sdr2hdr.media.encoding.encoders import choose_encoder
from sdr2hdr.media.opening import demuxed, open_input
from sdr2hdr.media.reading.later_streams import stream_under_way
from sdr2hdr.media.source import SourceInfo, StreamInfo
from sdr2hdr.options import EncodeOptions, TimeRange

__all__ = ["CONTAINERS", "PlannedStream", "StreamAction", "StreamPlan", "plan_streams"]

CONTAINERS: Mapping[str, str] = {
    ".mkv": "matroska",
    ".mp4": "mp4",
    ".m4v": "mp4",
    ".mov": "mov",
}
"""libavformat's muxer by the extension of the target."""

StreamAction = Literal[
    "convert",
    "copy",
    "convert-subtitle",
    "convert-audio",
    "attach",
    "timecode-to-tag",
    "chapters",
    "drop",
]
"""What becomes of a stream: "attach" makes cover art an attachment, as Matroska wants it."""

_SUBTITLE_CONVERSIONS: Mapping[tuple[str, str], str] = {
    ("mov_text", "matroska"): "subrip",
    ("subrip", "mp4"): "mov_text",
    ("subrip", "mov"): "mov_text",
    ("text", "mp4"): "mov_text",
    ("text", "mov"): "mov_text",
}


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
            "attach": "copied as an attachment",
            "timecode-to-tag": "kept as a timecode tag",
            "chapters": "kept as chapters",
            "drop": "dropped",
        }[self.action]
        head = f"#{self.source.index} {self.source.summary or self.source.codec}: {what}"
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


@dataclass(frozen=True)
class _Decision:
    action: StreamAction
    codec: str = ""
    reason: str = ""
    problem: str = ""
    """Something that must not be lost would be: refused unless the user agrees."""


def plan_streams(
    info: SourceInfo, target: Path, options: EncodeOptions, time_range: TimeRange
) -> StreamPlan:
    """Ask the target's muxer about every stream of the source.

    Args:
        info: Of the probed source.
        target: The output as the user named it; its extension chooses the container.
        options: How to encode; `drop_unsupported` turns refusals into warnings.
        time_range: The part of the source that is converted.

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
    planned: list[PlannedStream] = []
    problems: list[str] = []
    with open_input(info.path) as source:
        streams = {stream.index: stream for stream in source.streams}
        candidates = [
            streams[entry.index]
            for entry in info.streams
            if entry.index in streams and entry.index != info.video.index
        ]
        for stream in source.streams:
            if stream not in candidates:
                stream.discard = Discard.all
        samples = sample_packets(source, candidates)
        has_chapters = bool(source.chapters())
        timecode = _timecode(source)
        decide = partial(_decide, info.path, samples, has_chapters, timecode)
        for entry in info.streams:
            if entry.index == info.video.index:
                planned.append(PlannedStream(entry, "convert", encoder.codec, ""))
                continue
            decision = decide(streams.get(entry.index), container_format)
            priming = Fraction(0)
            if decision.action == "copy" and time_range.start_seconds is None:
                priming = _priming(samples[entry.index], info.start_seconds)
            planned.append(
                PlannedStream(entry, decision.action, decision.codec, decision.reason, priming)
            )
            if decision.problem:
                problems.append(
                    f"#{entry.index} {entry.summary or entry.codec}: {decision.problem}"
                )
        others = [
            suffix
            for suffix, other in CONTAINERS.items()
            if problems
            and other != container_format
            and not any(decide(stream, other).problem for stream in candidates)
        ]
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
    unplaced = () if container_format == "matroska" else tags_without_a_place(info.metadata)
    keeps_cover = any(item.action == "copy" and item.source.is_cover_art for item in planned)
    notices = _notices(planned, lossy)
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
        timecode=_timecode_at(timecode, info, time_range),
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


def _decide(
    path: Path,
    samples: Mapping[int, list[Packet]],
    has_chapters: bool,
    timecode: str | None,
    stream: Stream | None,
    container_format: str,
) -> _Decision:
    if stream is None:
        return _Decision("drop", reason="the stream appears only later in the file")
    codec, packets = codec_name(stream), samples[stream.index]
    if is_cover_art(stream):
        return _decide_cover_art(stream, packets, container_format)
    if stream.type == "video":
        return _Decision("drop", reason="only one video stream is converted")
    kind = data_kind(path, stream)
    if stream.type == "data":
        # Sony's camera data ("rtmd") have a timecode among much else.
        is_timecode = "timecode" in stream.metadata and kind in ("", "tmcd")
        if is_timecode and timecode is not None:
            return _Decision("timecode-to-tag")
        if has_chapters and stream.discard == Discard.all and codec in ("bin_data", "unknown"):
            return _Decision("chapters")
    conversion = _SUBTITLE_CONVERSIONS.get((codec, container_format))
    if stream.type == "subtitle" and conversion is not None:
        return _Decision("convert-subtitle", conversion)
    with stream_under_way(path, stream) as known:
        reason = refusal(known, packets, container_format)
        unsaid = order_left_unsaid(known, container_format)
    if reason is None:
        return _Decision("copy", codec, unsaid)
    plain = plain_pcm(stream)
    if plain is not None:
        return _Decision("convert-audio", plain, unsaid)
    reason = refusal_text(CONTAINER_NAMES[container_format], kind or codec, stream.type, reason)
    if stream.type in ("audio", "subtitle", "attachment"):
        return _Decision("drop", reason=reason, problem=reason)
    return _Decision("drop", reason=reason)


def _decide_cover_art(stream: Stream, packets: list[Packet], container_format: str) -> _Decision:
    codec = codec_name(stream)
    if container_format == "matroska":
        return _Decision("attach", codec)
    reason = refusal(stream, packets, container_format) if packets else "it holds no picture"
    if reason is None:
        return _Decision("copy", codec)
    return _Decision(
        "drop", reason=f"{CONTAINER_NAMES[container_format]} holds no cover art ({reason})"
    )


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
            problems.append(f"#{item.source.index} {item.source.summary}: {reason}")
            result.append(replace(item, reason=reason))
        else:
            result.append(item)
    return result, problems


def converted_cue(data: bytes, container_format: str) -> ConvertedCue | None:
    """A text subtitle in the form of the target; None where it shows nothing.

    Args:
        data: A SubRip cue for MP4 and MOV, a `mov_text` sample for Matroska.
        container_format: Of the target.
    """
    if container_format == "matroska":
        return None if mov_text_is_empty(data) else mov_text_to_subrip(data)
    return subrip_to_mov_text(data)


def _notices(planned: list[PlannedStream], lossy: list[str]) -> list[Notice]:
    # That only one video stream is converted is said when it is chosen.
    notices = [
        Notice("warning", f"Stream {item.line}.")
        for item in planned
        if (item.action == "drop" and (item.source.kind != "video" or item.source.is_cover_art))
        or (item.action in ("copy", "convert-audio") and item.reason)
    ]
    notices += [Notice("warning", f"Stream {problem}.") for problem in lossy]
    return notices


def _priming(packets: list[Packet], start_seconds: Fraction) -> Fraction:
    """How long before 0 the first of a stream's packets starts."""
    times = [packet.pts * packet.time_base for packet in packets if packet.pts is not None]
    return max(Fraction(0), start_seconds - min(times)) if times else Fraction(0)


def _seconds(value: float | None) -> Fraction:
    """Seconds as the user wrote them: 0.1 is a tenth, not its nearest binary fraction."""
    return Fraction(0) if value is None else Fraction(repr(value))


def _timecode(source: InputContainer) -> str | None:
    """The source's start timecode: of a timecode track, of the video, or of the file."""
    tags = [stream.metadata for stream in source.streams if stream.type == "data"]
    tags += [stream.metadata for stream in source.streams if stream.type == "video"]
    tags.append(source.metadata)
    for metadata in tags:
        for key, value in metadata.items():
            if key.lower() == "timecode":
                return value
    return None


def _timecode_at(timecode: str | None, info: SourceInfo, time_range: TimeRange) -> str | None:
    """The timecode of the first frame that starts in the range."""
    rate = info.video.average_rate
    if timecode is None or rate is None or not time_range.start_seconds:
        return timecode
    return advance_timecode(timecode, ceil(_seconds(time_range.start_seconds) * rate), rate)
