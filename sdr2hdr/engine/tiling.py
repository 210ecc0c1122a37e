"""A program run tile by tile: exact at any tile size, in memory bounded by its maps.

Tiles that fit a core's cache are several times as fast as whole frames. A tile is cut from a
stage's maps with as much around it as its result depends on, clipped to the frame; what was
computed from too little is cut off again. At the frame's own border nothing is cut, so there the
convolutions' zero padding is the very padding of the whole frame.

What a network makes of that padding is seen: it has learned from views cut out of larger pictures,
and a white frame comes out up to 70 codes of 10 bits darker along its border. So a frame may be
given a margin, in which its outermost samples are repeated, and of which nothing is left in the
result or in the statistics.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from threading import Lock
from typing import NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812

from sdr2hdr.engine.frame_statistics import (
    ChannelStatistics,
    Moments,
    band_moments,
    bands,
    moments,
)
from sdr2hdr.engine.tile_workers import TileWorkers
from sdr2hdr.frames import Rectangle
from sdr2hdr.networks.stages import INPUT, OUTPUT, Program, Sides, Stage

__all__ = ["MapBuffers", "Tile", "VectorFilter", "reach_px", "run_program", "tiles"]

VectorFilter = Callable[[str, torch.Tensor], torch.Tensor]
"""Takes a whole-frame vector's name and value, (N, K), and gives the value to go on with."""

_FAST_WIDTH_PX = 4
"""Multiples of this are fast widths. oneDNN cuts rows into pieces of one length, and 326 is twice a
prime: with AMX a convolution of 3x3 from 68 to 32 channels in bfloat16 takes 9.1 ms for 276 such
rows, 5.3 ms for 324 px and 5.9 for 328. In tiles of 320 px IRNet-2 takes 1.06 s for 1920x1080
without this and 0.96 with it, GPGMNet x2 for 960x540 2.0 and 1.4: medians of 13 and 5 turns."""

_HALF_PRECISION = (torch.bfloat16, torch.float16)


@dataclass(frozen=True)
class Tile:
    """A part of a frame to be computed.

    Attributes:
        core: What the tile is to give; the cores of a frame's tiles cover it once.
        source: What it is computed from: the core and its halo, clipped to the frame.
        sides: Which sides of `source` are the frame's.
    """

    core: Rectangle
    source: Rectangle
    sides: Sides

    def core_in_source(self, scale: int = 1) -> Rectangle:
        """Where the core lies in a result computed from `source`, `scale` times as large."""
        return Rectangle(
            self.core.top - self.source.top,
            self.core.left - self.source.left,
            self.core.bottom - self.source.top,
            self.core.right - self.source.left,
        ).scaled(scale)


def tiles(
    height_px: int,
    width_px: int,
    tile_px: int,
    halo_px: int,
    margin_px: int = 0,
    wanted_px: int = 0,
    grid_px: int = 1,
) -> Iterator[Tile]:
    """Cut a frame into tiles, row by row.

    Tiles are as equal as whole numbers allow, so that a frame gives few different shapes.

    Args:
        height_px: Of the frame, 1 or more.
        width_px: Of the frame, 1 or more.
        tile_px: Longest side of a core, without what it has of the margin; 1 or more.
        halo_px: Width of what is needed around a core, 0 or more.
        margin_px: Width of the margin around the frame, in which tiles' coordinates begin.
        wanted_px: How much of the margin the cores are to cover too, at most all.
        grid_px: What a tile is computed from begins at a multiple of this, 1 or more.

    Raises:
        ValueError: An argument is out of range.
    """
    smallest = min(height_px, width_px, tile_px, grid_px)
    if smallest < 1 or halo_px < 0 or not 0 <= wanted_px <= margin_px:
        raise ValueError(
            f"Tiles of {tile_px} px on a grid of {grid_px} px, with a halo of {halo_px} px, for a "
            f"frame of {width_px}x{height_px} and {wanted_px} px of its margin of {margin_px}; "
            "expected 1 or more, a halo of 0 or more."
        )
    whole = Rectangle(0, 0, height_px + 2 * margin_px, width_px + 2 * margin_px)
    # What the outermost tiles need is all of the margin that was computed.
    idle_px = max(margin_px - wanted_px - halo_px, 0)
    computed = (idle_px, whole.right - idle_px)
    for top, bottom in _cuts(height_px, tile_px, margin_px, wanted_px):
        for left, right in _cuts(width_px, tile_px, margin_px, wanted_px):
            first_row = max(top - halo_px, 0)
            first_column, last_column = _columns(
                max(left - halo_px, 0), min(right + halo_px, whole.right), computed, grid_px
            )
            source = Rectangle(
                first_row - first_row % grid_px,
                first_column,
                min(bottom + halo_px, whole.bottom),
                last_column,
            )
            yield Tile(
                core=Rectangle(top, left, bottom, right),
                source=source,
                sides=Sides(
                    top=source.top == 0,
                    bottom=source.bottom == whole.bottom,
                    left=source.left == 0,
                    right=source.right == whole.right,
                ),
            )


def _columns(first: int, last: int, computed: tuple[int, int], grid_px: int) -> tuple[int, int]:
    """What a tile is computed from: these columns and so many more that the width is a fast one.

    They are taken on the right, or where what was computed ends on the left.
    """
    first -= first % grid_px
    last = min(last + (first - last) % _FAST_WIDTH_PX, computed[1])
    first = max(first - (first - last) % _FAST_WIDTH_PX, computed[0])
    return first - first % grid_px, last


def _cuts(length_px: int, tile_px: int, margin_px: int, wanted_px: int) -> list[tuple[int, int]]:
    count = -(-length_px // tile_px)
    edges = [margin_px + length_px * i // count for i in range(count + 1)]
    edges[0] -= wanted_px
    edges[-1] += wanted_px
    return list(pairwise(edges))


def reach_px(program: Program) -> int:
    """How far around a sample what its result depends on lies, statistics apart; input px."""
    return _reaches_px(program)[0]


def _reaches_px(program: Program) -> tuple[int, list[int]]:
    """What `reach_px` gives, and how much around a frame each step's result is needed."""
    needed = {OUTPUT: 0}
    wanted: list[int] = []
    for step in reversed(program):
        own = 0
        if isinstance(step, Stage):
            own = 0 if step.output is None else needed.pop(step.output, 0)
            for name in step.maps:
                needed[name] = max(needed.get(name, 0), own + step.halo_px)
        wanted.append(own)
    return needed.get(INPUT, 0), wanted[::-1]


def _inner(extended: torch.Tensor, margin_px: int) -> torch.Tensor:
    """A map without its margin."""
    height_px, width_px = extended.shape[2:]
    inner = Rectangle(margin_px, margin_px, height_px - margin_px, width_px - margin_px)
    return _part(extended, inner)


class MapBuffers:
    """The memory of a program's maps, kept from frame to frame.

    A system clears fresh memory page by page when it is first written, which for maps of gigabytes
    costs a tenth of a frame's time.

    Attributes:
        dtype: How maps between stages are kept that are not in half precision as they come.
        memory_format: How they are laid out.
        values: Numbers in all the memory that was ever taken for frames of the present size.
        channels: Of the widest map.
    """

    def __init__(
        self,
        dtype: torch.dtype = torch.float32,
        memory_format: torch.memory_format = torch.channels_last,
    ) -> None:
        self.dtype = dtype
        self.memory_format = memory_format
        self.values = 0
        self.channels = 0
        self._free: list[torch.Tensor] = []

    def take(self, shape: tuple[int, int, int, int], like: torch.Tensor) -> torch.Tensor:
        """Give a map of any numbers, in memory of an earlier one if there is some of its size.

        Memory of frames of another size is let go. Fresh memory is filled, as it may hold what is
        no number: of a margin not all is computed, tiles on a grid are cut out with some of that,
        and oneDNN multiplies what lies beside 48 channels with zeros.

        Args:
            shape: (N, C, H, W).
            like: A part of the map, on the device where that has to be.
        """
        dtype = like.dtype if like.dtype in _HALF_PRECISION else self.dtype
        self.channels = max(self.channels, shape[1])
        for index, buffer in enumerate(self._free):
            if (buffer.shape, buffer.dtype, buffer.device) == (shape, dtype, like.device):
                return self._free.pop(index)
        self.values -= sum(b.numel() for b in self._free if b.shape[2:] != shape[2:])
        self._free = [buffer for buffer in self._free if buffer.shape[2:] == shape[2:]]
        self.values += math.prod(shape)
        fresh = torch.empty(
            shape, dtype=dtype, device=like.device, memory_format=self.memory_format
        )
        return fresh.zero_()

    def give_back(self, buffer: torch.Tensor) -> None:
        """Let a map's memory be used by the next."""
        self._free.append(buffer)


def run_program(
    program: Program,
    pixels: torch.Tensor,
    tile_px: int,
    buffers: MapBuffers,
    workers: TileWorkers,
    smooth: VectorFilter | None = None,
    output: torch.Tensor | None = None,
    margin_px: int = 0,
) -> torch.Tensor:
    """Compute a program on whole frames, its stages tile by tile.

    Args:
        program: Modules ready to be called with what `buffers` keeps (the input and vectors come
            in the dtype of `pixels`), on the device of `pixels`.
        pixels: (N, 3, H, W), float32 or float64, [0, 1].
        tile_px: Longest side of a tile, input px.
        buffers: Memory of the maps.
        workers: Who computes the tiles.
        smooth: Called with each vector's name and raw value as soon as it is known; gives what the
            frame is computed with. None is the raw value.
        output: Where to put the result, of its shape, on the device of `pixels`; None is a new
            tensor.
        margin_px: How wide a margin of repeated samples the frame is given while it is computed;
            with as many as its `reach_px` no zero padding is left. Steps that see the whole frame
            see it without.

    Returns:
        (N, 3, H x scale, W x scale), dtype of `pixels`, not clipped; `output` if it was given.
    """
    maps = {INPUT: pixels}
    vectors: dict[str, torch.Tensor] = {}
    _, wanted_px = _reaches_px(program)
    for index, step in enumerate(program):
        if not isinstance(step, Stage):
            vector = step.module(pixels)
            vectors[step.vector] = vector if smooth is None else smooth(step.vector, vector)
            continue
        own = output if step.output == OUTPUT else None
        margin = _Margin(margin_px, min(wanted_px[index], margin_px))
        result, vector = _run_stage(step, maps, vectors, tile_px, buffers, workers, own, margin)
        if step.summary is not None and vector is not None:
            name = step.summary.vector
            vectors[name] = vector if smooth is None else smooth(name, vector)
        later = _maps_needed(program[index + 1 :])
        later.add(INPUT)
        for name in [name for name in maps if name not in later or name == step.output]:
            buffers.give_back(maps.pop(name))
        if step.output is not None and result is not None:
            maps[step.output] = result
    return maps[OUTPUT]


def _maps_needed(program: Program) -> set[str]:
    """Maps that a program reads and does not first write itself."""
    needed: set[str] = set()
    written: set[str] = set()
    for step in program:
        if isinstance(step, Stage):
            needed |= set(step.maps) - written
            written |= {step.output} if step.output is not None else set()
    return needed


class _Margin(NamedTuple):
    """Of a frame's maps: how wide it is, and how much of it a stage computes; px."""

    whole_px: int
    wanted_px: int


def _run_stage(
    stage: Stage,
    maps: dict[str, torch.Tensor],
    vectors: dict[str, torch.Tensor],
    tile_px: int,
    buffers: MapBuffers,
    workers: TileWorkers,
    output: torch.Tensor | None,
    margin: _Margin,
) -> tuple[torch.Tensor | None, torch.Tensor | None]:
    """Compute the stage's map and its summary's vector; None for what it does not have."""
    pixels = maps[INPUT]
    frames, _, height_px, width_px = pixels.shape
    # Maps between stages have the margin; the input and the result do not.
    is_result = stage.output == OUTPUT
    kept_px = 0 if is_result else margin.whole_px
    conditions = [vectors[name] for name in stage.vectors]
    allocation = Lock()

    def compute(tile: Tile) -> Moments | None:
        nonlocal output
        cut = [
            _repeated_part(pixels, tile.source, margin.whole_px)
            if name == INPUT
            else _part(maps[name], tile.source)
            for name in stage.maps
        ]
        cut = [
            part if stage.copies_maps else part.contiguous(memory_format=buffers.memory_format)
            for part in cut
        ]
        about = {"sides": tile.sides} if stage.asks_sides else {}
        result = _part(stage.module(*cut, *conditions, **about), tile.core_in_source(stage.scale))
        if stage.output is not None:
            with allocation:
                # Only a result tells how many channels the map has.
                if output is None:
                    shape = (
                        frames,
                        result.shape[1],
                        (height_px + 2 * kept_px) * stage.scale,
                        (width_px + 2 * kept_px) * stage.scale,
                    )
                    output = (
                        pixels.new_empty(shape) if is_result else buffers.take(shape, like=result)
                    )
            place = tile.core.shifted(kept_px - margin.whole_px).scaled(stage.scale)
            _part(output, place).copy_(result)
        # A map that is kept is measured when it is whole.
        return moments(result) if stage.output is None else None

    cuts = tiles(height_px, width_px, tile_px, stage.halo_px, *margin, grid_px=stage.grid_px)
    parts = workers.map(compute, cuts)
    if stage.summary is None:
        return output, None
    if output is not None:
        parts = workers.map(band_moments, bands(_inner(output, margin.whole_px)))
    statistics = ChannelStatistics.of(part for part in parts if part is not None)
    return output, stage.summary.module(
        statistics.mean.to(pixels.dtype), statistics.standard_deviation.to(pixels.dtype)
    )


def _part(picture: torch.Tensor, rectangle: Rectangle) -> torch.Tensor:
    return picture[..., rectangle.top : rectangle.bottom, rectangle.left : rectangle.right]


def _repeated_part(frame: torch.Tensor, rectangle: Rectangle, margin_px: int) -> torch.Tensor:
    """A part of a frame with a margin, in which the frame's outermost samples are repeated."""
    height_px, width_px = frame.shape[2:]
    wanted = rectangle.shifted(-margin_px)
    there = Rectangle(
        max(wanted.top, 0),
        max(wanted.left, 0),
        min(wanted.bottom, height_px),
        min(wanted.right, width_px),
    )
    missing_px = (
        there.left - wanted.left,
        wanted.right - there.right,
        there.top - wanted.top,
        wanted.bottom - there.bottom,
    )
    part = _part(frame, there)
    return F.pad(part, missing_px, mode="replicate") if any(missing_px) else part
