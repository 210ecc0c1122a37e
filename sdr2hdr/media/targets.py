"""What kind of output a name asks for: one file, a sequence of pictures, or a pipe."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

from sdr2hdr.errors import OutputError

__all__ = [
    "IMAGE_SUFFIXES",
    "TargetKind",
    "check_sequence_name",
    "frame_path",
    "frame_pattern",
    "names_sequence",
    "target_kind",
]

TargetKind = Literal["container", "sequence", "pipe"]

IMAGE_SUFFIXES = (".png", ".tif", ".tiff", ".exr")

_NUMBER = re.compile(r"%(?:0(\d+))?d")


def target_kind(target: Path) -> TargetKind:
    """What to write: "-" is standard output, a picture's extension a sequence of pictures."""
    if str(target) == "-":
        return "pipe"
    return "sequence" if target.suffix.lower() in IMAGE_SUFFIXES else "container"


def names_sequence(path: Path) -> bool:
    """Whether a name has a place for the number of a frame, as `shot_%06d.dpx`."""
    return _NUMBER.search(path.name) is not None


def check_sequence_name(target: Path) -> None:
    """Refuse a name of pictures that has not exactly one place for the number of a frame.

    Raises:
        OutputError: It has not.
    """
    _place(target)


def frame_path(target: Path, number: int) -> Path:
    """The file of one frame.

    >>> frame_path(Path("shots/a_%04d.png"), 7).as_posix()
    'shots/a_0007.png'
    """
    match = _place(target)
    digits = int(match[1] or 1)
    name = target.name
    return target.with_name(f"{name[: match.start()]}{number:0{digits}d}{name[match.end() :]}")


def frame_pattern(target: Path) -> re.Pattern[str]:
    """Matches the names of all files of a sequence.

    Raises:
        OutputError: The name has not exactly one place for a number.
    """
    match = _place(target)
    before, after = target.name[: match.start()], target.name[match.end() :]
    return re.compile(rf"{re.escape(before)}\d{{{int(match[1] or 1)},}}{re.escape(after)}")


def _place(target: Path) -> re.Match[str]:
    found = list(_NUMBER.finditer(target.name))
    if len(found) != 1 or target.name.count("%") != 1:
        raise OutputError(
            f"{target.name} has no single place for the frame's number; expected a name such as "
            f"{target.stem.partition('%')[0] or 'shot'}_%06d{target.suffix}, or a video such as "
            "out.mkv."
        )
    return found[0]
