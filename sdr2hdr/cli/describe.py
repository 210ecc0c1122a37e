"""A probed source in words and as JSON, for `info` and `--dry-run`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sdr2hdr.wording import how_many

if TYPE_CHECKING:
    from sdr2hdr.media.source import ColourReading, SourceInfo, VideoInfo

__all__ = ["source_content", "source_lines"]


def source_lines(info: SourceInfo) -> list[str]:
    """What a person wants to know of a source, a line each."""
    duration = "" if info.duration_seconds is None else f", {info.duration_seconds:.3f} s"
    video = info.video
    lines = [
        f"input: {info.path} ({info.container}{duration})",
        f"video: stream {video.index}, {video_summary(video)}",
        *(
            f"{name.replace('_', ' ')}: {value} ({video.colour.origins[name]})"
            for name, value in signal_parts(video.colour).items()
        ),
    ]
    lines += [
        f"stream {stream.index}: {stream.summary}"
        for stream in info.streams
        if stream.index != video.index
    ]
    if info.chapters:
        lines.append(f"chapters: {len(info.chapters)}")
    return lines


def video_summary(video: VideoInfo) -> str:
    """The converted stream in one line."""
    rate = "unknown rate" if video.average_rate is None else f"{float(video.average_rate):.3f} fps"
    parts = [
        video.codec,
        f"{video.width_px}x{video.height_px}",
        video.pixel_format,
        rate + (" on average (VFR)" if video.variable_rate else ""),
    ]
    if video.sample_aspect_ratio != 1:
        parts.append(f"pixel aspect {video.sample_aspect_ratio}")
    if video.rotation_degrees:
        parts.append(f"rotated {video.rotation_degrees} degrees")
    if video.is_mirrored:
        parts.append("mirrored")
    if video.field_order in ("top", "bottom"):
        parts.append(f"interlaced, {video.field_order} field first")
    if video.has_captions:
        parts.append("closed captions")
    if video.has_active_format:
        parts.append("active format description")
    if video.frame_count is not None:
        parts.append(how_many(video.frame_count, "frame"))
    return ", ".join(parts)


def signal_parts(colour: ColourReading) -> dict[str, str]:
    """The five properties of a source's colour, by name."""
    signal = colour.signal
    return {
        "matrix": signal.matrix.name.lower(),
        "colour_range": signal.colour_range.value,
        "primaries": signal.primaries.name.lower(),
        "transfer": signal.transfer.value,
        "siting": signal.siting.name.lower(),
    }


def source_content(info: SourceInfo) -> dict[str, object]:
    """All that is known of a source, as plain values."""
    video = info.video
    rate = video.average_rate
    return {
        "path": str(info.path),
        "container": info.container,
        "duration_seconds": info.duration_seconds,
        "size_bytes": info.size_bytes,
        "cut_short": info.cut_short,
        "metadata": dict(info.metadata),
        "video": {
            "stream": video.index,
            "codec": video.codec,
            "profile": video.profile,
            "width_px": video.width_px,
            "height_px": video.height_px,
            "pixel_format": video.pixel_format,
            "bit_depth": video.colour.signal.bit_depth,
            "sample_aspect_ratio": str(video.sample_aspect_ratio),
            "rotation_degrees": video.rotation_degrees,
            "is_mirrored": video.is_mirrored,
            "field_order": video.field_order,
            "has_captions": video.has_captions,
            "has_active_format": video.has_active_format,
            "time_base": str(video.time_base),
            "average_rate": None if rate is None else str(rate),
            "variable_rate": video.variable_rate,
            "frame_count": video.frame_count,
            "duration_seconds": video.duration_seconds,
            "colour": {
                name: {"value": value, "origin": video.colour.origins[name]}
                for name, value in signal_parts(video.colour).items()
            },
        },
        "streams": [
            {
                "index": stream.index,
                "kind": stream.kind,
                "codec": stream.codec,
                "language": stream.language,
                "title": stream.title,
                "dispositions": list(stream.dispositions),
                "cover_art": stream.is_cover_art,
            }
            for stream in info.streams
        ],
        "chapters": [
            {
                "start_seconds": chapter.start_seconds,
                "end_seconds": chapter.end_seconds,
                "title": chapter.title,
            }
            for chapter in info.chapters
        ],
        "notices": [{"severity": notice.severity, "text": notice.text} for notice in info.notices],
    }
