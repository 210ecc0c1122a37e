"""Decoding times from presentation times alone.

Encoders count decoding times from their own first frame, so those of a film that was encoded in
parts would show where it was cut. Here they follow from when its frames are shown and from how many
of them may be decoded ahead of their turn, which the sequence header says.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from sdr2hdr.frames import FrameTime
from sdr2hdr.media.bitstreams.bits import annex_b_units
from sdr2hdr.media.bitstreams.sps_hevc import SPS_TYPE, hevc_reorder_pictures

__all__ = ["DecodingTimes", "reorder_depth"]


class DecodingTimes:
    """Gives each packet, in decoding order, the decoding time that its place calls for.

    With a depth of d, the packet at place k is decoded when frame k - d is shown: no sooner than
    needed, and never after its own frame is shown (Rec. ITU-T H.265, 7.4.3.2.1:
    sps_max_num_reorder_pics). The first d packets come before the first frame by what frame d comes
    behind it, as x264 and x265 have it; a stream of fewer frames takes the first one's duration.

    Args:
        depth: How many frames may precede another in decoding order and follow it in presentation.
        first_frames: The first `depth` + 1 frames that are shown, or all that there are.
    """

    def __init__(self, depth: int, first_frames: Sequence[FrameTime]) -> None:
        frames = first_frames[: depth + 1]
        if len(frames) > depth:
            lead = frames[depth].pts - frames[0].pts
            self._early = deque(frame.pts - lead for frame in frames[:depth])
        else:
            first = frames[0]
            step = max(1, first.duration)
            self._early = deque(first.pts - ahead * step for ahead in range(depth, 0, -1))
        self._shown: deque[int] = deque()

    def show(self, time: FrameTime) -> None:
        """Take the next frame in presentation order, from the very first on."""
        self._shown.append(time.pts)

    def next_dts(self) -> int:
        """Decoding time of the next packet; as many frames must be known as there were packets.

        Raises:
            IndexError: Fewer frames are known.
        """
        return self._early.popleft() if self._early else self._shown.popleft()


def reorder_depth(codec: str, parameter_sets: bytes) -> int:
    """How many frames of a stream may be decoded ahead of a frame that is shown before them.

    Args:
        codec: libav's name of the coded form.
        parameter_sets: Of HEVC, with start codes; of others not looked at, since a packet of theirs
            always holds one shown frame, in order.

    Raises:
        ValueError: HEVC without a sequence parameter set that can be read.
    """
    if codec != "hevc":
        return 0
    for unit in annex_b_units(parameter_sets):
        if unit and unit[0] >> 1 & 0x3F == SPS_TYPE:
            return hevc_reorder_pictures(unit)
    raise ValueError("The stream has no sequence parameter set.")
