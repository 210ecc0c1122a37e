"""Where a new shot begins, told while the frames pass."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch.nn import functional

from sdr2hdr.colour.active_picture import crop
from sdr2hdr.colour.ycbcr import nominal_white_code
from sdr2hdr.frames import CodedBatch, Rectangle

__all__ = [
    "LOOKAHEAD_FRAMES",
    "FrameVerdict",
    "ShotDetector",
    "Transition",
    "is_flat",
    "thumbnails",
]

Transition = Literal["start", "cut", "fade"]
"""How a shot begins: see `FrameVerdict`."""

THUMBNAIL = (36, 64)
"""Rows and columns; every figure below is for this size."""

SAMPLES_A_CELL = 4
"""Luma samples along each side that a thumbnail's sample is averaged from, where there are more:
the rest would change it by less than a code and cost most of the time."""

BLOCK = (12, 16)
REACH = 6
"""Blocks of the thumbnail are looked for this far around their place in the other frame: a tenth
of the picture's width from frame to frame."""

NOISE_VARIANCE = 4e-5
"""Of the signal in [0, 1]: variance that means nothing, about 1.6 codes of 8 bits squared."""

SMALLEST_NOVELTY = 0.2
NOVELTY_OVER_NEIGHBOURS = 2.5
"""Chosen on 81 sequences with 295 cuts (joined clips and photographs, dark, noisy, flat, near-equal
angles; flashes, lightning, pans, zooms, fades, dissolves, passing objects). On as many others, with
other seeds: precision 0.98, recall 0.99 (first pictures after black not counted as cuts).
PySceneDetect's AdaptiveDetector at its best setting had 0.95 and 0.99 there, ContentDetector at its
default 0.88 and 0.95, FFmpeg's scdet 0.85 and 0.73: they take flashes for cuts, scdet none in the
dark."""

LOOKAHEAD_FRAMES = 2
"""A verdict on a frame needs this many after it."""

FLAT_RANGE = 0.03
BLACK_LEVEL = 0.05
WHITE_LEVEL = 0.9
"""A frame with nothing in it: the thumbnail's range, and its mean as a share of black to white."""

LONGEST_FLASH_FRAMES = 4

TEXTURELESS_DEVIATION = 0.02
PLAIN_CHANGE = 0.1
PLAIN_CHANGE_OVER_NEIGHBOURS = 3.0
"""Where one of two frames has no texture (sky, a wall), the mean change of the signal decides."""


def thumbnails(batch: CodedBatch, picture: Rectangle | None = None) -> torch.Tensor:
    """Make small luma pictures, cheaply.

    Args:
        batch: Any coded frames.
        picture: The part inside letterbox bars; None is the whole frame. Bars would count as
            texture that never changes.

    Returns:
        (N, 36, 64), float32, about [0, 1] from black to nominal white.
    """
    luma = (batch if picture is None else crop(batch, picture)).luma
    steps = [
        max(1, size // (cells * SAMPLES_A_CELL))
        for size, cells in zip(luma.shape[1:], THUMBNAIL, strict=True)
    ]
    sampled = luma[:, :: steps[0], :: steps[1]].float()
    signal = batch.signal
    black, white = signal.black_code, nominal_white_code(signal)
    small = functional.adaptive_avg_pool2d(sampled[:, None], THUMBNAIL)[:, 0]
    return (small - black) / (white - black)


def is_flat(thumbnail: torch.Tensor) -> Literal["black", "white"] | None:
    """Whether a thumbnail, (36, 64), is all black or all white."""
    if float(thumbnail.max() - thumbnail.min()) > FLAT_RANGE:
        return None
    level = float(thumbnail.mean())
    if level <= BLACK_LEVEL:
        return "black"
    return "white" if level >= WHITE_LEVEL else None


@dataclass(frozen=True)
class FrameVerdict:
    """What a frame is.

    Attributes:
        frame: Counted from 0.
        transition: How a shot begins with it: the first frame of all, a cut, or the first picture
            after black or white from which it comes up gradually. None within a shot.
    """

    frame: int
    transition: Transition | None


@dataclass(frozen=True)
class _Look:
    """A frame as the detector remembers it.

    Attributes:
        novelty: Share of the texture that neither of this frame and the one before finds in the
            other.
        change: Mean difference of the signal to the frame before.
        before_flat: The last picture before a run of flat frames that ends here, and its length.
    """

    thumbnail: torch.Tensor
    flat: Literal["black", "white"] | None
    deviation: float
    novelty: float = 0.0
    change: float = 0.0
    before_flat: tuple[torch.Tensor | None, int] | None = None


class ShotDetector:
    """Compares consecutive thumbnails, block by block, allowing for motion and changes of light.

    A block of one frame counts as explained as far as it correlates with some place near it in the
    other: so neither pans nor flashes, fades or a camera's exposure make anything new. What
    remains, in both directions, is the novelty of a frame; a cut is a novelty that stands out from
    those of the two frames before and after. Black and white have nothing to compare: a shot
    begins with the first picture after them, unless they were only a flash.
    """

    def __init__(self) -> None:
        self._looks: deque[_Look] = deque(maxlen=2 * LOOKAHEAD_FRAMES + 2)
        self._taken = 0
        self._decided = 0
        self._before_flat: torch.Tensor | None = None
        self._flat_frames = 0
        self._start_after_flat: int | None = None

    def add(self, thumbnail: torch.Tensor) -> list[FrameVerdict]:
        """Take the next frame; give the verdicts that can be given now, in order.

        Args:
            thumbnail: (36, 64), as `thumbnails` makes it.
        """
        self._looks.append(self._look(thumbnail))
        self._taken += 1
        if self._taken - self._decided > LOOKAHEAD_FRAMES:
            return [self._decide()]
        return []

    def finish(self) -> list[FrameVerdict]:
        """The verdicts on the last frames."""
        return [self._decide() for _ in range(self._taken - self._decided)]

    def _look(self, thumbnail: torch.Tensor) -> _Look:
        look = _Look(thumbnail, is_flat(thumbnail), float(thumbnail.std()))
        last = self._looks[-1] if self._looks else None
        if last is None:
            self._flat_frames = 1 if look.flat else 0
            return look
        if look.flat and not self._flat_frames:
            self._before_flat = last.thumbnail
        if look.flat:
            self._flat_frames += 1
        elif self._flat_frames:
            look = replace(look, before_flat=(self._before_flat, self._flat_frames))
            self._flat_frames = 0
        return replace(
            look,
            novelty=_novelty(last.thumbnail, thumbnail),
            change=float((thumbnail - last.thumbnail).abs().mean()),
        )

    def _decide(self) -> FrameVerdict:
        frame = self._decided
        self._decided += 1
        position = frame - (self._taken - len(self._looks))
        looks = list(self._looks)
        if frame == 0:
            return FrameVerdict(frame, "start")
        here = looks[position]
        if here.before_flat is not None:
            transition = _after_flat(here, looks[position:])
            if transition is not None:
                self._start_after_flat = frame
            return FrameVerdict(frame, transition)
        if (
            self._start_after_flat is not None
            and frame - self._start_after_flat <= LOOKAHEAD_FRAMES
        ):
            return FrameVerdict(frame, None)
        neighbours = [
            look
            for place, look in enumerate(looks)
            if place != position and abs(place - position) <= LOOKAHEAD_FRAMES
        ]
        # The first frame of all has nothing before it and no novelty to compare with.
        if frame <= LOOKAHEAD_FRAMES:
            neighbours = neighbours[1:]
        before, after = looks[position - 1], looks[position + 1 : position + 1 + LOOKAHEAD_FRAMES]
        is_cut = _stands_out(here, neighbours) or _is_plain_cut(before, here, after, neighbours)
        return FrameVerdict(frame, "cut" if is_cut else None)


def _stands_out(here: _Look, neighbours: list[_Look]) -> bool:
    usual = sum(look.novelty for look in neighbours) / max(1, len(neighbours))
    return here.novelty >= max(SMALLEST_NOVELTY, NOVELTY_OVER_NEIGHBOURS * usual)


def _is_plain_cut(before: _Look, here: _Look, after: list[_Look], neighbours: list[_Look]) -> bool:
    """Whether a picture gives way to a textureless one, or the other way round, for good."""
    is_plain = [look.deviation < TEXTURELESS_DEVIATION for look in (before, here)]
    if before.flat or here.flat or not any(is_plain) or not after:
        return False
    usual = max((look.change for look in neighbours), default=0.0)
    if here.change < max(PLAIN_CHANGE, PLAIN_CHANGE_OVER_NEIGHBOURS * usual):
        return False
    back = min(float((look.thumbnail - before.thumbnail).abs().mean()) for look in after)
    return back > here.change / 2


def _after_flat(here: _Look, later: list[_Look]) -> Literal["cut", "fade"] | None:
    assert here.before_flat is not None
    before, frames = here.before_flat
    # Light that comes back after a flash may need a frame or two.
    if (
        before is not None
        and frames <= LONGEST_FLASH_FRAMES
        and min(_novelty(before, look.thumbnail) for look in later) < SMALLEST_NOVELTY
    ):
        return None
    return "fade" if later[-1].deviation > 1.5 * here.deviation else "cut"


def _novelty(one: torch.Tensor, other: torch.Tensor) -> float:
    """Share of texture that is new, seen from the side where it is less, [0, 1]."""
    return min(_unexplained(one, other), _unexplained(other, one))


def _unexplained(picture: torch.Tensor, other: torch.Tensor) -> float:
    """Share of a thumbnail's texture that is not found near the same place in another.

    Each block is fitted with a gain and an offset of every block of the other that is near enough;
    the best fit counts.
    """
    blocks = _cut_out(picture, BLOCK, BLOCK)
    padded = functional.pad(other[None, None], (REACH,) * 4, mode="replicate")[0, 0]
    around = _cut_out(padded, (BLOCK[0] + 2 * REACH, BLOCK[1] + 2 * REACH), BLOCK)
    # Correlations are of differences from the mean; taking a common one off first keeps the digits.
    around = around - around.mean((1, 2), keepdim=True)
    centred = blocks - blocks.mean((1, 2), keepdim=True)
    samples = BLOCK[0] * BLOCK[1]
    count = len(blocks)
    covariance = (
        functional.conv2d(around[None], centred[:, None], groups=count)[0] / samples
    ).clamp_(min=0.0)
    means = functional.avg_pool2d(around[None], BLOCK, stride=1)[0]
    squares = functional.avg_pool2d(around.square()[None], BLOCK, stride=1)[0]
    variance = (squares - means.square()).clamp_(min=0.0)
    own = centred.square().mean((1, 2))
    explained = covariance.square() / (
        (own[:, None, None] + NOISE_VARIANCE) * (variance + NOISE_VARIANCE)
    )
    left = own * (1 - explained.amax((1, 2)))
    return float(left.sum() / (own.sum() + NOISE_VARIANCE * count))


def _cut_out(picture: torch.Tensor, size: tuple[int, int], step: tuple[int, int]) -> torch.Tensor:
    """Blocks of a picture, (blocks, rows, columns)."""
    return picture.unfold(0, size[0], step[0]).unfold(1, size[1], step[1]).flatten(0, 1)
