"""Find what unfinished conversions have kept or left behind, and remove it."""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from sdr2hdr.delivery.target_file import abandoned_files
from sdr2hdr.errors import InputError, LockedError, OutputError
from sdr2hdr.jobs.lock import LOCK_SUFFIX, is_stale, lock_path, output_lock
from sdr2hdr.jobs.published import is_half_named
from sdr2hdr.jobs.work_folder import WORK_FOLDER_SUFFIX, WorkFolder
from sdr2hdr.media.writing.sequence_names import unfinished_sequences
from sdr2hdr.path_kinds import is_folder

__all__ = ["Leftover", "find_leftovers", "remove_leftover", "remove_pictures_of"]


@dataclass(frozen=True)
class Leftover:
    """One thing of an unfinished conversion.

    Attributes:
        path: Where it lies.
        target: The output that it is for.
        size_bytes: Of all files in it.
        kind: "work_folder", to go on with; "partial_file", which a kill left beside the target
            while the whole file was brought there; "partial_sequence", the pictures of a sequence
            that is not whole; "lock" of a run that was killed.
        finished_segments: How many there are in a work folder.
        segments: How many its plan has, None if there is none that can be read.
        is_named: Whether it was asked for by its own name.
    """

    path: Path
    target: Path
    size_bytes: int
    kind: Literal["work_folder", "partial_file", "partial_sequence", "lock"] = "work_folder"
    finished_segments: int = 0
    segments: int | None = None
    is_named: bool = False


def find_leftovers(place: Path, temp_dir: Path | None = None) -> list[Leftover]:
    """Look for what is left.

    Args:
        place: An output whose leftovers are meant, a work folder, or a folder to look in (not in
            those below it).
        temp_dir: Where the work folder of an output lies if not beside it.

    Raises:
        InputError: There is nothing of that name, or it cannot be looked at.
    """
    try:
        return _found_at(place, temp_dir)
    except OSError as error:
        # A name that is too long for its file system, for one.
        raise InputError(
            f"{place} cannot be looked at: {error.strerror} ({error.filename}); expected an output "
            "or a folder."
        ) from error


def _found_at(place: Path, temp_dir: Path | None) -> list[Leftover]:
    if is_folder(place) and not place.name.endswith(WORK_FOLDER_SUFFIX):
        partials = [*_partial_files(place), *_partial_sequences(place)]
        return [*_work_folders(place), *partials, *_locks(place)]
    if is_folder(place):
        found = _leftover(place)
        return [] if found is None else [replace(found, is_named=True)]
    if not is_folder(place.parent):
        raise InputError(f"{place} does not exist; expected an output or a folder.")
    folders = {WorkFolder.of(place, lies_in).path for lies_in in (None, temp_dir)}
    found = [leftover for path in sorted(folders) if (leftover := _leftover(path)) is not None]
    partials = [*_partial_files(place.parent), *_partial_sequences(place.parent)]
    found += [each for each in partials if each.target.name == place.name]
    return [*found, *_lock(lock_path(place), place)]


def remove_leftover(leftover: Leftover) -> None:
    """Remove something that is left.

    Raises:
        LockedError: A run is at work on that output, or it cannot be told whether one is; or it
            is a sequence of pictures, some of which have their names.
        OutputError: It cannot be removed.
    """
    if leftover.kind == "work_folder" and _is_gone(leftover.target.parent):
        _remove_without_lock(leftover)
        return
    # The lock's file goes with the lock.
    with output_lock(leftover.target):
        if leftover.kind == "work_folder":
            WorkFolder(leftover.path, leftover.target).clear()
        elif leftover.kind == "partial_sequence":
            _refuse_half_named(leftover)
            _remove_pictures(leftover.path)
        elif leftover.kind == "partial_file":
            try:
                leftover.path.unlink(missing_ok=True)
            except OSError as error:
                raise OutputError(
                    f"{leftover.path} cannot be removed: {error.strerror}."
                ) from error
    if leftover.kind == "lock" and is_stale(leftover.path):
        raise OutputError(
            f"{leftover.path} cannot be removed; expected a folder that may be written to. No run "
            "holds it, so it stops none."
        )


def _refuse_half_named(leftover: Leftover) -> None:
    """Keep the rest of a sequence: without it, what has its name would be half a sequence."""
    if is_half_named(leftover.path):
        raise LockedError(
            f"{leftover.path} is kept: it holds the pictures of {leftover.target} that have no "
            "names yet, and the others have theirs. The command that made them names the rest; to "
            "do without them, remove that folder."
        )


def _remove_without_lock(leftover: Leftover) -> None:
    """Remove a work folder whose output's folder is gone, and with it the place of the lock.

    No run on this machine can be at work there. One that sees the folder under that name elsewhere
    can, so the user has to mean this very work.
    """
    if not leftover.is_named:
        raise LockedError(
            f"{leftover.path} is kept: {leftover.target.parent} is not here, where the lock of a "
            "run on another machine would be. `sdr2hdr clean "
            f"{shlex.quote(str(leftover.path))}` removes it."
        )
    WorkFolder(leftover.path, leftover.target).clear()


def _is_gone(folder: Path) -> bool:
    try:
        folder.stat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        # It is there, or nobody knows.
        return False
    return False


def remove_pictures_of(target: Path) -> None:
    """Remove what killed runs have left of a sequence; only for who holds its lock.

    Raises:
        OutputError: Something of it cannot be removed.
    """
    for path, other in unfinished_sequences(target.parent):
        if other.name == target.name:
            _remove_pictures(path)


def _remove_pictures(folder: Path) -> None:
    try:
        shutil.rmtree(folder)
    except FileNotFoundError:
        return
    except OSError as error:
        raise OutputError(f"{folder} cannot be removed: {error.strerror}.") from error


def _work_folders(folder: Path) -> Iterator[Leftover]:
    for path in sorted(folder.glob(f".*{WORK_FOLDER_SUFFIX}")):
        found = _leftover(path) if path.is_dir() else None
        if found is not None:
            yield found


def _partial_files(folder: Path) -> Iterator[Leftover]:
    for path, target in abandoned_files(folder):
        yield Leftover(path, target, path.stat().st_size, "partial_file")


def _partial_sequences(folder: Path) -> Iterator[Leftover]:
    for path, target in unfinished_sequences(folder):
        yield Leftover(path, target, _size_bytes(path), "partial_sequence")


def _locks(folder: Path) -> Iterator[Leftover]:
    for path in sorted(folder.glob(f".*{LOCK_SUFFIX}")):
        name = path.name.removeprefix(".").removesuffix(LOCK_SUFFIX)
        if name:
            yield from _lock(path, folder / name)


def _lock(path: Path, target: Path) -> Iterator[Leftover]:
    if is_stale(path):
        yield Leftover(path, target, path.stat().st_size, "lock")


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
        size_bytes=_size_bytes(path),
        finished_segments=folder.count_finished(),
        segments=None if plan is None else len(plan.segments),
    )


def _size_bytes(folder: Path) -> int:
    """Of all files in a folder that a run may be at work in, and take some of them away."""
    total = 0
    with suppress(FileNotFoundError):
        for file in folder.iterdir():
            with suppress(FileNotFoundError):
                total += file.stat().st_size if file.is_file() else 0
    return total
