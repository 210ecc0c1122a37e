"""What a decoder gives along with a frame's picture."""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Iterator
from typing import TYPE_CHECKING

from av.dictionary import Dictionary
from av.sidedata.sidedata import SideData, SideDataContainer, Type

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
    found = tuple(SideDataContainer(frame))  # pyright: ignore[reportCallIssue]  (its stub has no `__init__`)
    for each in found:
        _leave_to_the_frame(each)
    yield from found


def _leave_to_the_frame(data: SideData) -> None:
    """Keep PyAV from freeing what is written beside side data, as the name of a PNG's ICC profile.

    It is the frame's, which frees it as well: the process dies. A reference that nobody gives back
    keeps an empty shell of some bytes instead.
    """
    for held in gc.get_referents(data):
        if isinstance(held, Dictionary) and len(held):
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(held))
