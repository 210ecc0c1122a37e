"""A frame that memory did not suffice for, tried again with smaller tiles."""

from __future__ import annotations

from sdr2hdr.engine.engine import Engine
from sdr2hdr.engine.tile_choice import SMALLEST_TILE_PX
from sdr2hdr.errors import FrameMemoryError
from sdr2hdr.frames import RgbBatch

__all__ = ["run_with_smaller_tiles"]


def run_with_smaller_tiles(engine: Engine, batch: RgbBatch) -> tuple[Engine, RgbBatch]:
    """Run a batch; where memory fails, halve the tile and start again.

    For runs of few frames without a plan: a plan pins its tile, and all of it must start over.

    Returns:
        The engine that did it, with its `tile_px`, and the result.

    Raises:
        FrameMemoryError: The smallest tile did not fit either.
    """
    while True:
        try:
            return engine, engine.run(batch)
        except FrameMemoryError:
            smaller_px = engine.tile_px // 2
            if smaller_px < SMALLEST_TILE_PX:
                raise
            engine = engine.with_tiles(smaller_px)
