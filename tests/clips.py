"""The clips the tests convert: one in `data/`, the others made here, each with its recipe."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from sdr2hdr.signal import (
    ChromaSiting,
    CodedSignal,
    ColourRange,
    Matrix,
    Primaries,
    Subsampling,
    Transfer,
)

DATA = Path(__file__).parent / "data"

FLOWER = DATA / "flower_960x540.mp4"
"""Real footage: H.264, BT.601 tags, 960x540, 29.97 fps, 32 frames, AAC."""

SDR = CodedSignal(
    Matrix.BT709,
    ColourRange.LIMITED,
    Primaries.BT709,
    Transfer.BT1886,
    ChromaSiting.LEFT,
    Subsampling.YUV420,
    8,
)
"""What the codes of an ordinary source mean."""


@dataclass(frozen=True)
class Tags:
    """H.273 code points; 2 is "unspecified", colour range 1 limited and 2 full (libavutil's)."""

    primaries: int = 1
    transfer: int = 1
    matrix: int = 1
    colour_range: int = 1


@dataclass(frozen=True)
class ClipRecipe:
    """How a synthetic clip is made; the container follows from the file name it is given.

    Attributes:
        pts: Of each frame, in `time_base` ticks; their number is the number of frames.
        codec_options: The encoder's own options.
        audio_seconds: Length of a 440 Hz tone in `audio_codec`, 0 for none.
    """

    width_px: int = 64
    height_px: int = 48
    pixel_format: str = "yuv420p"
    tags: Tags = field(default_factory=Tags)
    time_base: Fraction = Fraction(1, 25)
    pts: Sequence[int] = tuple(range(6))
    codec: str = "libx264"
    codec_options: tuple[tuple[str, str], ...] = (("qp", "0"),)
    audio_seconds: float = 0.0
    audio_codec: str = "aac"


def make_clip(
    path: Path,
    recipe: ClipRecipe,
    planes: Sequence[np.ndarray] | Callable[[int], Sequence[np.ndarray]] | None = None,
) -> Path:
    """Write a clip.

    Args:
        path: Its suffix says the container.
        recipe: See `ClipRecipe`.
        planes: The planes of every frame (a still picture), or what gives those of the frame of a
            number; None makes a moving gradient.
    """
    with av.open(str(path), "w") as container:
        video = container.add_stream(recipe.codec, rate=Fraction(25))
        video.width, video.height = recipe.width_px, recipe.height_px
        video.pix_fmt = recipe.pixel_format
        context = video.codec_context
        context.time_base = recipe.time_base
        context.color_primaries = recipe.tags.primaries
        context.color_trc = recipe.tags.transfer
        context.colorspace = recipe.tags.matrix
        context.color_range = recipe.tags.colour_range
        context.options = dict(recipe.codec_options)
        audio = None
        if recipe.audio_seconds:
            audio = container.add_stream(recipe.audio_codec, rate=48000)
        for number, pts in enumerate(recipe.pts):
            frame = blank_frame(recipe)
            shown = planes(number) if callable(planes) else planes
            for index, plane in enumerate(frame.planes):
                shape = (plane.height, plane.width)
                fill_plane(plane, shown[index] if shown else gradient(shape, number, index))
            frame.pts, frame.time_base = pts, recipe.time_base
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        if audio is not None:
            mux_tone(container, audio, recipe.audio_seconds)
    return path


def blank_frame(recipe: ClipRecipe) -> av.VideoFrame:
    frame = av.VideoFrame(recipe.width_px, recipe.height_px, recipe.pixel_format)
    frame.color_range = recipe.tags.colour_range
    frame.colorspace = recipe.tags.matrix
    frame.color_primaries = recipe.tags.primaries
    frame.color_trc = recipe.tags.transfer
    return frame


def fill_plane(plane: av.video.plane.VideoPlane, values: np.ndarray) -> None:
    """Copy values into a plane whose rows may be longer than they are."""
    row_items = plane.line_size // values.itemsize
    padded = np.zeros((plane.height, row_items), values.dtype)
    padded[:, : values.shape[1]] = values
    plane.update(padded.tobytes())


def gradient(shape: tuple[int, int], number: int, plane: int) -> np.ndarray:
    """A slanted ramp that moves from frame to frame; chroma stays near neutral."""
    rows, columns = np.indices(shape)
    ramp = (rows * 2 + columns * 3 + number * 7) % 200
    return (16 + ramp if plane == 0 else 108 + ramp // 5).astype(np.uint8)


def mux_tone(container: av.container.OutputContainer, stream, seconds: float) -> None:
    """Write a 440 Hz tone."""
    samples = np.arange(round(seconds * 48000))
    tone = (0.2 * np.sin(2 * np.pi * 440 / 48000 * samples)).astype(np.float32)
    for start in range(0, len(tone), 1024):
        part = tone[start : start + 1024]
        frame = av.AudioFrame.from_ndarray(np.stack([part, part]), format="fltp", layout="stereo")
        frame.sample_rate, frame.pts, frame.time_base = 48000, start, Fraction(1, 48000)
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


def read_planes(path: Path) -> tuple[list[list[np.ndarray]], list[int], Fraction]:
    """Decode a file's first video stream: planes of each frame, pts, time base."""
    frames, times = [], []
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        for frame in container.decode(stream):
            dtype = np.uint16 if frame.format.components[0].bits > 8 else np.uint8
            frames.append([plane_values(plane, dtype) for plane in frame.planes])
            times.append(frame.pts)
        return frames, times, stream.time_base


def plane_values(plane: av.video.plane.VideoPlane, dtype: type) -> np.ndarray:
    rows = np.frombuffer(plane, dtype).reshape(plane.height, -1)
    return rows[:, : plane.width].copy()
