"""`sdr2hdr evaluate`: what it prints, as a table and as JSON, and what it refuses."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hdr_files import flat_planes, write_exr, write_still, write_video

from sdr2hdr.cli import run
from sdr2hdr.quality.scores import METRICS


def call(capfd: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    """Exit code, stdout, stderr."""
    code = run(["evaluate", *(str(argument) for argument in arguments)])
    out, err = capfd.readouterr()
    return code, out, err


def events(out: str) -> list[dict]:
    """All but the notice that these frames are too small for MS-SSIM."""
    found = [json.loads(line) for line in out.splitlines()]
    return [event for event in found if event["event"] != "notice"]


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    """Three grey frames; the test is 0, 40 and 10 luma codes off."""
    reference = write_video(tmp_path / "reference.mkv", [flat_planes(600)] * 3)
    test = write_video(tmp_path / "test.mkv", [flat_planes(600 + off) for off in (0, 40, 10)])
    return reference, test


def test_json_summary_names_mean_and_worst_frame(
    pair: tuple[Path, Path], capfd: pytest.CaptureFixture[str]
):
    code, out, _ = call(capfd, *pair, "--json")
    (summary,) = events(out)
    assert code == 0
    assert summary["event"] == "summary"
    assert (summary["reference"], summary["test"]) == tuple(str(path) for path in pair)
    assert (summary["frames"], summary["width_px"], summary["height_px"]) == (3, 64, 48)
    assert list(summary["metrics"]) == list(METRICS)
    psnr = summary["metrics"]["psnr_rgb"]
    worst, second = (-20.0 * math.log10(off / 876.0) for off in (40, 10))
    assert psnr["worst"] == pytest.approx(worst, abs=1e-4)
    assert psnr["worst_frame"] == 1
    assert psnr["mean"] == pytest.approx((100.0 + worst + second) / 3.0, abs=1e-4)
    assert psnr["unit"] == "dB"
    delta_e = summary["metrics"]["delta_e_itp"]
    assert delta_e["worst"] == pytest.approx(720.0 * 40.0 / 876.0, abs=1e-2)
    assert delta_e["worst_frame"] == 1
    assert delta_e["better"] == "lower"


def test_frames_come_one_event_each_before_the_summary(
    pair: tuple[Path, Path], capfd: pytest.CaptureFixture[str]
):
    code, out, _ = call(capfd, *pair, "--json", "--frames")
    found = events(out)
    assert code == 0
    assert [event["event"] for event in found] == ["frame"] * 3 + ["summary"]
    assert [event["frame"] for event in found[:3]] == [0, 1, 2]
    assert found[0]["psnr_rgb"] == 100.0
    assert found[2]["psnr_luma"] == pytest.approx(20.0 * math.log10(1023.0 / 10.0), abs=1e-9)


def test_scores_that_do_not_exist_are_null(
    pair: tuple[Path, Path], capfd: pytest.CaptureFixture[str]
):
    """The frames are one highlight each, and too small for MS-SSIM."""
    _, out, _ = call(capfd, *pair, "--json", "--frames")
    frame, *_, summary = events(out)
    assert "NaN" not in out and "Infinity" not in out
    for name in ("ms_ssim", "psnr_shadows", "delta_e_itp_shadows"):
        assert frame[name] is None
        assert summary["metrics"][name] is None
    assert summary["metrics"]["psnr_highlights"]["frames"] == 3


def test_table_on_stdout(pair: tuple[Path, Path], capfd: pytest.CaptureFixture[str]):
    code, out, err = call(capfd, *pair, "--frames")
    assert code == 0
    lines = out.splitlines()
    assert lines[0].startswith("frame 0: psnr_rgb 100.00")
    assert lines[3].split()[:2] == ["metric", "mean"]
    assert len(lines) == 3 + 1 + len(METRICS)
    row = next(line for line in lines if line.startswith("Delta E ITP "))
    assert row.split() == ["Delta", "E", "ITP", "13.70", "32.88", "1", "3"]
    assert "MS-SSIM" in err


def test_stills_of_different_kinds_agree(tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    """The same grey ramp as linear light (1.0 is 203 cd/m2) and as 16-bit PQ."""
    ramp = np.linspace(0.0, 4.0, 40 * 30, dtype=np.float32).reshape(30, 40, 1).repeat(3, axis=2)
    relative = (ramp.astype(np.float64) * 203.0 / 10000.0) ** (2610 / 16384)
    signal = ((3424 / 4096 + 2413 / 128 * relative) / (1 + 2392 / 128 * relative)) ** (2523 / 32)
    still = write_still(
        tmp_path / "ramp.tif", np.rint(signal * 65535.0).astype(np.uint16), tags=None
    )
    light = write_exr(tmp_path / "ramp.exr", ramp)
    code, out, err = call(capfd, light, still, "--json", "--assume-pq")
    assert code == 0
    assert "warning" not in err
    metrics = events(out)[0]["metrics"]
    assert metrics["psnr_rgb"]["mean"] > 95.0
    assert metrics["delta_e_itp"]["mean"] < 0.02


def test_linear_white_scales_linear_light(tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    one = write_exr(tmp_path / "one.exr", np.ones((16, 16, 3), np.float32), None, None)
    two = write_exr(tmp_path / "two.exr", np.full((16, 16, 3), 2.05, np.float32), None, 100.0)
    code, _, err = call(capfd, one, two)
    assert code == 3
    assert "whiteLuminance" in err and "--linear-white" in err and str(one) in err
    code, out, _ = call(capfd, one, two, "--linear-white", "100", "--json")
    assert code == 0
    # 100 and 205 cd/m2
    assert events(out)[0]["metrics"]["delta_e_itp"]["mean"] == pytest.approx(53.0, abs=0.05)


@pytest.mark.parametrize("option", ["--linear-white", "--max-flicker"])
@pytest.mark.parametrize("value", ["nan", "inf", "0"])
def test_bounds_that_are_no_positive_number_are_a_usage_error(
    pair: tuple[Path, Path], capfd: pytest.CaptureFixture[str], option: str, value: str
):
    """With "nan" every figure was a dash, and every shot flickered too much."""
    code, out, err = call(capfd, *pair, option, value)
    assert (code, out) == (2, "")
    assert option in err and value in err


def test_unknown_primaries_of_linear_light(tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    aces = (0.7347, 0.2653, 0.0, 1.0, 0.0001, -0.077, 0.32168, 0.33767)
    path = write_exr(tmp_path / "aces.exr", np.ones((16, 16, 3), np.float32), aces)
    code, _, err = call(capfd, path, path)
    assert code == 3
    assert "0.7347" in err and "BT.2020" in err


@pytest.mark.parametrize("swapped", [False, True])
def test_lengths_that_differ_are_told_both(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], swapped: bool
):
    short = write_video(tmp_path / "short.mkv", [flat_planes(600)])
    long = write_video(tmp_path / "long.mkv", [flat_planes(600)] * 5)
    pair = (long, short) if swapped else (short, long)
    code, out, err = call(capfd, *pair)
    assert (code, out) == (3, "")
    words = {short: "1 frame", long: "5 frames"}
    assert f"{pair[0]} has {words[pair[0]]} and {pair[1]} {words[pair[1]].split()[0]};" in err


def test_sizes_that_differ_are_told_both(tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    small = write_video(tmp_path / "small.mkv", [flat_planes(600)])
    large = write_video(tmp_path / "large.mkv", [flat_planes(600, height=96, width=128)])
    code, out, err = call(capfd, small, large)
    assert (code, out) == (3, "")
    assert "64x48" in err and "128x96" in err


def test_missing_file_is_an_input_error(
    pair: tuple[Path, Path], tmp_path: Path, capfd: pytest.CaptureFixture[str]
):
    code, _, err = call(capfd, pair[0], tmp_path / "none.mkv")
    assert code == 3
    assert "does not exist" in err
    assert "Traceback" not in err


def test_warnings_go_to_stderr(tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    still = write_still(tmp_path / "still.tif", np.full((16, 16, 3), 30000, np.uint16), tags=None)
    code, out, err = call(capfd, still, still)
    assert code == 0
    assert err.count("warning: ") == 2
    assert "warning" not in out
