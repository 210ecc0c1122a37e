from __future__ import annotations

import pytest

from sdr2hdr.jobs.plan import Shot
from sdr2hdr.jobs.segmentation import (
    SegmentRule,
    Span,
    is_possible_start,
    spans_of_shots,
    to_segments,
)

RULE = SegmentRule(longest_frames=100, joined_frames=60, preroll_frames=14)


def shots(*counts: int) -> list[Shot]:
    starts = [sum(counts[:number]) for number in range(len(counts))]
    return [
        Shot(start, count, "cut" if start else "start")
        for start, count in zip(starts, counts, strict=True)
    ]


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ((50,), [(0, 50, 0)]),
        ((149,), [(0, 149, 0)]),
        ((150,), [(0, 100, 0), (100, 50, 14)]),
        ((349,), [(0, 100, 0), (100, 100, 14), (200, 149, 14)]),
        ((30, 30, 1), [(0, 60, 0), (60, 1, 0)]),
        ((61, 30, 30), [(0, 61, 0), (61, 60, 0)]),
        ((150, 10), [(0, 100, 0), (100, 60, 14)]),
        ((10, 150), [(0, 10, 0), (10, 100, 0), (110, 50, 14)]),
    ],
)
def test_shots_are_joined_and_split(counts: tuple[int, ...], expected: list[tuple[int, int, int]]):
    assert spans_of_shots(shots(*counts), RULE) == [Span(*span) for span in expected]


def test_boundaries_in_a_shot_do_not_depend_on_what_comes_before():
    for before in range(40, 90):
        spans = spans_of_shots(shots(before, 500), RULE)
        assert [span.first_frame - before for span in spans[-5:]] == [0, 100, 200, 300, 400]


def test_preroll_never_leaves_the_shot():
    rule = SegmentRule(longest_frames=10, joined_frames=0, preroll_frames=25)
    preroll = [span.preroll_frames for span in spans_of_shots(shots(7, 50), rule)]
    assert preroll == [0, 0, 10, 20, 25, 25]


def test_every_frame_that_decoding_begins_with_is_told_in_passing():
    for rule in (RULE, SegmentRule(10, 0, 25), SegmentRule(10, 30, 10), SegmentRule(1, 5, 3)):
        for counts in ((7, 50, 3, 3, 160), (1,), (99, 1, 300)):
            given = shots(*counts)
            possible = {
                shot.first_frame + frame
                for shot in given
                for frame in range(shot.frame_count)
                if is_possible_start(frame, rule)
            }
            begins = {s.first_frame - s.preroll_frames for s in spans_of_shots(given, rule)}
            assert begins <= possible


def test_segments_carry_times_and_fingerprints():
    spans = [Span(0, 2, 0), Span(2, 3, 1)]
    first, second = to_segments(spans, [5, 7, 11, 13, 17], {0: "aa", 1: "bb"})
    assert (first.index, first.start_pts, first.end_pts, first.fingerprint) == (0, 5, 11, "aa")
    assert (second.index, second.start_pts, second.end_pts, second.fingerprint) == (
        1,
        11,
        None,
        "bb",
    )


def test_a_rule_of_nothing_is_refused():
    with pytest.raises(ValueError, match="longest"):
        SegmentRule(longest_frames=0)
