"""A part of a film by the times of its frames, and how the first of them is recognised."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path

import torch

from sdr2hdr.errors import InputError
from sdr2hdr.frames import CodedBatch

__all__ = ["Approach", "FrameRange", "frame_fingerprint", "no_frame_error"]

_DIGEST_BYTES = 16
"""No two frames of a film will share 128 bits by chance."""


class Approach(Enum):
    """How decoding gets to the first frame of a part."""

    BY_TIME = auto()
    """From a key frame near by, which is found by its time."""
    BY_READING = auto()
    """From a key frame near by, which is found by reading all that comes before it."""
    FROM_BEGINNING = auto()
    """Through all frames that come before it."""

    @classmethod
    def to_parts(cls, *, has_repaired_times: bool, has_joined_clocks: bool) -> Approach:
        """The shortest that leads to the same frames, in a source that was read once.

        Args:
            has_repaired_times: Times were repaired (`VideoReader.has_repaired_times`): what is
                repaired depends on all that came before.
            has_joined_clocks: The clock jumps (`VideoReader.has_joined_clocks`): no place can be
                found by its time.
        """
        if has_repaired_times:
            return cls.FROM_BEGINNING
        return cls.BY_READING if has_joined_clocks else cls.BY_TIME


@dataclass(frozen=True)
class FrameRange:
    """Frames that a pass over the whole was found to give; all ticks are the reader's.

    Attributes:
        start_pts: Of the first frame.
        end_pts: Of the first frame behind the range, None to go on to the end.
        fingerprint: `frame_fingerprint` of the first frame; None trusts its time alone.
        approach: How to get to the first frame.
        is_first: No part comes before it: what is damaged there is counted here.

    Raises:
        ValueError: It ends before it starts.
    """

    start_pts: int
    end_pts: int | None = None
    fingerprint: str | None = None
    approach: Approach = Approach.BY_TIME
    is_first: bool = False

    def __post_init__(self) -> None:
        if self.end_pts is not None and self.end_pts <= self.start_pts:
            raise ValueError(f"Frames from {self.start_pts} to {self.end_pts}; expected some.")


def frame_fingerprint(batch: CodedBatch) -> str:
    """What the first frame of a batch is recognised by: a hash of its planes.

    Returns:
        32 hexadecimal digits (BLAKE2b, RFC 7693). The same codes in another type have another.
    """
    digest = hashlib.blake2b(digest_size=_DIGEST_BYTES)
    for plane in (batch.luma[0], batch.cb[0], batch.cr[0]):
        codes = plane.cpu().contiguous()
        digest.update(f"{tuple(codes.shape)} {codes.dtype}".encode())
        digest.update(codes.view(torch.uint8).numpy().data)
    return digest.hexdigest()


def no_frame_error(path: Path) -> InputError:
    """What to raise where a source has no frame in the range that the options name."""
    return InputError(
        f"{path} has no frame in the part that was asked for; expected at least one. --start and "
        "--end choose the part."
    )
