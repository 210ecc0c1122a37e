"""Find what unfinished conversions have kept, and remove it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sdr2hdr.errors import InputError
from sdr2hdr.jobs.lock import output_lock
from sdr2hdr.jobs.work_folder import WORK_FOLDER_SUFFIX, WorkFolder

__all__ = ["Leftover", "find_leftovers", "remove_leftover"]


@dataclass(frozen=True)
class Leftover:
    """The work folder of an unfinished conversion.

    Attributes:
        path: The folder.
        target: The output that it is for.
        finished_segments: How many there are.
        segments: How many the plan has, None if there is none that can be read.
        size_bytes: Of all files in it.
    """

    path: Path
    target: Path
    finished_segments: int
    segments: int | None
    size_bytes: int


def find_leftovers(place: Path) -> list[Leftover]:
    """Look for work folders.

    Args:
        place: An output whose work folder is meant, a work folder, or a folder to look in (not in
            those below it).

    Raises:
        InputError: There is nothing of that name.
    """
    if place.is_dir() and not place.name.endswith(WORK_FOLDER_SUFFIX):
        return list(_in_folder(place))
    if place.is_dir():
        found = _leftover(place)
        return [] if found is None else [found]
    if not place.parent.is_dir():
        raise InputError(f"{place} does not exist; expected an output or a folder.")
    found = _leftover(WorkFolder.of(place, None).path)
    return [] if found is None else [found]


def remove_leftover(leftover: Leftover) -> None:
    """Remove a work folder.

    Raises:
        LockedError: A run is at work in it.
        OutputError: It cannot be removed.
    """
    with output_lock(leftover.target):
        WorkFolder(leftover.path, leftover.target).clear()


def _in_folder(folder: Path) -> Iterator[Leftover]:
    for path in sorted(folder.glob(f".*{WORK_FOLDER_SUFFIX}")):
        found = _leftover(path) if path.is_dir() else None
        if found is not None:
            yield found


def _leftover(path: Path) -> Leftover | None:
    """What a folder holds; None if it is none of ours."""
    target = WorkFolder.target_of(path)
    if target is None:
        return None
    folder = WorkFolder(path, target)
    plan = folder.plan()
    return Leftover(
        path=path,
        target=target,
        finished_segments=folder.count_finished(),
        segments=None if plan is None else len(plan.segments),
        size_bytes=sum(file.stat().st_size for file in path.iterdir() if file.is_file()),
    )
