"""The pictures that flow through the program: coded planes and R'G'B', each with its times."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING, overload

from sdr2hdr.signal import CodedSignal, RgbSignal

if TYPE_CHECKING:
    import torch

__all__ = [
    "STILL_TIMELINE",
    "CodedBatch",
    "FrameTime",
    "PresentationTimes",
    "Rectangle",
    "RgbBatch",
    "Timeline",
]


@dataclass(frozen=True)
class FrameTime:
    """When a frame is shown: `pts` and `duration` in ticks of the batch's time base."""

    pts: int
    duration: int


@dataclass(frozen=True)
class Timeline:
    """The times of the frames of one batch, in presentation order, and what goes with them.

    Attributes:
        user_data: What `frame_user_data` gives of every frame; empty if none has any.
    """

    time_base: Fraction
    frames: tuple[FrameTime, ...]
    user_data: tuple[tuple[bytes, ...], ...] = ()

    def __post_init__(self) -> None:
        if self.user_data and len(self.user_data) != len(self.frames):
            raise ValueError(f"User data of {len(self.user_data)} frames for {len(self.frames)}.")

    def __len__(self) -> int:
        return len(self.frames)

    def user_data_of(self, number: int) -> tuple[bytes, ...]:
        """The user data of a frame, counted from 0; none if it has none."""
        return self.user_data[number] if self.user_data else ()

    def part(self, start: int, stop: int) -> Timeline:
        """The frames from one to before another, counted from 0."""
        return replace(self, frames=self.frames[start:stop], user_data=self.user_data[start:stop])


class PresentationTimes(Sequence[Fraction]):
    """When the frames of a whole film are shown, seconds: exact, in eight bytes a frame.

    Args:
        pts: Of every frame, in ticks, below 2^63.
        time_base: Seconds a tick.
    """

    def __init__(self, pts: Iterable[int], time_base: Fraction) -> None:
        self._pts = array("q", pts)
        self._time_base = time_base

    def __len__(self) -> int:
        return len(self._pts)

    @overload
    def __getitem__(self, index: int) -> Fraction: ...

    @overload
    def __getitem__(self, index: slice) -> PresentationTimes: ...

    def __getitem__(self, index: int | slice) -> Fraction | PresentationTimes:
        if isinstance(index, slice):
            return PresentationTimes(self._pts[index], self._time_base)
        return self._pts[index] * self._time_base

    def __iter__(self) -> Iterator[Fraction]:
        return (pts * self._time_base for pts in self._pts)


@dataclass(frozen=True)
class Rectangle:
    """A part of a picture, half open: rows `top` to `bottom`, columns `left` to `right`, in px."""

    top: int
    left: int
    bottom: int
    right: int

    @property
    def height(self) -> int:
        """Rows, px."""
        return self.bottom - self.top

    @property
    def width(self) -> int:
        """Columns, px."""
        return self.right - self.left

    @property
    def words(self) -> str:
        """Size and place, for a message."""
        return f"{self.width}x{self.height} at column {self.left}, row {self.top}"

    def shifted(self, px: int) -> Rectangle:
        """As large a part, so far down and to the right."""
        return Rectangle(self.top + px, self.left + px, self.bottom + px, self.right + px)

    def scaled(self, scale: int) -> Rectangle:
        """The same part of a picture that is `scale` times as large along each side."""
        return Rectangle(
            self.top * scale, self.left * scale, self.bottom * scale, self.right * scale
        )


@dataclass(frozen=True)
class CodedBatch:
    """Consecutive frames as integer planes, just as a decoder gives or an encoder takes them.

    Attributes:
        luma: (N, H, W), uint8 for 8 bits, else uint16 (value in the low bits).
        cb: (N, ceil(H / vertical), ceil(W / horizontal)), dtype of `luma`.
        cr: Like `cb`.
        signal: What the codes mean.
        timeline: N frame times.
    """

    luma: torch.Tensor
    cb: torch.Tensor
    cr: torch.Tensor
    signal: CodedSignal
    timeline: Timeline

    def __post_init__(self) -> None:
        frames, height, width = self.luma.shape
        subsampling = self.signal.subsampling
        chroma = (
            frames,
            -(-height // subsampling.vertical),
            -(-width // subsampling.horizontal),
        )
        if tuple(self.cb.shape) != chroma or tuple(self.cr.shape) != chroma:
            raise ValueError(
                f"Chroma planes are {tuple(self.cb.shape)} and {tuple(self.cr.shape)}; "
                f"expected {chroma} for luma {tuple(self.luma.shape)} in {subsampling.name}."
            )
        if len(self.timeline) != frames:
            raise ValueError(f"{len(self.timeline)} frame times for {frames} frames.")

    def part(self, start: int, stop: int) -> CodedBatch:
        """The frames from one to before another, counted from 0; they share the planes."""
        if (start, stop) == (0, len(self.timeline)):
            return self
        some = slice(start, stop)
        return replace(
            self,
            luma=self.luma[some],
            cb=self.cb[some],
            cr=self.cr[some],
            timeline=self.timeline.part(start, stop),
        )

    def __repr__(self) -> str:
        return f"CodedBatch(luma={tuple(self.luma.shape)} {self.luma.dtype}, {self.signal})"


@dataclass(frozen=True)
class RgbBatch:
    """Consecutive frames as non-linear R'G'B'.

    Attributes:
        pixels: (N, 3, H, W), float32, [0, 1].
        signal: What the numbers mean.
        timeline: N frame times.
    """

    pixels: torch.Tensor
    signal: RgbSignal
    timeline: Timeline

    def __post_init__(self) -> None:
        if self.pixels.ndim != 4 or self.pixels.shape[1] != 3:
            raise ValueError(f"Pixels are {tuple(self.pixels.shape)}; expected (N, 3, H, W).")
        if len(self.timeline) != self.pixels.shape[0]:
            raise ValueError(f"{len(self.timeline)} frame times for {self.pixels.shape[0]} frames.")

    def __repr__(self) -> str:
        return f"RgbBatch({tuple(self.pixels.shape)}, {self.signal})"


STILL_TIMELINE = Timeline(Fraction(1, 25), (FrameTime(0, 1),))
"""Of one picture that is no frame of a film."""
