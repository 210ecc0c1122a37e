"""The two ways to compute a frame that are compared: ours, and the plain network."""

from __future__ import annotations

import time

import torch

from sdr2hdr.bench.request import MethodRequest
from sdr2hdr.engine import load_engine
from sdr2hdr.engine.out_of_memory import is_allocation_failure
from sdr2hdr.engine.smaller_tiles import run_with_smaller_tiles
from sdr2hdr.engine.tile_choice import store_tuned_tile
from sdr2hdr.engine.user_cache import CACHE_VARIABLE
from sdr2hdr.errors import FrameMemoryError, OutputError
from sdr2hdr.frames import STILL_TIMELINE, RgbBatch
from sdr2hdr.networks.weights import load_network
from sdr2hdr.signal import BT709_DISPLAY

__all__ = ["OurFrames", "ReferenceFrames", "tune"]

TUNING_FRAMES = 2
"""Timed for each tile size, after one that is not; the best counts."""


class OurFrames:
    """The engine, as a conversion runs it."""

    def __init__(self, request: MethodRequest) -> None:
        self._request = request
        self._engine = load_engine(request.model, request.scale, request.engine, request.tile_px)
        self._batch = _picture(request)
        self._asked_tile_px = self._engine.tile_px

    def describe(self) -> dict[str, object]:
        """How the frames are computed.

        `tile_px` is that of a frame of this size, `ran_out` whether memory did not suffice for the
        tiles there were at first.
        """
        engine, request = self._engine, self._request
        return {
            "backend": engine.backend,
            "device": str(engine.device),
            "precision": engine.precision,
            "tile_px": engine.tile_px_for(request.height_px, request.width_px),
            "threads": engine.placement.threads,
            "ran_out": engine.tile_px < self._asked_tile_px,
        }

    def frame_seconds(self) -> float:
        """Compute a frame and time it; where memory fails, halve the tile and start it again.

        Raises:
            FrameMemoryError: The smallest tile does not fit either.
        """
        while True:
            engine = self._engine
            started = time.perf_counter()
            self._engine, _ = run_with_smaller_tiles(engine, self._batch)
            if self._engine.device.type == "cuda":
                torch.cuda.synchronize(self._engine.device)
            if self._engine is engine:
                return time.perf_counter() - started

    def with_tiles(self, tile_px: int) -> None:
        """Go on with tiles of another size."""
        self._engine = self._engine.with_tiles(tile_px)

    def keep_tile(self, tile_px: int) -> None:
        """Let the engine take this tile from now on, for this model on this machine.

        Raises:
            OutputError: There is no room for it in the user's cache.
        """
        try:
            store_tuned_tile(self._engine.name, self._engine.placement, tile_px)
        except OSError as error:
            raise OutputError(
                f"The tile of {tile_px} px that --tune found cannot be kept in the user's cache: "
                f"{error.strerror} ({error.filename}); {CACHE_VARIABLE} names another folder, and "
                f"--tile {tile_px} times it without --tune."
            ) from error


class ReferenceFrames:
    """The trained form on whole frames: fp32, contiguous NCHW, all threads, as its authors do."""

    def __init__(self, request: MethodRequest) -> None:
        if request.threads is not None:
            torch.set_num_threads(request.threads)
        self._request = request
        self._network, _ = load_network(request.model, request.engine.weights_dir)
        self._pixels = _picture(request).pixels

    def describe(self) -> dict[str, object]:
        """How the frames are computed."""
        return {"threads": torch.get_num_threads()}

    @torch.inference_mode()
    def frame_seconds(self) -> float:
        """Compute a frame and time it.

        Raises:
            FrameMemoryError: It does not fit: it is one tile.
        """
        started = time.perf_counter()
        try:
            self._network(self._pixels)
        except Exception as error:  # torch has no error of its own for this on a CPU.
            if not is_allocation_failure(error):
                raise
            width_px, height_px = self._request.width_px, self._request.height_px
            raise FrameMemoryError(
                f"There was no memory left for a whole frame of {width_px}x{height_px} by the "
                "reference, which has no tiles; expected more free memory, or a smaller --size.",
                max(width_px, height_px),
            ) from error
        return time.perf_counter() - started


def tune(request: MethodRequest, tiles_px: list[int]) -> dict[int, float]:
    """Time a frame with each tile size, and keep the fastest for the engine.

    Returns:
        Seconds a frame, by tile size.

    Raises:
        OutputError: The fastest cannot be kept.
    """
    frames = OurFrames(request)
    found = {}
    for tile_px in tiles_px:
        frames.with_tiles(tile_px)
        frames.frame_seconds()
        found[tile_px] = min(frames.frame_seconds() for _ in range(TUNING_FRAMES))
    frames.keep_tile(min(found, key=lambda tile_px: found[tile_px]))
    return found


def _picture(request: MethodRequest) -> RgbBatch:
    """Noise: no method's speed depends on what a frame shows."""
    size_px = (request.height_px, request.width_px)
    pixels = torch.rand((1, 3, *size_px), generator=torch.Generator().manual_seed(0))
    return RgbBatch(pixels, BT709_DISPLAY, STILL_TIMELINE)
