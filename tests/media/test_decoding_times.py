"""Decoding times follow from presentation times and the depth of reordering."""

from __future__ import annotations

import pytest

from sdr2hdr.frames import FrameTime
from sdr2hdr.media.bitstreams.decoding_times import DecodingTimes


@pytest.mark.parametrize(
    ("depth", "shown", "decoded"),
    [
        (0, [50, 90, 130], [50, 90, 130]),
        (2, [50, 90, 130, 170], [-30, 10, 50, 90]),
        (2, [50, 60, 150, 160], [-50, -40, 50, 60]),
        (2, [50, 90], [-30, 10]),
        (3, [50], [-70]),
    ],
    ids=["none", "even", "uneven", "fewer frames than the depth", "one frame"],
)
def test_a_packet_is_decoded_as_many_frames_early_as_the_depth(
    depth: int, shown: list[int], decoded: list[int]
):
    times = [FrameTime(pts, 40) for pts in shown]
    decoding = DecodingTimes(depth, times)
    for time in times:
        decoding.show(time)
    assert [decoding.next_dts() for _ in times] == decoded


def test_decoding_times_increase_where_the_only_frame_has_no_duration():
    decoding = DecodingTimes(2, [FrameTime(50, 0)])
    assert [decoding.next_dts() for _ in range(2)] == [48, 49]
