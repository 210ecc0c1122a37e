from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from sdr2hdr.colour.transfer import pq_eotf, pq_inverse_eotf
from sdr2hdr.curves import load_curve
from sdr2hdr.exam import measures
from sdr2hdr.exam.measures import (
    best_gain_stops,
    brightest_cd_m2,
    compare,
    crop_difference_codes,
    pattern_facts,
    psnr_by_gain,
    with_gain,
)
from sdr2hdr.exam.methods import ExamMethod, exam_methods
from sdr2hdr.exam.patterns import WRITTEN
from sdr2hdr.exam.results import COMMON_GAINS_STOPS
from sdr2hdr.networks.gpgmnet import bicubic_upscale
from sdr2hdr.networks.registry import build, resolve_exactly
from sdr2hdr.training.publishing import Run, publish
from sdr2hdr.training.recipe import Recipe


def curve_method(name: str, scale: int = 1) -> ExamMethod:
    curve = load_curve(name)
    if scale == 1:
        return ExamMethod(name, name, "curve", 1, curve)

    def answer(sdr: torch.Tensor) -> torch.Tensor:
        return curve(bicubic_upscale(sdr, scale).clamp(0.0, 1.0))

    return ExamMethod(name, name, "curve", scale, answer)


def test_a_known_gain_is_found():
    light = torch.rand(1, 3, 64, 96, generator=torch.Generator().manual_seed(1)) * 300.0
    answer = pq_inverse_eotf(light)
    reference = pq_inverse_eotf(light * 2.0**-0.7)
    assert best_gain_stops(reference, answer) == pytest.approx(-0.7, abs=0.01)
    assert compare(reference, with_gain(answer, -0.7)).psnr_db > 70.0
    by_gain = dict(zip(COMMON_GAINS_STOPS, psnr_by_gain(reference, answer), strict=True))
    assert max(by_gain, key=by_gain.__getitem__) in (-0.8, -0.6)
    assert by_gain[0.0] == pytest.approx(compare(reference, answer).psnr_db)


def test_equal_pictures_have_the_highest_scores():
    picture = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(2))
    scores = compare(picture, picture)
    assert (scores.psnr_db, scores.ssim, scores.delta_e_itp) == (100.0, pytest.approx(1.0), 0.0)


def test_brightest_pixels_are_few_and_not_one():
    light = torch.full((1, 3, 40, 40), 10.0)
    light[0, 1, :4, :5] = 900.0
    light[0, 0, 39, 39] = 5000.0
    expected = (19 * 900.0 + 5000.0) / 20.0
    assert brightest_cd_m2(pq_inverse_eotf(light)) == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize(
    ("name", "white_cd_m2", "scale"), [("bt2408", 203.0, 2), ("bt2446a", 1000.0, 1)]
)
def test_curves_keep_the_rules_that_networks_are_held_to(name: str, scale: int, white_cd_m2: float):
    facts = pattern_facts(curve_method(name, scale))
    assert facts["black_codes"] == 0.0
    assert facts["grey_chroma_codes"] <= 2.0
    assert 0.0 <= facts["grey_smallest_step_codes"] <= facts["grey_largest_step_codes"] <= 4.0
    assert facts["saturated_smallest_step_codes"] >= 0.0
    assert facts["chart_hue_degrees"] < 1.0
    # Bicubic enlargement overshoots where strokes are as thin as those of the others.
    for written in WRITTEN if scale == 1 else ("title_card", "page"):
        assert facts[f"{written}_white_cd_m2"] == pytest.approx(white_cd_m2, rel=0.01)


def test_faults_are_seen():
    curve = load_curve("bt2446a")

    def tinted(sdr: torch.Tensor) -> torch.Tensor:
        answer = curve(sdr)
        return torch.cat((answer[:, :1] + 0.02, answer[:, 1:]), dim=1).clamp(0.0, 1.0)

    facts = pattern_facts(ExamMethod("tinted", "tinted", "network", 1, tinted))
    assert facts["grey_chroma_codes"] > 2.0
    assert facts["black_codes"] > 1.0
    assert facts["chart_hue_degrees"] > 3.0


def test_swinging_global_statistics_are_seen(tiny_set, monkeypatch: pytest.MonkeyPatch):
    # A quarter of the exam's own sizes, to be quick.
    monkeypatch.setattr(measures, "_WHOLE_PX", (270, 480))
    monkeypatch.setattr(measures, "_CROP_PX", 128)
    steady = curve_method("bt2446a")
    assert crop_difference_codes(steady, tiny_set.scenes) < 0.01

    def swinging(sdr: torch.Tensor) -> torch.Tensor:
        light = pq_eotf(steady.answer(sdr))
        return pq_inverse_eotf(light * (0.8 + 0.4 * sdr.mean()))

    method = ExamMethod("swinging", "swinging", "network", 1, swinging)
    assert crop_difference_codes(method, tiny_set.scenes) > 1.0


def test_curves_are_always_there():
    found = [
        (each.name, each.kind, each.scale) for each in exam_methods(["bt2446a"], None, "cpu", 1)
    ]
    assert found == [(name, "curve", 1) for name in ("bt2408", "bt2446a", "bt2446c")]


def test_super_resolution_stands_beside_bicubic_upscaling(tmp_path: Path):
    spec = resolve_exactly("irnet5-x2")
    run = Run(1, 1.0, 1, "cpu")
    publish(tmp_path, spec, build(spec).state_dict(), Recipe(), run, [])
    methods = exam_methods(["irnet5-x2"], tmp_path, "cpu", 1)
    assert [each.name for each in methods if each.kind == "curve"] == [
        f"bicubic + {name}" for name in ("bt2408", "bt2446a", "bt2446c")
    ]
    assert [each.name for each in methods if each.kind == "network"] == ["irnet5-x2"]
    # irnet2 is not in that folder: it is the installed one.
    assert "bicubic + irnet2" in [each.name for each in methods]
    for each in methods:
        assert each.scale == 2
        assert each.answer(torch.full((1, 3, 32, 40), 0.5)).shape == (1, 3, 64, 80)


def test_the_chart_does_not_warn_of_packages_that_it_does_not_need():
    """colour-science does, when it is first imported where Matplotlib is not."""
    program = """if True:
        import sys

        class NoMatplotlib:
            def find_spec(self, name, path=None, target=None):
                if name.split(".")[0] == "matplotlib":
                    raise ModuleNotFoundError(f"No module named {name!r}")

        sys.meta_path.insert(0, NoMatplotlib())
        from sdr2hdr.exam.patterns import chart

        print(chart().shape[1])
        """
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], capture_output=True, text=True
    )
    assert (done.stdout, done.stderr) == ("3\n", "")
