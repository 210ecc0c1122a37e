"""What a training writes down as it goes: CSV tables, and their plots as PNG."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from importlib import import_module, metadata
from itertools import cycle
from pathlib import Path
from typing import TextIO

import numpy as np

from sdr2hdr.errors import OutputError
from sdr2hdr.media.reading.still_images import write_png
from sdr2hdr.training.glyphs import draw_line
from sdr2hdr.whole_file import write_whole

__all__ = ["Table", "has_matplotlib", "plot_lines"]

_WIDTH_PX, _HEIGHT_PX, _MARGIN_PX = 960, 540, 70
_COLOURS = (
    *((0, 90, 200), (220, 80, 0), (0, 140, 60)),
    *((150, 60, 170), (110, 110, 110), (0, 160, 190)),
)
_POINT_PX = 3
"""Half the side of a line that has one point alone."""


class Table:
    """A CSV file that rows are added to; each row is on disk when `add` returns."""

    def __init__(self, path: Path, columns: Sequence[str], *, keep_until_step: int) -> None:
        """Open or begin a table.

        Args:
            path: Of the file.
            columns: Their names; the first is "step".
            keep_until_step: Rows of later steps are dropped: a resumed run makes them anew.

        Raises:
            OSError: It cannot be written; an existing one stays as it was.
            OutputError: There is a file of that name that is none of ours.
        """
        self._path = path
        self._columns = list(columns)
        try:
            kept = [row for row in self.rows() if float(row["step"]) <= keep_until_step]
        except (KeyError, TypeError, ValueError, csv.Error) as error:
            raise OutputError(
                f"{path} is no table of a training, which would replace it; --out names another "
                "folder."
            ) from error
        self._rewrite(kept)

    def add(self, row: Mapping[str, object]) -> None:
        """Append a row; one of the same step, which a finished run has that is resumed, goes."""
        rows = self.rows()
        if rows and rows[-1]["step"] == str(row["step"]):
            self._rewrite(rows[:-1])
        with self._path.open("a", newline="", encoding="utf-8") as file:
            self._writer(file).writerow(row)

    def _rewrite(self, rows: Sequence[Mapping[str, object]]) -> None:
        """Replace all rows; a crash at any moment leaves the old or the new ones."""
        text = io.StringIO(newline="")
        writer = self._writer(text)
        writer.writeheader()
        writer.writerows(rows)
        write_whole(self._path, text.getvalue().encode())

    def _writer(self, file: TextIO) -> csv.DictWriter[str]:
        return csv.DictWriter(file, self._columns, extrasaction="ignore", restval="")

    def rows(self) -> list[dict[str, str]]:
        """All rows so far."""
        if not self._path.is_file():
            return []
        with self._path.open(newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))

    def column(self, name: str) -> tuple[list[float], list[float]]:
        """Steps and values of a column, where it has any."""
        rows = [row for row in self.rows() if row.get(name)]
        return [float(row["step"]) for row in rows], [float(row[name]) for row in rows]


def plot_lines(path: Path, lines: Mapping[str, tuple[Sequence[float], Sequence[float]]]) -> None:
    """Draw lines over steps; with matplotlib (extra "train") if it is there, else plainly.

    Args:
        path: PNG file to write.
        lines: Label to (steps, values); empty ones are left out, as are values that are no numbers.
    """
    finite = {
        label: tuple(np.asarray(points)[:, np.isfinite(points[1])])
        for label, points in lines.items()
    }
    drawn = {label: points for label, points in finite.items() if len(points[0]) > 0}
    if not drawn:
        return
    if not has_matplotlib():
        write_png(path, _plain_plot(drawn))
        return
    figure = import_module("matplotlib.figure").Figure(figsize=(9.6, 5.4), layout="constrained")
    axes = figure.add_subplot()
    for label, (steps, values) in drawn.items():
        axes.plot(steps, values, label=label, marker="o" if len(steps) == 1 else "")
    axes.set_xlabel("step")
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path)


def has_matplotlib() -> bool:
    """Whether plots can say what their lines are."""
    # Not by importing it: colour-science puts a stand-in under that name where it is missing.
    try:
        metadata.version("matplotlib")
    except metadata.PackageNotFoundError:
        return False
    return True


def _plain_plot(lines: Mapping[str, tuple[np.ndarray, ...]]) -> np.ndarray:
    """White paper, a frame, the extreme values at its sides, and the lines in order of colours."""
    canvas = np.full((_HEIGHT_PX, _WIDTH_PX, 3), 255, np.uint8)
    steps = np.concatenate([points[0] for points in lines.values()])
    values = np.concatenate([points[1] for points in lines.values()])
    left, right = _MARGIN_PX, _WIDTH_PX - 20
    top, bottom = 20, _HEIGHT_PX - 40
    canvas[[top, bottom], left : right + 1] = 180
    canvas[top : bottom + 1, [left, right]] = 180
    step_span = max(float(np.ptp(steps)), 1e-9)
    value_span = max(float(np.ptp(values)), 1e-9)
    for colour, points in zip(cycle(_COLOURS), lines.values(), strict=False):
        x = left + (points[0] - steps.min()) / step_span * (right - left)
        y = bottom - (points[1] - values.min()) / value_span * (bottom - top)
        if len(x) == 1:
            row, column = round(y[0]), round(x[0])
            canvas[row - _POINT_PX : row + _POINT_PX, column : column + 2 * _POINT_PX] = colour
            continue
        columns = np.arange(round(x[0]), round(x[-1]) + 1)
        rows = np.interp(columns, x, y)
        for column, low, high in zip(columns, rows, [*rows[1:], rows[-1]], strict=True):
            start, end = sorted((round(float(low)), round(float(high))))
            canvas[start : end + 2, column] = colour
    for text, row, column in (
        (_digits(values.max()), top, 4),
        (_digits(values.min()), bottom - 7, 4),
        (f"{steps.max():.0f}", bottom + 12, right - 60),
    ):
        _write(canvas, text, row, column)
    return canvas


def _digits(value: float) -> str:
    """A number without an exponent: the small alphabet has no such letter."""
    return np.format_float_positional(value, precision=4, fractional=False, trim="-")


def _write(canvas: np.ndarray, text: str, row: int, column: int) -> None:
    dots = draw_line(text) > 0.5
    canvas[row : row + dots.shape[0], column : column + dots.shape[1]][dots] = 0
