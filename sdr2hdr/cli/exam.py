"""`sdr2hdr exam`: every method on pictures that no training reads, and the gates of a release."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sdr2hdr.cli.console import Console
from sdr2hdr.cli.counting import counted
from sdr2hdr.cli.exam_cards import Cards, make_folder, publish_all, recipes_of
from sdr2hdr.cli.parameters import THREADS, output_options, weights_option
from sdr2hdr.errors import OutputError, UsageError
from sdr2hdr.whole_file import check_can_be_a_file, check_is_new, write_whole

if TYPE_CHECKING:
    from sdr2hdr.exam.methods import ExamMethod
    from sdr2hdr.exam.results import ExamResult
    from sdr2hdr.exam.sets import ExamSet

__all__ = ["command"]

SMALL = "small"
FILE = click.Path(dir_okay=False, path_type=Path)
FOLDER = click.Path(file_okay=False, path_type=Path)


@click.command("exam")
@click.option(
    "--set",
    "set_name",
    default=SMALL,
    show_default=True,
    metavar="small|DIR",
    help="The small set that comes with the program, or a folder: with an exam.toml, or holding "
    "the full set as the package lists it.",
)
@click.option(
    "--model",
    "models",
    multiple=True,
    metavar="NAME",
    help="A network to examine beside the curves; may be given several times. A curve's name "
    "examines the curves alone. [default: all networks with weights]",
)
@weights_option
@click.option("--markdown", "markdown_path", type=FILE, help="Write the tables as Markdown.")
@click.option("--json-file", "json_path", type=FILE, help="Write everything as JSON.")
@click.option(
    "--sheet",
    "sheet_path",
    type=FILE,
    help="Draw a PNG of SDR, bt2446a, the network and the reference on six scenes, tone-mapped "
    "for viewing, with their light in false colour below. One network of scale 1 only.",
)
@click.option(
    "--publish",
    "publish_dir",
    type=FOLDER,
    help="Write the examined networks' weights and cards, with these scores, into this folder.",
)
@click.option(
    "--recipe",
    "recipe_path",
    type=FILE,
    help="With --publish: the recipe the network was trained with, for its card [default: MODEL's "
    "own].",
)
@click.option("--title", help="With --publish: the card's title [default: the network's shape].")
@click.option(
    "--failure",
    "failures",
    multiple=True,
    help="With --publish: a known failure to add to the card; may be given several times.",
)
@click.option(
    "--device",
    type=click.Choice(["cpu", "cuda"]),
    default="cpu",
    show_default=True,
    help="Where the networks are computed.",
)
@click.option("--threads", type=THREADS, metavar="N", help="Threads of the networks.")
@click.option("--overwrite", is_flag=True, help="Replace files that exist.")
@output_options
def command(
    console: Console,
    set_name: str,
    models: tuple[str, ...],
    weights_dir: Path | None,
    markdown_path: Path | None,
    json_path: Path | None,
    sheet_path: Path | None,
    publish_dir: Path | None,
    recipe_path: Path | None,
    title: str | None,
    failures: tuple[str, ...],
    device: str,
    threads: int | None,
    overwrite: bool,
) -> None:
    """Examine the curves and networks: PSNR, SSIM, Delta E ITP and the rules of colour.

    Held-out scenes through every down-conversion, clean and compressed; real pairs; a ladder of
    compression; a title card and a page of text; ramps, bars and a chart. Super-resolution stands
    beside bicubic upscaling. The same command gives the same numbers.
    """
    check_files(markdown_path, json_path, sheet_path, overwrite=overwrite)
    if publish_dir is None and (recipe_path is not None or title is not None or failures):
        raise UsageError("--recipe, --title and --failure say what a card holds: give --publish.")
    from sdr2hdr.exam.methods import exam_methods
    from sdr2hdr.exam.sets import read_exam_set, small_set_folder
    from sdr2hdr.exam.tables import markdown, result_content

    exam = read_exam_set(small_set_folder() if set_name == SMALL else Path(set_name))
    methods = exam_methods(models, weights_dir, device, threads)
    if sheet_path is not None:
        check_sheet(methods)
    cards = None
    if publish_dir is not None:
        recipes = recipes_of(methods, recipe_path, title)
        cards = Cards(publish_dir, weights_dir, recipes, title, failures)
        make_folder(publish_dir)
        check_files(*cards.paths(), overwrite=overwrite)
    result = examined(console, exam, methods)
    if markdown_path is not None:
        write(markdown_path, markdown(result).encode())
    if json_path is not None:
        text = json.dumps(result_content(result), indent=1, ensure_ascii=False)
        write(json_path, (text + "\n").encode())
    if sheet_path is not None:
        from sdr2hdr.exam.sheet import draw_sheet

        draw_sheet(sheet_path, exam, methods)
    if cards is not None:
        publish_all(console, exam, result, cards)


def check_files(*paths: Path | None, overwrite: bool) -> None:
    """Refuse files that cannot be written, or that are there already.

    Raises:
        OutputError: One is.
    """
    for path in paths:
        if path is not None:
            check_can_be_a_file(path)
            check_is_new(path, overwrite=overwrite)


def check_sheet(methods: Sequence[ExamMethod]) -> None:
    """Refuse to draw none or several networks side by side.

    Raises:
        UsageError: That many of scale 1 are examined.
    """
    networks = sum(method.scale == 1 and method.kind == "network" for method in methods)
    if networks != 1:
        raise UsageError(
            f"--sheet shows one network of scale 1, and there are {networks}; --model names one."
        )


def examined(console: Console, exam: ExamSet, methods: Sequence[ExamMethod]) -> ExamResult:
    """Hold the exam and show what was found."""
    from sdr2hdr.exam.run import frame_count, hold_exam
    from sdr2hdr.exam.tables import result_content

    started = time.monotonic()
    with counted(console, f"set {exam.name}", frame_count(exam, methods)) as advance:
        result = hold_exam(exam, methods, advance)
    console.say(f"{len(methods)} methods took {time.monotonic() - started:.0f} s.")
    if console.json:
        console.event("exam", result_content(result))
    else:
        show_tables(console, result)
    return result


def show_tables(console: Console, result: ExamResult) -> None:
    """Print all tables."""
    from rich.table import Table as RichTable

    from sdr2hdr.exam.tables import tables

    for table in tables(result):
        drawn = RichTable(title=table.title, box=None, pad_edge=False, title_justify="left")
        for index, heading in enumerate(table.headings):
            drawn.add_column(heading, justify="right" if index else "left")
        for row in table.rows:
            drawn.add_row(*row)
        console.table(drawn)
        console.result("")


def write(path: Path, content: bytes) -> None:
    """Write a file, whole or not at all.

    Raises:
        OutputError: It cannot be written.
    """
    try:
        write_whole(path, content)
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror}.") from error
