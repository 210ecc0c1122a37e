"""A small alphabet of 5 x 7 dots, enough for pictures to have titles in them."""

from __future__ import annotations

import numpy as np

__all__ = ["ALPHABET", "draw_line"]

# Seven rows a letter, the leftmost dot is 16.
_DOTS = {
    "A": (14, 17, 17, 31, 17, 17, 17),
    "C": (14, 17, 16, 16, 16, 17, 14),
    "D": (30, 17, 17, 17, 17, 17, 30),
    "E": (31, 16, 16, 30, 16, 16, 31),
    "H": (17, 17, 17, 31, 17, 17, 17),
    "I": (14, 4, 4, 4, 4, 4, 14),
    "K": (17, 18, 20, 24, 20, 18, 17),
    "L": (16, 16, 16, 16, 16, 16, 31),
    "M": (17, 27, 21, 21, 17, 17, 17),
    "N": (17, 25, 21, 19, 17, 17, 17),
    "O": (14, 17, 17, 17, 17, 17, 14),
    "R": (30, 17, 17, 30, 20, 18, 17),
    "S": (15, 16, 16, 14, 1, 1, 30),
    "T": (31, 4, 4, 4, 4, 4, 4),
    "U": (17, 17, 17, 17, 17, 17, 14),
    "V": (17, 17, 17, 17, 17, 10, 4),
    "X": (17, 17, 10, 4, 10, 17, 17),
    "0": (14, 17, 19, 21, 25, 17, 14),
    "1": (4, 12, 4, 4, 4, 4, 14),
    "2": (14, 17, 1, 6, 8, 16, 31),
    "3": (30, 1, 1, 14, 1, 1, 30),
    "4": (2, 6, 10, 18, 31, 2, 2),
    "5": (31, 16, 30, 1, 1, 17, 14),
    "6": (14, 16, 16, 30, 17, 17, 14),
    "7": (31, 1, 2, 4, 4, 8, 8),
    "8": (14, 17, 17, 14, 17, 17, 14),
    "9": (14, 17, 17, 15, 1, 1, 14),
    "-": (0, 0, 0, 14, 0, 0, 0),
    ".": (0, 0, 0, 0, 0, 12, 12),
    " ": (0, 0, 0, 0, 0, 0, 0),
}

ALPHABET = "".join(_DOTS)
"""Characters that can be drawn."""


def draw_line(text: str) -> np.ndarray:
    """Draw a line of text.

    Args:
        text: Characters of `ALPHABET`, at least one.

    Returns:
        (7, 6 n - 1) for n characters, float32, 1 where a dot is and 0 elsewhere.
    """
    rows = np.zeros((7, 6 * len(text) - 1), np.float32)
    for place, character in enumerate(text):
        for row, dots in enumerate(_DOTS[character]):
            for column in range(5):
                rows[row, 6 * place + column] = dots >> (4 - column) & 1
    return rows
