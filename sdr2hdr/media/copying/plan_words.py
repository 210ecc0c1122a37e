"""What a plan says of streams that a container cannot hold."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["CONTAINER_NAMES", "refusal_text", "way_out"]

CONTAINER_NAMES: Mapping[str, str] = {"matroska": "Matroska", "mp4": "MP4", "mov": "MOV"}
"""By libavformat's name of the muxer."""

_SAYS_NO_MORE = ("find tag", "support", "only", "Only", "incompatible")
"""Words of libavformat's refusals that say no more than that there is one."""


def way_out(others: list[str]) -> str:
    """What a user can do whose streams do not fit: `others` are containers that hold them."""
    if others:
        return f"Choose another container, such as {others[0]}"
    return (
        "No container here does; give these streams another codec first (sound: FLAC, "
        "subtitles: SRT)"
    )


def refusal_text(container: str, codec: str, kind: str, said: str) -> str:
    """A muxer's refusal in plain words; what it said only where that tells more."""
    if kind == "attachment":
        return f"{container} holds no attachments"
    if "codec context" in said:
        return f"the FFmpeg build here cannot copy {kind} of this kind (teletext, for one)"
    what = f"{kind} of this kind" if codec == "unknown" else f"{codec} {kind}"
    if "channel layout" in said:
        return f"{container} must say which channel is which, and this {what} does not ({said})"
    says_no_more = any(words in said for words in _SAYS_NO_MORE)
    return f"{what} is not written into {container}" + ("" if says_no_more else f" ({said})")
