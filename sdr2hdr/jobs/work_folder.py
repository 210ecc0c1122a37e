"""The work folder of a job: its plan, and every finished segment with its record.

A segment counts as finished when its record is there and says what the file is. Both get their
names only when their bytes are on the disk, the record last; so whatever ends a run, what a later
run finds is either whole or not there.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sdr2hdr.errors import InputError, OutputError
from sdr2hdr.jobs.disk import sha256_of, told
from sdr2hdr.jobs.plan import Plan, Segment, read_plan
from sdr2hdr.jobs.records import FinishedSegment, SegmentRecord, read_record
from sdr2hdr.range_summary import RangeSummary
from sdr2hdr.whole_file import UNFINISHED_SUFFIX, keep, unfinished_name, write_whole

__all__ = ["WORK_FOLDER_SUFFIX", "WorkFolder"]

WORK_FOLDER_SUFFIX = ".sdr2hdr"
_TARGET_FILE = "output.txt"
_LIGHT_LOG_FILE = "light_log.txt"
_PUBLISHED_FILE = "published.json"
_RECORDS = "[0-9]*.json"
_PATH_DIGITS = 8


class WorkFolder:
    """Where a job keeps what it has finished.

    Attributes:
        path: The folder; hidden and named after the output.
        merged: The file that becomes the output.
    """

    def __init__(self, path: Path, target: Path) -> None:
        """Name a folder; nothing is made or read.

        Args:
            path: The folder.
            target: The output.
        """
        self.path = path
        self.merged = path / f"merged{target.suffix}"
        self._target = target

    @classmethod
    def of(cls, target: Path, temp_dir: Path | None) -> WorkFolder:
        """The work folder of an output: beside it, or in a folder for such things.

        Args:
            target: The output.
            temp_dir: None is the output's own folder.
        """
        if temp_dir is None:
            return cls(target.with_name(f".{target.name}{WORK_FOLDER_SUFFIX}"), target)
        # Outputs of one name in several folders may share a temporary one.
        place = hashlib.sha256(os.fsencode(target.absolute())).hexdigest()[:_PATH_DIGITS]
        return cls(temp_dir / f".{target.name}.{place}{WORK_FOLDER_SUFFIX}", target)

    @property
    def plan_path(self) -> Path:
        """The plan's file."""
        return self.path / "plan.json"

    @property
    def published_path(self) -> Path:
        """The file about an output that has its name."""
        return self.path / _PUBLISHED_FILE

    @staticmethod
    def target_of(path: Path) -> Path | None:
        """The output that a folder is the work folder of; None if it is no work folder.

        A link to one is none: it would be somebody's own way to another place.
        """
        try:
            target = Path(os.fsdecode((path / _TARGET_FILE).read_bytes()))
        except (OSError, UnicodeDecodeError):
            return None
        if not target.is_absolute() or not target.name or path.is_symlink():
            return None
        # Where the folder is moved or copied to, the output will lie beside it, and its lock does.
        beside = path.absolute().with_name(target.name)
        if WorkFolder.of(beside, None).path.name == path.name:
            return beside
        return target if WorkFolder.of(target, path.parent).path.name == path.name else None

    def make(self) -> None:
        """Make the folder if it is not there.

        Raises:
            OutputError: It cannot be made, or something else has its name.
        """
        self._refuse_what_is_not_ours()
        try:
            self.path.mkdir(exist_ok=True)
            # The system's own bytes: a name need not be text in any encoding.
            write_whole(self.path / _TARGET_FILE, os.fsencode(self._target.absolute()))
        except OSError as error:
            raise OutputError(
                f"The work folder {self.path} cannot be made: {error.strerror}. "
                "--temp-dir names another folder for it."
            ) from error

    def plan(self) -> Plan | None:
        """The plan that is there, None if there is none or it is damaged."""
        try:
            return read_plan(self.plan_path) if self.plan_path.is_file() else None
        except InputError:
            return None

    def begin(self, plan: Plan) -> None:
        """Take up a plan, and let go of everything that another one left.

        Raises:
            OutputError: The disk does not take it.
        """
        self.clear()
        self.make()
        self.join(plan)

    def join(self, plan: Plan) -> None:
        """Put the plan where it belongs if it is not there, and keep all that is finished.

        Raises:
            OutputError: The disk does not take it, or another plan is being worked on.
        """
        if self.refuse_other_plan(plan):
            return
        with told(str(self.plan_path)):
            write_whole(self.plan_path, plan.to_json().encode())

    def refuse_other_plan(self, plan: Plan) -> bool:
        """Whether the plan that is worked on here is this one.

        Raises:
            OutputError: It is another.
        """
        known = self.plan()
        if known is not None and known.key != plan.key:
            raise OutputError(
                f"{self.path} holds the work of another plan; expected that of key "
                f"{plan.key[:12]}. `sdr2hdr clean` removes it."
            )
        return known is not None

    @contextmanager
    def unfinished(self, segment: Segment) -> Iterator[Path]:
        """Name a file to write a segment to; what is left of it is removed.

        Yields:
            A name that nobody else has: on a farm, two may convert one segment.
        """
        path = unfinished_name(self.path / f"{segment.index:06d}")
        try:
            yield path
        finally:
            with suppress(OSError):
                path.unlink(missing_ok=True)

    def segment_name(self, segment: Segment, suffix: str) -> str:
        """The name of a finished segment's file."""
        return f"{segment.index:06d}{suffix}"

    def add(self, unfinished: Path, record: SegmentRecord) -> None:
        """Take a whole segment in.

        Raises:
            OutputError: The disk does not take it.
        """
        with told(str(self.path / record.file_name)):
            self._record_path(record.index).unlink(missing_ok=True)
            keep(unfinished, self.path / record.file_name)
            write_whole(self._record_path(record.index), record.to_json().encode())

    def file_of(self, record: SegmentRecord | FinishedSegment) -> Path:
        """Where the segment of a record lies."""
        return self.path / record.file_name

    def summary_of(self, segment: FinishedSegment) -> RangeSummary:
        """Read again what was found in the frames of a finished segment.

        Raises:
            OutputError: Its record is gone, damaged, or of another file.
        """
        path = self._record_path(segment.index)
        try:
            record = read_record(path)
        except InputError as error:
            raise OutputError(
                f"{error} It was whole when segment {segment.index} was finished; give the same "
                "command again."
            ) from error
        if record.finished != segment:
            raise OutputError(
                f"{path} has changed since segment {segment.index} was finished; give the same "
                "command again."
            )
        return record.summary

    def finished(self, plan: Plan, segment: Segment) -> SegmentRecord | None:
        """The record of a finished segment whose file is still what it was; None without one."""
        try:
            record = read_record(self._record_path(segment.index))
            file = self.file_of(record)
            whole = (
                (record.key, record.index) == (plan.key, segment.index)
                and record.summary.first_frame == segment.first_frame
                and record.summary.frame_count == segment.frame_count
                and file.stat().st_size == record.size_bytes
                and sha256_of(file) == record.sha256
            )
        except (OSError, InputError):
            return None
        return record if whole else None

    def remember_log(self, sha256: str) -> None:
        """Keep the hash of the light log that is about to get its name.

        Raises:
            OutputError: The disk does not take it.
        """
        path = self.path / _LIGHT_LOG_FILE
        with told(str(path)):
            write_whole(path, sha256.encode())

    def has_made_log(self, path: Path) -> bool:
        """Whether a light log is the one that was remembered, byte for byte."""
        try:
            return sha256_of(path) == (self.path / _LIGHT_LOG_FILE).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            return False

    def has_traces_of(self, segment: Segment) -> bool:
        """Whether anything says that a segment was once finished."""
        return self._record_path(segment.index).exists()

    def count_finished(self) -> int:
        """How many segments have a record."""
        return sum(1 for _ in self.path.glob(_RECORDS))

    def remove_partials(self) -> None:
        """Remove what a killed run has left half written; only for who holds the lock alone.

        Raises:
            OutputError: Something of it cannot be removed.
        """
        if self.path.is_dir():
            with self._removal_told():
                for path in self.path.glob(f"*{UNFINISHED_SUFFIX}"):
                    path.unlink(missing_ok=True)

    def clear(self) -> None:
        """Remove the folder with all that is in it.

        Raises:
            OutputError: Something in it cannot be removed, or it is not ours.
        """
        self._refuse_what_is_not_ours()
        if not self.path.is_dir():
            return
        with self._removal_told():
            # Without its plan nothing in the folder counts any more, however far this comes; as
            # long as it knows the named output, the same command ends what a kill here leaves; and
            # as long as it says whose it is, `clean` knows it.
            self.plan_path.unlink(missing_ok=True)
            for path in self.path.iterdir():
                if path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path)
                elif path.name not in (_TARGET_FILE, _PUBLISHED_FILE):
                    path.unlink(missing_ok=True)
            self.published_path.unlink(missing_ok=True)
            shutil.rmtree(self.path)

    def remove_if_useless(self) -> None:
        """Remove a folder in which there is no plan to go on with."""
        if self.path.is_dir() and not self.plan_path.exists():
            with suppress(OutputError):
                self.clear()

    def _refuse_what_is_not_ours(self) -> None:
        """Keep hands off a link, and off a folder with files that does not say what it is for.

        Raises:
            OutputError: There is such a one.
        """
        if self.path.is_symlink():
            found = "is a link"
        elif self.target_of(self.path) is None and self._holds_anything():
            found = f"holds files and no {_TARGET_FILE} of ours"
        else:
            return
        raise OutputError(
            f"The work folder {self.path} {found}; expected one that a conversion has made, or "
            "none. Move it away, or --temp-dir names another folder for it."
        )

    def _holds_anything(self) -> bool:
        """Whether there is more in the folder than a kill leaves before it says whose it is."""
        try:
            return any(
                not each.name.lstrip(".").startswith(_TARGET_FILE) for each in self.path.iterdir()
            )
        except OSError:
            return False

    @contextmanager
    def _removal_told(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise OutputError(
                f"The work folder {self.path} cannot be removed: {error.strerror or error} "
                f"({error.filename or self.path}). Remove it, or --temp-dir names another folder "
                "for it."
            ) from error

    def _record_path(self, index: int) -> Path:
        return self.path / f"{index:06d}.json"
