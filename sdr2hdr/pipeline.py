"""The whole program in one place: a file is looked at, planned, and converted frame by frame."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sdr2hdr.colour import pad_to_even, super_white_share, to_coded, to_rgb
from sdr2hdr.colour.active_picture import crop, place_on_black
from sdr2hdr.delivery.target_file import check_target, publish, unfinished_file
from sdr2hdr.engine import Engine, load_engine
from sdr2hdr.errors import Notice
from sdr2hdr.frames import CodedBatch, Rectangle
from sdr2hdr.media.damage import Damage
from sdr2hdr.media.letterbox import detect_active_picture, is_black_outside
from sdr2hdr.media.probe import probe
from sdr2hdr.media.reader import VideoReader
from sdr2hdr.media.source import SourceInfo
from sdr2hdr.media.stream_plan import StreamPlan, plan_streams
from sdr2hdr.media.writer import OutputVideo, VideoWriter
from sdr2hdr.options import ConvertOptions, SuperWhite
from sdr2hdr.signal import HDR10_SIGNAL

__all__ = ["Conversion", "ConversionSummary", "Progress", "convert", "prepare"]

SUPER_WHITE_SHARE_WORTH_SAYING = 0.001
"""Below a thousandth of the samples, codes above nominal white are overshoot, not picture."""


@dataclass(frozen=True)
class Conversion:
    """What will be done, decided before anything is written.

    Attributes:
        active_picture: The picture inside constant black bars, in source px; None without bars.
        frame_count: How many frames are expected, None if the source does not say.
    """

    source: SourceInfo
    target: Path
    options: ConvertOptions
    streams: StreamPlan
    engine: Engine
    width_px: int
    height_px: int
    active_picture: Rectangle | None
    frame_count: int | None
    notices: tuple[Notice, ...]


@dataclass(frozen=True)
class Progress:
    """How far a conversion has come."""

    frames: int
    frame_count: int | None
    elapsed_seconds: float
    written_bytes: int


@dataclass(frozen=True)
class ConversionSummary:
    """What was done."""

    target: Path
    frames: int
    damage: Damage
    elapsed_seconds: float
    size_bytes: int
    notices: tuple[Notice, ...]


def prepare(source: Path, target: Path, options: ConvertOptions) -> Conversion:
    """Look at the source, decide everything, and refuse what cannot be done.

    Raises:
        InputError: The source cannot be read as video.
        AlreadyHdrError: The source is HDR or wide gamut.
        OutputError: The target may not be written or cannot hold the source's streams.
        ModelError: The model, its weights or its backend are not available.
        UsageError: The options contradict the source, or `--max-memory` is too little for it.
    """
    check_target(source, target, overwrite=options.overwrite)
    info = probe(source, options.read)
    streams = plan_streams(info, target, options.encode, options.read.time_range)
    engine = load_engine(options.model, options.scale, options.engine)
    engine.memory_bytes(even(info.video.height_px), even(info.video.width_px))
    part = options.read.time_range
    active_picture = detect_active_picture(info, part.start_seconds, part.end_seconds)
    width_px = even(info.video.width_px) * engine.scale
    height_px = even(info.video.height_px) * engine.scale
    return Conversion(
        source=info,
        target=target,
        options=options,
        streams=streams,
        engine=engine,
        width_px=width_px,
        height_px=height_px,
        active_picture=active_picture,
        frame_count=expected_frames(info, options),
        notices=(
            *info.notices,
            *streams.notices,
            *engine.notices,
            *geometry_notices(info, active_picture),
        ),
    )


def convert(
    conversion: Conversion, on_progress: Callable[[Progress], None] = lambda progress: None
) -> ConversionSummary:
    """Decode, convert and encode every frame, copy all that is not video, then rename.

    The target's name appears only when the file is whole; whatever goes wrong before that, an
    existing file of that name is untouched and nothing unfinished is left behind.
    """
    options = conversion.options
    started = time.monotonic()
    frames = 0
    super_white = 0.0
    with (
        unfinished_file(conversion.target, options.temp_dir) as unfinished,
        VideoReader(conversion.source, options.read) as reader,
        VideoWriter(
            unfinished,
            conversion.source,
            conversion.streams,
            options.encode,
            output_video(conversion, reader),
        ) as writer,
    ):
        for batch in reader:
            super_white += super_white_share(batch) * len(batch.timeline)
            writer.write(convert_batch(batch, conversion))
            frames += len(batch.timeline)
            on_progress(
                Progress(
                    frames,
                    conversion.frame_count,
                    time.monotonic() - started,
                    unfinished.stat().st_size if unfinished.exists() else 0,
                )
            )
        writer.finish()
        publish(unfinished, conversion.target, overwrite=options.overwrite)
    return ConversionSummary(
        target=conversion.target,
        frames=frames,
        damage=reader.damage,
        elapsed_seconds=time.monotonic() - started,
        size_bytes=conversion.target.stat().st_size,
        notices=(
            *reader.notices,
            *writer.notices,
            *super_white_notices(super_white / max(frames, 1), options.super_white),
        ),
    )


def convert_batch(batch: CodedBatch, conversion: Conversion) -> CodedBatch:
    """Take decoded SDR frames to HDR10 frames ready to encode.

    Bars that are black in every frame of the batch stay out of the method's whole-frame statistics
    and come back as exact black; where they are not, the frames are converted whole.
    """
    picture = conversion.active_picture
    if picture is None or not all(is_black_outside(batch, picture)):
        return convert_picture(batch, conversion)
    scale = conversion.engine.scale
    return place_on_black(
        convert_picture(crop(batch, picture), conversion),
        picture.scaled(scale),
        height=conversion.height_px,
        width=conversion.width_px,
    )


def convert_picture(batch: CodedBatch, conversion: Conversion) -> CodedBatch:
    """Convert frames as they are, edges padded to even sizes."""
    rgb = to_rgb(pad_to_even(batch), super_white=conversion.options.super_white)
    return to_coded(conversion.engine.run(rgb), HDR10_SIGNAL)


def output_video(conversion: Conversion, reader: VideoReader) -> OutputVideo:
    """Describe the video stream that the writer is to make."""
    video = conversion.source.video
    scale = conversion.engine.scale
    return OutputVideo(
        width_px=conversion.width_px,
        height_px=conversion.height_px,
        signal=HDR10_SIGNAL,
        time_base=reader.time_base,
        average_rate=reader.average_rate,
        sample_aspect_ratio=video.sample_aspect_ratio,
        rotation_degrees=video.rotation_degrees,
        crop_right_px=(even(video.width_px) - video.width_px) * scale,
        crop_bottom_px=(even(video.height_px) - video.height_px) * scale,
    )


def even(size_px: int) -> int:
    """The next even size: 4:2:0 has one chroma sample for two luma samples."""
    return size_px + size_px % 2


def expected_frames(info: SourceInfo, options: ConvertOptions) -> int | None:
    """How many frames the converted part of the source should have, if that can be told."""
    part = options.read.time_range
    count = info.video.frame_count
    doubled = 2 if fields_become_frames(info, options) else 1
    if part.start_seconds is None and part.end_seconds is None:
        return None if count is None else count * doubled
    rate = info.video.average_rate
    duration_seconds = info.video.duration_seconds or info.duration_seconds
    if rate is None or duration_seconds is None:
        return None
    end_seconds = min(part.end_seconds or duration_seconds, duration_seconds)
    return max(0, round((end_seconds - (part.start_seconds or 0.0)) * rate)) * doubled


def fields_become_frames(info: SourceInfo, options: ConvertOptions) -> bool:
    """Whether the source is interlaced and each of its fields gives a frame."""
    return options.read.deinterlace == "field" and info.video.field_order in ("top", "bottom")


def geometry_notices(info: SourceInfo, active: Rectangle | None) -> list[Notice]:
    """Say what happens to odd sizes and letterbox bars."""
    width, height = info.video.width_px, info.video.height_px
    notices = []
    if width % 2 or height % 2:
        notices.append(
            Notice(
                "notice",
                f"{width}x{height} is odd; padded to {even(width)}x{even(height)} by repeating the "
                "last column or row, since HDR10 video is 4:2:0.",
            )
        )
    if active is not None:
        notices.append(
            Notice(
                "notice",
                f"Letterbox: the picture is {active.width}x{active.height} at column "
                f"{active.left}, row {active.top}; the bars stay black and out of all statistics.",
            )
        )
    return notices


def super_white_notices(share: float, treatment: SuperWhite) -> list[Notice]:
    """Say when a share of the luma samples worth mentioning was above nominal white."""
    if share <= SUPER_WHITE_SHARE_WORTH_SAYING or treatment == "scale":
        return []
    return [
        Notice(
            "warning",
            f"{share:.2%} of the luma samples are above nominal white and were clipped; "
            "--super-white scale keeps them.",
        )
    ]
