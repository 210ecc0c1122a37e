"""A network as a program of stages, so that a frame of any size runs in bounded memory, exactly.

Whole-frame statistics are what stands between a network and tiling. So a network is cut where they
are needed: each `Stage` is local (it may be run tile by tile, with a halo) and may end in a
`Summary` of its whole output; a `FrameStep` looks at the whole input at once and gives a vector.
An engine runs the steps in order, whatever it computes with.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from torch import nn

__all__ = [
    "GIVES_OUTPUT",
    "INPUT",
    "OUTPUT",
    "UNROUNDED",
    "WHOLE_FRAME",
    "FrameStep",
    "Program",
    "Sides",
    "Stage",
    "Summary",
]

INPUT = "input"
"""Name of the map a program starts from: R'G'B', (N, 3, H, W), [0, 1]."""

OUTPUT = "output"
"""Name of the map a program ends with: (N, 3, H x scale, W x scale)."""


GIVES_OUTPUT = "gives_output"
"""Name of an attribute in which the module of a last stage may list those of its children that go
straight from the picture to the output: rounding them would round the picture's codes."""


UNROUNDED = "unrounded"
"""Name of an attribute in which a module may list those of its children that take operands in half
precision, but whose result is not rounded: what is added to the output, as where a letter is made
paper it is a third of the signal, and bfloat16 two codes apart; and the features that all later
ones are added to."""


class Sides(NamedTuple):
    """Which sides of what a module is given are the frame's own border; the others are a tile's."""

    top: bool
    bottom: bool
    left: bool
    right: bool


WHOLE_FRAME = Sides(True, True, True, True)


@dataclass(frozen=True)
class Summary:
    """A vector made from the whole-frame statistics of a stage's output.

    Attributes:
        vector: Name under which later steps read the result, (N, K).
        module: Takes mean and standard deviation of each channel, both (N, C), float32.
    """

    vector: str
    module: nn.Module


@dataclass(frozen=True)
class Stage:
    """A local computation on maps of the frame's size.

    Attributes:
        module: Takes `maps` (each (N, C, h, w)) and then `vectors` (each (N, K)); gives
            (N, C', h x scale, w x scale). Its convolutions pad with zeros, as at the frame's
            border; a tile's other edges are made right by cutting the halo off.
        output: Name of the map written, or None if only its summary is wanted.
        halo_px: Input samples around a tile that its result depends on.
        scale: Output samples per input sample, along each side.
        asks_sides: Whether `module` takes the keyword `sides`: it does more at the frame's border
            than pad with zeros, and may leave that out where a halo is cut off.
        reads_once: Whether `module` gives each map, besides the input, to one layer alone.
        copies_maps: Whether whatever computes the stage copies its maps before it reads them: they
            may then be given as they are cut out, rows apart from one another.
        grid_px: How `module` adds up a sample depends on its place in a square of so many samples
            a side. Tiles begin where the frame's squares do, and round as the whole frame.
    """

    name: str
    module: nn.Module
    maps: tuple[str, ...]
    output: str | None
    halo_px: int
    vectors: tuple[str, ...] = ()
    scale: int = 1
    summary: Summary | None = None
    asks_sides: bool = False
    reads_once: bool = False
    copies_maps: bool = False
    grid_px: int = 1


@dataclass(frozen=True)
class FrameStep:
    """A computation that sees the whole of the input map and gives a vector, (N, K).

    Its module takes the input (N, 3, H, W) and keeps its own memory small.
    """

    name: str
    module: nn.Module
    vector: str


Program = tuple[Stage | FrameStep, ...]
