"""Find the tile size that is fastest here."""

from __future__ import annotations

from contextlib import ExitStack

from sdr2hdr.bench.child import Child
from sdr2hdr.bench.frame_bench import with_weights
from sdr2hdr.bench.request import MethodRequest

__all__ = ["TUNED_TILES_PX", "tune_tiles"]

TUNED_TILES_PX = (64, 80, 96, 104, 128, 136, 160, 192, 240, 320)
"""What `--tune` tries: from where a layer's maps fit a core's second-level cache to where the maps
of all threads together overflow the third."""


def tune_tiles(
    request: MethodRequest, tiles_px: tuple[int, ...] = TUNED_TILES_PX
) -> dict[int, float]:
    """Time a frame with each tile size, in one process, and keep the fastest for the engine.

    Args:
        request: From `method_request`.
        tiles_px: What to try.

    Returns:
        Seconds a frame, by tile size.
    """
    with ExitStack() as stack:
        request = with_weights(request, stack)
        child = stack.enter_context(Child("tile sizes", "a smaller --size"))
        answer = child.ask(do="tune", request=request.content(), tiles=list(tiles_px))
    return {int(tile): seconds for tile, seconds in answer["seconds"].items()}
