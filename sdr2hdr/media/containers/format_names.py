"""Which container libavformat's name of a format means: it lists all that one reader takes."""

from __future__ import annotations

__all__ = ["is_matroska", "is_mp4"]


def is_mp4(format_name: str) -> bool:
    """Whether files of a format are made of boxes, as MP4 and MOV.

    Args:
        format_name: As "mov,mp4,m4a,3gp,3g2,mj2".
    """
    return "mov" in format_name.split(",")


def is_matroska(format_name: str) -> bool:
    """Whether files of a format are made of EBML elements, as Matroska and WebM.

    Args:
        format_name: As "matroska,webm".
    """
    return "matroska" in format_name.split(",")
