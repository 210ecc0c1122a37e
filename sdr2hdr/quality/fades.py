"""Fades from and to black or white, told while the frames pass."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Literal

import torch

from sdr2hdr.quality.shots import is_flat

__all__ = ["FadeFinder", "FadeKind", "FoundFade"]

FadeKind = Literal["from black", "to black", "from white", "to white"]

SHORTEST_FRAMES = 4
"""A picture that comes or goes in fewer is a cut, softened by a codec."""

LONGEST_FRAMES = 250
"""What is remembered of the frames before black; a longer fade counts as this long."""

STEADY_GROWTH = 1.005
"""Less growth from frame to frame than this, twice in a row, is the end of a fade."""

LINEAR_CORRELATION = 0.9
"""Of consecutive thumbnails: a fade changes the light of a picture, not the picture."""

LEAST_GROWTH = 4.0
"""Contrast at the bright end over that at the dark end."""


@dataclass(frozen=True)
class FoundFade:
    """Frames from the first to the last one on the way; the flat frames are not among them."""

    first_frame: int
    frame_count: int
    kind: FadeKind


@dataclass(frozen=True)
class _Step:
    """A frame: its contrast, and whether it shows what the frame before shows.

    The first frame after a flat one shows something else.
    """

    contrast: float
    is_same_picture: bool


class FadeFinder:
    """Follows the contrast of thumbnails to and from flat frames.

    A fade multiplies the picture's deviation from black or white by a factor that only grows or
    only falls, so its contrast (standard deviation) does the same, while its form stays. Two frames
    are compared over one between them, for grain.
    """

    def __init__(self) -> None:
        self._frame = 0
        self._last: torch.Tensor | None = None
        self._last_flat: Literal["black", "white"] | None = None
        self._steps: deque[_Step] = deque(maxlen=LONGEST_FRAMES)
        self._rising: Literal["black", "white"] | None = None
        self._rise_start = 0

    def add(self, thumbnail: torch.Tensor) -> list[FoundFade]:
        """Take the next frame and give the fades that ended just before it.

        Args:
            thumbnail: (36, 64), as `thumbnails` makes it.
        """
        flat = is_flat(thumbnail)
        found: list[FoundFade] = []
        if flat is not None:
            found += self._end_rise()
            if self._last_flat is None and self._steps:
                found += self._fall(flat)
            self._steps.clear()
        else:
            if self._last_flat is not None:
                self._rising, self._rise_start = self._last_flat, self._frame
            self._steps.append(_Step(float(thumbnail.std()), self._shows_the_same(thumbnail)))
            if self._rising is not None and not self._still_rises():
                found += self._end_rise()
        self._last, self._last_flat = thumbnail, flat
        self._frame += 1
        return found

    def finish(self) -> list[FoundFade]:
        """The fade that the last frame belongs to, if any."""
        return self._end_rise()

    def _shows_the_same(self, thumbnail: torch.Tensor) -> bool:
        if self._last is None or self._last_flat is not None:
            return False
        pair = torch.stack((self._last.flatten(), thumbnail.flatten()))
        return float(torch.corrcoef(pair)[0, 1]) >= LINEAR_CORRELATION

    def _still_rises(self) -> bool:
        count = len(self._steps)
        if count < 3:
            return True
        if count == LONGEST_FRAMES or not _is_form_kept(self._steps[-1], count):
            return False
        return self._steps[-1].contrast >= STEADY_GROWTH * self._steps[-3].contrast

    def _end_rise(self) -> list[FoundFade]:
        kind, self._rising = self._rising, None
        if kind is None or not self._steps:
            return []
        contrasts = _up_to_the_top([step.contrast for step in self._steps])
        way: FadeKind = "from black" if kind == "black" else "from white"
        return _if_long_and_deep(self._rise_start, contrasts, way)

    def _fall(self, kind: Literal["black", "white"]) -> list[FoundFade]:
        """The fade that ends at a flat frame: as far back as the contrast only falls."""
        steps = list(self._steps)[::-1]
        frames = min(2, len(steps))
        while (
            frames < len(steps)
            and _is_form_kept(steps[frames - 1], frames)
            and steps[frames].contrast >= STEADY_GROWTH * steps[frames - 2].contrast
        ):
            frames += 1
        contrasts = _up_to_the_top([step.contrast for step in steps[:frames]])
        way: FadeKind = "to black" if kind == "black" else "to white"
        return _if_long_and_deep(self._frame - len(contrasts), contrasts, way)


def _is_form_kept(step: _Step, frames_from_flat: int) -> bool:
    """Whether a frame shows what the one before shows; next to black, codes are too few to tell."""
    return step.is_same_picture or frames_from_flat <= SHORTEST_FRAMES


def _up_to_the_top(contrasts: list[float]) -> list[float]:
    """From the flat end to the first frame that is as good as the highest."""
    top = max(contrasts) / STEADY_GROWTH
    return contrasts[: 1 + next(place for place, value in enumerate(contrasts) if value >= top)]


def _if_long_and_deep(first_frame: int, contrasts: list[float], kind: FadeKind) -> list[FoundFade]:
    """The fade, if it is one.

    Args:
        first_frame: Of the fade.
        contrasts: From the flat end on.
        kind: Of the fade.
    """
    if len(contrasts) < SHORTEST_FRAMES or contrasts[-1] < LEAST_GROWTH * contrasts[0]:
        return []
    return [FoundFade(first_frame, len(contrasts), kind)]
