"""Synthetic clips in which it is known what moves and what does not, to measure flicker on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from clips import ClipRecipe, blank_frame, fill_plane

__all__ = ["SCENES", "write_scene"]

SIZE_PX = (320, 180)
FRAMES = 48

Luma = np.ndarray
"""8-bit limited range as floats, (180, 320); rounded when it is written."""


def still(width_px: int = SIZE_PX[0]) -> Luma:
    """Soft shapes from shadow to highlight, with a little texture: a room without people."""
    random = np.random.default_rng(7)
    rows, columns = np.indices((SIZE_PX[1], width_px), dtype=np.float64)
    luma = 70.0 + 60.0 * columns / SIZE_PX[0] % 120.0
    for _ in range(24):
        row, column = random.uniform(0, SIZE_PX[1]), random.uniform(0, width_px)
        radius, light = random.uniform(15, 50), random.uniform(-60, 80)
        distance = (rows - row) ** 2 + (columns - column) ** 2
        luma += light * np.exp(-distance / (2 * radius**2))
    return np.clip(luma + random.normal(0.0, 1.5, luma.shape), 20.0, 230.0)


def noise_only() -> Iterator[Luma]:
    """A still room through a camera's noise: 3 codes (standard deviation), each frame anew."""
    room, random = still(), np.random.default_rng(1)
    for _ in range(FRAMES):
        yield room + random.normal(0.0, 3.0, room.shape)


def slow_pan() -> Iterator[Luma]:
    """The camera turns by a pixel every other frame."""
    room = still(SIZE_PX[0] + FRAMES)
    for number in range(FRAMES):
        start = number // 2
        yield room[:, start : start + SIZE_PX[0]]


def object_entering() -> Iterator[Luma]:
    """Something bright slides over half of a still room within half a second, and stays."""
    room = still()
    thing = 200.0 + 20.0 * np.sin(np.indices(room.shape)[1] / 3.0)
    for number in range(FRAMES):
        covered = round(SIZE_PX[0] / 2 * np.clip((number - 12) / 12, 0.0, 1.0))
        luma = room.copy()
        luma[:, :covered] = thing[:, :covered]
        yield luma


def exposure_ramp() -> Iterator[Luma]:
    """A still room that becomes a third brighter over two seconds."""
    room = still() - 16.0
    for number in range(FRAMES):
        yield 16.0 + room * (0.75 + 0.25 * number / (FRAMES - 1))


def fade() -> Iterator[Luma]:
    """From black over a second, then still."""
    room = still() - 16.0
    for number in range(FRAMES):
        yield 16.0 + room * min(1.0, number / 24)


SCENES: dict[str, Callable[[], Iterator[Luma]]] = {
    "noise only": noise_only,
    "slow pan": slow_pan,
    "object entering": object_entering,
    "exposure ramp": exposure_ramp,
    "fade from black": fade,
}


def write_scene(name: str, path: Path) -> Path:
    """Write a scene without loss, as Matroska."""
    recipe = ClipRecipe(*SIZE_PX)
    neutral = np.full((SIZE_PX[1] // 2, SIZE_PX[0] // 2), 128, np.uint8)
    with av.open(str(path), "w") as container:
        video = container.add_stream("ffv1", rate=25)
        video.width, video.height, video.pix_fmt = *SIZE_PX, "yuv420p"
        video.codec_context.time_base = Fraction(1, 25)
        for number, luma in enumerate(SCENES[name]()):
            frame = blank_frame(recipe)
            codes = np.clip(np.rint(luma), 16, 235).astype(np.uint8)
            for plane, values in zip(frame.planes, (codes, neutral, neutral), strict=True):
                fill_plane(plane, values)
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
    return path
