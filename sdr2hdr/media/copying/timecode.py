"""SMPTE timecode as text: where a file says it, and what it reads some frames later.

Counting and drop-frame: SMPTE ST 12-1:2014, clause 5.2.
"""

from __future__ import annotations

import re
from fractions import Fraction

from av.container import InputContainer

__all__ = ["advance_timecode", "counted_faster", "start_timecode"]

_TIMECODE = re.compile(r"(\d\d):(\d\d):(\d\d)([:;.,])(\d\d+)")


def start_timecode(source: InputContainer) -> str | None:
    """The source's start timecode: of a timecode track, of the video, or of the file."""
    tags = [stream.metadata for stream in source.streams if stream.type == "data"]
    tags += [stream.metadata for stream in source.streams if stream.type == "video"]
    tags.append(source.metadata)
    for metadata in tags:
        for key, value in metadata.items():
            if key.lower() == "timecode":
                return value
    return None


def counted_faster(text: str, factor: int) -> str:
    """The same time where each frame has become `factor` frames; unchanged if it cannot be read.

    Where frame numbers are dropped, as many times more are at the higher rate: hours, minutes and
    seconds stay.

    >>> counted_faster("01:00:00;10", 2)
    '01:00:00;20'
    """
    match = _TIMECODE.fullmatch(text.strip())
    if match is None or factor == 1:
        return text
    frames = factor * int(match[5])
    return f"{match[1]}:{match[2]}:{match[3]}{match[4]}{frames:0{len(match[5])}}"


def advance_timecode(text: str, frames: int, rate: Fraction) -> str:
    """The timecode `frames` frames after `text`; unchanged where it cannot be read.

    Args:
        text: "hh:mm:ss:ff", or with ";" (or "." or ",") before the frames where frame numbers are
            dropped to keep up with the clock.
        frames: 0 or more.
        rate: Frames a second; its nearest whole number is what timecode counts.

    >>> advance_timecode("00:00:59;29", 1, Fraction(30000, 1001))
    '00:01:00;02'
    """
    match = _TIMECODE.fullmatch(text.strip())
    per_second = round(rate)
    if match is None or per_second < 1:
        return text
    hours, minutes, seconds, units = (int(match[group]) for group in (1, 2, 3, 5))
    dropped = per_second // 15 if match[4] != ":" and per_second % 30 == 0 else 0
    total_minutes = 60 * hours + minutes
    count = (60 * total_minutes + seconds) * per_second + units
    count -= dropped * (total_minutes - total_minutes // 10)
    per_minute = 60 * per_second - dropped
    per_ten_minutes = 10 * per_minute + dropped
    count = (count + frames) % (144 * per_ten_minutes)
    if dropped:
        tens, rest = divmod(count, per_ten_minutes)
        skipped_minutes = max(0, (rest - dropped) // per_minute)
        count += dropped * (9 * tens + skipped_minutes)
    seconds, units = divmod(count, per_second)
    width = max(2, len(match[5]))
    return (
        f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}{match[4]}{units:0{width}}"
    )
