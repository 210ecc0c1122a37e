"""What a decoder gives along with a frame's picture."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from av.sidedata.sidedata import SideDataContainer, Type

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

__all__ = ["frame_side_data"]


def _kind_without_a_name(cls: type[Type], number: int) -> Type:
    kind = object.__new__(cls)
    kind._name_, kind._value_ = f"KIND_{number}", number
    return kind


# FFmpeg knows kinds that PyAV does not, as EXIF and those of stereoscopic video. PyAV refuses all
# side data of a frame with one of them: a turn and closed captions would be lost with it.
Type._missing_ = classmethod(_kind_without_a_name)  # pyright: ignore[reportAttributeAccessIssue]


def frame_side_data(frame: VideoFrame) -> Iterator:
    """The side data of a frame, of kinds that PyAV does not know too.

    `frame.side_data` would make a ring of the frame and its side data, and keep the picture until
    Python looks for rings: dozens of them.
    """
    yield from SideDataContainer(frame)  # pyright: ignore[reportCallIssue]  (its stub has no `__init__`)
