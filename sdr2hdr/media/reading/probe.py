"""Look at a file before any work is done: streams, times, and how its colour is read."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from sdr2hdr.errors import InputError, Notice
from sdr2hdr.media.bitstreams.bitstream import header_colour
from sdr2hdr.media.containers.cut_short import cut_short
from sdr2hdr.media.opening import open_input
from sdr2hdr.media.pixel_formats import PixelLayout, pixel_layout
from sdr2hdr.media.reading.debanding import deband_notice
from sdr2hdr.media.reading.deinterlace import deinterlace_notice
from sdr2hdr.media.reading.first_frames import FirstFrames, look_at_first_frames
from sdr2hdr.media.reading.later_streams import later_streams_notices
from sdr2hdr.media.reading.spliced_clock import starts_anywhere
from sdr2hdr.media.reading.streams import choose_video, describe_streams, is_cover_art
from sdr2hdr.media.reading.timing import has_variable_rate
from sdr2hdr.media.signalling.colour_facts import ColourTags, PictureFacts
from sdr2hdr.media.signalling.colour_tags import read_colour
from sdr2hdr.media.signalling.container_picture import Hidden, container_picture
from sdr2hdr.media.source import ChapterInfo, SourceInfo, VideoInfo
from sdr2hdr.options import ReadOptions
from sdr2hdr.wording import how_many

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.stream import VideoStream

__all__ = ["MICROSECONDS", "first_start_seconds", "probe"]

MICROSECONDS = 1_000_000
FIELD_ORDERS: dict[int, Literal["progressive", "top", "bottom"]] = {
    1: "progressive",
    2: "top",
    3: "bottom",
    4: "top",
    5: "bottom",
}
"""libavcodec's AVFieldOrder, by the field that is shown first. 4 and 5 are what it calls the orders
of interleaved fields, 9 and 14 in QuickTime (Apple TN2162, `fiel`) and Matroska (RFC 9559,
FieldOrder): top and bottom field first. Its header describes them the other way round, but its own
decoder of raw video takes them as those files mean them."""


def probe(path: Path, options: ReadOptions) -> SourceInfo:
    """Find out what a file holds, and decide how its video is read.

    Args:
        path: A local file.
        options: Which video stream, and the user's word about colour.

    Raises:
        InputError: Missing, unreadable, no video, cut short, or of a kind that cannot be read.
        AlreadyHdrError: The video is HDR or wide gamut already.
        UsageError: An option does not fit the file.
    """
    with open_input(path) as container:
        stream, ordinal, dropped = choose_video(container, options.video_stream, str(path))
        video, notices = _video_info(path, container, stream, ordinal, options)
        duration = None
        if container.duration is not None:
            duration = container.duration / MICROSECONDS
        cut = cut_short(path)
        later = later_streams_notices(path, container)
        return SourceInfo(
            path=path,
            container=container.format.name,
            duration_seconds=duration,
            start_seconds=first_start_seconds(container, video),
            size_bytes=path.stat().st_size,
            metadata=dict(container.metadata),
            streams=describe_streams(container),
            chapters=_chapters(container),
            video=video,
            cut_short=cut,
            notices=(*dropped, *later, *_cut_notices(cut), *notices, *video.colour.notices),
        )


def _video_info(
    path: Path, container: InputContainer, stream: VideoStream, ordinal: int, options: ReadOptions
) -> tuple[VideoInfo, tuple[Notice, ...]]:
    name = f"Video stream {ordinal}"
    context = stream.codec_context
    if context is None:
        raise InputError(f"{name} is coded in a way that this FFmpeg build cannot decode.")
    codec = context.codec.canonical_name
    first, packet = look_at_first_frames(container, stream)
    if first is None:
        if context.pix_fmt:
            pixel_layout(context.pix_fmt)
        raise InputError(
            f"No frame of {name.lower()} ({codec}) can be decoded: the file is cut short, "
            "damaged, encrypted, or of a kind that the FFmpeg build here cannot decode (animated "
            "WebP, for one); expected at least one frame."
        )
    layout = pixel_layout(first.pixel_format)
    rate = _rate(container, stream)
    place = list(container.streams.video).index(stream)
    said = container_picture(path, container.format.name, stream, place)
    colour = read_colour(
        PictureFacts(
            codec=codec,
            width_px=first.width_px,
            height_px=first.height_px,
            rate=rate,
            layout=layout,
            siting=said.siting,
            has_hdr_metadata=first.has_hdr_metadata or said.has_hdr_metadata,
        ),
        header_colour(codec, context.extradata, packet),
        first.tags,
        (ColourTags.of(context), said.tags),
        options.colour,
    )
    if stream.time_base is None:
        raise InputError(f"{name} has no time base; expected timestamps.")
    start_pts = first.pts if first.pts is not None else stream.start_time
    video = VideoInfo(
        index=stream.index,
        ordinal=ordinal,
        codec=codec,
        profile=stream.profile,
        width_px=first.width_px,
        height_px=first.height_px,
        pixel_format=first.pixel_format,
        sample_aspect_ratio=stream.sample_aspect_ratio or Fraction(1),
        rotation_degrees=first.rotation_degrees,
        is_mirrored=first.is_mirrored,
        field_order=_field_order(codec, context.field_order, first),
        has_captions=first.has_captions,
        has_active_format=first.has_active_format,
        time_base=stream.time_base,
        average_rate=rate,
        variable_rate=has_variable_rate(path, stream),
        frame_count=stream.frames or None,
        start_pts=start_pts,
        duration_seconds=_duration_seconds(container, stream),
        colour=colour,
    )
    notices = (
        *_beginning_notices(first, stream.time_base),
        *_picture_notices(first, layout),
        *_crop_notices(first, said.hidden),
    )
    changed = (
        deinterlace_notice(video, options.deinterlace),
        deband_notice(video, deband=options.deband),
    )
    return video, (*notices, *(notice for notice in changed if notice is not None))


def _rate(container: InputContainer, stream: VideoStream) -> Fraction | None:
    if container.format.name == "dv":
        # libavformat takes its clock of 60 kHz for the rate of raw DV.
        return stream.guessed_rate or None
    return stream.average_rate or stream.guessed_rate or None


def _field_order(
    codec: str, order: int, first: FirstFrames
) -> Literal["progressive", "top", "bottom", "unknown"]:
    known = FIELD_ORDERS.get(order)
    if first.interlaced_count == 0:
        return "unknown" if known is None else known
    if known in ("top", "bottom"):
        return known
    # Frames are woven of fields though the header does not say in which order; most are top first,
    # and DV is bottom first (IEC 61834-2).
    return "bottom" if codec == "dvvideo" else "top"


def _duration_seconds(container: InputContainer, stream: VideoStream) -> float | None:
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    text = stream.metadata.get("DURATION")
    if text is not None:
        try:
            hours, minutes, seconds = text.split(":")
            return 3600 * int(hours) + 60 * int(minutes) + float(seconds)
        except ValueError:
            pass
    return None if container.duration is None else container.duration / MICROSECONDS


def first_start_seconds(container: InputContainer, video: VideoInfo) -> Fraction:
    """What to take off all times: clocks that start anywhere are set to 0 where a file begins.

    That is where the first of its sound and pictures does, so that nothing comes before 0.
    """
    if not starts_anywhere(container.format.name):
        return Fraction(0)
    starts = [
        Fraction(stream.start_time) * stream.time_base
        for stream in container.streams
        if stream.type in ("video", "audio")
        and not is_cover_art(stream)
        and stream.start_time is not None
        and stream.time_base is not None
    ]
    if video.start_pts is not None:
        # In MPEG-PS the first frames may have no times of their own. libavformat works them out,
        # but counts the stream's start from the first time that the file does say.
        starts.append(video.start_pts * video.time_base)
    return min(starts, default=Fraction(0))


def _chapters(container: InputContainer) -> tuple[ChapterInfo, ...]:
    chapters = []
    for chapter in container.chapters():
        tick_seconds = chapter["time_base"] or Fraction(1, MICROSECONDS)
        chapters.append(
            ChapterInfo(
                start_seconds=float(chapter["start"] * tick_seconds),
                end_seconds=float(chapter["end"] * tick_seconds),
                title=chapter["metadata"].get("title"),
            )
        )
    return tuple(chapters)


def _cut_notices(cut: str) -> list[Notice]:
    if not cut:
        return []
    text = f"The file is cut short: {cut}; what it holds up to there is converted."
    return [Notice("warning", text)]


def _beginning_notices(first: FirstFrames, time_base: Fraction) -> list[Notice]:
    if first.pts is None or not first.earlier:
        return []
    seconds = float((first.pts - first.earlier[0]) * time_base)
    count = len(first.earlier)
    text = (
        f"The first {seconds:.3f} s of the video ({how_many(count, 'packet')}) cannot "
        "be decoded: it begins between key frames. Other streams keep what they have there."
    )
    return [Notice("warning", text)]


def _picture_notices(first: FirstFrames, layout: PixelLayout) -> list[Notice]:
    notices = []
    if layout.has_alpha or first.has_alpha_beside:
        whose = first.pixel_format if layout.has_alpha else "the video"
        notices.append(Notice("warning", f"The alpha channel of {whose} is dropped."))
    if first.off_quarter_degrees >= 1:
        text = (
            "The container turns or skews the picture (its display matrix is "
            f"{first.off_quarter_degrees:.0f} degrees off a quarter turn). Quarter turns alone are "
            f"taken over: the output is shown turned by {first.rotation_degrees} degrees. Turn the "
            "source itself first where that matters."
        )
        notices.append(Notice("warning", text))
    return notices


def _crop_notices(first: FirstFrames, hidden: Hidden) -> list[Notice]:
    if not hidden:
        return []
    sides = {
        "left": hidden.left,
        "right": hidden.right,
        "top": hidden.top,
        "bottom": hidden.bottom,
    }
    parts = ", ".join(f"{float(px):g} px at the {side}" for side, px in sides.items() if px)
    text = (
        f"The container crops the picture (Matroska's PixelCrop, MP4's clap): {parts}. This is not "
        f"taken over: all {first.width_px}x{first.height_px} px are converted and shown. Crop the "
        "source without loss first where that matters."
    )
    return [Notice("warning", text)]
