from __future__ import annotations

import re

import flicker_table
import numpy as np
import pytest
from steady_scenes import FRAMES, SCENES


@pytest.mark.parametrize("name", SCENES)
def test_scenes_are_what_they_say(name: str):
    frames = list(SCENES[name]())
    assert len(frames) == FRAMES
    assert all(frame.shape == (180, 320) for frame in frames)
    right = [frame[:, 200:] for frame in frames]
    if name == "object entering":
        assert all(np.array_equal(frame, right[0]) for frame in right)
        assert not np.array_equal(frames[0], frames[-1])
    else:
        assert not np.array_equal(right[0], right[-1])


def test_the_table_has_the_source_and_each_method(capsys: pytest.CaptureFixture[str]):
    flicker_table.main(["--scene", "noise only", "--model", "bt2408", "--model", "bt2446a"])
    head, _, row = capsys.readouterr().out.splitlines()
    assert head == "| clip | still | source | bt2408 | bt2446a |"
    found = re.fullmatch(
        r"\| noise only \| \d+% \| ([\d.]+) \| ([\d.]+) \(([\d.]+)\) \| ([\d.]+) \(([\d.]+)\) \|",
        row,
    )
    assert found is not None, row
    source, codes, ratio, steep_codes, steep_ratio = map(float, found.groups())
    assert source > 0.1
    assert codes / source == pytest.approx(ratio, abs=0.02)
    # BT.2446-A is steeper than BT.2408, in noise as elsewhere.
    assert steep_ratio > ratio and steep_codes > codes
