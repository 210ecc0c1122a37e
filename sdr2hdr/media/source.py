"""What is known of a source file before its pictures are decoded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Literal

from sdr2hdr.errors import Notice
from sdr2hdr.signal import CodedSignal

__all__ = [
    "ChapterInfo",
    "ColourReading",
    "Origin",
    "SourceInfo",
    "StreamInfo",
    "StreamKind",
    "VideoInfo",
]

StreamKind = Literal["video", "audio", "subtitle", "data", "attachment", "unknown"]
Origin = Literal["option", "stream", "container", "codec default", "guess"]
"""Who decided a property: the user, a tag, the codec's own rule, or we from the picture's size."""


@dataclass(frozen=True)
class StreamInfo:
    """One stream of the file, whatever it holds; `index` counts all streams from 0."""

    index: int
    kind: StreamKind
    codec: str
    language: str | None
    title: str | None
    dispositions: tuple[str, ...]
    is_cover_art: bool
    summary: str

    @property
    def label(self) -> str:
        """The stream in a message."""
        return f"#{self.index} {self.summary or self.codec}"


@dataclass(frozen=True)
class ChapterInfo:
    """A chapter; seconds count from the start of the file."""

    start_seconds: float
    end_seconds: float
    title: str | None


@dataclass(frozen=True)
class ColourReading:
    """How the source's codes are read, who decided each part, and what the user should know.

    Attributes:
        origins: For "matrix", "colour_range", "primaries", "transfer" and "siting".
    """

    signal: CodedSignal
    origins: Mapping[str, Origin]
    notices: tuple[Notice, ...]


@dataclass(frozen=True)
class VideoInfo:
    """The video stream that is converted.

    Attributes:
        index: Among all streams of the file.
        ordinal: Among its video streams that are not cover art; what `--video-stream` counts.
        width_px: Of a decoded frame, before padding, scaling and rotation.
        height_px: Likewise.
        pixel_format: The decoder's name for it.
        sample_aspect_ratio: Width to height of a pixel; 1 where the file does not say.
        rotation_degrees: Counter-clockwise turn a player applies: 0, 90, 180 or 270.
        is_mirrored: Whether a player swaps left and right behind that.
        field_order: "progressive", "top", "bottom" or "unknown".
        average_rate: Frames a second on average, None if the file does not say.
        variable_rate: Whether frame durations differ; None if it cannot be told cheaply.
        frame_count: From the container's index or header, None if it does not say.
        start_pts: Of the first frame, in `time_base` ticks, None if unknown.
        has_captions: Whether closed captions came with one of the first pictures.
        has_active_format: Whether an active format description (AFD) did.
    """

    index: int
    ordinal: int
    codec: str
    profile: str | None
    width_px: int
    height_px: int
    pixel_format: str
    sample_aspect_ratio: Fraction
    rotation_degrees: int
    is_mirrored: bool
    field_order: Literal["progressive", "top", "bottom", "unknown"]
    time_base: Fraction
    average_rate: Fraction | None
    variable_rate: bool | None
    frame_count: int | None
    start_pts: int | None
    duration_seconds: float | None
    colour: ColourReading
    has_captions: bool = False
    has_active_format: bool = False


@dataclass(frozen=True)
class SourceInfo:
    """A file that has been probed and found to hold SDR video.

    Attributes:
        container: libavformat's name of the format, such as "mov,mp4,m4a,3gp,3g2,mj2".
        start_seconds: What must be taken off every timestamp so that the file starts at 0: the
            container's start for formats whose clock starts anywhere (MPEG-TS), else 0.
        cut_short: What its end lacks, in words; "" if it is whole or does not say.
        notices: About the file as a whole and its video stream, colour included.
    """

    path: Path
    container: str
    duration_seconds: float | None
    start_seconds: Fraction
    size_bytes: int
    metadata: Mapping[str, str]
    streams: tuple[StreamInfo, ...]
    chapters: tuple[ChapterInfo, ...]
    video: VideoInfo
    cut_short: str
    notices: tuple[Notice, ...]

    @property
    def video_seconds(self) -> float | None:
        """How long the video lasts, or the file where the stream does not say."""
        return self.video.duration_seconds or self.duration_seconds
