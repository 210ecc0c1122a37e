"""What is done with is freed at once, not when Python looks for rings of names.

A picture of 4K is 12 to 50 MB, and a decoder has threads: in a ring they stay for as long as few
objects are made, and a fork that takes the ring apart waits for threads that it does not have.
"""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
import torch  # noqa: F401  (its import leaves rings, with the frames that it was called from)
from clips import ClipRecipe, make_clip

from sdr2hdr.cli import run

OPTIONS = ("--model", "bt2408", "--preset", "ultrafast", "-q")


@pytest.fixture(params=[1, 30])
def source(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """Of one frame, which verification takes, or of more than it takes."""
    recipe = ClipRecipe(width_px=64, height_px=48, pts=tuple(range(request.param)))
    return make_clip(tmp_path / "clip.mkv", recipe)


def test_a_conversion_leaves_no_rings(source: Path):
    target = source.with_name("hdr.mkv")
    arguments = ["convert", str(source), str(target), *OPTIONS]
    assert rings_left_by(lambda: run(arguments)) == []


def test_reading_commands_leave_no_rings(source: Path):
    target, retagged = source.with_name("hdr.mp4"), source.with_name("retagged.mp4")
    assert run(["convert", str(source), str(target), *OPTIONS]) == 0
    for arguments in (
        ["info", str(source)],
        ["plan", str(source), "-o", str(source.with_name("plan.json"))],
        ["check", str(target)],
        ["retag", str(target), str(retagged)],
        ["evaluate", str(target), str(retagged)],
        ["evaluate", str(source), str(target), "--flicker"],
    ):
        assert rings_left_by(lambda given=arguments: run(given)) == [], arguments


def test_errors_leave_no_rings(source: Path):
    """The input is HDR, and the output exists."""
    target = source.with_name("hdr.mkv")
    assert run(["convert", str(source), str(target), *OPTIONS]) == 0
    again = ["convert", str(target), str(target.with_name("again.mkv")), *OPTIONS]
    assert rings_left_by(lambda: run(again), expected_code=4) == []
    once_more = ["convert", str(source), str(target), *OPTIONS]
    assert rings_left_by(lambda: run(once_more), expected_code=5) == []


def rings_left_by(work: Callable[[], int], expected_code: int = 0) -> list[str]:
    """The types of ours and PyAV's whose objects Python must look for after some work.

    Args:
        work: Gives an exit code.
        expected_code: Which one.
    """
    gc.collect()
    gc.disable()
    try:
        assert work() == expected_code
        left = counted()
        gc.collect()
        return sorted(left - counted())
    finally:
        gc.enable()


def counted() -> Counter[str]:
    """How many objects of each type of ours and PyAV's there are, of those that may be in rings."""
    types = (type(thing) for thing in gc.get_objects())
    names = (f"{found.__module__}.{found.__qualname__}" for found in types)
    return Counter(name for name in names if name.startswith(("av.", "sdr2hdr.")))
