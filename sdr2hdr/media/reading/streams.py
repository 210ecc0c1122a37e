"""Describe the streams of a file, and choose the one that is converted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, cast, get_args

from av.stream import Disposition

from sdr2hdr.errors import InputError, Notice, UsageError
from sdr2hdr.media.containers.channel_layout import layout_name
from sdr2hdr.media.source import StreamInfo, StreamKind

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container import InputContainer
    from av.stream import Stream
    from av.video.stream import VideoStream

__all__ = [
    "TITLE_READ_FROM_MP4",
    "choose_video",
    "describe_streams",
    "has_form",
    "is_cover_art",
    "real_videos",
    "stream_summary",
]

TITLE_READ_FROM_MP4 = "name"
"""libavformat writes a track's title into the box of this name, and so calls it when it reads."""


def describe_streams(container: InputContainer) -> tuple[StreamInfo, ...]:
    """What `info` shows of every stream, in the file's order."""
    return tuple(_described(stream) for stream in container.streams)


def _described(stream: Stream) -> StreamInfo:
    kinds = get_args(StreamKind)
    kind = cast("StreamKind", stream.type if stream.type in kinds else "unknown")
    codec = _codec_name(stream)
    dispositions = tuple(flag.name for flag in Disposition if flag in stream.disposition)
    return StreamInfo(
        index=stream.index,
        kind=kind,
        codec=codec,
        language=stream.metadata.get("language"),
        title=stream.metadata.get("title") or stream.metadata.get(TITLE_READ_FROM_MP4),
        dispositions=tuple(name for name in dispositions if name),
        is_cover_art=is_cover_art(stream),
        summary=stream_summary(stream),
    )


def is_cover_art(stream: Stream) -> bool:
    """Whether a stream is a still picture that goes with the file."""
    stills = Disposition.attached_pic | Disposition.timed_thumbnails
    return stream.type == "video" and bool(stream.disposition & stills)


def _codec_name(stream: Stream) -> str:
    if stream.codec_context is not None:
        # The codec's own name: a decoder may be called otherwise ("libdav1d").
        return stream.codec_context.codec.canonical_name
    name = getattr(stream, "name", None)
    return str(name) if name else "unknown"


def has_form(stream: Stream) -> bool:
    """Whether a stream is picture, sound or subtitle of which more than its codec is known.

    It is not of one that begins behind what libavformat looks at when it opens a file.
    """
    if stream.type == "video":
        return bool(stream.codec_context and cast("VideoStream", stream).width)
    if stream.type == "audio":
        return bool(stream.codec_context and cast("AudioStream", stream).sample_rate)
    return stream.type == "subtitle"


def stream_summary(stream: Stream) -> str:
    """What a stream holds, in a few words: codec, and size and rate or sampling."""
    kind, codec = stream.type, _codec_name(stream)
    if stream.codec_context is None:
        return f"{kind}, {codec}" if kind != "attachment" else f"attachment, {codec}"
    if kind == "video":
        video = cast("VideoStream", stream)
        rate = video.average_rate
        words = [codec, f"{video.codec_context.width}x{video.codec_context.height}"]
        if video.codec_context.pix_fmt:
            words.append(video.codec_context.pix_fmt)
        if rate:
            words.append(f"{float(rate):.6g} fps")
        return ", ".join(words)
    if kind == "audio" and has_form(stream):
        audio = cast("AudioStream", stream)
        return f"{codec}, {audio.sample_rate} Hz, {layout_name(audio.codec_context)}"
    return codec


def real_videos(container: InputContainer) -> list[VideoStream]:
    """Video streams that are not cover art, in the file's order."""
    return [stream for stream in container.streams.video if not is_cover_art(stream)]


def choose_video(
    container: InputContainer, wanted: int | None, name: str
) -> tuple[VideoStream, int, tuple[Notice, ...]]:
    """The video stream to convert, its ordinal, and what is said about the others.

    Without a wish it is the only default stream of a full length, else the one with most frames'
    worth of pixels: a file may carry a few large stills beside its film.

    Raises:
        InputError: The file has no video stream.
        UsageError: It has fewer than `wanted` asks for.
    """
    videos = real_videos(container)
    if not videos:
        raise InputError(_no_video(container, name))
    if wanted is None:
        ordinal = _best(videos)
    elif wanted < len(videos):
        ordinal = wanted
    else:
        count = "1 video stream" if len(videos) == 1 else f"{len(videos)} video streams"
        raise UsageError(
            f"--video-stream {wanted} is out of range: {name} has {count}, counted from 0."
        )
    dropped = [index for index in range(len(videos)) if index != ordinal]
    return videos[ordinal], ordinal, tuple(_drop_notice(videos, dropped, ordinal))


def _best(videos: Sequence[VideoStream]) -> int:
    longest = max(video.frames for video in videos)
    # Stills and previews next to a film hold but a fraction of its frames.
    whole = [
        index
        for index, video in enumerate(videos)
        if video.codec_context is not None and (video.frames == 0 or 4 * video.frames >= longest)
    ] or list(range(len(videos)))
    defaults = [index for index in whole if Disposition.default in videos[index].disposition]
    candidates = defaults or whole
    return max(candidates, key=lambda index: (_area(videos[index]), -index))


def _area(video: VideoStream) -> int:
    context = video.codec_context
    return context.width * context.height if context is not None else 0


def _drop_notice(videos: Sequence[VideoStream], dropped: list[int], taken: int) -> list[Notice]:
    if not dropped:
        return []
    named = "; ".join(f"{index} ({stream_summary(videos[index])})" for index in dropped)
    word = "stream" if len(dropped) == 1 else "streams"
    return [
        Notice(
            "warning",
            f"Video stream {taken} is converted; video {word} {named} dropped. "
            "--video-stream chooses another.",
        )
    ]


def _no_video(container: InputContainer, name: str) -> str:
    kinds = sorted({stream.type for stream in container.streams if not is_cover_art(stream)})
    art = " and cover art" if container.streams.video else ""
    if not kinds:
        found = "only cover art" if art else "no streams"
    else:
        found = f"only {' and '.join(kinds)}{art}"
    return f"{name} holds {found}; expected a video stream."
