"""How a finished file is muxed: what libavformat is told, and what it leaves out and is put in.

The same whether its video was converted (`merge_writer`) or copied (`hdr10_remux`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from fractions import Fraction
from pathlib import Path

from sdr2hdr.errors import Notice
from sdr2hdr.media.containers.chapter_reference import name_chapter_track
from sdr2hdr.media.containers.matroska_display import write_display_size
from sdr2hdr.media.containers.matroska_enabled import write_disabled_tracks
from sdr2hdr.media.containers.matroska_languages import write_full_languages
from sdr2hdr.media.copying.stream_copy import StreamCopier
from sdr2hdr.media.copying.stream_decision import COPIED_ACTIONS, TRACK_ACTIONS
from sdr2hdr.media.copying.stream_plan import PlannedStream, StreamPlan
from sdr2hdr.wording import how_many

__all__ = ["complete_description", "copying_notices", "muxer_options", "streams_left_empty"]


def muxer_options(plan: StreamPlan, copier: StreamCopier, time_base: Fraction) -> dict[str, str]:
    """What makes the bytes the same on every run, and the times exact.

    Args:
        plan: Of the file: its container, and whether it has tags of any name.
        copier: Of what is not video, to the file.
        time_base: Seconds a tick of the video.
    """
    options = {"fflags": "+bitexact"}
    if plan.container_format == "matroska":
        return options
    timescale = time_base.denominator
    return {
        **options,
        "movflags": "+faststart+use_metadata_tags" if plan.free_tags else "+faststart",
        "video_track_timescale": str(timescale),
        "movie_timescale": str(copier.movie_timescale(timescale)),
    }


def streams_left_empty(plan: StreamPlan, counts: Mapping[int, int]) -> tuple[PlannedStream, ...]:
    """Streams of which the output got nothing, and which its container leaves out then.

    MP4 and MOV hold no track without samples; one of `mov_text` gets an empty one.

    Args:
        plan: Of the file.
        counts: Packets written, by stream index of the source.
    """
    if plan.container_format == "matroska":
        return ()
    return tuple(
        each
        for each in plan.streams
        if each.action in COPIED_ACTIONS
        and each.codec != "mov_text"
        and not counts.get(each.source.index)
    )


def copying_notices(plan: StreamPlan, copier: StreamCopier) -> tuple[Notice, ...]:
    """What happened to the copied streams that the user should know.

    Args:
        plan: Of the file.
        copier: That has copied all there is.
    """
    texts: list[str] = []
    if copier.damage is not None:
        texts.append(f"{copier.damage}.")
    if copier.undecodable:
        number = how_many(copier.undecodable, "packet")
        texts.append(f"Sound that cannot be decoded is left out: {number}.")
    if copier.damaged_cues:
        number = how_many(copier.damaged_cues, "cue")
        texts.append(f"Subtitles are damaged and kept as far as they can be read: {number}.")
    texts += [
        f"Stream {empty.source.label} has nothing to be copied; {plan.target.suffix} holds no "
        "empty streams, so it is left out."
        for empty in streams_left_empty(plan, copier.counts)
    ]
    if copier.repaired:
        texts.append(
            f"Copied streams had {how_many(copier.repaired, 'packet')} with a decoding time that "
            "did not increase, moved to the next possible time."
        )
    return tuple(Notice("warning", text) for text in texts)


def complete_description(
    path: Path, plan: StreamPlan, sample_aspect_ratio: Fraction, disabled: Collection[int]
) -> None:
    """Put into a file that libavformat has just finished what it leaves out.

    Args:
        path: The file.
        plan: Of the file.
        sample_aspect_ratio: Width to height of a pixel.
        disabled: Indices of streams of the source that are not to be played.

    Raises:
        OSError: The file cannot be written.
    """
    if plan.container_format != "matroska":
        if plan.timecode is not None:
            name_chapter_track(path)
        return
    write_full_languages(path)
    if disabled:
        tracks = [
            each.source.index
            for each in plan.streams
            if each.action in TRACK_ACTIONS and each.source.kind != "attachment"
        ]
        write_disabled_tracks(path, {tracks.index(each) for each in disabled if each in tracks})
    if sample_aspect_ratio != 1:
        # Last: it takes all the room that there is, some of which the flag needs.
        write_display_size(path, sample_aspect_ratio)
