from __future__ import annotations

import json
from pathlib import Path

import pytest
from clips import FLOWER, ClipRecipe, make_clip

from sdr2hdr.cli import run


@pytest.fixture(scope="module")
def converted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("flicker")
    source = make_clip(folder / "source.mkv", ClipRecipe(width_px=128, height_px=72))
    target = folder / "converted.mkv"
    assert run(["convert", str(source), str(target), "--preset", "ultrafast", "-q"]) == 0
    return source, target


def test_each_shot_is_told_as_json(
    converted: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
):
    capsys.readouterr()
    assert run(["evaluate", *map(str, converted), "--flicker", "--json"]) == 0
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    (shot,) = [event for event in events if event["event"] == "flicker"]
    assert (shot["first_frame"], shot["frames"]) == (0, 5)
    assert 0.0 <= shot["still_share"] <= 1.0


def test_the_gate_has_a_code_of_its_own(
    converted: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
):
    arguments = ["evaluate", *map(str, converted), "--flicker", "--max-flicker"]
    assert run([*arguments, "1000"]) == 0
    assert "shot from frame 0" in capsys.readouterr().out
    assert run(["evaluate", *map(str, converted), "--max-flicker", "2"]) == 2
    for option in (["--frames"], ["--threads", "2"], ["--linear-white", "100"]):
        assert run(["evaluate", *map(str, converted), "--flicker", *option]) == 2


def test_another_length_is_refused(
    converted: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
):
    assert run(["evaluate", str(FLOWER), str(converted[1]), "--flicker"]) == 3
    assert "more frames" in capsys.readouterr().err
