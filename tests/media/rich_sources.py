"""Small sources with everything that must survive, made with PyAV, and a way to convert them."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import torch
from whole_film import write_film

from sdr2hdr.frames import CodedBatch, FrameTime, Timeline
from sdr2hdr.media.copying.stream_plan import StreamPlan, plan_streams
from sdr2hdr.media.encoding.output_video import OutputVideo
from sdr2hdr.media.reading.probe import probe
from sdr2hdr.media.writing.written import WrittenSummary
from sdr2hdr.options import EncodeOptions, ReadOptions, TimeRange
from sdr2hdr.signal import HDR10_SIGNAL

FAST = EncodeOptions(quality=40, preset="ultrafast", threads=1)
SRT_CUES = ((300, 500, "Hello <i>world</i>"), (900, 400, "<b>two</b>\nlines"))
ASS_HEADER = (
    b"[Script Info]\nScriptType: v4.00+\n\n[V4+ Styles]\n"
    b"Format: Name, Fontname, Fontsize, PrimaryColour\nStyle: Default,Arial,16,&Hffffff\n\n"
    b"[Events]\nFormat: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text\n"
)
FONT = b"not a font, but these bytes must arrive" * 7
VFR_PTS = (0, 1001, 3003, 3603, 9009, 10010, 20020, 20621, 24024, 25025, 40040, 41041)


@dataclass(frozen=True)
class Source:
    """A source file: the container follows from the name it is given."""

    width_px: int = 64
    height_px: int = 48
    time_base: Fraction = Fraction(1, 30000)
    pts: Sequence[int] = tuple(1001 * n for n in range(48))
    audio: tuple[str, ...] = ("aac",)
    audio_seconds: float = 1.6
    audio_block: int = 1024
    audio_layout: str = "stereo"
    audio_delay_seconds: Fraction = Fraction(0)
    subtitle: str | None = None
    cues: Sequence[tuple[int, int, str]] = SRT_CUES
    chapters: bool = False
    second_chapter_seconds: Fraction = Fraction(7, 10)
    """Where it begins; it lasts for 0.9 s."""
    attachments: bool = False
    cover: bool = False
    second_video: bool = False
    tags: dict[str, str] = field(default_factory=dict)
    video_tags: dict[str, str] = field(default_factory=dict)
    bframes: int = 2
    sample_aspect_ratio: Fraction = Fraction(1)


def make_source(path: Path, source: Source) -> Path:
    """Write a source file."""
    muxer = {} if path.suffix == ".mkv" else {"video_track_timescale": "30000"}
    with av.open(str(path), "w", container_options=muxer) as out:
        out.metadata.update(source.tags)
        videos = [_add_video(out, source) for _ in range(2 if source.second_video else 1)]
        videos[0].metadata.update(source.video_tags)
        sounds = []
        for number, codec in enumerate(source.audio):
            sound = out.add_stream(codec, rate=48000, layout=source.audio_layout)
            sound.metadata.update(language=("fre", "ger")[number % 2], title=f"Sound {number}")
            if number:
                sound.disposition = av.stream.Disposition.comment
            sounds.append(sound)
        subtitle = None if source.subtitle is None else _add_subtitle(out, source.subtitle)
        if source.attachments:
            out.add_attachment("some.ttf", "application/x-truetype-font", FONT)
        if source.cover and path.suffix == ".mkv":
            out.add_attachment("cover.jpg", "image/jpeg", jpeg())
        cover = None
        if source.cover and path.suffix != ".mkv":
            cover = out.add_stream("mjpeg", width=16, height=16, pix_fmt="yuvj420p")
            cover.disposition = av.stream.Disposition.attached_pic
        if source.chapters:
            millisecond = Fraction(1, 1000)
            second = int(source.second_chapter_seconds * 1000)
            out.set_chapters(
                [
                    _chapter(1, 0, second, "First", millisecond),
                    _chapter(2, second, second + 900, "Second", millisecond),
                ]
            )
        if cover is not None:
            _mux(out, cover, jpeg(), Fraction(0), Fraction(1, 25))
        for number, sound in enumerate(sounds):
            _mux_tone(out, sound, source, 440 + 220 * number)
        for video in videos:
            _mux_gradient(out, video, source)
        if subtitle is not None:
            for start, duration, text in source.cues:
                data = _subtitle_bytes(source.subtitle, text)
                _mux(out, subtitle, data, Fraction(start, 1000), Fraction(duration, 1000))
    return path


def _chapter(number: int, start: int, end: int, title: str, time_base: Fraction):
    times = {"start": start, "end": end, "time_base": time_base}
    return {"id": number, "metadata": {"title": title}, **times}


def _add_video(out, source: Source):
    video = out.add_stream("libx264", rate=Fraction(30000, 1001))
    video.width, video.height, video.pix_fmt = source.width_px, source.height_px, "yuv420p"
    context = video.codec_context
    context.time_base = source.time_base
    context.sample_aspect_ratio = source.sample_aspect_ratio
    context.color_primaries = context.color_trc = context.colorspace = context.color_range = 1
    context.options = {"preset": "ultrafast", "x264-params": f"bframes={source.bframes}"}
    return video


def _add_subtitle(out, codec: str):
    if codec in ("mov_text", "ass"):
        stream = out.add_stream(codec)
        stream.codec_context.subtitle_header = ASS_HEADER
    else:
        stream = out.add_mux_stream(codec)
    stream.time_base = Fraction(1, 1000)
    stream.metadata["language"] = "spa"
    stream.disposition = av.stream.Disposition.forced
    return stream


def _subtitle_bytes(codec: str | None, text: str) -> bytes:
    if codec == "mov_text":
        return struct.pack(">H", len(text.encode())) + text.encode()
    if codec == "ass":
        return b"0,0,Default,,0,0,0,," + text.encode()
    if codec in ("hdmv_pgs_subtitle", "dvd_subtitle"):
        return text.encode("latin-1")
    return text.encode()


def _mux(out, stream, data: bytes, start: Fraction, duration: Fraction) -> None:
    packet = av.Packet(data)
    packet.time_base = Fraction(1, 1000)
    packet.pts = packet.dts = round(start * 1000)
    packet.duration = round(duration * 1000)
    packet.is_keyframe = True
    packet.stream = stream
    out.mux_one(packet)


def _mux_tone(out, sound, source: Source, hertz: int) -> None:
    count = int(48000 * source.audio_seconds)
    wave = (0.25 * np.sin(np.arange(count) * hertz * 2 * np.pi / 48000)).astype(np.float32)
    formats = {"pcm_s16le": "s16", "flac": "s16"}
    sample_format = formats.get(sound.codec_context.name, "fltp")
    delay = round(source.audio_delay_seconds * 48000)
    for start in range(0, count, source.audio_block):
        block = wave[start : start + source.audio_block]
        data = np.stack([block] * av.AudioLayout(source.audio_layout).nb_channels)
        if sample_format == "s16":
            data = (data.T.reshape(1, -1) * 32767).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(data, format=sample_format, layout=source.audio_layout)
        frame.sample_rate, frame.pts, frame.time_base = 48000, start + delay, Fraction(1, 48000)
        out.mux(sound.encode(frame))
    out.mux(sound.encode(None))


def _mux_gradient(out, video, source: Source) -> None:
    for number, pts in enumerate(source.pts):
        frame = av.VideoFrame(source.width_px, source.height_px, "yuv420p")
        for index, plane in enumerate(frame.planes):
            plane.update(bytes([128 if index else 40 + number % 100]) * plane.buffer_size)
        frame.pts, frame.time_base = pts, source.time_base
        out.mux(video.encode(frame))
    out.mux(video.encode(None))


def jpeg() -> bytes:
    """A grey picture."""
    context = av.CodecContext.create("mjpeg", "w")
    context.width = context.height = 16
    context.pix_fmt, context.time_base = "yuvj420p", Fraction(1, 25)
    frame = av.VideoFrame(16, 16, "yuvj420p")
    for plane in frame.planes:
        plane.update(b"\x80" * plane.buffer_size)
    frame.pts = 0
    return b"".join(bytes(packet) for packet in context.encode(frame))


def convert_grey(
    source: Path,
    target: Path,
    options: EncodeOptions = FAST,
    time_range: TimeRange | None = None,
    **video: object,
) -> tuple[WrittenSummary, StreamPlan]:
    """Write grey HDR10 frames at the source's times, and everything else of the source."""
    time_range = time_range or TimeRange()
    info = probe(source, ReadOptions())
    plan = plan_streams(info, target, options, time_range)
    width, height = info.video.width_px, info.video.height_px
    size = (height + height % 2, width + width % 2)
    described = OutputVideo(
        width_px=size[1],
        height_px=size[0],
        time_base=info.video.time_base,
        average_rate=info.video.average_rate,
        sample_aspect_ratio=info.video.sample_aspect_ratio,
        **video,  # type: ignore[arg-type]
    )
    chroma = torch.full((1, size[0] // 2, size[1] // 2), 512, dtype=torch.uint16)

    def batches() -> Iterator[CodedBatch]:
        for number, time in enumerate(frame_times(source, info.video.index)):
            seconds = time.pts * info.video.time_base - plan.shift_seconds
            if plan.start_seconds is not None and seconds < plan.start_seconds:
                continue
            if plan.end_seconds is not None and seconds >= plan.end_seconds:
                break
            luma = torch.full((1, *size), 64 + 8 * (number % 100), dtype=torch.uint16)
            timeline = Timeline(info.video.time_base, (time,))
            yield CodedBatch(luma, chroma, chroma, HDR10_SIGNAL, timeline)

    return write_film(target, info, plan, options, described, batches()), plan


def frame_times(path: Path, index: int) -> list[FrameTime]:
    """The presentation times of a video stream, in its ticks."""
    with av.open(str(path)) as container:
        packets = [p for p in container.demux(container.streams[index]) if p.size]
        return sorted((FrameTime(p.pts, p.duration or 1) for p in packets), key=lambda t: t.pts)


def seconds_of(path: Path, kind: str = "video", number: int = 0) -> list[Fraction]:
    """When each packet of a stream is shown, in order."""
    return sorted(start for start, _, _ in packets_of(path, kind, number))


def packets_of(path: Path, kind: str, number: int = 0) -> list[tuple[Fraction, Fraction, bytes]]:
    """Start, duration and bytes of each packet of the nth stream of a kind."""
    with av.open(str(path)) as container:
        stream = [s for s in container.streams if s.type == kind][number]
        return [
            (p.pts * p.time_base, (p.duration or 0) * p.time_base, bytes(p))
            for p in container.demux(stream)
            if p.size
        ]


def find_box(data: bytes, *path: bytes) -> bytes:
    """The content of a box of an MP4, read independently of the package."""
    for name in path:
        skip = {b"stsd": 8, b"hvc1": 78, b"meta": 4}
        position = 0
        while True:
            assert position + 8 <= len(data), f"no {name!r}"
            size, found = struct.unpack_from(">I4s", data, position)
            if found == name:
                break
            if size == 1:
                (size,) = struct.unpack_from(">Q", data, position + 8)
            position += size
        data = data[position + 8 + (skip.get(name, 0) if name != path[-1] else 0) : position + size]
    return data
