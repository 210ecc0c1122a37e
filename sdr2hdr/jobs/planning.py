"""Make the plan of a conversion: its source looked through, its settings pinned."""

from __future__ import annotations

import time
from collections.abc import Callable

from sdr2hdr.conversion import Conversion
from sdr2hdr.jobs.plan import Plan
from sdr2hdr.jobs.scan import scan_source
from sdr2hdr.jobs.segmentation import SegmentRule
from sdr2hdr.jobs.settings import pinned_settings
from sdr2hdr.pipeline import Progress

__all__ = ["look_through", "make_plan", "segment_rule"]


def make_plan(
    conversion: Conversion, on_progress: Callable[[Progress], None] = lambda progress: None
) -> Plan:
    """Look through the source once, decide where segments begin, and pin all settings.

    Args:
        conversion: As prepared, for a video file.
        on_progress: Told after every few frames; may raise to stop.

    Raises:
        InputError: The source is damaged under `--strict`, changes on the way, or has no frame in
            the range that is asked for.
    """
    return look_through(conversion, on_progress).with_pinned(pinned_settings(conversion))


def look_through(conversion: Conversion, on_progress: Callable[[Progress], None]) -> Plan:
    """The same with nothing pinned, for any target."""
    started = time.monotonic()

    def on_frames(frames: int) -> None:
        elapsed_seconds = time.monotonic() - started
        on_progress(Progress(frames, conversion.frame_count, elapsed_seconds, 0, stage="plan"))

    return scan_source(
        conversion.source, conversion.options.read, segment_rule(conversion), on_frames
    )


def segment_rule(conversion: Conversion) -> SegmentRule:
    """How segments are cut for a conversion: what its method keeps in time decides the pre-roll."""
    if not conversion.options.temporal:
        return SegmentRule()
    return SegmentRule(preroll_frames=conversion.engine.preroll_frames)
