"""End a job whose output has its name: this run's, or that of a run that was killed behind it.

Or a job whose output is getting it: a sequence of pictures, one after another.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from sdr2hdr.errors import LockedError, Notice, OutputError
from sdr2hdr.jobs.disk import told
from sdr2hdr.jobs.lock import output_lock
from sdr2hdr.jobs.published import Published, known_output, known_pictures
from sdr2hdr.jobs.segment_loop import JobRun
from sdr2hdr.jobs.source_identity import identify
from sdr2hdr.jobs.work_folder import WorkFolder
from sdr2hdr.media.writing.sequence_names import (
    name_pictures,
    refuse_pictures,
    unfinished_sequences,
)
from sdr2hdr.pipeline import ConversionSummary
from sdr2hdr.whole_file import check_is_new, sync_folder

__all__ = ["check_pictures", "close_folder", "end_named", "ended_before", "sequence_ended_before"]


def ended_before(run: JobRun, *, resume: bool = True) -> ConversionSummary | None:
    """End what a run has left that was killed when its output had got its name already.

    Returns:
        How that run went; None if there is no such output.

    Raises:
        OutputError: There is another output, without `--overwrite`; or the work folder cannot be
            removed.
    """
    target = run.conversion.target
    known = _same_output(run) if resume else None
    if known is None:
        check_is_new(target, overwrite=run.conversion.options.overwrite)
        return None
    text = f"{target} is whole; an earlier run was ended before it could say so."
    run.listener.notice(Notice("notice", text))
    close_folder(run)
    return _told_again(run, known)


def sequence_ended_before(run: JobRun, *, resume: bool = True) -> ConversionSummary | None:
    """End what a run has left that was killed while its pictures got their names.

    Returns:
        How that run went; None if there is no such sequence.

    Raises:
        OutputError: There are other pictures of that name, without `--overwrite`; or those that
            are left cannot get their names.
    """
    target, overwrite = run.conversion.target, run.conversion.options.overwrite
    for folder, other in unfinished_sequences(target.parent):
        if not resume or other.name != target.name:
            continue
        known = known_pictures(folder, run.conversion.options.light_log)
        if known is None or not _is_same(run, known):
            continue
        name_pictures(folder, target, known.summary.frames, overwrite=overwrite)
        text = f"{target} is whole; an earlier run was ended before all pictures had their names."
        run.listener.notice(Notice("notice", text))
        return _told_again(run, known)
    if not overwrite:
        # The rest of a sequence stays as long as some of it has its names.
        refuse_pictures(target, "exists already")
    return None


def check_pictures(target: Path, *, overwrite: bool) -> None:
    """Refuse a sequence of which there are pictures, without doing anything.

    Not while an unfinished one of its name is there: only the job knows whether they are its own.

    Raises:
        OutputError: There are some, without `overwrite`, or it cannot be looked.
    """
    if overwrite:
        return
    with told(str(target)):
        if all(other.name != target.name for _, other in unfinished_sequences(target.parent)):
            refuse_pictures(target, "exists already")


def close_folder(run: JobRun) -> None:
    """Remove the work folder behind an output that has its name.

    Raises:
        OutputError: The output's name cannot be brought to the disk, or the folder not be removed.
    """
    target = run.conversion.target
    # The segments go only when no power cut can take the output's name back.
    with told(str(target)):
        sync_folder(target.absolute().parent)
    run.folder.clear()
    run.listener.published(target)


def end_named(target: Path, temp_dir: Path | None) -> None:
    """Remove the work folder of an output that has its name, if a killed run has left it.

    Another's work stays, and so does that of a run that is at it.
    """
    folder = WorkFolder.of(target, temp_dir)
    if known_output(folder, target) is None:
        return
    # What cannot be removed costs room and nothing else.
    with suppress(LockedError, OutputError), output_lock(target), told(str(target)):
        if known_output(folder, target) is not None:
            sync_folder(target.absolute().parent)
            folder.clear()


def _same_output(run: JobRun) -> Published | None:
    """What is known of an output that has its name, if this command would make it again."""
    known, log = known_output(run.folder, run.conversion.target), run.conversion.options.light_log
    if known is None or (log is not None and not log.exists()):
        return None
    return known if _is_same(run, known) else None


def _is_same(run: JobRun, known: Published) -> bool:
    """Whether this command would make an output again."""
    if known.asked != run.asked:
        return False
    return known.source == identify(run.conversion.source.path, known.source.duration_seconds)


def _told_again(run: JobRun, known: Published) -> ConversionSummary:
    return replace(
        known.summary,
        target=run.conversion.target,
        resumed_frames=known.summary.frames,
        elapsed_seconds=run.elapsed_seconds,
    )
