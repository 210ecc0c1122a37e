"""What libav says while it works, caught so that it can be told to the user."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import av.logging

__all__ = ["captured_av_log"]


@contextmanager
def captured_av_log(level: int = av.logging.WARNING) -> Iterator[list[tuple[int, str, str]]]:
    """Collect libav's messages of this thread as (level, component, text).

    Args:
        level: The least severe level to collect; larger is chattier.
    """
    before, skip = av.logging.get_level(), av.logging.get_skip_repeated()
    av.logging.set_level(level)
    av.logging.set_skip_repeated(False)
    try:
        with av.logging.Capture() as messages:
            yield messages
    finally:
        av.logging.set_skip_repeated(skip)
        av.logging.set_level(before)
