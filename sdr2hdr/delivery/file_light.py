"""Measure the light of a finished file, of which only the coded planes are left."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from sdr2hdr.delivery.light_log import LightLog
from sdr2hdr.frames import CodedBatch, Rectangle
from sdr2hdr.media.hdr10.hdr_frames import open_hdr
from sdr2hdr.media.reading.blackness import is_black_outside
from sdr2hdr.quality.light_levels import FrameLight, LightMeter, measure_coded

__all__ = ["measure_file", "measure_inside_bars"]


def measure_inside_bars(batch: CodedBatch, active_picture: Rectangle | None) -> list[FrameLight]:
    """The light of decoded frames, black bars left out.

    Args:
        batch: In PQ.
        active_picture: As `detect_active_picture` gives it, None without bars. If anything is
            shown outside of it, the batch is measured whole.
    """
    if active_picture is not None and not all(is_black_outside(batch, active_picture)):
        active_picture = None
    return measure_coded(batch, active_picture)


def measure_file(
    path: Path,
    active_picture: Rectangle | None,
    *,
    assume_pq: bool = False,
    log: LightLog | None = None,
    on_frame: Callable[[int], None] = lambda frames: None,
) -> LightMeter:
    """Decode a PQ file and measure every frame.

    Args:
        path: A video file.
        active_picture: As for `measure_inside_bars`.
        assume_pq: Take a file without a transfer tag as PQ.
        log: Gets a row a frame.
        on_frame: Called with the number of frames measured so far.

    Raises:
        InputError: The file cannot be read to its end, or is not PQ video.
    """
    meter = LightMeter()
    with open_hdr(path, assume_pq=assume_pq) as hdr:
        for batch in hdr.coded_frames:
            lights = measure_inside_bars(batch, active_picture)
            meter.add(lights)
            if log is not None:
                log.add(batch.timeline, lights)
            on_frame(meter.frames)
    return meter
