"""The whole program in one place: a file is looked at, planned, and converted frame by frame."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sdr2hdr.colour import pad_to_even, super_white_share, to_rgb
from sdr2hdr.colour.active_picture import crop
from sdr2hdr.colour.look import apply_look
from sdr2hdr.delivery.light_log import LightLog, check_log_name
from sdr2hdr.delivery.target_file import check_target
from sdr2hdr.engine import Engine, load_engine
from sdr2hdr.errors import Notice, UsageError
from sdr2hdr.frames import CodedBatch, Rectangle, RgbBatch
from sdr2hdr.media.damage import Damage
from sdr2hdr.media.encoders import output_signal
from sdr2hdr.media.letterbox import detect_active_picture, is_black_outside
from sdr2hdr.media.mastering import mastering_display
from sdr2hdr.media.output_video import OutputVideo
from sdr2hdr.media.probe import probe
from sdr2hdr.media.reader import VideoReader
from sdr2hdr.media.source import SourceInfo
from sdr2hdr.media.stream_plan import StreamPlan, plan_streams
from sdr2hdr.media.targets import TargetKind, target_kind
from sdr2hdr.options import ConvertOptions, SuperWhite
from sdr2hdr.output import open_sink
from sdr2hdr.quality.light_levels import LightLevels, LightMeter, measure
from sdr2hdr.quality.roundtrip import ShotRoundtrip, ShotRoundtrips
from sdr2hdr.signal import HDR10_SIGNAL, CodedSignal

__all__ = ["Conversion", "ConversionSummary", "Progress", "convert", "prepare"]

SUPER_WHITE_SHARE_WORTH_SAYING = 0.001
"""Below a thousandth of the samples, codes above nominal white are overshoot, not picture."""


@dataclass(frozen=True)
class Conversion:
    """What will be done, decided before anything is written.

    Attributes:
        streams: What becomes of the source's streams; None where the target holds pictures only.
        signal: What the codes of the output mean.
        active_picture: The picture inside constant black bars, in source px; None without bars.
        frame_count: How many frames are expected, None if the source does not say.
    """

    source: SourceInfo
    target: Path
    options: ConvertOptions
    streams: StreamPlan | None
    engine: Engine
    signal: CodedSignal
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
    """What was done.

    Attributes:
        light: Light levels, measured from the pixels that were coded.
        roundtrips: How far the method's HDR, taken back to SDR, is from the source, shot by shot;
            empty unless asked for.
    """

    target: Path
    frames: int
    damage: Damage
    light: LightLevels
    roundtrips: tuple[ShotRoundtrip, ...]
    elapsed_seconds: float
    size_bytes: int
    notices: tuple[Notice, ...]


def prepare(source: Path, target: Path, options: ConvertOptions) -> Conversion:
    """Look at the source, decide everything, and refuse what cannot be done.

    Args:
        source: A video file.
        target: A video file to write, a sequence of pictures such as "shot_%06d.png", or "-" for
            Y4M on standard output.
        options: Method, scale, and how to read, compute and encode.

    Raises:
        InputError: The source cannot be read as video.
        AlreadyHdrError: The source is HDR or wide gamut.
        OutputError: The target may not be written or cannot hold the source's streams.
        ModelError: The model, its weights or its backend are not available.
        UsageError: The options contradict the source, or `--max-memory` is too little for it.
    """
    kind = target_kind(target)
    if kind != "pipe":
        check_target(source, target, overwrite=options.overwrite)
    if options.light_log is not None:
        check_log_name(options.light_log)
    if options.verify_roundtrip and options.scale != 1:
        raise UsageError(
            f"A round trip compares pictures of one size; the scale is {options.scale}. Leave out "
            "--verify-roundtrip when upscaling."
        )
    info = probe(source, options.read)
    part = options.read.time_range
    streams = plan_streams(info, target, options.encode, part) if kind == "container" else None
    engine = load_engine(options.model, options.scale, options.engine)
    engine.memory_bytes(even(info.video.height_px), even(info.video.width_px))
    active_picture = detect_active_picture(info, part.start_seconds, part.end_seconds)
    return Conversion(
        source=info,
        target=target,
        options=options,
        streams=streams,
        engine=engine,
        signal=output_signal(options.encode, target) if kind != "sequence" else HDR10_SIGNAL,
        width_px=even(info.video.width_px) * engine.scale,
        height_px=even(info.video.height_px) * engine.scale,
        active_picture=active_picture,
        frame_count=expected_frames(info, options),
        notices=(
            *info.notices,
            *(() if streams is None else streams.notices),
            *engine.notices,
            *geometry_notices(info, active_picture),
            *pictures_only_notices(info, kind),
        ),
    )


def convert(
    conversion: Conversion, on_progress: Callable[[Progress], None] = lambda progress: None
) -> ConversionSummary:
    """Decode, convert and encode every frame, and copy all that is not video.

    The target's name appears only when the file is whole; whatever goes wrong before that, an
    existing file of that name is untouched and nothing unfinished is left behind.

    Raises:
        InputError: The source is damaged under `--strict`, or changes on the way.
        OutputError: The output cannot be written.
        VerificationError: The finished file does not hold what was promised.
    """
    options = conversion.options
    started = time.monotonic()
    frames = 0
    super_white = 0.0
    meter = LightMeter()
    log = LightLog() if options.light_log is not None else None
    roundtrips = ShotRoundtrips(conversion.engine.way_back()) if options.verify_roundtrip else None
    with (
        VideoReader(conversion.source, options.read) as reader,
        open_sink(
            conversion.target,
            conversion.source,
            conversion.streams,
            options,
            output_video(conversion, reader),
            scaled(conversion.active_picture, conversion.engine.scale),
        ) as sink,
    ):
        for batch in reader:
            super_white += super_white_share(batch) * len(batch.timeline)
            picture = shared_picture(batch, conversion)
            sdr = decode_picture(batch, picture, options.super_white)
            hdr = conversion.engine.run(sdr)
            if roundtrips is not None:
                roundtrips.add(sdr, hdr)
            converted = apply_look(hdr, options.look, conversion.engine.white_cd_m2)
            lights = measure(converted.pixels)
            meter.add(lights)
            if log is not None:
                log.add(batch.timeline, lights)
            sink.write(converted, scaled(picture, conversion.engine.scale))
            frames += len(batch.timeline)
            elapsed_seconds = time.monotonic() - started
            on_progress(
                Progress(frames, conversion.frame_count, elapsed_seconds, sink.written_bytes)
            )
        written = sink.finish(meter)
        if options.light_log is not None and log is not None:
            log.write(options.light_log, meter.levels())
    return ConversionSummary(
        target=conversion.target,
        frames=frames,
        damage=reader.damage,
        light=meter.levels(),
        roundtrips=() if roundtrips is None else roundtrips.shots(),
        elapsed_seconds=time.monotonic() - started,
        size_bytes=written.size_bytes,
        notices=(
            *reader.notices,
            *written.notices,
            *super_white_notices(super_white / max(frames, 1), options.super_white),
        ),
    )


def shared_picture(batch: CodedBatch, conversion: Conversion) -> Rectangle | None:
    """The active picture if the bars are black in every frame of the batch, else None."""
    picture = conversion.active_picture
    if picture is None or not all(is_black_outside(batch, picture)):
        return None
    return picture


def decode_picture(
    batch: CodedBatch, picture: Rectangle | None, super_white: SuperWhite
) -> RgbBatch:
    """Give SDR frames, or their active picture alone, as a method takes them.

    Bars stay out of the method's whole-frame statistics.
    """
    inside = batch if picture is None else crop(batch, picture)
    return to_rgb(pad_to_even(inside), super_white=super_white)


def output_video(conversion: Conversion, reader: VideoReader) -> OutputVideo:
    """Describe the video stream that is to be made."""
    video = conversion.source.video
    scale = conversion.engine.scale
    return OutputVideo(
        width_px=conversion.width_px,
        height_px=conversion.height_px,
        signal=conversion.signal,
        time_base=reader.time_base,
        average_rate=reader.average_rate,
        variable_rate=video.variable_rate,
        sample_aspect_ratio=video.sample_aspect_ratio,
        rotation_degrees=video.rotation_degrees,
        mastering=mastering_display(conversion.options.encode.mastering),
        crop_right_px=(even(video.width_px) - video.width_px) * scale,
        crop_bottom_px=(even(video.height_px) - video.height_px) * scale,
    )


def scaled(picture: Rectangle | None, scale: int) -> Rectangle | None:
    """The same part of the output."""
    return None if picture is None else picture.scaled(scale)


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


def pictures_only_notices(info: SourceInfo, kind: TargetKind) -> list[Notice]:
    """Say what a target that holds nothing but pictures leaves out."""
    if kind == "container" or len(info.streams) == 1:
        return []
    what = "A sequence of pictures" if kind == "sequence" else "Y4M"
    return [
        Notice(
            "warning",
            f"{what} holds no sound, subtitles or chapters: {len(info.streams) - 1} other "
            "streams are left out.",
        )
    ]


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
