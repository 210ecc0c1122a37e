"""Titles, captions and flat panels: white that is paper and not a lamp; ramps; bars; flat frames.

BT.2446-A shows every white at 1000 cd/m2. Graphics are composited into both pictures of a pair
with a white of 300 cd/m2, so that a network can learn the difference. Ramps are as BT.2446-A shows
them: no photograph teaches what pure colours are. Bars, as films of other shapes have them, teach
that black at the edge of a frame is black, and what the statistics of a frame with bars mean. Flat
frames, as between shots, teach that black is black when there is nothing else.
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
import torch
from torch.nn import functional

from sdr2hdr.colour.transfer import pq_inverse_eotf
from sdr2hdr.curves.bt2446a import bt2446a
from sdr2hdr.curves.display_light import sdr_to_bt2020_linear
from sdr2hdr.training.glyphs import ALPHABET, draw_line
from sdr2hdr.training.randomness import chance, uniform

__all__ = ["GRAPHIC_KINDS", "WHITE_CD_M2", "GraphicKind", "add_graphics", "graphic_light"]

WHITE_CD_M2 = 300.0
"""Light of white graphics: between HDR reference white (203 cd/m2, Rep. ITU-R BT.2408-8) and an
octave more. One value and no range: nobody could know which of a range was meant."""

_LARGEST_BAR = 0.6
"""Of a frame's height or width, drawn; from a half on nothing is left of the picture."""

_SLOWEST_RAMP = 4.0
"""Power of a ramp that stays near its first colour for long."""

_FEW_WORDS = 0.5
"""Share of title cards and slides with little text, of any size up to a third of the height."""

GraphicKind = Literal["caption", "panel", "card", "page", "slide", "ramps", "bars", "flat"]

GRAPHIC_KINDS: tuple[GraphicKind, ...] = get_args(GraphicKind)


def graphic_light(sdr: torch.Tensor) -> torch.Tensor:
    """Show SDR R'G'B', (N, 3, H, W), as PQ R'G'B' in proportion, its white at `WHITE_CD_M2`."""
    return pq_inverse_eotf(sdr_to_bt2020_linear(sdr) * WHITE_CD_M2)


def add_graphics(
    sdr: torch.Tensor, hdr: torch.Tensor, rng: np.random.Generator, kind: GraphicKind
) -> tuple[torch.Tensor, torch.Tensor]:
    """Put graphics into a pair, at the same places.

    Args:
        sdr: (1, 3, H, W), float32, [0, 1], BT.709, gamma 2.4.
        hdr: (1, 3, H, W), float32, [0, 1], BT.2020, PQ.
        rng: Decides what and where.
        kind: Text over the picture, flat shapes in it, black bars at two of its sides, or instead
            of it a title card, a page of text, a slide with shapes and few words, ramps of
            colours, or one dark colour.

    Returns:
        The pair with graphics, same shapes.
    """
    height, width = sdr.shape[2:]
    if kind == "ramps":
        ramps = _ramps(height, width, rng)
        return ramps, bt2446a(ramps)
    if kind == "flat":
        flat = torch.tensor(_dark_colour(rng)).reshape(1, 3, 1, 1).expand_as(sdr).contiguous()
        return flat, bt2446a(flat)
    if kind == "bars":
        return _composite(sdr, hdr, _bars(height, width, rng), (0.0, 0.0, 0.0))
    if kind == "caption":
        mask = _text(height, width, rng, lines=int(rng.integers(1, 3)), at_bottom=True)
        colour = _light_colour(rng)
        if chance(rng, 0.4):
            sdr, hdr = _composite(sdr, hdr, _widened(mask), (0.0, 0.0, 0.0))
        return _composite(sdr, hdr, mask, colour)
    if kind == "panel":
        for _ in range(int(rng.integers(1, 4))):
            mask = _shape(height, width, rng)
            sdr, hdr = _composite(sdr, hdr, mask, _light_colour(rng))
        return sdr, hdr
    return _written(sdr, hdr, rng, kind)


def _written(
    sdr: torch.Tensor, hdr: torch.Tensor, rng: np.random.Generator, kind: GraphicKind
) -> tuple[torch.Tensor, torch.Tensor]:
    """A title card, a page or a slide in the place of a pair."""
    height, width = sdr.shape[2:]
    whole = torch.ones(1, 1, height, width)
    ink, shapes = (0.0, 0.0, 0.0), 0
    if kind == "page":
        paper, lines = _light_colour(rng), int(rng.integers(4, 12))
    elif kind == "slide":
        paper, lines = _light_colour(rng), int(rng.integers(1, 5))
        ink, shapes = _dark_colour(rng), int(rng.integers(0, 5))
    else:
        paper, lines = _dark_colour(rng), int(rng.integers(1, 4))
        ink = _light_colour(rng)
    sdr, hdr = _composite(sdr, hdr, whole, paper)
    for _ in range(shapes):
        colour = _light_colour(rng) if chance(rng, 0.7) else _dark_colour(rng)
        sdr, hdr = _composite(sdr, hdr, _shape(height, width, rng), colour)
    few = kind != "page" and chance(rng, _FEW_WORDS)
    mask = _text(height, width, rng, lines=lines, at_bottom=False, few=few)
    return _composite(sdr, hdr, mask, ink)


def _composite(
    sdr: torch.Tensor,
    hdr: torch.Tensor,
    mask: torch.Tensor,
    colour: tuple[float, float, float],
) -> tuple[torch.Tensor, torch.Tensor]:
    ink = torch.tensor(colour, dtype=sdr.dtype).reshape(1, 3, 1, 1)
    light = graphic_light(ink)
    return sdr + mask * (ink - sdr), hdr + mask * (light - hdr)


def _light_colour(rng: np.random.Generator) -> tuple[float, float, float]:
    if chance(rng, 0.6):
        return (1.0, 1.0, 1.0)
    if chance(rng, 0.5):
        grey = uniform(rng, (0.75, 1.0))
        return (grey, grey, grey)
    first, second, third = rng.uniform(0.0, 1.0, 3)
    most = max(first, second, third)
    return (float(first / most), float(second / most), float(third / most))


def _dark_colour(rng: np.random.Generator) -> tuple[float, float, float]:
    if chance(rng, 0.6):
        return (0.0, 0.0, 0.0)
    first, second, third = rng.uniform(0.0, 0.5, 3)
    return (float(first), float(second), float(third))


def _text(
    height: int,
    width: int,
    rng: np.random.Generator,
    *,
    lines: int,
    at_bottom: bool,
    few: bool = False,
) -> torch.Tensor:
    """Lines of random letters as a mask, (1, 1, H, W), [0, 1], with soft edges.

    A line fills at least half of the width, or with `few` at most that, in letters that may be
    larger.
    """
    mask = torch.zeros(1, 1, height, width)
    tallest = max(8, height // (lines + 2))
    largest = height // 3 if few else height // 5
    letter_px = int(rng.integers(7, max(8, min(tallest, largest)) + 1))
    letters_wide = max(1, int(width / (letter_px * 6 / 7)) - 2)
    spacing = int(letter_px * 1.5)
    lines = min(lines, height // spacing)
    top = (
        height - spacing * lines - letter_px // 2 if at_bottom else (height - spacing * lines) // 2
    )
    for line in range(lines):
        half = max(1, letters_wide // 2)
        count = int(rng.integers(1, half + 1) if few else rng.integers(half, letters_wide + 1))
        text = "".join(ALPHABET[int(i)] for i in rng.integers(0, len(ALPHABET), count))
        dots = torch.from_numpy(draw_line(text))[None, None]
        wide = max(1, round(dots.shape[3] * letter_px / 7))
        drawn = functional.interpolate(
            dots, size=(letter_px, wide), mode="bilinear", align_corners=False
        )
        row = max(0, top + line * spacing)
        column = max(0, (width - wide) // 2)
        drawn = drawn[:, :, : height - row, : width - column]
        mask[:, :, row : row + drawn.shape[2], column : column + drawn.shape[3]] = drawn
    # Steeper edges than interpolation gives, so that strokes are flat inside.
    return ((mask - 0.5) * 2.0 + 0.5).clamp(0.0, 1.0)


def _ramps(height: int, width: int, rng: np.random.Generator) -> torch.Tensor:
    """Bands that each go from one colour to another, lying or standing; (1, 3, H, W), [0, 1]."""
    stands = chance(rng, 0.5)
    length, across = (height, width) if stands else (width, height)
    steps = torch.linspace(0.0, 1.0, length)
    bands = []
    for rows in torch.arange(across).tensor_split(int(rng.integers(1, 9))):
        start, end = (torch.tensor(_ramp_end(rng))[:, None, None] for _ in range(2))
        share = steps ** uniform(rng, (1.0, _SLOWEST_RAMP))
        band = (start + (end - start) * share).clamp(0.0, 1.0)
        bands.append(band.expand(3, len(rows), length))
    ramps = torch.cat(bands, dim=1)[None]
    return ramps.transpose(2, 3).contiguous() if stands else ramps


def _ramp_end(rng: np.random.Generator) -> tuple[float, float, float]:
    """Black, a primary, a secondary or white more often than other colours."""
    if chance(rng, 0.25):
        return (0.0, 0.0, 0.0)
    if chance(rng, 0.6):
        first, second, third = (float(value) for value in rng.integers(0, 2, 3))
        return (first, second, third)
    first, second, third = rng.uniform(0.0, 1.0, 3)
    return (float(first), float(second), float(third))


def _bars(height: int, width: int, rng: np.random.Generator) -> torch.Tensor:
    """Equal bars above and below or left and right, as a mask; (1, 1, H, W)."""
    stands = chance(rng, 0.5)
    length = width if stands else height
    bar = min(uniform(rng, (0.02, _LARGEST_BAR)), 0.5) * length
    from_end = torch.arange(length) + 0.5
    is_bar = torch.minimum(from_end, length - from_end) <= bar
    mask = is_bar.float()[None, :] if stands else is_bar.float()[:, None]
    return mask.expand(1, 1, height, width)


def _widened(mask: torch.Tensor) -> torch.Tensor:
    return functional.max_pool2d(mask, 3, stride=1, padding=1)


def _shape(height: int, width: int, rng: np.random.Generator) -> torch.Tensor:
    """A rectangle or an ellipse as a mask with soft edges."""
    half_high, half_wide = (uniform(rng, (0.03, 0.3)) * side for side in (height, width))
    y = torch.arange(height)[:, None] - uniform(rng, (0.0, float(height)))
    x = torch.arange(width)[None, :] - uniform(rng, (0.0, float(width)))
    if chance(rng, 0.6):
        inside = torch.minimum(half_high - y.abs(), half_wide - x.abs())
    else:
        distance = torch.sqrt((y / half_high).square() + (x / half_wide).square())
        inside = (1.0 - distance) * min(half_high, half_wide)
    return (inside + 0.5).clamp(0.0, 1.0)[None, None]
