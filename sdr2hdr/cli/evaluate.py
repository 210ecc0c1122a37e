"""`sdr2hdr evaluate`: how near an HDR video or picture is to its reference."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sdr2hdr.cli.console import Console
from sdr2hdr.cli.counting import counted
from sdr2hdr.cli.parameters import ANY_PATH, POSITIVE_NUMBER, THREADS, output_options
from sdr2hdr.cores import available_cores
from sdr2hdr.errors import InputError, Notice
from sdr2hdr.wording import how_many

if TYPE_CHECKING:
    import torch

    from sdr2hdr.frames import CodedBatch
    from sdr2hdr.media.hdr10.hdr_frames import HdrFrames, LinearLight
    from sdr2hdr.quality.scores import Metric
    from sdr2hdr.quality.summary import ClipScores, MetricSummary

__all__ = ["command"]

MOST_FRAMES_AT_ONCE = 8
"""Without --threads. A pair of 3840x2160 frames takes about 0.5 GB while it is measured."""


@click.command("evaluate")
@click.argument("reference", type=ANY_PATH)
@click.argument("test", type=ANY_PATH)
@click.option("--frames", "show_frames", is_flag=True, help="Give the scores of each frame too.")
@click.option(
    "--assume-pq", is_flag=True, help="Take a file without a transfer tag as PQ, BT.2020."
)
@click.option(
    "--linear-white",
    type=POSITIVE_NUMBER,
    metavar="CD_M2",
    help="Light of 1.0 in an EXR or Radiance picture [default: the EXR's whiteLuminance].",
)
@click.option("--threads", type=THREADS, metavar="N", help="Frames measured at once.")
@click.option(
    "--flicker",
    is_flag=True,
    help="REFERENCE is the SDR source: measure how steady TEST is, shot by shot, and nothing else.",
)
@click.option(
    "--max-flicker",
    type=POSITIVE_NUMBER,
    metavar="X",
    help="With --flicker: fail with code 9 if a shot flickers more than X times its source.",
)
@output_options
def command(
    console: Console,
    reference: Path,
    test: Path,
    show_frames: bool,
    assume_pq: bool,
    linear_white: float | None,
    threads: int | None,
    flicker: bool,
    max_flicker: float | None,
) -> None:
    """Compare TEST with REFERENCE, both HDR in PQ, frame by frame in their order.

    Each is a video, a still picture (PNG, TIFF, AVIF, DPX) or linear light (EXR, Radiance); sizes
    and numbers of frames must be equal. Frames are counted from 0. The mean is over frames, each
    counting the same; equal frames count as 100 dB.
    """
    from sdr2hdr.media.hdr10.hdr_frames import open_hdr
    from sdr2hdr.quality.summary import ClipScores

    if flicker:
        given = {"--frames": show_frames, "--linear-white": linear_white, "--threads": threads}
        for name, value in given.items():
            if value:
                raise click.UsageError(f"{name} is of scores: it does not go with --flicker.")
        evaluate_flicker(console, reference, test, assume_pq=assume_pq, max_flicker=max_flicker)
        return
    if max_flicker is not None:
        raise click.UsageError("--max-flicker goes with --flicker.")
    clip = ClipScores()
    with (
        open_hdr(reference, assume_pq=assume_pq) as reference_file,
        open_hdr(test, assume_pq=assume_pq) as test_file,
        counted(console, test.name, frame_count(reference_file, test_file)) as advance,
    ):
        check_sizes(reference_file, test_file)
        say_notices(console, reference_file, test_file, linear_white)
        pairs = paired_frames(reference_file, test_file, linear_white)
        for found in scored(pairs, threads or frames_at_once()):
            scores = clip.add(found)
            if show_frames:
                show_frame(console, clip.frames - 1, scores)
            advance()
    show_summary(console, reference_file, test_file, clip)


def evaluate_flicker(
    console: Console, source: Path, test: Path, *, assume_pq: bool, max_flicker: float | None
) -> None:
    """Measure how steady a conversion is.

    Raises:
        GateError: A shot flickers more than is allowed.
    """
    from sdr2hdr.cli.flicker_report import measure_flicker, show_flicker
    from sdr2hdr.media.hdr10.hdr_frames import open_hdr
    from sdr2hdr.quality.flicker import check_flicker

    with (
        open_hdr(test, assume_pq=assume_pq) as converted,
        counted(console, test.name, converted.frame_count) as advance,
    ):
        for notice in converted.notices:
            console.notice(notice, test)
        shots = measure_flicker(source, converted, advance)
    show_flicker(console, shots)
    if max_flicker is not None:
        check_flicker(shots, max_flicker)


def check_sizes(reference: HdrFrames, test: HdrFrames) -> None:
    """Refuse pictures of two sizes.

    Raises:
        InputError: Width or height differ.
    """
    sizes = [(file.width_px, file.height_px) for file in (reference, test)]
    if sizes[0] != sizes[1]:
        (width, height), (test_width, test_height) = sizes
        raise InputError(
            f"{reference.path} is {width}x{height} and {test.path} {test_width}x{test_height}; "
            "expected one size."
        )


def say_notices(
    console: Console, reference: HdrFrames, test: HdrFrames, linear_white: float | None
) -> None:
    """Say what had to be assumed about the files, and what cannot be measured."""
    from sdr2hdr.quality.ssim import MS_SSIM_SMALLEST_SIDE_PX

    for file in (reference, test):
        for notice in file.notices:
            console.notice(notice, file.path)
    side_px = min(reference.width_px, reference.height_px)
    if side_px < MS_SSIM_SMALLEST_SIDE_PX:
        text = f"{side_px} px is too small for MS-SSIM, which needs {MS_SSIM_SMALLEST_SIDE_PX}."
        console.notice(Notice("notice", text))
    if linear_white is not None:
        console.detail(f"Linear light: 1.0 is {linear_white} cd/m2 (--linear-white).")


def frame_count(reference: HdrFrames, test: HdrFrames) -> int | None:
    """How many pairs there will be, if a container says."""
    return reference.frame_count or test.frame_count


def paired_frames(
    reference: HdrFrames, test: HdrFrames, linear_white: float | None
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Take a frame of each file in turn, as R'G'B', BT.2020, PQ.

    Raises:
        InputError: One file ends before the other; both are decoded to their ends to count.
    """
    for pairs, (reference_frame, test_frame) in enumerate(
        zip_longest(reference.frames, test.frames)
    ):
        if reference_frame is None or test_frame is None:
            # `zip_longest` has taken one frame more from the longer file.
            longest = pairs + 1 + sum(1 for file in (reference, test) for _ in file.frames)
            counts = (pairs, longest) if reference_frame is None else (longest, pairs)
            raise InputError(
                f"{reference.path} has {how_many(counts[0], 'frame')} and {test.path} "
                f"{counts[1]}; expected as many, since frames are paired by their order."
            )
        yield (
            pq_pixels(reference_frame, reference.path, linear_white),
            pq_pixels(test_frame, test.path, linear_white),
        )


def scored(
    pairs: Iterator[tuple[torch.Tensor, torch.Tensor]], threads: int
) -> Iterator[dict[str, float]]:
    """Measure pairs of frames, several at once, and give their scores in order.

    One thread a frame, not several threads in a frame: these meet after each small step, and on a
    busy machine they wait for one another most of the time.
    """
    import torch

    from sdr2hdr.quality.scores import score

    def measured(pair: tuple[torch.Tensor, torch.Tensor]) -> dict[str, float]:
        return {name: float(value) for name, value in score(*pair).items()}

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with ThreadPoolExecutor(threads) as workers:
            waiting: deque[Future[dict[str, float]]] = deque()
            for pair in pairs:
                waiting.append(workers.submit(measured, pair))
                if len(waiting) > threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
    finally:
        torch.set_num_threads(before)


def frames_at_once() -> int:
    """One for each core, but no more than fit into the memory of a usual machine."""
    return min(available_cores(), MOST_FRAMES_AT_ONCE)


def pq_pixels(
    frame: CodedBatch | LinearLight, path: Path, linear_white: float | None
) -> torch.Tensor:
    """A decoded frame as R'G'B', BT.2020, PQ.

    Raises:
        InputError: It is linear light, and its primaries or its white are not known.
    """
    from sdr2hdr.frames import CodedBatch
    from sdr2hdr.quality.pq_picture import light_to_pq, pq_rgb, primaries_of_chromaticities
    from sdr2hdr.signal import Primaries

    if isinstance(frame, CodedBatch):
        return pq_rgb(frame).pixels
    white_cd_m2 = linear_white or frame.white_cd_m2
    if white_cd_m2 is None:
        raise InputError(
            f"{path} does not say how bright its 1.0 is (no whiteLuminance); expected a number of "
            "cd/m2. --linear-white gives it."
        )
    # OpenEXR: without the attribute, primaries are those of BT.709.
    primaries = Primaries.BT709
    if frame.chromaticities is not None:
        known = primaries_of_chromaticities(frame.chromaticities)
        if known is None:
            numbers = ", ".join(f"{value:.4f}" for value in frame.chromaticities)
            raise InputError(
                f"{path} has the chromaticities {numbers}; expected those of BT.2020, P3-D65, "
                "BT.709 or BT.601."
            )
        primaries = known
    return light_to_pq(frame.pixels, primaries, white_cd_m2)


def show_frame(console: Console, number: int, scores: dict[str, float | None]) -> None:
    """The scores of one frame: an event, or a line."""
    from sdr2hdr.quality.scores import METRICS

    if console.json:
        console.event("frame", {"frame": number, **scores})
        return
    words = [f"{name} {number_text(METRICS[name], value)}" for name, value in scores.items()]
    console.result(f"frame {number}: {', '.join(words)}")


def show_summary(console: Console, reference: HdrFrames, test: HdrFrames, clip: ClipScores) -> None:
    """Mean and worst frame of each metric: an event, or a table."""
    from sdr2hdr.quality.scores import METRICS

    summaries = clip.summarise()
    if console.json:
        console.event(
            "summary",
            {
                "reference": str(reference.path),
                "test": str(test.path),
                "width_px": reference.width_px,
                "height_px": reference.height_px,
                "frames": clip.frames,
                "metrics": {
                    name: None if summary is None else summary_content(summary)
                    for name, summary in summaries.items()
                },
            },
        )
        return
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for heading in ("metric", "mean", "worst", "frame", "unit", "frames"):
        table.add_column(heading, justify="left" if heading in ("metric", "unit") else "right")
    for name, summary in summaries.items():
        metric = METRICS[name]
        if summary is None:
            table.add_row(metric.label, "-", "-", "-", metric.unit, "0")
            continue
        table.add_row(
            metric.label,
            number_text(metric, summary.mean),
            number_text(metric, summary.worst),
            str(summary.worst_frame),
            metric.unit,
            str(summary.frames),
        )
    console.table(table)


def summary_content(summary: MetricSummary) -> dict[str, object]:
    """One metric over the clip, for scripts."""
    return {
        "mean": summary.mean,
        "worst": summary.worst,
        "worst_frame": summary.worst_frame,
        "frames": summary.frames,
        "unit": summary.metric.unit,
        "better": summary.metric.better,
    }


def number_text(metric: Metric, value: float | None) -> str:
    """A score with as many digits as mean something; "-" for none."""
    return "-" if value is None else f"{value:.{metric.decimals}f}"
