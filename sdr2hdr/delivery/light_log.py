"""A table of every frame's light, for graders and for other programs.

It is our own table, as CSV or JSON. madVR's measurement files have no published format, and
HDR10+ metadata asks for figures that are not measured here (the maxima of R, G and B one by one,
and the distribution's percentiles): neither is written.
"""

from __future__ import annotations

import csv
import json
from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, astuple, dataclass
from pathlib import Path
from typing import TextIO

from sdr2hdr.delivery.target_file import is_same_file, publish, unfinished_file
from sdr2hdr.errors import OutputError, UsageError
from sdr2hdr.frames import Timeline
from sdr2hdr.quality.light_levels import FrameLight, LightLevels
from sdr2hdr.whole_file import check_can_be_a_file, is_taken

__all__ = ["LightLog", "LightLogRow", "check_log_is_new", "check_log_place"]

SUFFIXES = (".csv", ".json")
_DECIMALS = 4
_SECONDS_DECIMALS = 6
_REMEDY = "--light-log names another"
_ROW_NUMBERS = 1 + len(FrameLight.__dataclass_fields__)


@dataclass(frozen=True)
class LightLogRow:
    """One frame: its number from 0, when it is shown, and its light."""

    frame: int
    pts_seconds: float
    light: FrameLight

    def content(self) -> dict[str, float]:
        """The row as it is written."""
        lights = {name: round(value, _DECIMALS) for name, value in asdict(self.light).items()}
        return {
            "frame": self.frame,
            "pts_seconds": round(self.pts_seconds, _SECONDS_DECIMALS),
            **lights,
        }


class LightLog:
    """Collects the rows in the order of the frames: five numbers each, forty bytes."""

    def __init__(self) -> None:
        self._numbers = array("d")

    @property
    def rows(self) -> Iterator[LightLogRow]:
        """All rows, one by one."""
        for frame, first in enumerate(range(0, len(self._numbers), _ROW_NUMBERS)):
            seconds, *lights = self._numbers[first : first + _ROW_NUMBERS]
            yield LightLogRow(frame, seconds, FrameLight(*lights))

    def add(self, timeline: Timeline, lights: Sequence[FrameLight]) -> None:
        """Take the frames of a batch.

        Raises:
            ValueError: There are not as many times as lights.
        """
        for time, light in zip(timeline.frames, lights, strict=True):
            seconds = float(time.pts * timeline.time_base)
            self._numbers.extend((seconds, *astuple(light)))

    def write(
        self,
        path: Path,
        levels: LightLevels,
        *,
        overwrite: bool = False,
        on_whole: Callable[[Path], None] = lambda unfinished: None,
    ) -> None:
        """Write the table, all of it or nothing; JSON has the programme's levels as well.

        Args:
            path: Ends in .csv or .json.
            levels: Of the programme.
            overwrite: Replace what is there.
            on_whole: Told the whole table's file before it gets its name.

        Raises:
            UsageError: Another suffix.
            OutputError: The file cannot be written, or is there already without `overwrite`.
        """
        check_log_place(path)
        with unfinished_file(path, None) as unfinished:
            try:
                with unfinished.open("w", encoding="utf-8", newline="") as file:
                    if path.suffix.lower() == ".json":
                        self._write_json(file, levels)
                    else:
                        self._write_csv(file)
            except OSError as error:
                raise OutputError(
                    f"The light log {path} cannot be written: {error.strerror}; {_REMEDY}."
                ) from error
            on_whole(unfinished)
            publish(unfinished, path, overwrite=overwrite)

    def _write_csv(self, file: TextIO) -> None:
        names = ("frame", "pts_seconds", *FrameLight.__dataclass_fields__)
        table = csv.DictWriter(file, names, lineterminator="\n")
        table.writeheader()
        table.writerows(row.content() for row in self.rows)

    def _write_json(self, file: TextIO, levels: LightLevels) -> None:
        """One line a frame; the rows are never all there at once, so json.dump cannot do it."""
        file.write(f'{{\n "levels": {json.dumps(asdict(levels))},\n "frames": [')
        for row in self.rows:
            file.write(f"{',' if row.frame else ''}\n  {json.dumps(row.content())}")
        file.write("\n ]\n}\n")


def check_log_place(path: Path, kept: Sequence[Path] = ()) -> None:
    """Refuse a name that no log can or must have, before any work is done.

    Args:
        path: Of the log.
        kept: Files that the work reads or writes itself.

    Raises:
        UsageError: It ends neither in .csv nor in .json.
        OutputError: It is one of those files, a folder, a device, or in a folder that does not
            exist or cannot be written to.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise UsageError(
            f"The light log is named {path.name}; expected a name that ends in "
            f"{' or '.join(SUFFIXES)} (--light-log)."
        )
    for other in kept:
        if is_same_file(path, other):
            raise OutputError(
                f"The light log {path} is {other}, which the same command needs; expected a file "
                "of its own. --light-log names another."
            )
    check_can_be_a_file(path, kind="The light log", remedy=_REMEDY)


def check_log_is_new(path: Path, *, overwrite: bool) -> None:
    """Refuse to replace a log without being asked to.

    Raises:
        OutputError: It is there already, without `overwrite`.
    """
    if is_taken(path) and not overwrite:
        raise OutputError(
            f"The light log {path} exists already; --overwrite replaces it, --light-log names "
            "another."
        )
