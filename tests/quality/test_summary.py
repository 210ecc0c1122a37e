from __future__ import annotations

import math

import pytest

from sdr2hdr.quality.summary import ClipScores


def test_mean_and_worst_frame():
    clip = ClipScores()
    for psnr, delta_e in ((40.0, 1.0), (30.0, 5.0), (35.0, 6.0), (30.0, 0.0)):
        clip.add({"psnr_rgb": psnr, "delta_e_itp": delta_e})
    summaries = clip.summarise()
    psnr, delta_e = summaries["psnr_rgb"], summaries["delta_e_itp"]
    assert psnr is not None and delta_e is not None
    assert (psnr.mean, psnr.worst, psnr.worst_frame, psnr.frames) == (33.75, 30.0, 1, 4)
    assert (delta_e.mean, delta_e.worst, delta_e.worst_frame) == (3.0, 6.0, 2)
    assert clip.frames == 4


def test_equal_frames_count_as_a_hundred_decibels():
    clip = ClipScores()
    assert clip.add({"psnr_rgb": math.inf, "mpsnr": math.inf}) == {
        "psnr_rgb": 100.0,
        "mpsnr": 100.0,
    }
    clip.add({"psnr_rgb": 50.0, "mpsnr": 40.0})
    psnr = clip.summarise()["psnr_rgb"]
    assert psnr is not None
    assert psnr.mean == 75.0


def test_frames_without_a_score_are_left_out():
    clip = ClipScores()
    assert clip.add({"psnr_highlights": math.nan, "ms_ssim": math.nan}) == {
        "psnr_highlights": None,
        "ms_ssim": None,
    }
    clip.add({"psnr_highlights": 20.0, "ms_ssim": math.nan})
    summaries = clip.summarise()
    highlights = summaries["psnr_highlights"]
    assert highlights is not None
    assert (highlights.mean, highlights.worst_frame, highlights.frames) == (20.0, 1, 1)
    assert summaries["ms_ssim"] is None
    assert list(summaries) == ["ms_ssim", "psnr_highlights"]


def test_a_name_that_is_no_metric_is_a_mistake():
    with pytest.raises(KeyError):
        ClipScores().add({"vmaf": 90.0})
