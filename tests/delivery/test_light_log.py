"""The table of frames, as CSV and as JSON."""

from __future__ import annotations

import csv
import errno
import json
from fractions import Fraction
from pathlib import Path
from typing import TextIO

import pytest

from sdr2hdr.delivery.light_log import LightLog
from sdr2hdr.errors import OutputError, UsageError
from sdr2hdr.frames import FrameTime, Timeline
from sdr2hdr.quality.light_levels import FrameLight, LightLevels

LEVELS = LightLevels(1004, 203, 900, 180)


@pytest.fixture
def log() -> LightLog:
    log = LightLog()
    base = Fraction(1001, 30000)
    log.add(Timeline(base, (FrameTime(0, 1), FrameTime(1, 1))), [FrameLight(1, 2, 3, 4)] * 2)
    log.add(Timeline(base, (FrameTime(3, 1),)), [FrameLight(1004.21342, 0.1, 900.0, 0.05)])
    return log


def test_csv(tmp_path: Path, log: LightLog):
    path = tmp_path / "light.csv"
    log.write(path, LEVELS)
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["frame"] for row in rows] == ["0", "1", "2"]
    assert [float(row["pts_seconds"]) for row in rows] == [0.0, 0.033367, 0.1001]
    assert float(rows[2]["max_cd_m2"]) == 1004.2134
    assert float(rows[2]["mean_max_rgb_cd_m2"]) == 0.1
    assert float(rows[2]["robust_max_cd_m2"]) == 900.0
    assert b"\r" not in path.read_bytes()


def test_json(tmp_path: Path, log: LightLog):
    path = tmp_path / "light.JSON"
    log.write(path, LEVELS)
    content = json.loads(path.read_text(encoding="utf-8"))
    assert content["levels"] == {
        "max_cll": 1004,
        "max_fall": 203,
        "robust_max_cll": 900,
        "robust_max_fall": 180,
    }
    assert content["frames"][1] == {
        "frame": 1,
        "pts_seconds": 0.033367,
        "max_cd_m2": 1,
        "mean_max_rgb_cd_m2": 2,
        "robust_max_cd_m2": 3,
        "robust_mean_max_rgb_cd_m2": 4,
    }


def test_times_and_lights_must_match(log: LightLog):
    with pytest.raises(ValueError, match=r"shorter|longer"):
        log.add(Timeline(Fraction(1), (FrameTime(9, 1),)), [])


def test_only_a_whole_log_replaces_another(
    tmp_path: Path, log: LightLog, monkeypatch: pytest.MonkeyPatch
):
    path = tmp_path / "light.csv"
    path.write_text("precious")
    with pytest.raises(OutputError, match="--overwrite"):
        log.write(path, LEVELS)
    with monkeypatch.context() as patch:

        def full(self: LightLog, file: TextIO) -> None:
            file.write("half a")
            raise OSError(errno.ENOSPC, "No space left on device")

        patch.setattr(LightLog, "_write_csv", full)
        with pytest.raises(OutputError, match="No space"):
            log.write(path, LEVELS, overwrite=True)
    assert path.read_text() == "precious"
    log.write(path, LEVELS, overwrite=True)
    assert len(path.read_text().splitlines()) == 4
    assert list(tmp_path.iterdir()) == [path]


def test_refusals(tmp_path: Path, log: LightLog):
    with pytest.raises(UsageError, match=r"\.csv or \.json"):
        log.write(tmp_path / "light.txt", LEVELS)
    with pytest.raises(OutputError, match="cannot be written"):
        log.write(tmp_path / "missing" / "light.csv", LEVELS)
