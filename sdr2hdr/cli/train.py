"""`sdr2hdr train`: train a network, or fine-tune one on pairs of one's own."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sdr2hdr.cli.console import Console
from sdr2hdr.cli.parameters import POSITIVE_NUMBER, THREADS, output_options
from sdr2hdr.cli.signals import Interrupted, Terminated, stop_on_signals
from sdr2hdr.errors import Notice, StoppedError, UsageError

if TYPE_CHECKING:
    from sdr2hdr.training.job import TrainingJob
    from sdr2hdr.training.loop import Report

__all__ = ["command"]

SECONDS_BETWEEN_EVENTS = 10.0
MOST_NAMES = 5
"""Of files in one message."""

FOLDER = click.Path(file_okay=False, path_type=Path)
FILE = click.Path(dir_okay=False, path_type=Path)


@click.command("train")
@click.argument("model", metavar="MODEL")
@click.option("--data", type=FOLDER, help="Folder of HDR pictures and videos to make pairs from.")
@click.option("--out", type=FOLDER, required=True, help="Folder of this training.")
@click.option(
    "--resume", is_flag=True, help="Go on from the last checkpoint in --out, if there is one."
)
@click.option("--hours", type=POSITIVE_NUMBER, metavar="H", help="Train for so long in all.")
@click.option(
    "--steps",
    type=click.IntRange(0),
    metavar="N",
    help="Train for so many steps in all; 0 only judges and writes what --start-from gives.",
)
@click.option("--recipe", "recipe_path", type=FILE, help="TOML file instead of MODEL's own recipe.")
@click.option(
    "--pairs",
    type=(FOLDER, FOLDER),
    metavar="SDR_DIR HDR_DIR",
    help="Train on your own pairs: files of the same names. SDR in PNG, JPEG and AVIF is sRGB "
    "unless tagged BT.709 (as by PNG's cICP), all other is BT.1886. In an EXR 1.0 is 203 cd/m², "
    "unless its whiteLuminance says otherwise. Without --data the last 8 also choose the weights.",
)
@click.option(
    "--watch",
    type=(FOLDER, FOLDER),
    metavar="SDR_DIR HDR_DIR",
    help="Report the quality on these pairs; they are neither trained on nor choose weights.",
)
@click.option(
    "--start-from",
    type=FILE,
    multiple=True,
    help="Begin with these weights (.safetensors), of MODEL or of its other scale; given several "
    "times, with their mean.",
)
@click.option("--cache", type=FOLDER, help="Folder of ready-made pairs. [default: OUT/cache]")
@click.option("--threads", type=THREADS, metavar="N", help="Threads of the network.")
@output_options
def command(
    console: Console,
    model: str,
    data: Path | None,
    out: Path,
    resume: bool,
    hours: float | None,
    steps: int | None,
    recipe_path: Path | None,
    pairs: tuple[Path, Path] | None,
    watch: tuple[Path, Path] | None,
    start_from: tuple[Path, ...],
    cache: Path | None,
    threads: int | None,
) -> None:
    """Train MODEL, a network of `sdr2hdr models`, on pairs made from HDR pictures or on your own.

    Writes OUT/weights (the best so far, for --weights-dir), OUT/checkpoint, CSV logs and plots.
    Ctrl-C leaves a checkpoint, and the same command with --resume goes on from it.
    """
    if data is None and pairs is None:
        raise UsageError("There is nothing to train on: give --data, --pairs, or both.")
    if hours is not None and steps is not None:
        raise UsageError("--hours and --steps exclude each other.")
    from sdr2hdr.jobs.lock import output_lock
    from sdr2hdr.networks.registry import resolve_exactly
    from sdr2hdr.training.job import TrainingJob
    from sdr2hdr.training.loop import make_folders, train
    from sdr2hdr.training.recipe_file import find_recipe, read_recipe
    from sdr2hdr.training.scenes import Split, find_scenes, read_manifest, split_scenes
    from sdr2hdr.training.schedule import Budget
    from sdr2hdr.training.synthesis import find_pair_files

    spec = resolve_exactly(model)
    recipe = read_recipe(recipe_path if recipe_path is not None else find_recipe(model))
    split = Split((), ())
    if data is not None:
        manifest = read_manifest(data)
        split = split_scenes(find_scenes(data, manifest), manifest)
    if steps is not None:
        budget = Budget(steps=steps)
    else:
        budget = Budget(seconds=3600.0 * (recipe.hours if hours is None else hours))
    job = TrainingJob(
        spec=spec,
        recipe=recipe,
        budget=budget,
        training=split.training,
        validation=split.validation,
        pairs=() if pairs is None else find_pair_files(*pairs),
        watch=() if watch is None else find_pair_files(*watch, option="--watch"),
        out=out,
        cache=out / "cache" if cache is None else cache,
        resume=resume,
        start_from=start_from,
        threads=threads,
    )
    console.say(
        f"{spec.name}: {len(job.training)} scenes to train on, {len(job.validation)} held out, "
        f"{len(job.pairs)} pairs."
    )
    for folders, option in ((pairs, "--pairs"), (watch, "--watch")):
        if folders is not None:
            tell_of_unpaired(console, folders, option)
    make_folders(job)
    with (
        output_lock(out / "checkpoint"),
        stops_told(job),
        stop_on_signals(console) as stop,
        shown_progress(console, job) as show,
    ):
        progress = train(job, show, stop.check)
    if console.json:
        console.event(
            "done",
            {
                "model": spec.name,
                "weights": str(out / "weights"),
                "steps": progress.step,
                "best_step": progress.best_step,
                "best_psnr_db": progress.best_psnr_db,
            },
        )
        return
    best = "none" if progress.best_psnr_db is None else f"{progress.best_psnr_db:.2f} dB"
    console.result(
        f"{out / 'weights'}: step {progress.best_step} of {progress.step}, validation {best}."
    )


def tell_of_unpaired(console: Console, folders: tuple[Path, Path], option: str) -> None:
    """Warn of files that have no partner: a name that was misspelt is missed in the training."""
    from sdr2hdr.training.synthesis import find_unpaired_files

    unpaired = find_unpaired_files(*folders, option)
    if not unpaired:
        return
    names = ", ".join(str(path) for path in unpaired[:MOST_NAMES])
    if len(unpaired) > MOST_NAMES:
        names += f" and {len(unpaired) - MOST_NAMES} more"
    text = f"Left out, without a partner of the same name ({option}): {names}."
    console.notice(Notice("warning", text))


@contextmanager
def stops_told(job: TrainingJob) -> Iterator[None]:
    """Say how to go on after a stop, the impatient one too."""
    from sdr2hdr.training.checkpoint import holds_checkpoint

    try:
        yield
    except (StoppedError, Interrupted, Terminated) as stopped:
        text = "Stopped before there was a checkpoint; the same command begins anew."
        if holds_checkpoint(job.out):
            text = (
                f"Stopped; {job.out} holds a checkpoint. The same command goes on from it with "
                "--resume."
            )
        raise StoppedError(text, stopped.exit_code) from stopped


@contextmanager
def shown_progress(console: Console, job: TrainingJob) -> Iterator[Callable[[Report], None]]:
    """Say what a training reports: a bar on a terminal, events under `--json`, else lines."""
    if sys.stderr.isatty() and not console.json and not console.quiet:
        with terminal_bar(console, job) as show:
            yield show
        return
    last_seconds = float("-inf")

    def show_lines(report: Report) -> None:
        nonlocal last_seconds
        if report.text:
            console.say(f"step {report.step}: {report.text}")
        now = time.monotonic()
        if report.loss is None or now - last_seconds < SECONDS_BETWEEN_EVENTS:
            return
        last_seconds = now
        text = f"step {report.step}, {100 * report.share_done:.1f} %: loss {report.loss:.5f}"
        if console.json:
            console.event("progress", vars(report))
        else:
            console.detail(text)

    yield show_lines


@contextmanager
def terminal_bar(console: Console, job: TrainingJob) -> Iterator[Callable[[Report], None]]:
    """A bar over the budget, with step, loss and time left."""
    from rich.console import Console as RichConsole
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:.1f} %"),
        TextColumn("{task.fields[state]}"),
        TimeRemainingColumn(),
        console=RichConsole(stderr=True),
        transient=True,
    ) as bar:
        task = bar.add_task(job.spec.name, total=1.0, state="waiting for pairs")

        def show(report: Report) -> None:
            if report.text:
                bar.stop()
                console.say(f"step {report.step}: {report.text}")
                bar.start()
            if report.loss is not None:
                state = f"step {report.step}, loss {report.loss:.5f}"
                bar.update(task, completed=report.share_done, state=state)

        yield show
