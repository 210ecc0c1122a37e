"""Time the whole conversion of a clip and say where the time went."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from sdr2hdr.bench.child import Child
from sdr2hdr.bench.frame_bench import megabytes, with_weights
from sdr2hdr.bench.machine import processor_features, processor_name
from sdr2hdr.bench.request import MethodRequest
from sdr2hdr.wording import how_many

__all__ = ["bench_clip", "clip_lines"]


def bench_clip(
    clip: Path,
    request: MethodRequest,
    *,
    start_seconds: float | None = None,
    end_seconds: float | None = None,
    codec: str | None = None,
    quality: float | None = None,
    preset: str | None = None,
) -> dict[str, Any]:
    """Convert a clip in a process of its own; the output is thrown away.

    Args:
        clip: Any source that `convert` takes.
        request: From `method_request`; the size is that of the clip.
        start_seconds: As `convert` takes it, and so on.
        end_seconds: See above.
        codec: See above.
        quality: See above.
        preset: See above.

    Returns:
        What `clip_worker.time_clip` gives, with the process's greatest memory (1e6 bytes) and the
        machine.

    Raises:
        Sdr2HdrError: As a conversion.
    """
    with ExitStack() as stack:
        request = with_weights(request, stack)
        child = stack.enter_context(Child("the conversion", "a smaller --max-memory"))
        found = child.ask(
            do="clip",
            clip=str(clip),
            request=request.content(),
            start_seconds=start_seconds,
            end_seconds=end_seconds,
            codec=codec,
            quality=quality,
            preset=preset,
        )
    peak = megabytes(found.pop("peak_rss_bytes"))
    return {
        "model": request.model,
        "clip": str(clip),
        **found,
        "peak_rss_mb": peak,
        "random_weights": request.random_weights,
        "processor": processor_name(),
        "processor_features": processor_features(),
    }


def clip_lines(found: Mapping[str, Any]) -> Iterator[str]:
    """What `bench_clip` gave, for people."""
    frames, wall = found["frames"], found["wall_seconds"]
    yield f"{found['clip']}: {found['method']}"
    yield (
        f"{how_many(frames, 'frame')} in {wall:.2f} s ({frames / wall:.2f} fps); "
        f"{found['cpu_seconds']:.2f} CPU s on {how_many(found['cores'], 'core')}: "
        f"{found['wall_over_ideal']:.3f} times the least possible"
    )
    for name, stage in found["stages"].items():
        yield (
            f"{name:>10}: {stage['cpu_seconds']:7.2f} CPU s, {stage['busy_seconds']:7.2f} s busy, "
            f"{stage['input_seconds']:7.2f} s waiting for input, "
            f"{stage['output_seconds']:7.2f} s for room"
        )
    yield f"{'around':>10}: {found['around_cpu_seconds']:7.2f} CPU s planning, merging and checking"
    yield f"{'idle':>10}: {found['idle_seconds']:7.2f} s of all cores together"
    peak = found["peak_rss_mb"]
    yield "memory: " + ("unknown" if peak is None else f"{peak:.0f} MB at most")
