"""A table of every frame's light, for graders and for other programs.

It is our own table, as CSV or JSON. madVR's measurement files have no published format, and
HDR10+ metadata asks for figures that are not measured here (the maxima of R, G and B one by one,
and the distribution's percentiles): neither is written.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from sdr2hdr.errors import OutputError, UsageError
from sdr2hdr.frames import Timeline
from sdr2hdr.quality.light_levels import FrameLight, LightLevels

__all__ = ["LightLog", "LightLogRow", "check_log_name"]

SUFFIXES = (".csv", ".json")
_DECIMALS = 4
_SECONDS_DECIMALS = 6


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


@dataclass
class LightLog:
    """Collects the rows in the order of the frames."""

    rows: list[LightLogRow] = field(default_factory=list)

    def add(self, timeline: Timeline, lights: Sequence[FrameLight]) -> None:
        """Take the frames of a batch.

        Raises:
            ValueError: There are not as many times as lights.
        """
        for time, light in zip(timeline.frames, lights, strict=True):
            seconds = float(time.pts * timeline.time_base)
            self.rows.append(LightLogRow(len(self.rows), seconds, light))

    def write(self, path: Path, levels: LightLevels) -> None:
        """Write the table, replacing what was there; JSON has the programme's levels as well.

        Args:
            path: Ends in .csv or .json.
            levels: Of the programme.

        Raises:
            UsageError: Another suffix.
            OutputError: The file cannot be written.
        """
        check_log_name(path)
        rows = [row.content() for row in self.rows]
        try:
            with path.open("w", encoding="utf-8", newline="") as file:
                if path.suffix.lower() == ".json":
                    json.dump({"levels": asdict(levels), "frames": rows}, file, indent=1)
                    file.write("\n")
                    return
                names = ("frame", "pts_seconds", *FrameLight.__dataclass_fields__)
                table = csv.DictWriter(file, names, lineterminator="\n")
                table.writeheader()
                table.writerows(rows)
        except OSError as error:
            raise OutputError(
                f"The light log {path} cannot be written: {error.strerror}; --light-log names "
                "another."
            ) from error


def check_log_name(path: Path) -> None:
    """Refuse a name from which the format cannot be told.

    Raises:
        UsageError: It ends neither in .csv nor in .json.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise UsageError(
            f"The light log is named {path.name}; expected a name that ends in "
            f"{' or '.join(SUFFIXES)} (--light-log)."
        )
