"""Words that all messages share."""

from __future__ import annotations

__all__ = ["how_many"]


def how_many(number: int, noun: str) -> str:
    """A number of things whose plural takes an s.

    >>> how_many(1, "frame"), how_many(0, "frame"), how_many(2, "frame")
    ('1 frame', '0 frames', '2 frames')
    """
    return f"{number} {noun}{'' if number == 1 else 's'}"
