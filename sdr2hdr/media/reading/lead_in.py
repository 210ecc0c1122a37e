"""Watch what is decoded on the way to a range, to tell whether the way leads there unharmed."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import TYPE_CHECKING

from sdr2hdr.media.reading.damage import DamageCounter

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

__all__ = ["LeadIn"]

_MOST_REFERENCES = 16
"""Frames that a decoder may hold and patch later damage with (Rec. ITU-T H.264, A.3.1: the largest
decoded picture buffer). If there is damage so close behind the key frame, a decoder that comes from
further back would patch it with other pictures."""


class LeadIn:
    """Frames from a key frame on, of which those before a place lead in to it.

    Args:
        place: Where the range begins, in ticks of the stream.
        counter: What the decoder counts damage with.
    """

    def __init__(self, place: Fraction, counter: DamageCounter) -> None:
        self._place = place
        self._counter = counter
        self._frames = 0
        self._before = 0
        self._is_damaged = False

    def watched(self, frames: Iterator[VideoFrame]) -> Iterator[VideoFrame]:
        """Pass frames on as the decoder gives them."""
        met = 0
        for frame in frames:
            self._frames += 1
            if self._frames == 1:
                met = self._counter.met
                self._is_damaged = frame.is_corrupt
            elif self._frames <= _MOST_REFERENCES:
                self._is_damaged |= self._counter.met > met
            if frame.pts is not None and frame.pts < self._place:
                self._before += 1
            yield frame

    def is_sound(self, least_frames: int) -> bool:
        """Whether what comes next is what a decoder from the beginning gives.

        Args:
            least_frames: How many frames must have come before the place, if not as many as there
                are: a deinterlacer looks at them.
        """
        return self._before >= least_frames and not self._is_damaged
