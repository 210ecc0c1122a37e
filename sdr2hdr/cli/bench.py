"""`sdr2hdr bench`: how fast a method, or a whole conversion, is on this machine."""

from __future__ import annotations

import re
from typing import Any

import click

from sdr2hdr.cli.console import Console
from sdr2hdr.cli.parameters import (
    ANY_PATH,
    SecondsType,
    combined,
    engine_options,
    output_options,
)
from sdr2hdr.errors import UsageError
from sdr2hdr.wording import how_many

__all__ = ["command"]

DEFAULT_MODEL = "irnet2"
DEFAULT_SIZE = (1920, 1080)
DEFAULT_FRAMES = 3


class SizeType(click.ParamType):
    """A frame's size, WIDTHxHEIGHT."""

    name = "WxH"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, int]:
        """Width and height of "1920x1080"."""
        if isinstance(value, tuple):
            return value
        match = re.fullmatch(r"([1-9]\d{0,4})x([1-9]\d{0,4})", value.strip())
        if match is None:
            self.fail(f"{value!r} is not a size; expected WIDTHxHEIGHT, as 1920x1080.", param, ctx)
        return int(match[1]), int(match[2])


method_options = combined(
    click.option(
        "--model",
        default=DEFAULT_MODEL,
        show_default=True,
        metavar="NAME",
        help="Network or curve; `sdr2hdr models` lists them.",
    ),
    click.option(
        "--scale",
        type=click.IntRange(1),
        default=1,
        metavar="N",
        help="Of names that stand for several networks, as gpgmnet with 2 for gpgmnet-x2; of a "
        "curve, the enlargement before it.",
    ),
    engine_options,
)

frame_options = combined(
    click.option(
        "--size",
        type=SizeType(),
        metavar="WxH",
        help="Of a frame before the method. [default: 1920x1080]",
    ),
    click.option(
        "--frames",
        type=click.IntRange(1),
        metavar="N",
        help=f"How many are timed in each turn. [default: {DEFAULT_FRAMES}]",
    ),
    click.option(
        "--tile", "tile_px", type=click.IntRange(16), metavar="PX", help="Side of a tile."
    ),
    click.option(
        "--reference",
        is_flag=True,
        help="Run the plain network on the whole frame too, turn by turn: fp32, no tiles.",
    ),
    click.option(
        "--tune", is_flag=True, help="Try tile sizes first and keep the best for later runs."
    ),
)

clip_options = combined(
    click.option(
        "--clip",
        type=ANY_PATH,
        metavar="IN",
        help="Time the conversion of this file instead, stage by stage.",
    ),
    click.option("--start", type=SecondsType(), help="With --clip: as for convert."),
    click.option("--end", type=SecondsType(), help="With --clip: as for convert."),
    click.option("--codec", metavar="NAME", help="With --clip: as for convert."),
    click.option("--quality", type=float, metavar="N", help="With --clip: as for convert."),
    click.option("--preset", metavar="NAME", help="With --clip: as for convert."),
)


@click.command("bench")
@method_options
@frame_options
@clip_options
@output_options
def command(console: Console, **given: Any) -> None:
    """Measure speed and memory, each method in a process of its own.

    Without --clip, frames of one size are timed. A network without weights gets random ones: speed
    does not depend on them.
    """
    for name in ("start", "end", "codec", "quality", "preset"):
        if given["clip"] is None and given[name] is not None:
            raise UsageError(f"--{name} is for a clip; name one with --clip, or leave it out.")
    from sdr2hdr.bench.frame_bench import method_request
    from sdr2hdr.bench.request import MethodRequest

    width_px, height_px = given["size"] or DEFAULT_SIZE
    weights_dir = given["weights_dir"]
    request = method_request(
        MethodRequest(
            model=given["model"],
            scale=given["scale"],
            height_px=height_px,
            width_px=width_px,
            backend=given["backend"],
            device=given["device"],
            precision=given["precision"],
            weights_dir=None if weights_dir is None else str(weights_dir),
            threads=given["threads"],
            max_memory_bytes=given["max_memory"],
            tile_px=given["tile_px"],
        )
    )
    if given["clip"] is not None:
        show_clip(console, given, request)
    else:
        show_frames(console, given, request)


def show_frames(console: Console, given: dict[str, Any], request: Any) -> None:
    """Measure frames and say what was found."""
    from sdr2hdr.bench.frame_bench import bench_frames

    if given["tune"]:
        request = tuned(console, given, request)
    bench = bench_frames(
        request,
        given["frames"] or DEFAULT_FRAMES,
        reference=given["reference"],
        on_step=lambda step: console.detail(f"{step} ..."),
    )
    for notice in bench.notices:
        console.notice(notice)
    content = bench.content()
    if console.json:
        console.event("bench", content)
        return
    how = bench.how
    console.result(
        f"{request.model}, {request.width_px}x{request.height_px}, {how['backend']} on "
        f"{how['device']}, {how['precision']}, tiles of {how['tile_px']} px, "
        f"{how_many(how['threads'], 'thread')}{', random weights' if bench.random_weights else ''}"
    )
    console.result(
        f"{bench.seconds_per_frame:.3f} s a frame, {megabytes(content['peak_rss_mb'])} at most"
    )
    if bench.reference_seconds_per_frame is not None:
        console.result(
            f"reference: {bench.reference_seconds_per_frame:.3f} s a frame, "
            f"{megabytes(content['reference_peak_rss_mb'])} at most: {bench.speedup:.1f} times "
            "as fast"
        )
    if bench.gflops_per_second is not None:
        console.result(
            f"{bench.gflops_per_second:.0f} GFLOP/s of the trained form; a matrix multiply "
            f"reaches {bench.machine_gflops_per_second:.0f}"
        )
    features = ", ".join(bench.processor_features)
    console.result(f"{bench.processor} ({features})")


def tuned(console: Console, given: dict[str, Any], request: Any) -> Any:
    """Try tile sizes, keep the best for the engine, and use it."""
    from dataclasses import replace

    from sdr2hdr.bench.tuning import tune_tiles

    if given["tile_px"] is not None:
        raise UsageError("--tune looks for the tile that --tile gives; leave out one of them.")
    seconds = tune_tiles(request)
    for tile_px, found in seconds.items():
        console.detail(f"tiles of {tile_px} px: {found:.3f} s a frame")
    best_px = min(seconds, key=lambda tile_px: seconds[tile_px])
    console.say(f"Tiles of {best_px} px are fastest: {seconds[best_px]:.3f} s a frame.")
    if console.json:
        console.event("tune", {"seconds_per_frame": seconds, "tile_px": best_px})
    return replace(request, tile_px=best_px)


def show_clip(console: Console, given: dict[str, Any], request: Any) -> None:
    """Time a conversion and say where the time went."""
    for name in ("size", "frames", "reference", "tune"):
        if given[name]:
            raise UsageError(f"--{name} is for frames; leave it out with --clip.")
    from sdr2hdr.bench.clip_bench import bench_clip, clip_lines

    found = bench_clip(
        given["clip"],
        request,
        start_seconds=given["start"],
        end_seconds=given["end"],
        codec=given["codec"],
        quality=given["quality"],
        preset=given["preset"],
    )
    if console.json:
        console.event("bench", found)
        return
    for line in clip_lines(found):
        console.result(line)


def megabytes(count: object) -> str:
    """A number of MB in words, if it is known."""
    return f"{count:.0f} MB" if isinstance(count, float) else "unknown memory"
