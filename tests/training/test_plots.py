"""The plots of a training, with matplotlib and without."""

from __future__ import annotations

from math import nan
from pathlib import Path

import av
import numpy as np
import pytest
from small_trainings import job

from sdr2hdr.training import loop, records
from sdr2hdr.training.loop import train
from sdr2hdr.training.records import plot_lines

HAS_MATPLOTLIB = records.has_matplotlib()


@pytest.fixture(params=[False, True], ids=["plain", "matplotlib"])
def library(request, monkeypatch):
    if request.param and not HAS_MATPLOTLIB:
        pytest.skip("matplotlib is not installed")
    monkeypatch.setattr(records, "has_matplotlib", lambda: request.param)


def coloured_pixels(path: Path) -> np.ndarray:
    """Of those left of a legend, the ones that are no grey, (n, 3)."""
    with av.open(str(path)) as container:
        pixels = next(container.decode(video=0)).to_ndarray(format="rgb24")[:, :800]
    return pixels[np.ptp(pixels.astype(np.int64), axis=2) > 60]


@pytest.mark.usefixtures("library")
def test_a_line_of_one_point_is_seen(tmp_path):
    """The plot of a training of 50 steps was empty."""
    plot_lines(tmp_path / "loss.png", {"loss": ([50.0], [0.05])})
    assert len(coloured_pixels(tmp_path / "loss.png")) > 20


@pytest.mark.usefixtures("library")
def test_what_is_no_number_is_left_out(tmp_path):
    """Without matplotlib it was a fault of the program."""
    lines = {"psnr_db": ([1.0, 2.0, 3.0], [30.0, nan, 31.0]), "watch_psnr_db": ([1.0], [nan])}
    plot_lines(tmp_path / "validation.png", lines)
    assert len(coloured_pixels(tmp_path / "validation.png")) > 500


def test_all_lines_of_a_validation_have_colours_of_their_own(tmp_path, monkeypatch):
    """The curve on watched pairs had the colour of the network."""
    monkeypatch.setattr(records, "has_matplotlib", lambda: False)
    lines = {str(number): ([0.0, 100.0], [number, number]) for number in range(6)}
    plot_lines(tmp_path / "validation.png", lines)
    # One of them is grey.
    assert len(np.unique(coloured_pixels(tmp_path / "validation.png"), axis=0)) == 5


def test_a_number_is_written_without_an_exponent():
    """Its sign is not in the alphabet: 1.235e+07 became 1.23507."""
    assert records._digits(12345678.0) == "12350000"
    assert records._digits(-1e-7) == "-0.0000001"


def test_a_training_without_matplotlib_says_what_its_plots_lack(data, tmp_path, monkeypatch):
    for is_there in (False, True):
        monkeypatch.setattr(loop, "has_matplotlib", lambda is_there=is_there: is_there)
        said = list[str]()
        out = tmp_path / str(is_there)
        train(job(data, out, steps=0), lambda report, said=said: said.append(report.text))
        assert ("matplotlib" in said[0]) != is_there
