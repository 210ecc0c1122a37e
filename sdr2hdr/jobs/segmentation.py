"""The rule by which shots become segments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sdr2hdr.jobs.plan import Segment, Shot

__all__ = ["SegmentRule", "Span", "is_possible_start", "spans_of_shots", "to_segments"]


@dataclass(frozen=True)
class SegmentRule:
    """How long segments are.

    A segment begins where a shot does. Short shots in a row are joined, since opening a decoder and
    filling an encoder cost as much for ten frames as for hundreds. A long shot is split at
    multiples of `longest_frames` counted from its own start, so that an edit elsewhere in the film
    moves no boundary within it; the last piece is not made shorter than half of that.

    Attributes:
        longest_frames: Pieces that a long shot is split into; about the frames between two key
            frames of x265 (250), so that a boundary costs no extra one. A crash loses at most one
            and a half of them, and pre-roll is repeated once for each.
        joined_frames: Shots are joined while they are not longer together.
        preroll_frames: What must be computed before a piece that does not begin with its shot, as
            the method says; 0 where nothing is kept in time.
    """

    longest_frames: int = 240
    joined_frames: int = 240
    preroll_frames: int = 0

    def __post_init__(self) -> None:
        if self.longest_frames < 1 or self.joined_frames < 0 or self.preroll_frames < 0:
            raise ValueError(
                f"{self}: expected a longest segment of 1 or more, and nothing below 0."
            )


@dataclass(frozen=True)
class Span:
    """Frames of a segment, and how many before them are computed too."""

    first_frame: int
    frame_count: int
    preroll_frames: int


def spans_of_shots(shots: Sequence[Shot], rule: SegmentRule) -> list[Span]:
    """Join and split shots.

    Args:
        shots: In order, without gaps.
        rule: See `SegmentRule`.
    """
    spans: list[Span] = []
    for shot in shots:
        pieces = _pieces(shot, rule)
        if spans and spans[-1].frame_count + pieces[0].frame_count <= rule.joined_frames:
            last = spans.pop()
            pieces[0] = Span(
                last.first_frame, last.frame_count + pieces[0].frame_count, last.preroll_frames
            )
        spans.extend(pieces)
    return spans


def is_possible_start(frame_in_shot: int, rule: SegmentRule) -> bool:
    """Whether decoding for a segment may begin with a frame, as far as can be said in passing.

    Args:
        frame_in_shot: Counted from the shot's start.
        rule: See `SegmentRule`.
    """
    if frame_in_shot == 0:
        return True
    split = frame_in_shot + rule.preroll_frames
    return split % rule.longest_frames == 0


def to_segments(
    spans: Sequence[Span], frame_pts: Sequence[int], fingerprints: Mapping[int, str]
) -> tuple[Segment, ...]:
    """Number spans, and give them times and fingerprints.

    Args:
        spans: Covering all frames, in order.
        frame_pts: Of every frame.
        fingerprints: By frame, of all that `is_possible_start` names.
    """
    ends = [frame_pts[span.first_frame] for span in spans[1:]]
    return tuple(
        Segment(
            index=index,
            first_frame=span.first_frame,
            frame_count=span.frame_count,
            start_pts=frame_pts[span.first_frame],
            end_pts=end_pts,
            preroll_frames=span.preroll_frames,
            fingerprint=fingerprints[span.first_frame - span.preroll_frames],
        )
        for index, (span, end_pts) in enumerate(zip(spans, [*ends, None], strict=True))
    )


def _pieces(shot: Shot, rule: SegmentRule) -> list[Span]:
    longest = rule.longest_frames
    count = max(1, (shot.frame_count + longest // 2) // longest)
    starts = [number * longest for number in range(count)]
    ends = [*starts[1:], shot.frame_count]
    return [
        Span(shot.first_frame + start, end - start, min(rule.preroll_frames, start))
        for start, end in zip(starts, ends, strict=True)
    ]
