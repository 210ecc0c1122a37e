"""What a conversion will do, decided before anything is written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from sdr2hdr.delivery.light_log import check_log_place
from sdr2hdr.delivery.target_file import check_folder, check_target
from sdr2hdr.engine import Engine, load_engine
from sdr2hdr.errors import Notice, UsageError
from sdr2hdr.frames import Rectangle
from sdr2hdr.media.bitstreams.user_data import USER_DATA_CODECS
from sdr2hdr.media.copying.stream_plan import StreamPlan, plan_streams
from sdr2hdr.media.encoding.encoders import choose_encoder, output_signal
from sdr2hdr.media.encoding.output_video import OutputVideo
from sdr2hdr.media.mastering import mastering_display
from sdr2hdr.media.reading.deinterlace import deinterlaced_timing
from sdr2hdr.media.reading.letterbox import detect_active_picture
from sdr2hdr.media.reading.probe import probe
from sdr2hdr.media.source import SourceInfo
from sdr2hdr.media.targets import TargetKind, check_sequence_name, target_kind
from sdr2hdr.media.writing.y4m import signalling_hint
from sdr2hdr.options import ConvertOptions, Look
from sdr2hdr.overlap import StageClock
from sdr2hdr.signal import HDR10_SIGNAL, CodedSignal

__all__ = ["Conversion", "even", "letterbox_correction", "prepare", "user_data_notices"]


@dataclass(frozen=True)
class Conversion:
    """What will be done, decided before anything is written.

    Attributes:
        streams: What becomes of the source's streams; None where the target holds pictures only.
        signal: What the codes of the output mean.
        active_picture: The picture inside constant black bars, in source px; None without bars.
        frame_count: How many frames are expected, None if the source does not say.
        on_clocks: Told, after every range of frames, what each stage spent on it.
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
    on_clocks: Callable[[tuple[StageClock, ...]], None] | None = None

    @property
    def kind(self) -> TargetKind:
        """What the target's name asks for."""
        return target_kind(self.target)

    @property
    def video(self) -> OutputVideo:
        """The video stream that is to be made."""
        video, read = self.source.video, self.options.read
        scale = self.engine.scale
        time_base, average_rate = deinterlaced_timing(video, read.deinterlace)
        return OutputVideo(
            width_px=self.width_px,
            height_px=self.height_px,
            signal=self.signal,
            time_base=time_base,
            average_rate=average_rate,
            variable_rate=video.variable_rate,
            sample_aspect_ratio=video.sample_aspect_ratio,
            rotation_degrees=video.rotation_degrees,
            is_mirrored=video.is_mirrored,
            mastering=mastering_display(self.options.encode.mastering),
            crop_right_px=(even(video.width_px) - video.width_px) * scale,
            crop_bottom_px=(even(video.height_px) - video.height_px) * scale,
        )

    @property
    def output_picture(self) -> Rectangle | None:
        """The active picture in px of the output; None without bars."""
        picture = self.active_picture
        return None if picture is None else picture.scaled(self.engine.scale)

    def decoded_in_one_thread(self) -> Conversion:
        """The same with one thread for decoding, whatever was asked for."""
        options = replace(self.options, read=replace(self.options.read, threads=1))
        return replace(self, options=options)


def prepare(
    source: Path, target: Path, options: ConvertOptions, tile_px: int | None = None
) -> Conversion:
    """Look at the source, decide everything, and refuse what cannot be done.

    Args:
        source: A video file.
        target: A video file to write, a sequence of pictures such as "shot_%06d.png", or "-" for
            Y4M on standard output.
        options: Method, scale, and how to read, compute and encode.
        tile_px: Longest side of a tile of the network; None takes what suits the machine.

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
    if kind == "sequence":
        check_sequence_name(target)
    if kind == "container" and options.temp_dir is not None:
        check_folder(options.temp_dir, "--temp-dir")
    if options.light_log is not None:
        check_log_place(options.light_log, (source, target))
    if options.verify_roundtrip and options.scale != 1:
        raise UsageError(
            f"A round trip compares pictures of one size; the scale is {options.scale}. Leave out "
            "--verify-roundtrip when upscaling."
        )
    info = probe(source, options.read)
    part = options.read.time_range
    streams = None
    if kind == "container":
        factor = 2 if fields_become_frames(info, options) else 1
        streams = plan_streams(info, target, options.encode, part, rate_factor=factor)
    engine = load_engine(options.model, options.scale, options.engine, tile_px)
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
            *geometry_notices(info, active_picture, kind),
            *pictures_only_notices(info, options, target),
            *user_data_notices(
                options,
                target,
                has_captions=info.video.has_captions,
                has_active_format=info.video.has_active_format,
            ),
            *look_notices(options, engine, kind),
        ),
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
    duration_seconds = info.video_seconds
    if rate is None or duration_seconds is None:
        return None
    end_seconds = min(part.end_seconds or duration_seconds, duration_seconds)
    return max(0, round((end_seconds - (part.start_seconds or 0.0)) * rate)) * doubled


def fields_become_frames(info: SourceInfo, options: ConvertOptions) -> bool:
    """Whether the source is interlaced and each of its fields gives a frame."""
    return options.read.deinterlace == "field" and info.video.field_order in ("top", "bottom")


def geometry_notices(info: SourceInfo, active: Rectangle | None, kind: TargetKind) -> list[Notice]:
    """Say what happens to odd sizes and letterbox bars; pictures keep an odd size."""
    width, height = info.video.width_px, info.video.height_px
    notices = []
    if kind != "sequence" and (width % 2 or height % 2):
        notices.append(
            Notice(
                "notice",
                f"{width}x{height} is odd; padded to {even(width)}x{even(height)} by repeating the "
                "last column or row: HDR10 video has even sides.",
            )
        )
    if active is not None:
        text = (
            f"Letterbox: the picture is {active.words}; the bars stay black and out of all "
            "statistics."
        )
        notices.append(Notice("notice", text))
    return notices


def letterbox_correction(sampled: Rectangle | None, certain: Rectangle | None) -> list[Notice]:
    """Say what every frame shows of the bars, where that is not what a few frames have shown.

    Args:
        sampled: The active picture as `prepare` finds it and as `geometry_notices` tells it.
        certain: As a plan has it.
    """
    if certain == sampled:
        return []
    found = "there are no bars" if certain is None else f"the picture is {certain.words}"
    text = f"Letterbox, now that every frame was looked at: {found}. That is what holds."
    return [Notice("notice", text)]


def pictures_only_notices(info: SourceInfo, options: ConvertOptions, target: Path) -> list[Notice]:
    """Say what a target that holds nothing but pictures leaves out."""
    kind = target_kind(target)
    notices: list[Notice] = []
    if kind == "pipe":
        told = signalling_hint(mastering_display(options.encode.mastering))
        text = f"Y4M does not say what its codes mean; its reader must. For x265: {told}"
        notices.append(Notice("notice", text))
    if kind == "sequence" and options.dither:
        text = "--dither is left out: 16 bits and half floats have no steps that can be seen."
        notices.append(Notice("notice", text))
    what = "A sequence of pictures" if kind == "sequence" else "Y4M"
    turn, aspect = info.video.rotation_degrees, info.video.sample_aspect_ratio
    if kind == "pipe" and turn:
        text = f"Y4M says nothing of turns: players turn the source by {turn} degrees to the left."
        notices.append(Notice("warning", text))
    if kind == "pipe" and info.video.is_mirrored:
        text = "Y4M says nothing of mirrors: players swap left and right of the source."
        notices.append(Notice("warning", text))
    if kind == "sequence" and aspect != 1 and target.suffix.lower() == ".png":
        text = (
            f"{what} in PNG says nothing of the shape of pixels: those of the source are "
            f"{aspect.numerator}:{aspect.denominator}, not square. TIFF and EXR say it."
        )
        notices.append(Notice("warning", text))
    others = len(info.streams) - 1
    if kind != "container" and others:
        left_out = "1 other stream is" if others == 1 else f"{others} other streams are"
        text = f"{what} holds no sound, subtitles or chapters: {left_out} left out."
        notices.append(Notice("warning", text))
    return notices


def user_data_notices(
    options: ConvertOptions,
    target: Path,
    *,
    has_captions: bool,
    has_active_format: bool,
) -> list[Notice]:
    """Say where what lies inside the source's pictures beside the picture is lost."""
    found = ["closed captions (CEA-608, CEA-708)"] * has_captions
    found += ["an active format description (AFD)"] * has_active_format
    if not found:
        return []
    is_container = target_kind(target) == "container"
    if is_container and choose_encoder(options.encode, target).codec in USER_DATA_CODECS:
        return []
    text = (
        f"The video carries {' and '.join(found)}, and only HEVC and AV1 are given that: it is "
        "dropped."
    )
    return [Notice("warning", text)]


def look_notices(options: ConvertOptions, engine: Engine, kind: TargetKind) -> list[Notice]:
    """Say where a peak has nothing to bound, or is above the display that the file is graded on.

    Args:
        options: Whose look this is about.
        engine: A curve gives no light above where it puts white (above nominal white, where codes
            there were scaled in); a network may, here and there.
        kind: Only a video file names a mastering display.
    """
    look, brightest_cd_m2 = options.look, options.look.peak_cd_m2
    if engine.is_curve and options.super_white == "clip":
        brightest_cd_m2 = engine.white_cd_m2 * look.gain(engine.white_cd_m2)
    usual_cd_m2 = Look().peak_cd_m2
    if look.peak_cd_m2 != usual_cd_m2 and brightest_cd_m2 < min(look.peak_cd_m2, usual_cd_m2):
        text = (
            f"--peak {look.peak_cd_m2:g} changes nothing: it only bounds light, and there is none "
            f"above {brightest_cd_m2:.0f} cd/m2 here. --reference-white and --exposure raise light."
        )
        return [Notice("notice", text)]
    display_cd_m2 = mastering_display(options.encode.mastering).max_luminance_cd_m2
    if kind != "container" or look.peak_cd_m2 <= display_cd_m2:
        return []
    text = (
        f"--peak allows light of {look.peak_cd_m2:g} cd/m2, and the mastering display that the "
        f"file names ends at {display_cd_m2:g}; --mastering names another."
    )
    return [Notice("warning", text)]
