"""The names of a sequence's pictures: given one after another when all pictures are whole.

So many files cannot get their names in one step. Until the last has its own, the others lie in a
hidden folder beside the target, and naming can go on from there whatever has ended it.
"""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from sdr2hdr.errors import OutputError
from sdr2hdr.media.targets import frame_path, frame_pattern, target_kind

__all__ = [
    "FIRST_FRAME_NUMBER",
    "name_pictures",
    "pictures_identity",
    "refuse_pictures",
    "unfinished_sequences",
]

FIRST_FRAME_NUMBER = 1

_UNFINISHED_NAME = re.compile(r"\.(?P<target>.+%.+)\.[a-z0-9_]{8}\.partial", re.DOTALL)
"""As `ImageSequenceWriter` names its folder; the eight characters are `tempfile`'s."""


def name_pictures(folder: Path, target: Path, frames: int, *, overwrite: bool) -> None:
    """Give the pictures of a whole sequence their names, and remove their folder.

    Args:
        folder: Where they lie; those that are not there have their names already.
        target: The sequence.
        frames: How many pictures there are, named and unnamed.
        overwrite: Replace an older sequence of that name, all of it.

    Raises:
        OutputError: Other frames of that name are there without `overwrite`, or the files cannot
            be renamed.
    """
    try:
        unnamed = [path for path in _pictures(folder / target.name, frames) if path.is_file()]
        own = {path.name for path in _pictures(target, frames)} - {path.name for path in unnamed}
        older = [path for path in _there(target) if path.name not in own]
        if not overwrite:
            _refuse(older, target, "has appeared meanwhile")
        for path in older:
            path.unlink(missing_ok=True)
        for path in unnamed:
            path.replace(target.parent / path.name)
    except OSError as error:
        raise OutputError(f"{target} cannot be written: {error.strerror}.") from error
    shutil.rmtree(folder, ignore_errors=True)


def refuse_pictures(target: Path, how: str) -> None:
    """Refuse a sequence of which there are files already.

    Args:
        target: The sequence.
        how: What to say of them, such as "exists already".

    Raises:
        OutputError: There are some.
        OSError: It cannot be looked.
    """
    _refuse(_there(target), target, how)


def pictures_identity(folder: Path, target: Path, frames: int) -> str:
    """What the pictures of a whole sequence keep when they get their names, and no others have.

    Args:
        folder: Where those lie that have no name yet.
        target: The sequence.
        frames: How many pictures there are.

    Returns:
        A hash, hexadecimal.

    Raises:
        OSError: A picture is neither here nor there.
    """
    identity = hashlib.sha256()
    places = zip(_pictures(folder / target.name, frames), _pictures(target, frames), strict=True)
    for unnamed, named in places:
        # A link is nothing that a job makes, whatever it leads to.
        found = (unnamed if unnamed.is_file() else named).lstat()
        identity.update(b"%d %d %d\n" % (found.st_size, found.st_mtime_ns, found.st_ino))
    return identity.hexdigest()


def unfinished_sequences(folder: Path) -> Iterator[tuple[Path, Path]]:
    """Find what is not a whole sequence yet: being written, or left by a kill.

    Args:
        folder: Where to look, not in those below it.

    Yields:
        The folder of the pictures, and the target that they would have become.
    """
    for path in sorted(folder.glob(".*.partial")):
        name = _UNFINISHED_NAME.fullmatch(path.name)
        if name is None or not path.is_dir() or path.is_symlink():
            continue
        target = folder / name["target"]
        if target_kind(target) == "sequence":
            yield path, target


def _pictures(target: Path, frames: int) -> Iterator[Path]:
    for number in range(FIRST_FRAME_NUMBER, FIRST_FRAME_NUMBER + frames):
        yield frame_path(target, number)


def _there(target: Path) -> list[Path]:
    """The files of a sequence's name that are there."""
    pattern = frame_pattern(target)
    return sorted(path for path in target.parent.iterdir() if pattern.fullmatch(path.name))


def _refuse(there: list[Path], target: Path, how: str) -> None:
    if not there:
        return
    more = len(there) - 1
    found = f"{there[0]} {how}" + (f", and {more} more of {target.name}" if more else "")
    raise OutputError(f"{found}; --overwrite replaces {'them' if more else 'it'}.")
