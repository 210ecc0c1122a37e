"""A part of a film by the times of its frames, and how the first of them is recognised."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import torch

from sdr2hdr.frames import CodedBatch

__all__ = ["FrameRange", "frame_fingerprint"]

_DIGEST_BYTES = 16
"""No two frames of a film will share 128 bits by chance."""


@dataclass(frozen=True)
class FrameRange:
    """Frames that a pass over the whole was found to give; all ticks are the reader's.

    Attributes:
        start_pts: Of the first frame.
        end_pts: Of the first frame behind the range, None to go on to the end.
        fingerprint: `frame_fingerprint` of the first frame; None trusts its time alone.
        from_beginning: Decode from the beginning instead of a key frame near by: for a source
            whose frame times had to be repaired (`VideoReader.has_repaired_times`), since what is
            repaired depends on all that came before.
        by_reading: Go to a key frame near by through all that comes before it: in a source whose
            clock jumps (`VideoReader.has_joined_clocks`) no place is found by its time.
        is_first: No part comes before it: what is damaged there is counted here.

    Raises:
        ValueError: It ends before it starts.
    """

    start_pts: int
    end_pts: int | None = None
    fingerprint: str | None = None
    from_beginning: bool = False
    by_reading: bool = False
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
