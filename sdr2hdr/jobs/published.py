"""Know the output of this job again, so that a run that was killed at its naming can end.

The output gets its name before the work folder goes. The same command must not take that output
for somebody else's then. So the work folder keeps, from just before the naming until all else in
it is gone, what the named file is recognised by, what was asked for, and what is said at the end.
The pictures of a sequence get their names one after another; the folder of those that have none
yet keeps the same.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

from sdr2hdr.conversion import Conversion, prepare
from sdr2hdr.errors import InputError, OutputError
from sdr2hdr.jobs.disk import sha256_of, told
from sdr2hdr.jobs.option_values import from_values, to_values
from sdr2hdr.jobs.source_identity import SourceIdentity
from sdr2hdr.jobs.work_folder import WorkFolder
from sdr2hdr.media.writing.sequence_names import pictures_identity
from sdr2hdr.options import ConvertOptions
from sdr2hdr.pipeline import ConversionSummary
from sdr2hdr.strict_json import read_object
from sdr2hdr.whole_file import write_whole

__all__ = [
    "Published",
    "is_half_named",
    "known_output",
    "known_pictures",
    "prepare_job",
    "remember_output",
    "remember_pictures",
]

FORMAT = "sdr2hdr output"
FORMAT_VERSION = 1
_PICTURES_FILE = "published.json"
"""No picture has such a name."""


@dataclass(frozen=True)
class Published:
    """An output that has its name, or is about to get it.

    Attributes:
        asked: What it was made by, as `settings.asked_for` gives it.
        source: What it was made of.
        summary: What is to be said of it.
    """

    asked: str
    source: SourceIdentity
    summary: ConversionSummary


def remember_output(folder: WorkFolder, unfinished: Path, published: Published) -> None:
    """Keep what an output is recognised by, just before it gets its name.

    Args:
        folder: The work folder.
        unfinished: The file that is going to be renamed.
        published: What is known of it.

    Raises:
        OutputError: The disk does not take it.
    """
    with told(str(folder.published_path)):
        _keep(folder.published_path, _identity(unfinished), published)


def remember_pictures(folder: Path, log: Path | None, published: Published) -> None:
    """The same of a sequence of pictures, before it and its light log get their names.

    Args:
        folder: Where the pictures lie.
        log: The log's file that is going to be renamed; None without one.
        published: What is known of the sequence.

    Raises:
        OutputError: The disk does not take it.
    """
    try:
        identity = _identity_of_pictures(folder, log, published.summary)
        _keep(folder / _PICTURES_FILE, identity, published)
    except OSError as error:
        # Nothing of a sequence is kept before it has names, so there is nothing to go on with.
        raise OutputError(
            f"{published.summary.target} cannot be written: {error.strerror}."
        ) from error


def known_output(folder: WorkFolder, target: Path) -> Published | None:
    """What is known of the file that has the output's name; None if it is not this job's."""
    try:
        identity, published = _kept(folder.published_path)
        # A link is nothing that a job makes, whatever it leads to.
        is_known = not target.is_symlink() and identity == _identity(target)
    except (OSError, InputError):
        return None
    return published if is_known else None


def known_pictures(folder: Path, log: Path | None) -> Published | None:
    """What is known of a sequence some of whose pictures may have their names.

    Args:
        folder: Where those lie that have none.
        log: The light log that is asked for.

    Returns:
        None if the pictures are not whole, or any of them or the log is not this job's.
    """
    try:
        identity, published = _kept(folder / _PICTURES_FILE)
        is_known = identity == _identity_of_pictures(folder, log, published.summary)
    except (OSError, InputError):
        return None
    return published if is_known else None


def is_half_named(folder: Path) -> bool:
    """Whether some pictures of a whole sequence have their names, and others lie in a folder."""
    try:
        _, published = _kept(folder / _PICTURES_FILE)
        unnamed = sum(path.name != _PICTURES_FILE for path in folder.iterdir())
    except (OSError, InputError):
        return False
    return 0 < unnamed < published.summary.frames


def prepare_job(
    source: Path, target: Path, options: ConvertOptions, tile_px: int | None = None
) -> Conversion:
    """Prepare a conversion that a work folder may belong to.

    As `prepare`, but for an output that an earlier run has named: the same command may go on then,
    and whether it is the same is seen when the job begins.
    """
    if options.overwrite or not _is_known(target, options.temp_dir):
        return prepare(source, target, options, tile_px)
    conversion = prepare(source, target, replace(options, overwrite=True), tile_px)
    return replace(conversion, options=options)


def _is_known(target: Path, temp_dir: Path | None) -> bool:
    try:
        # What is no file need not have a name at all.
        return (
            target.is_file() and known_output(WorkFolder.of(target, temp_dir), target) is not None
        )
    except OSError:
        # `prepare` says what is wrong with the name.
        return False


def _identity(path: Path) -> str:
    """What a file keeps when it gets another name, and no other file has."""
    found = path.stat()
    return f"{found.st_size} bytes, {found.st_mtime_ns} ns, number {found.st_ino}"


def _identity_of_pictures(folder: Path, log: Path | None, summary: ConversionSummary) -> str:
    pictures = pictures_identity(folder, folder.parent / summary.target.name, summary.frames)
    return f"pictures {pictures}, log {None if log is None else sha256_of(log)}"


def _keep(path: Path, identity: str, published: Published) -> None:
    content = {
        "format": FORMAT,
        "version": FORMAT_VERSION,
        "file": identity,
        "published": to_values(published, frozenset()),
    }
    write_whole(path, json.dumps(content).encode())


def _kept(path: Path) -> tuple[str, Published]:
    """What an output is recognised by, and what is known of it.

    Raises:
        InputError: It is not there, or not of this version.
    """
    given = read_object(path)
    if (given.take("format", str), given.take("version", int)) != (FORMAT, FORMAT_VERSION):
        raise InputError(f"{path} is of another version; expected {FORMAT} {FORMAT_VERSION}.")
    identity = given.take("file", str)
    return identity, from_values(Published, given.take_mapping("published"), str(path))
