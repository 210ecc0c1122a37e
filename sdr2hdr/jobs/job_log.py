"""The light log of a job, which gets its name before the output and must not stop the next run.

Two files cannot get their names in one step. The log comes first, so that who finds the output
need not look for the log; and a run that is killed between the two leaves the log. The same command
has to go on then, though it replaces no file without `--overwrite`. So the work folder keeps the
hash of the log: one that is the same to the byte is a leftover of the job and not the user's, and
nothing is lost with it, since it is written again.
"""

from __future__ import annotations

from collections.abc import Iterable

from sdr2hdr.conversion import Conversion
from sdr2hdr.delivery.light_log import LightLog, check_log_is_new
from sdr2hdr.frames import Timeline
from sdr2hdr.jobs.disk import sha256_of, told
from sdr2hdr.jobs.work_folder import WorkFolder
from sdr2hdr.quality.light_levels import LightLevels
from sdr2hdr.range_summary import RangeSummary

__all__ = ["check_job_log", "make_way_for_log", "write_job_log"]


def check_job_log(conversion: Conversion, folder: WorkFolder) -> None:
    """Refuse a light log that is there already and that this job has not left.

    Raises:
        OutputError: It is there, without `--overwrite`.
    """
    options = conversion.options
    if options.light_log is not None and not folder.has_made_log(options.light_log):
        check_log_is_new(options.light_log, overwrite=options.overwrite)


def make_way_for_log(conversion: Conversion, folder: WorkFolder) -> None:
    """The same, and remove one that this job has left: now, while it is known whose it is.

    Raises:
        OutputError: One is there, without `--overwrite`, or cannot be removed.
    """
    options = conversion.options
    if options.light_log is None:
        return
    if not folder.has_made_log(options.light_log):
        check_log_is_new(options.light_log, overwrite=options.overwrite)
        return
    with told(str(options.light_log)):
        options.light_log.unlink()


def write_job_log(
    conversion: Conversion,
    folder: WorkFolder,
    summaries: Iterable[RangeSummary],
    levels: LightLevels,
) -> None:
    """Write the light log, if one is asked for.

    Args:
        conversion: What was done.
        folder: Where its hash is kept.
        summaries: Of all segments, in order.
        levels: Of the programme.

    Raises:
        OutputError: It cannot be written, or has appeared meanwhile.
    """
    options = conversion.options
    if options.light_log is None:
        return
    log = LightLog()
    for summary in summaries:
        log.add(Timeline(conversion.video.time_base, summary.times), summary.lights)
    log.write(
        options.light_log,
        levels,
        overwrite=options.overwrite,
        on_whole=lambda unfinished: folder.remember_log(sha256_of(unfinished)),
    )
