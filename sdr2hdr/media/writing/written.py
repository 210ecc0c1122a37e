"""What a finished output holds, whatever kind it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sdr2hdr.errors import Notice

__all__ = ["WrittenSummary"]


@dataclass(frozen=True)
class WrittenSummary:
    """What a finished file, pipe or sequence of pictures holds.

    Attributes:
        frames: Converted frames.
        size_bytes: Of all of it.
        copied_packets: By stream index of the source.
        notices: What happened on the way that the user should know.
    """

    frames: int
    size_bytes: int
    copied_packets: Mapping[int, int]
    notices: tuple[Notice, ...]
