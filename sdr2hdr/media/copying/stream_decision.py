"""Decide what becomes of one stream in a container: its muxer is asked with some packets of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from av.packet import Packet
from av.stream import Discard, Stream

from sdr2hdr.media.containers.channel_layout import order_left_unsaid
from sdr2hdr.media.containers.container_trial import (
    codec_name,
    data_kind,
    is_attached_picture,
    refusal,
)
from sdr2hdr.media.copying.latm_sound import AAC_CODEC, LATM_CODEC, open_as_adts
from sdr2hdr.media.copying.linear_pcm import plain_pcm
from sdr2hdr.media.copying.plan_words import CONTAINER_NAMES, refusal_text
from sdr2hdr.media.reading.later_streams import stream_under_way

__all__ = ["COPIED_ACTIONS", "TRACK_ACTIONS", "Decision", "StreamAction", "StreamFacts"]

StreamAction = Literal[
    "convert",
    "copy",
    "convert-subtitle",
    "convert-audio",
    "unwrap-audio",
    "attach",
    "timecode-to-tag",
    "chapters",
    "drop",
]
"""What becomes of a stream: "unwrap-audio" copies AAC without the LATM around it, "attach" makes
cover art an attachment, as Matroska wants it."""

COPIED_ACTIONS = frozenset({"copy", "convert-audio", "unwrap-audio", "convert-subtitle", "attach"})
"""Those that leave a stream of the target beside the video."""

TRACK_ACTIONS = COPIED_ACTIONS - {"attach"} | {"convert"}
"""Those that leave a track of it, if the stream is no attachment."""

_SUBTITLE_CONVERSIONS: Mapping[tuple[str, str], str] = {
    ("mov_text", "matroska"): "subrip",
    ("subrip", "mp4"): "mov_text",
    ("subrip", "mov"): "mov_text",
    ("text", "mp4"): "mov_text",
    ("text", "mov"): "mov_text",
}


@dataclass(frozen=True)
class Decision:
    """What becomes of a stream.

    Attributes:
        codec: Of the stream in the target, "" where it has none there.
        reason: Why it is not simply copied, or what is lost with it; "" without either.
        problem: What would be lost of it that must not be: refused unless the user agrees.
    """

    action: StreamAction
    codec: str = ""
    reason: str = ""
    problem: str = ""


@dataclass(frozen=True)
class StreamFacts:
    """What the streams of an open source are judged by, besides themselves.

    Attributes:
        path: Of the source.
        samples: The first packets of each stream, by its index.
        has_chapters: Whether it has chapters; a track of their titles says nothing more then.
        timecode: As `start_timecode` gives it.
    """

    path: Path
    samples: Mapping[int, list[Packet]]
    has_chapters: bool
    timecode: str | None

    def decide(self, stream: Stream | None, container_format: str) -> Decision:
        """Ask a container's muxer about a stream.

        Args:
            stream: Of the source, not the video that is converted; None if the open source does
                not have it.
            container_format: libavformat's name of the muxer.
        """
        if stream is None:
            return Decision("drop", reason="the stream appears only later in the file")
        codec, packets = codec_name(stream), self.samples[stream.index]
        if is_attached_picture(stream):
            return _of_cover_art(stream, packets, container_format)
        if stream.type == "video":
            return Decision("drop", reason="only one video stream is converted")
        kind = data_kind(self.path, stream)
        if stream.type == "data":
            # Sony's camera data ("rtmd") have a timecode among much else.
            is_timecode = "timecode" in stream.metadata and kind in ("", "tmcd")
            if is_timecode and self.timecode is not None:
                return Decision("timecode-to-tag")
            if (
                self.has_chapters
                and stream.discard == Discard.all
                and codec in ("bin_data", "unknown")
            ):
                return Decision("chapters")
        conversion = _SUBTITLE_CONVERSIONS.get((codec, container_format))
        if stream.type == "subtitle" and conversion is not None:
            return Decision("convert-subtitle", conversion)
        if codec == LATM_CODEC:
            with open_as_adts(self.path, stream) as aac:
                if aac is not None and refusal(*aac, container_format) is None:
                    return Decision("unwrap-audio", AAC_CODEC)
        with stream_under_way(self.path, stream) as known:
            reason = refusal(known, packets, container_format)
            unsaid = order_left_unsaid(known, container_format)
        if reason is None:
            return Decision("copy", codec, unsaid)
        plain = plain_pcm(stream, container_format)
        if plain is not None:
            return Decision("convert-audio", plain, unsaid)
        reason = refusal_text(CONTAINER_NAMES[container_format], kind or codec, stream.type, reason)
        if stream.type in ("audio", "subtitle", "attachment"):
            return Decision("drop", reason=reason, problem=reason)
        return Decision("drop", reason=reason)


def _of_cover_art(stream: Stream, packets: list[Packet], container_format: str) -> Decision:
    codec = codec_name(stream)
    if container_format == "matroska":
        return Decision("attach", codec)
    reason = refusal(stream, packets, container_format) if packets else "it holds no picture"
    if reason is None:
        return Decision("copy", codec)
    return Decision(
        "drop", reason=f"{CONTAINER_NAMES[container_format]} holds no cover art ({reason})"
    )
