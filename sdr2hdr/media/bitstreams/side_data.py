"""What a decoder gives along with a frame's picture."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

__all__ = ["frame_side_data"]


def frame_side_data(frame: VideoFrame) -> Iterator:
    """The side data of a frame; none if PyAV does not know a kind among it by name."""
    try:
        yield from frame.side_data
    except ValueError:
        return
