from __future__ import annotations

import json
from pathlib import Path
from typing import NoReturn

import numpy as np
import pytest
import torch
from exam_results import exam_result

from sdr2hdr.cli import run
from sdr2hdr.curves import load_curve
from sdr2hdr.exam.methods import ExamMethod
from sdr2hdr.exam.run import frame_count, hold_exam
from sdr2hdr.exam.sheet import FALSE_COLOURS, draw_sheet, false_colour, for_viewing
from sdr2hdr.exam.tables import result_content
from sdr2hdr.media.reading.still_images import read_coded_pictures
from sdr2hdr.training.tone_curves import OPERATORS


def stand_ins() -> list[ExamMethod]:
    """BT.2446-A as itself, and as a network."""
    curve = load_curve("bt2446a")
    return [
        ExamMethod("bt2446a", "bt2446a", "curve", 1, curve),
        ExamMethod("irnet2", "irnet2", "network", 1, curve),
    ]


def test_every_method_answers_every_frame_and_always_alike(tiny_set):
    methods = stand_ins()
    done = 0

    def advance() -> None:
        nonlocal done
        done += 1

    result = hold_exam(tiny_set, methods, advance)
    assert done == frame_count(tiny_set, methods)
    curve, network = result.methods
    assert curve.rows == network.rows
    assert set(curve.by_operator()) == set(OPERATORS)
    assert curve.anchored().frames == 2 * len(OPERATORS)
    # Nothing but 8 bits and 4:2:0 lies between the curve and what its own inverse shows.
    assert curve.by_operator()["bt2446a"].psnr_db > 34.0
    assert curve.by_operator()["bt2446a"].psnr_db > curve.by_operator()["bt709_camera"].psnr_db
    losses = list(curve.ladder_loss_db().values())
    assert losses == sorted(losses)
    assert curve.aligned_pairs_psnr_db() >= curve.part("pair").psnr_db
    _, gained_db = curve.common_gain()
    assert curve.part("pair").psnr_db <= gained_db <= curve.aligned_pairs_psnr_db() + 0.01
    assert set(curve.highlights_cd_m2()) == {"st_peters_square_night"}
    json.dumps(result_content(result))


def test_one_gain_is_a_compromise():
    """One pair wants 0.2 stops less, the other 1.0."""
    stops, gained_db = exam_result(pair_db=31.0).methods[-1].common_gain()
    assert stops == -0.6
    assert gained_db == pytest.approx(31.0 - 0.4**2)


def test_false_colour_names_the_light():
    light = torch.tensor([0.1, 5.0, 150.0, 1000.0]).reshape(1, 1, 1, 4).expand(1, 3, 1, 4)
    found = [tuple(colour) for colour in false_colour(light)[0].tolist()]
    bounds = [0.0, 2.0, 100.0, 1000.0]
    assert found == [dict(FALSE_COLOURS)[bound] for bound in bounds]


def test_viewing_keeps_order_and_ends_at_white():
    light = torch.tensor([0.0, 1.0, 203.0, 1000.0]).reshape(1, 1, 1, 4).expand(1, 3, 1, 4)
    shown = for_viewing(light)[0, 1, 0]
    assert float(shown[0]) == 0.0
    assert float(shown[3]) == pytest.approx(1.0, abs=1e-4)
    assert bool((shown.diff() > 0).all())


def test_sheet_shows_scene_by_scene(tiny_set, tmp_path: Path):
    path = tmp_path / "sheet.png"
    draw_sheet(path, tiny_set, stand_ins())
    (picture,) = read_coded_pictures(path)
    green = picture.planes.luma
    # Two rows of 192 px for the one scene, a heading and a legend; four pictures side by side.
    assert green.shape == (22 + 2 * 196 + 44, 4 + 4 * 324)
    curve, network = (green[22:214, left : left + 320] for left in (328, 652))
    assert np.array_equal(curve, network)
    assert curve.std() > 10


def no_exam(*arguments: object) -> NoReturn:
    raise AssertionError("The exam was held.")


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--model", "irnet9"], 6, 'no model "irnet9"; expected one of bt2408'),
        (["--set", "nowhere"], 3, "of the exam set cannot be read"),
        (["--title", "Best"], 2, "give --publish"),
        (["--model", "bt2408", "--publish", "out"], 2, "no network to publish"),
        (["--model", "bt2408", "--sheet", "sheet.png"], 2, "one network of scale 1"),
        (["--weights-dir", "."], 6, "holds no network's weights"),
        (["--markdown", "there.md"], 5, "--overwrite"),
        (["--model", "irnet9", "--markdown", "link.md"], 5, "--overwrite"),
        (["--model", "irnet9", "--markdown", "nowhere/x.md"], 5, "nowhere does not exist"),
        # These two were told when the exam had been held.
        (["--model", "irnet1", "--publish", "out", "--recipe", "x.toml"], 2, "x.toml cannot be"),
        (["--model", "irnet1", "--publish", "there.md/out"], 5, "there.md/out cannot be made"),
        (["--model", "irnet1", "--publish", "mine"], 5, "irnet1.json exists already; --overwrite"),
    ],
)
def test_wrong_wishes_are_refused_before_the_work(
    arguments: list[str],
    code: int,
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    monkeypatch.chdir(tmp_path)
    Path("there.md").write_text("mine")
    Path("link.md").symlink_to("elsewhere.md")
    Path("mine").mkdir()
    Path("mine/irnet1.json").write_text("mine")
    monkeypatch.setattr("sdr2hdr.exam.run.hold_exam", no_exam)
    assert run(["exam", *arguments]) == code
    assert said in capsys.readouterr().err
    assert Path("there.md").read_text() == "mine"


def test_exam_of_a_small_folder_prints_and_writes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], small_set, monkeypatch: pytest.MonkeyPatch
):
    folder = tmp_path / "mine"
    scene, pair = small_set.scenes[0].scene.path, small_set.pairs[0].files
    lines = (small_set.folder / "exam.toml").read_text().split("\n\n")
    wanted = [part for part in lines if "st_peters" in part or "uhdr_amber" in part]
    folder.mkdir()
    (folder / "exam.toml").write_text('name = "mine"\n\n' + "\n\n".join(wanted) + "\n")
    for path in (scene, pair.sdr, pair.hdr):
        copy = folder / path.relative_to(small_set.folder)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(path.read_bytes())
    table, everything = tmp_path / "exam.md", tmp_path / "exam.json"
    arguments = ["exam", "--set", str(folder), "--model", "bt2446a", "--threads", "1"]
    assert run([*arguments, "--markdown", str(table), "--json-file", str(everything)]) == 0
    shown = capsys.readouterr().out
    assert "Real pairs: PSNR, Delta E ITP" in shown
    content = json.loads(everything.read_text())
    assert (content["set"], content["scenes"], content["pairs"]) == ("mine", 1, 1)
    assert [method["name"] for method in content["methods"]] == ["bt2408", "bt2446a", "bt2446c"]
    graded = content["methods"][1]
    assert f"{graded['scenes']['psnr_db']:.2f}" in shown
    assert "| uhdr_amber_lamp |" in table.read_text()


def test_models_shows_a_card(capsys: pytest.CaptureFixture[str]):
    assert run(["models", "--card", "irnet2"]) == 0
    text = capsys.readouterr().out
    for part in ("status", "Training data", "Known failures", "Degradations", "SHA-256"):
        assert part in text
    assert run(["models", "--card", "irnet2", "--json"]) == 0
    event = json.loads(capsys.readouterr().out)
    assert (event["event"], event["name"], event["scale"]) == ("card", "irnet2", 1)
    assert event["form"] == "residual on bt2446a"


def test_models_has_no_card_for_a_curve(capsys: pytest.CaptureFixture[str]):
    assert run(["models", "--card", "bt2446a"]) == 6
    assert "bt2446a is a curve" in capsys.readouterr().err
