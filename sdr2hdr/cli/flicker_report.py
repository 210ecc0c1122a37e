"""The flicker of a conversion, for `evaluate --flicker`: measured shot by shot, and told."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING

from sdr2hdr.cli.console import Console
from sdr2hdr.errors import InputError
from sdr2hdr.options import ReadOptions

if TYPE_CHECKING:
    from sdr2hdr.media.hdr10.hdr_frames import HdrFrames
    from sdr2hdr.quality.flicker import ShotFlicker

__all__ = ["measure_flicker", "show_flicker"]


def measure_flicker(
    source: Path, converted: HdrFrames, on_frame: Callable[[], None]
) -> list[ShotFlicker]:
    """Measure every shot of a conversion against its source.

    Frames are paired by their order. A shot's first frame is known two frames late, so that many
    are held back.

    Args:
        source: The SDR video.
        converted: What was made of it, PQ planes.
        on_frame: Told of every pair.

    Raises:
        InputError: One has more frames than the other, or `converted` is linear light.
    """
    from collections import deque

    from sdr2hdr.colour import pad_to_even, to_rgb
    from sdr2hdr.frames import RgbBatch
    from sdr2hdr.media.reading.probe import probe
    from sdr2hdr.media.reading.reader import VideoReader
    from sdr2hdr.quality.flicker import FlickerMeter, shot_flicker
    from sdr2hdr.quality.pq_picture import pq_rgb
    from sdr2hdr.quality.shots import FrameVerdict, ShotDetector, thumbnails

    meter, shots = FlickerMeter(), ShotDetector()
    waiting: deque[tuple[RgbBatch, RgbBatch]] = deque()
    read = ReadOptions()

    def decide(verdicts: Iterable[FrameVerdict]) -> None:
        for verdict in verdicts:
            if verdict.transition is not None:
                meter.begin_shot(verdict.frame)
            meter.add(*waiting.popleft())
            on_frame()

    with VideoReader(probe(source, read), read) as reader:
        for sdr, hdr in zip_longest(reader, converted.coded_frames):
            if sdr is None or hdr is None:
                longer = converted.path if sdr is None else source
                raise InputError(
                    f"{longer} has more frames than the other file; expected as many, since frames "
                    "are paired by their order."
                )
            waiting.append((to_rgb(pad_to_even(sdr)), pq_rgb(hdr)))
            decide(shots.add(thumbnails(sdr)[0]))
        decide(shots.finish())
    return [shot_flicker(tally) for tally in meter.tallies()]


def show_flicker(console: Console, shots: Iterable[ShotFlicker]) -> None:
    """One line or one event a shot."""
    for shot in shots:
        if console.json:
            console.event("flicker", asdict(shot))
        elif shot.ratio is None:
            console.result(f"shot from frame {shot.first_frame} on: nothing stands still")
        else:
            console.result(
                f"shot from frame {shot.first_frame} on: flicker {shot.converted_codes:.3f} codes, "
                f"source {shot.source_codes:.3f}, ratio {shot.ratio:.2f}, most "
                f"{shot.worst_codes:.2f} at frame {shot.worst_frame}; "
                f"{shot.still_share:.0%} of the picture stands still"
            )
