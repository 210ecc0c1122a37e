"""Look through a source, and plan its segments."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch

from sdr2hdr.frames import CodedBatch
from sdr2hdr.jobs.plan import Fade, Plan, Shot
from sdr2hdr.jobs.segmentation import (
    SegmentRule,
    is_possible_start,
    spans_of_shots,
    to_segments,
)
from sdr2hdr.jobs.source_identity import SourceWatch, identify
from sdr2hdr.media.reading.frame_range import frame_fingerprint, no_frame_error
from sdr2hdr.media.reading.letterbox import LetterboxFinder, detect_active_picture
from sdr2hdr.media.reading.reader import VideoReader
from sdr2hdr.media.source import SourceInfo
from sdr2hdr.options import ReadOptions
from sdr2hdr.quality.fades import FadeFinder, FoundFade
from sdr2hdr.quality.shots import FrameVerdict, ShotDetector, thumbnails

__all__ = ["scan_source"]


@dataclass
class _Pass:
    """What is kept of the frames that have passed: numbers, and the last few frames.

    Attributes:
        waiting: Frames on which the shot detector has not decided yet.
        fingerprints: Of the frames that decoding for a segment may begin with.
    """

    rule: SegmentRule
    frame_pts: list[int]
    shots: list[FrameVerdict]
    fades: list[FoundFade]
    fingerprints: dict[int, str]
    waiting: deque[CodedBatch]

    def decide(self, verdicts: list[FrameVerdict]) -> None:
        """Take verdicts on the frames that have waited longest."""
        for verdict in verdicts:
            frame = self.waiting.popleft()
            if verdict.transition is not None:
                self.shots.append(verdict)
            if is_possible_start(verdict.frame - self.shots[-1].frame, self.rule):
                self.fingerprints[verdict.frame] = frame_fingerprint(frame)


def scan_source(
    info: SourceInfo,
    read: ReadOptions,
    rule: SegmentRule,
    on_progress: Callable[[int], None] = lambda frames: None,
) -> Plan:
    """Decode the wanted part of a source, and plan it; a damaged one is decoded twice.

    Memory does not grow with the length of the film but for the times of its frames.

    Args:
        info: The probed source.
        read: How it is read; its time range is what is planned.
        rule: How shots become segments.
        on_progress: Told how many frames have passed.

    Returns:
        The plan, with nothing pinned.

    Raises:
        InputError: The source is damaged under `--strict`, changes on the way, or has no frame in
            the range.
    """
    plan, is_damaged = _scanned(info, read, rule, on_progress)
    if is_damaged and read.threads != 1:
        plan, _ = _scanned(info, replace(read, threads=1), rule, on_progress)
    return replace(plan, in_one_thread=is_damaged)


def _scanned(
    info: SourceInfo, read: ReadOptions, rule: SegmentRule, on_progress: Callable[[int], None]
) -> tuple[Plan, bool]:
    """The plan of one pass, and whether damage was found."""
    part = read.time_range
    watch = SourceWatch(info.path)
    source = identify(info.path, info.video.duration_seconds)
    likely_picture = detect_active_picture(info, part.start_seconds, part.end_seconds)
    shots, fades, letterbox = ShotDetector(), FadeFinder(), LetterboxFinder(info)
    found = _Pass(rule, [], [], [], {}, deque())
    # Bands have no part in what is found here, and smoothing them takes longer than decoding.
    with VideoReader(info, replace(read, deband=False)) as reader, _single_thread():
        for batch in reader:
            letterbox.add(batch)
            for number, thumbnail in enumerate(thumbnails(batch, likely_picture)):
                found.frame_pts.append(batch.timeline.frames[number].pts)
                found.waiting.append(batch.part(number, number + 1))
                found.decide(shots.add(thumbnail))
                found.fades += fades.add(thumbnail)
            on_progress(len(found.frame_pts))
        found.decide(shots.finish())
        found.fades += fades.finish()
    watch.check()
    if not found.frame_pts:
        raise no_frame_error(info.path)
    planned = _shots(found.shots, found.fades, len(found.frame_pts))
    plan = Plan(
        source_path=info.path.absolute(),
        source=source,
        time_base=reader.time_base,
        frame_pts=tuple(found.frame_pts),
        has_repaired_times=reader.has_repaired_times,
        has_joined_clocks=reader.has_joined_clocks,
        shots=planned,
        fades=tuple(Fade(fade.first_frame, fade.frame_count, fade.kind) for fade in found.fades),
        active_picture=letterbox.active_picture(),
        segments=to_segments(spans_of_shots(planned, rule), found.frame_pts, found.fingerprints),
    )
    return plan, bool(reader.damage)


@contextmanager
def _single_thread() -> Iterator[None]:
    """Keep torch to one thread: threads that meet after each of these small steps only wait.

    On a machine that is busy with something else the pass was ten times as slow with two.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _shots(
    starts: list[FrameVerdict], fades: list[FoundFade], frame_count: int
) -> tuple[Shot, ...]:
    """The shots, where one that begins with a fade says so.

    The detector looks two frames ahead, in which a fade of some seconds gains too little contrast
    to be told from a cut; the finder has followed it to its end.
    """
    ends = [*(start.frame for start in starts[1:]), frame_count]
    rises = {fade.first_frame for fade in fades if fade.kind in ("from black", "from white")}
    return tuple(
        Shot(
            start.frame,
            end - start.frame,
            "fade" if start.transition == "cut" and start.frame in rises else start.transition,
        )
        for start, end in zip(starts, ends, strict=True)
        if start.transition is not None
    )
