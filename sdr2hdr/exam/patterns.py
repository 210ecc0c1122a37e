"""Made-up pictures whose right answer is known: ramps, bars, a colour chart, and written ones."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping

import torch
from torch.nn import functional

from sdr2hdr.training.glyphs import draw_line

__all__ = [
    "CARD_HEIGHT_PX",
    "GREY_CODES",
    "PATCH_PX",
    "RAMP_STEP_PX",
    "SATURATED_CODES",
    "WRITTEN",
    "chart",
    "colour_bars",
    "credits_roll",
    "end_card",
    "grey_ramp",
    "page_of_text",
    "saturated_ramps",
    "slide",
    "title_card",
]

GREY_CODES = 877
"""Codes of 10-bit limited-range luma from black to white."""

SATURATED_CODES = 220
"""Codes of 8-bit limited-range luma from black to white."""

RAMP_STEP_PX, PATCH_PX = 4, 32
"""Width of a ramp's step, and side of a patch: wider than what the networks see around a sample
would be better for the steps, and makes frames that nobody has."""

CARD_HEIGHT_PX = 216

_RAMP_ROWS_PX = 32
_CARD_WIDTH_PX = 384
_TITLE = ("THE LAST", "TRAIN")
_PAGE = (
    "1. A STATION IN THE RAIN - NOON",
    "A MAN IN A DARK COAT SITS AND STARES AT",
    "THE CLOCK. IT SAID 12 AN HOUR AND SOME",
    "MINUTES. NO TRAIN COMES. NONE IS DUE. HE",
    "READS THE SAME LETTER ONCE MORE.",
    "2. INTERIOR - THE SAME MAN IS RESTLESS",
)
_CREDITS = (
    "CAST",
    "THE MAN  -  LARS LINDEN",
    "THE OTHER MAN  -  IAN ROMERO",
    "A TRAIN  -  A TRAIN",
    "THE TEAM",
    "CAMERA  -  M. A. NOEL",
    "SOUND  -  R. ADLER",
    "COLOUR  -  SUE HARTMAN",
    "TEA AND CAKES  -  THE STATION",
)
_SLIDE_TITLE = ("LATE TRAINS",)
_SLIDE_BARS = ((0.26, 0.52, 0.96), (0.86, 0.27, 0.22), (0.96, 0.71, 0.0), (0.06, 0.62, 0.35))


def grey_ramp() -> torch.Tensor:
    """Every grey of 10-bit limited range, in order: (1, 3, 32, 4 x 877), float32, [0, 1]."""
    signal = torch.arange(GREY_CODES) / (GREY_CODES - 1)
    return signal.repeat_interleave(RAMP_STEP_PX).expand(1, 3, _RAMP_ROWS_PX, -1).contiguous()


def saturated_ramps() -> torch.Tensor:
    """Red, green, blue, cyan, magenta and yellow from black to full, 32 rows each."""
    signal = torch.arange(SATURATED_CODES) / (SATURATED_CODES - 1)
    ramp = signal.repeat_interleave(RAMP_STEP_PX)
    colours = torch.tensor(
        [[1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 1, 1], [1, 0, 1], [1, 1, 0]], dtype=torch.float32
    )
    bands = colours[:, :, None, None] * ramp
    return torch.cat([band.expand(3, _RAMP_ROWS_PX, -1) for band in bands], dim=1)[None]


def colour_bars() -> torch.Tensor:
    """Yellow, cyan, green, magenta, red and blue at 75 % (EBU Tech 3325's bars), as patches."""
    colours = torch.tensor(
        [[1, 1, 0], [0, 1, 1], [0, 1, 0], [1, 0, 1], [1, 0, 0], [0, 0, 1]], dtype=torch.float32
    )
    return _patches(0.75 * colours)


def chart() -> torch.Tensor:
    """The 18 coloured patches of the ColorChecker (2005) under D65 as SDR signal, as patches.

    Source:
        X-Rite's values as colour-science has them ("ColorChecker 2005"); the one patch outside
        BT.709 is clipped.
    """
    import numpy as np

    with warnings.catch_warnings():
        # Of optional packages that are not here, and not needed.
        warnings.simplefilter("ignore")
        import colour

    checker = colour.CCS_COLOURCHECKERS["ColorChecker 2005"]
    xyz = np.array([colour.xyY_to_XYZ(patch) for patch in list(checker.data.values())[:18]])
    light = colour.XYZ_to_RGB(xyz, "ITU-R BT.709", illuminant=checker.illuminant)
    return _patches(torch.from_numpy(light.clip(0.0, 1.0) ** (1.0 / 2.4)).to(torch.float32))


def title_card() -> torch.Tensor:
    """White letters on black, as at the start of a film: (1, 3, 216, 384), [0, 1]."""
    return _written(_TITLE, letter_px=35).expand(1, 3, -1, -1).contiguous()


def page_of_text() -> torch.Tensor:
    """Black letters on white paper, same size."""
    return (1.0 - _written(_PAGE, letter_px=9)).expand(1, 3, -1, -1).contiguous()


def end_card() -> torch.Tensor:
    """One short white word on black, same size."""
    return _written(("THE END",), letter_px=28).expand(1, 3, -1, -1).contiguous()


def credits_roll() -> torch.Tensor:
    """Many small lines of white on black, same size."""
    return _written(_CREDITS, letter_px=12).expand(1, 3, -1, -1).contiguous()


def slide() -> torch.Tensor:
    """A white slide with few dark words and a chart of four coloured bars, same size."""
    picture = (1.0 - _written(_SLIDE_TITLE, letter_px=16)).expand(1, 3, -1, -1)
    picture = picture.roll(-CARD_HEIGHT_PX // 3, dims=2).contiguous()
    for index, colour in enumerate(_SLIDE_BARS):
        left = 64 + 72 * index
        top = 160 - 20 * index
        picture[:, :, top:192, left : left + 40] = torch.tensor(colour)[:, None, None]
    return picture


WRITTEN: Mapping[str, Callable[[], torch.Tensor]] = {
    "title_card": title_card,
    "end_card": end_card,
    "credits": credits_roll,
    "page": page_of_text,
    "slide": slide,
}
"""Pictures whose white is paper and no lamp, by what they show."""


def _patches(colours: torch.Tensor) -> torch.Tensor:
    """(n, 3) to (1, 3, 64, 32 n): two rows of squares, the second in the opposite order."""
    both = torch.stack((colours, colours.flip(0))).permute(2, 0, 1)[None]
    return both.repeat_interleave(PATCH_PX, 2).repeat_interleave(PATCH_PX, 3)


def _written(lines: tuple[str, ...], letter_px: int) -> torch.Tensor:
    mask = torch.zeros(1, 1, CARD_HEIGHT_PX, _CARD_WIDTH_PX)
    spacing = letter_px * 8 // 5
    top = (CARD_HEIGHT_PX - spacing * len(lines)) // 2
    for line, text in enumerate(lines):
        dots = torch.from_numpy(draw_line(text))[None, None]
        wide = min(dots.shape[3] * letter_px // 7, _CARD_WIDTH_PX)
        drawn = functional.interpolate(
            dots, size=(letter_px, wide), mode="bilinear", align_corners=False
        )
        row, column = top + line * spacing, (_CARD_WIDTH_PX - wide) // 2
        mask[:, :, row : row + letter_px, column : column + wide] = drawn
    # Steeper edges than interpolation gives, so that strokes are flat inside.
    return ((mask - 0.5) * 2.0 + 0.5).clamp(0.0, 1.0)
