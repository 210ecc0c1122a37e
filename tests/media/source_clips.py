"""Write small source files whose every sample is known, for the tests of probe and reader."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np


@dataclass(frozen=True)
class Clip:
    """How a clip is made; the container follows from the file name or `muxer`.

    Attributes:
        tags: H.273 codes of primaries, transfer and matrix.
        colour_range: 0 unknown, 1 limited, 2 full.
        pts: Of each frame in `time_base` ticks.
        filters: Applied to the frames before the encoder, as ("setfield", "tff").
    """

    codec: str = "ffv1"
    pixel_format: str = "yuv420p"
    width_px: int = 64
    height_px: int = 48
    pts: Sequence[int] = tuple(range(8))
    time_base: Fraction = Fraction(1, 25)
    rate: Fraction = Fraction(25)
    tags: tuple[int, int, int] = (1, 1, 1)
    colour_range: int = 1
    options: dict[str, str] = field(default_factory=dict)
    muxer: str | None = None
    muxer_options: dict[str, str] = field(default_factory=dict)
    filters: Sequence[tuple[str, str]] = ()
    set_up: Callable[[Any], None] | None = None


UNTAGGED = (2, 2, 2)

NTSC_DV = Clip(
    codec="dvvideo",
    pixel_format="yuv411p",
    width_px=720,
    height_px=480,
    pts=range(3),
    time_base=Fraction(1001, 30_000),
    rate=Fraction(30_000, 1001),
)
"""DV of 525 lines."""


def random_planes(clip: Clip, number: int) -> list[np.ndarray]:
    """Planes of frame `number` as raw memory: any codes of the format, the same every time."""
    frame = av.VideoFrame(clip.width_px, clip.height_px, clip.pixel_format)
    random = np.random.default_rng(number)
    planes = []
    for index, plane in enumerate(frame.planes):
        bits = max(c.bits for c in frame.format.components if c.plane == index)
        per_pixel = sum(c.plane == index for c in frame.format.components)
        dtype = np.uint8 if bits == 8 else np.dtype("<u2")
        shape = (plane.height, plane.width * per_pixel)
        values = random.integers(0, 1 << bits, shape).astype(dtype)
        # P010 and its kin hold their value in the high bits.
        planes.append(values << (16 - bits) if clip.pixel_format.startswith("p0") else values)
    return planes


def smooth_planes(clip: Clip, number: int) -> list[np.ndarray]:
    """Planes that a lossy codec keeps well: a slanted ramp that moves from frame to frame."""
    frame = av.VideoFrame(clip.width_px, clip.height_px, clip.pixel_format)
    planes = []
    for index, plane in enumerate(frame.planes):
        rows, columns = np.indices((plane.height, plane.width))
        ramp = (rows * 2 + columns * 3 + number * 9) % 180
        planes.append((30 + ramp if index == 0 else 110 + ramp // 6).astype(np.uint8))
    return planes


def write_clip(
    path: Path, clip: Clip, planes: Callable[[Clip, int], list[np.ndarray]] = smooth_planes
) -> Path:
    """Write a clip; `planes(clip, number)` says what frame `number` holds."""
    with av.open(str(path), "w", format=clip.muxer, container_options=clip.muxer_options) as out:
        stream = add_video(out, clip)
        encode_video(out, stream, clip, planes)
    return path


def add_video(out: av.container.OutputContainer, clip: Clip) -> av.VideoStream:
    stream = out.add_stream(clip.codec, rate=clip.rate, options=dict(clip.options))
    stream.width, stream.height = clip.width_px, clip.height_px
    stream.pix_fmt = clip.pixel_format
    context = stream.codec_context
    context.time_base = clip.time_base
    context.color_primaries, context.color_trc, context.colorspace = clip.tags
    context.color_range = clip.colour_range
    if clip.set_up is not None:
        clip.set_up(stream)
    return stream


def encode_video(
    out: av.container.OutputContainer,
    stream: av.VideoStream,
    clip: Clip,
    planes: Callable[[Clip, int], list[np.ndarray]] = smooth_planes,
) -> None:
    for number, pts in enumerate(clip.pts):
        frame = frame_of(clip, planes(clip, number))
        frame.pts, frame.time_base = pts, clip.time_base
        out.mux(stream.encode(_filtered(frame, clip)))
    out.mux(stream.encode(None))


def frame_of(clip: Clip, planes: list[np.ndarray]) -> av.VideoFrame:
    frame = av.VideoFrame(clip.width_px, clip.height_px, clip.pixel_format)
    frame.color_primaries, frame.color_trc, frame.colorspace = clip.tags
    frame.color_range = clip.colour_range
    for plane, values in zip(frame.planes, planes, strict=True):
        row_items = plane.line_size // values.itemsize
        padded = np.zeros((plane.height, row_items), values.dtype)
        padded[:, : values.shape[1]] = values
        plane.update(padded.tobytes())
    return frame


def _filtered(frame: av.VideoFrame, clip: Clip) -> av.VideoFrame:
    if not clip.filters:
        return frame
    graph = av.filter.Graph()
    nodes = [
        graph.add_buffer(
            width=frame.width, height=frame.height, format=frame.format, time_base=clip.time_base
        )
    ]
    nodes += [graph.add(name, arguments) for name, arguments in clip.filters]
    graph.link_nodes(*nodes, graph.add("buffersink"))
    graph.configure()
    graph.vpush(frame)
    result = graph.vpull()
    result.pts, result.time_base = frame.pts, clip.time_base
    return result


def decoded(path: Path, index: int = 0) -> list[av.VideoFrame]:
    """What plain PyAV decodes, the reference."""
    with av.open(str(path)) as container:
        return list(container.decode(container.streams[index]))


def packet_places(path: Path) -> list[tuple[int, int]]:
    """Byte position and size of the first stream's packets, in the file's order."""
    with av.open(str(path)) as container:
        packets = container.demux(container.streams[0])
        return [(packet.pos, packet.size) for packet in packets if packet.size]


def spoil(path: Path, numbers: Sequence[int], keep: int = 5) -> None:
    """Overwrite the packets' content with zeros, but for their first `keep` bytes."""
    data = bytearray(path.read_bytes())
    places = packet_places(path)
    for number in numbers:
        position, size = places[number]
        data[position + keep : position + size] = bytes(size - keep)
    path.write_bytes(data)
