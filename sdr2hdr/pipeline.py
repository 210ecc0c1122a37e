"""The whole program in one place: frames are read, converted and written."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from sdr2hdr.conversion import Conversion, prepare, user_data_notices
from sdr2hdr.delivery.light_log import LightLog
from sdr2hdr.errors import Notice
from sdr2hdr.frame_stages import FrameSpan, overlapped
from sdr2hdr.frames import FrameTime, Timeline
from sdr2hdr.media.reading.damage import Damage
from sdr2hdr.media.reading.frame_range import FrameRange, no_frame_error
from sdr2hdr.media.reading.reader import VideoReader
from sdr2hdr.media.writing.written import WrittenSummary
from sdr2hdr.options import SuperWhite
from sdr2hdr.output import Sink, open_direct_sink
from sdr2hdr.quality.flicker import FlickerMeter, ShotFlicker, check_flicker, shot_flicker
from sdr2hdr.quality.light_levels import FrameLight, LightLevels
from sdr2hdr.quality.roundtrip import ShotRoundtrip, ShotRoundtrips
from sdr2hdr.range_summary import RangeSummary, RangeTotals, added_up

__all__ = [
    "Conversion",
    "ConversionSummary",
    "FrameSpan",
    "Progress",
    "RangeSummary",
    "convert_directly",
    "convert_range",
    "flicker_of",
    "prepare",
    "roundtrips_of",
    "summary_notices",
]

SUPER_WHITE_SHARE_WORTH_SAYING = 0.001
"""Below a thousandth of the samples, codes above nominal white are overshoot, not picture."""


@dataclass(frozen=True)
class Progress:
    """How far a conversion has come.

    Attributes:
        frames: Done in this stage, those of earlier runs included.
        stage: "plan" looks through the source, "convert" makes pictures.
        resumed_frames: How many of `frames` an earlier run has done.
    """

    frames: int
    frame_count: int | None
    elapsed_seconds: float
    written_bytes: int
    stage: Literal["plan", "convert"] = "convert"
    resumed_frames: int = 0


@dataclass(frozen=True)
class ConversionSummary:
    """What was done.

    Attributes:
        light: Light levels, measured from the pixels that were coded.
        roundtrips: How far the method's HDR, taken back to SDR, is from the source, shot by shot;
            empty unless asked for.
        flicker: How much still parts of the picture move, beside those of the source, shot by shot.
        resumed_frames: How many of `frames` an earlier run has converted.
    """

    target: Path
    frames: int
    damage: Damage
    light: LightLevels
    roundtrips: tuple[ShotRoundtrip, ...]
    flicker: tuple[ShotFlicker, ...]
    elapsed_seconds: float
    size_bytes: int
    notices: tuple[Notice, ...]
    resumed_frames: int = 0


def convert_directly(
    conversion: Conversion,
    on_progress: Callable[[Progress], None] = lambda progress: None,
    span: FrameSpan | None = None,
    on_whole: Callable[[ConversionSummary, Path, Path | None], None] = lambda *_: None,
) -> ConversionSummary:
    """Convert every frame into a sequence of pictures or a pipe, in one go.

    Args:
        conversion: What to do.
        on_progress: Told after every frame.
        span: Says where shots begin; None takes all for one shot.
        on_whole: Told before a sequence and its light log get their names: how it went, the folder
            that its pictures lie in, and the log's file.

    Raises:
        GateError: A shot flickers too much.
        InputError: The source is damaged under `--strict`, changes on the way, or has no frame in
            the range that is asked for.
        OutputError: The output cannot be written.
    """
    options = conversion.options
    started = time.monotonic()
    with open_direct_sink(conversion.target, conversion.video, options) as sink:

        def on_frames(frames: int) -> None:
            elapsed_seconds = time.monotonic() - started
            on_progress(
                Progress(frames, conversion.frame_count, elapsed_seconds, sink.written_bytes)
            )

        done = convert_range(conversion, span or FrameSpan(), sink, on_frames)
        if not done.times:
            raise no_frame_error(conversion.source.path)
        totals = added_up((done,))
        if options.max_flicker is not None:
            check_flicker(flicker_of(totals), options.max_flicker)

        def summary(written: WrittenSummary) -> ConversionSummary:
            return ConversionSummary(
                target=conversion.target,
                frames=totals.frame_count,
                damage=totals.damage,
                light=totals.light,
                roundtrips=roundtrips_of(totals),
                flicker=flicker_of(totals),
                elapsed_seconds=time.monotonic() - started,
                size_bytes=written.size_bytes,
                notices=(*summary_notices(totals, options.super_white), *written.notices),
            )

        def all_written(written: WrittenSummary, folder: Path | None) -> None:
            def tell(log: Path | None) -> None:
                if folder is not None:
                    on_whole(summary(written), folder, log)

            if options.light_log is None:
                tell(None)
                return
            table = LightLog()
            table.add(Timeline(conversion.video.time_base, done.times), done.lights)
            table.write(options.light_log, totals.light, overwrite=options.overwrite, on_whole=tell)

        return summary(sink.finish(all_written))


def convert_range(
    conversion: Conversion,
    span: FrameSpan,
    sink: Sink,
    on_frames: Callable[[int], None] = lambda frames: None,
    frames: FrameRange | None = None,
) -> RangeSummary:
    """Read, convert and write frames; all that works at the same time (see `frame_stages`).

    Args:
        conversion: What is done to them.
        span: Which ones.
        sink: Takes them, in this thread; it is neither opened nor finished here.
        on_frames: Told after each batch how many frames have been written, none during pre-roll;
            may raise to stop.
        frames: The same frames by their times, pre-roll included; None reads what the options say.

    Raises:
        InputError: The source is damaged under `--strict`, or changes on the way.
        OutputError: The output cannot be written.
    """
    options = conversion.options
    roundtrips = ShotRoundtrips(conversion.engine.way_back()) if options.verify_roundtrip else None
    flicker = FlickerMeter()
    times: list[FrameTime] = []
    lights: list[FrameLight] = []
    super_white = 0.0
    with VideoReader(conversion.source, options.read, frames) as reader:
        with overlapped(reader, span, conversion, sink, roundtrips, flicker) as results:
            for finished in results:
                if finished is None:
                    on_frames(0)
                    continue
                sink.write(finished.prepared)
                times += finished.times
                lights += finished.lights
                super_white += finished.super_white
                on_frames(len(times))
        if conversion.on_clocks is not None:
            conversion.on_clocks(results.clocks)
    # What begins late was not there to be told of before the work.
    video = conversion.source.video
    late = user_data_notices(
        options,
        conversion.target,
        has_captions=reader.has_captions and not video.has_captions,
        has_active_format=reader.has_active_format and not video.has_active_format,
    )
    return RangeSummary(
        first_frame=span.first_frame,
        times=tuple(times),
        lights=tuple(lights),
        super_white=super_white,
        damage=reader.damage,
        tallies=() if roundtrips is None else roundtrips.tallies(),
        flicker=flicker.tallies(),
        notices=(*reader.notices, *late),
    )


def flicker_of(done: RangeTotals) -> tuple[ShotFlicker, ...]:
    """The flicker of every shot."""
    return tuple(shot_flicker(tally) for tally in done.flicker)


def roundtrips_of(done: RangeTotals) -> tuple[ShotRoundtrip, ...]:
    """The round trip's figures of every shot."""
    return tuple(ShotRoundtrip(part.first_frame, part.tally.score()) for part in done.tallies)


def summary_notices(done: RangeTotals, treatment: SuperWhite) -> tuple[Notice, ...]:
    """What the user should know of frames that were converted."""
    damaged = Notice("warning", f"The video is damaged: {done.damage}.")
    share = done.super_white / max(done.frame_count, 1)
    return (
        *((damaged,) if done.damage else ()),
        *done.notices,
        *super_white_notices(share, treatment),
    )


def super_white_notices(share: float, treatment: SuperWhite) -> tuple[Notice, ...]:
    """Say when a share of the luma samples worth mentioning was above nominal white."""
    if share <= SUPER_WHITE_SHARE_WORTH_SAYING or treatment == "scale":
        return ()
    return (
        Notice(
            "warning",
            f"{share:.2%} of the luma samples are above nominal white and were clipped; "
            "--super-white scale keeps them.",
        ),
    )
