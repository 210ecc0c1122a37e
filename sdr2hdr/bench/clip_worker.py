"""Convert a clip in this process and account for its time, stage by stage."""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from sdr2hdr.bench.machine import library_thread_seconds, thread_cpu_seconds
from sdr2hdr.bench.request import MethodRequest
from sdr2hdr.conversion import prepare
from sdr2hdr.cores import available_cores
from sdr2hdr.jobs.run import convert
from sdr2hdr.options import ConvertOptions, EncodeOptions, ReadOptions, TimeRange
from sdr2hdr.overlap import StageClock

__all__ = ["time_clip"]

TILE_THREADS = "tile"
"""How the names of the threads begin that compute tiles."""
DECODER_THREADS = "av:"
"""How libav names the threads of its decoders (`ff_thread_setname`)."""


def time_clip(asked: dict[str, Any]) -> dict[str, Any]:
    """Convert a clip into a temporary folder.

    Args:
        asked: "clip", "request" (a `MethodRequest`; its size is not used), "start_seconds",
            "end_seconds", "codec", "quality" and "preset".

    Returns:
        `wall_seconds` and `cpu_seconds` of everything, and `stages`: of each, frames, seconds on
        the clock (busy, waiting for input, waiting for room) and CPU seconds of its thread and of
        the threads that work for it. The encoder's are what is left when all others are
        subtracted.
    """
    request = MethodRequest(**asked["request"])
    clocks: list[tuple[StageClock, ...]] = []
    decoder_seconds: list[float] = []

    def keep(spent: tuple[StageClock, ...]) -> None:
        clocks.append(spent)
        # The decoder's own threads live until the reader is closed.
        decoder_seconds.append(library_thread_seconds(DECODER_THREADS))

    with tempfile.TemporaryDirectory(prefix="sdr2hdr-bench-") as folder:
        target = Path(folder) / "out.mkv"
        conversion = prepare(Path(asked["clip"]), target, _options(asked, request), request.tile_px)
        conversion = replace(conversion, on_clocks=keep)
        tiles_before = _tile_seconds()
        wall, cpu, own = time.perf_counter(), time.process_time(), time.thread_time()
        summary = convert(conversion)
        wall = time.perf_counter() - wall
        cpu, own = time.process_time() - cpu, time.thread_time() - own
    stages = _summed(clocks)
    stages["decode"]["cpu_seconds"] += sum(decoder_seconds)
    stages["network"]["cpu_seconds"] += _tile_seconds() - tiles_before
    # Planning, merging and checking happen in this thread, around the frames.
    around = own - stages["encode"]["cpu_seconds"]
    others = sum(stage["cpu_seconds"] for name, stage in stages.items() if name != "encode")
    stages["encode"]["cpu_seconds"] = cpu - others - around
    cores = available_cores()
    return {
        "frames": summary.frames,
        "size_bytes": summary.size_bytes,
        "width_px": conversion.width_px,
        "height_px": conversion.height_px,
        "method": conversion.engine.describe(),
        "cores": cores,
        "wall_seconds": wall,
        "cpu_seconds": cpu,
        "idle_seconds": cores * wall - cpu,
        "wall_over_ideal": wall * cores / cpu,
        "around_cpu_seconds": around,
        "stages": stages,
    }


def _options(asked: dict[str, Any], request: MethodRequest) -> ConvertOptions:
    return ConvertOptions(
        model=request.model,
        scale=request.scale,
        read=ReadOptions(
            time_range=TimeRange(asked["start_seconds"], asked["end_seconds"]),
            threads=request.threads,
        ),
        encode=EncodeOptions(
            codec=asked["codec"],
            quality=asked["quality"],
            preset=asked["preset"],
            threads=request.threads,
        ),
        engine=request.engine,
    )


def _summed(runs: Iterable[tuple[StageClock, ...]]) -> dict[str, dict[str, float]]:
    """The clocks of all segments together, by stage."""
    stages: dict[str, dict[str, float]] = {}
    for clocks in runs:
        for clock in clocks:
            stage = stages.setdefault(clock.name, {})
            for name in ("items", "busy_seconds", "input_seconds", "output_seconds", "cpu_seconds"):
                stage[name] = stage.get(name, 0) + getattr(clock, name)
    return stages


def _tile_seconds() -> float:
    threads = [t for t in threading.enumerate() if t.name.startswith(TILE_THREADS)]
    return sum(thread_cpu_seconds(thread) for thread in threads)
