"""Measure an existing PQ file and say HDR10 everywhere in a copy of it, without coding anew."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sdr2hdr.delivery.file_light import measure_file
from sdr2hdr.delivery.light_log import LightLog, check_log_is_new, check_log_place
from sdr2hdr.delivery.target_file import (
    check_folder,
    check_target,
    publish,
    unfinished_file,
)
from sdr2hdr.errors import InputError, Notice
from sdr2hdr.frames import Rectangle
from sdr2hdr.media.bitstreams.hdr10_sei import HdrSei, content_light_payload
from sdr2hdr.media.copying.stream_plan import plan_streams
from sdr2hdr.media.hdr10.hdr10_remux import check_container, remux_hdr10
from sdr2hdr.media.hdr10.hdr_facts import CODECS_THAT_SAY_LEVELS
from sdr2hdr.media.hdr10.hdr_source import HdrSource, probe_hdr
from sdr2hdr.media.mastering import MasteringDisplay
from sdr2hdr.media.reading.letterbox import detect_active_picture
from sdr2hdr.media.signalling.colour_decision import SITING_WORDS
from sdr2hdr.options import EncodeOptions, TimeRange
from sdr2hdr.quality.light_levels import LightLevels
from sdr2hdr.signal import Primaries, Subsampling

__all__ = ["RetagOptions", "RetagSummary", "retag"]


@dataclass(frozen=True)
class RetagOptions:
    """What the user may choose.

    Attributes:
        robust: Store the robust levels instead of the exact ones.
        mastering: The display to name; None keeps what the file says.
        assume_pq: Take a file without a transfer tag as PQ, BT.2020.
        drop_unsupported: Drop, with a warning, streams that the container cannot hold.
        light_log: Where to write the table of frames, None for none.
        temp_dir: Folder of the unfinished file; None is the target's own.
    """

    robust: bool = False
    mastering: MasteringDisplay | None = None
    assume_pq: bool = False
    drop_unsupported: bool = False
    light_log: Path | None = None
    overwrite: bool = False
    temp_dir: Path | None = None


@dataclass(frozen=True)
class RetagSummary:
    """What was measured and written.

    Attributes:
        levels: Exact and robust.
        stored: MaxCLL and MaxFALL as written.
        active_picture: The picture inside black bars that was measured, None without bars.
        colour_added: Whether the stream's header lacked colour and now says it.
    """

    target: Path
    frames: int
    key_frames: int
    levels: LightLevels
    stored: tuple[int, int]
    active_picture: Rectangle | None
    colour_added: bool
    size_bytes: int
    notices: tuple[Notice, ...]


def retag(
    source: Path,
    target: Path,
    options: RetagOptions | None = None,
    on_frame: Callable[[int], None] = lambda frames: None,
) -> RetagSummary:
    """Measure a PQ file and write it again with true metadata; every coded slice stays as it is.

    Levels are those of the decoded planes with chroma interpolated (see
    `sdr2hdr.quality.light_levels.measure_coded`). Primaries, transfer and matrix are added to a
    header that lacks them; what a header says already, and where chroma lies, is never changed.

    Args:
        source: A video file in PQ.
        target: Its suffix says the container.
        options: See `RetagOptions`.
        on_frame: Called with the number of frames measured so far.

    Raises:
        InputError: The source cannot be read to its end, or is not PQ.
        OutputError: The target or the light log may not be written, the folder of the unfinished
            file does not exist, or the target's container cannot hold the streams.
        UsageError: The light log has a name that says no format.
    """
    options = options or RetagOptions()
    check_target(source, target, overwrite=options.overwrite)
    if options.temp_dir is not None:
        check_folder(options.temp_dir, "--temp-dir")
    if options.light_log is not None:
        check_log_place(options.light_log, (source, target))
        check_log_is_new(options.light_log, overwrite=options.overwrite)
    found = probe_hdr(source, assume_pq=options.assume_pq)
    if cut := found.info.cut_short:
        raise InputError(f"{source} is cut short: {cut}; expected a whole file.")
    encode = EncodeOptions(drop_unsupported=options.drop_unsupported)
    plan = plan_streams(found.info, target, encode, TimeRange())
    check_container(found, plan)
    active_picture = detect_active_picture(found.info)
    log = None if options.light_log is None else LightLog()
    meter = measure_file(
        source, active_picture, assume_pq=options.assume_pq, log=log, on_frame=on_frame
    )
    levels = meter.levels()
    stored = levels.chosen(robust=options.robust)
    mastering = found.mastering
    if options.mastering is not None:
        mastering = options.mastering.mdcv_payload()
    with unfinished_file(target, options.temp_dir) as unfinished:
        sei = HdrSei(mastering, content_light_payload(*stored))
        written = remux_hdr10(found, plan, unfinished, sei)

        def write_log(_: Path) -> None:
            if log is not None and options.light_log is not None:
                log.write(options.light_log, levels, overwrite=options.overwrite)

        # The log comes first: without room for it, the output gets no name either.
        publish(unfinished, target, overwrite=options.overwrite, on_whole=write_log)
    return RetagSummary(
        target=target,
        frames=written.frames,
        key_frames=written.key_frames,
        levels=levels,
        stored=stored,
        active_picture=active_picture,
        colour_added=written.colour_added,
        size_bytes=target.stat().st_size,
        notices=(
            *found.info.notices,
            *plan.notices,
            *written.notices,
            *_notices(found, mastering, active_picture),
        ),
    )


def _notices(
    source: HdrSource, mastering: bytes | None, active_picture: Rectangle | None
) -> list[Notice]:
    video = source.info.video
    signal = video.colour.signal
    notices: list[Notice] = []
    if mastering is None:
        notices.append(
            Notice(
                "warning",
                "The file names no mastering display, and none is made up; HDR10 asks for one: "
                "--mastering names it.",
            )
        )
    if video.codec not in CODECS_THAT_SAY_LEVELS:
        notices.append(
            Notice(
                "notice",
                f"A {video.codec} stream has no place for light levels; the container says them.",
            )
        )
    if signal.primaries is not Primaries.BT2020:
        notices.append(
            Notice("warning", "The primaries are not BT.2020, which HDR10 asks for; they stay.")
        )
    unsited = source.header is None or source.header.siting is None
    is_420 = signal.subsampling is Subsampling.YUV420
    if video.codec in CODECS_THAT_SAY_LEVELS and unsited and is_420:
        notices.append(
            Notice(
                "notice",
                "The stream does not say where its chroma lies, which stays so; it is taken as "
                f"{SITING_WORDS[signal.siting]}, as the container says or else the codec's rule.",
            )
        )
    if active_picture is not None:
        notices.append(Notice("notice", f"Letterbox: {active_picture.words} was measured."))
    return notices
