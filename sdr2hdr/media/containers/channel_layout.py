"""Which channels a sound has, by libav's name for them, and which containers say it."""

from __future__ import annotations

import ctypes
import re

from av.audio.codeccontext import AudioCodecContext
from av.audio.stream import AudioStream
from av.stream import Stream

__all__ = ["has_usual_order", "layout_name", "order_left_unsaid", "usual_layout"]

_OWN_ORDER = re.compile(r"\d+ channels \((.+)\)")
"""What libav calls a layout whose channels do not come in the order of their WAVE mask."""
_USUAL = {"1 channels": "mono", "2 channels": "stereo"}
"""By libav's name for a number of channels of which nothing more is known."""


def layout_name(context: AudioCodecContext) -> str:
    """The name of a layout, such as "5.1(side)" or "6 channels (FL+FC+FR+SL+SR+LFE)".

    Nothing else may ask PyAV for a layout, or for the number of channels. Where channels have an
    order of their own, as in many QuickTime files, their list belongs to libav's context; PyAV 18
    frees it with its own copy of the layout as well, and the process ends with a corrupt heap. So
    that copy is never given back: some hundred bytes a stream.
    """
    layout = context.layout
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(layout))
    return layout.name


def usual_layout(name: str) -> str:
    """A layout as MP4 wants it, which is to say which of two channels is which: left and right.

    Args:
        name: Of any layout, as `layout_name` gives it; all but one and two bare channels stay.
    """
    return _USUAL.get(name, name)


def has_usual_order(context: AudioCodecContext) -> bool:
    """Whether it is known which channel is which, and they come in the order of their WAVE mask."""
    name = layout_name(context)
    # libav says so of channels that it only counts, and of those in an order of their own.
    return " channels" not in name or name in ("1 channels", "2 channels")


def order_left_unsaid(stream: Stream, container_format: str) -> str:
    """What a container does not say of a sound that is copied into it; "" if nothing.

    Coded sound says itself which channel is which; of PCM, Matroska says only how many there are.

    Args:
        stream: Of the source.
        container_format: libavformat's name of the target's muxer.
    """
    if container_format != "matroska" or not isinstance(stream, AudioStream):
        return ""
    context = stream.codec_context
    # Sound that nothing here decodes has none, as the spatial sound of iPhones.
    if context is None or not context.codec.canonical_name.startswith("pcm_"):
        return ""
    own = _OWN_ORDER.fullmatch(layout_name(context))
    if own is None:
        return ""
    return (
        f"Matroska does not say the order of its channels, {own[1]}, and players take the usual "
        "one; MOV says it"
    )
