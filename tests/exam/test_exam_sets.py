from __future__ import annotations

import shutil
import tomllib
from pathlib import Path

import pytest
import torch

from sdr2hdr.errors import InputError
from sdr2hdr.exam import sets
from sdr2hdr.exam.frames import LADDER_QPS, anchored_frames, ladder_frames, pair_frames
from sdr2hdr.exam.sets import LIST_NAME, read_exam_set, small_set_folder
from sdr2hdr.training.scenes import is_excluded, read_manifest
from sdr2hdr.training.tone_curves import OPERATORS

LICENCES = {
    "CC0-1.0",
    "CC-BY-4.0",
    "BSD-3-Clause",
    "Apache-2.0",
    "BSD-3-Clause AND MIT AND Apache-2.0",
}
FULL_LIST = Path(sets.__file__).with_name("full.toml")


@pytest.mark.parametrize("path", [FULL_LIST, small_set_folder() / LIST_NAME], ids=["full", "small"])
def test_nothing_examined_is_trained_on_and_all_is_licensed(path: Path):
    content = tomllib.loads(path.read_text())
    held_out = read_manifest(path.parent).validation
    for entry in content["scenes"]:
        assert Path(entry["file"]).stem in held_out
    for entry in content["pairs"]:
        assert is_excluded(Path(entry["sdr"]).stem)
        assert is_excluded(Path(entry["hdr"]).stem)
    for entry in (*content["scenes"], *content["pairs"]):
        assert entry["licence"] in LICENCES
        assert ": " in entry["source"]


def test_full_list_has_every_held_out_scene_and_set_u():
    content = tomllib.loads(FULL_LIST.read_text())
    names = {Path(entry["file"]).stem for entry in content["scenes"]}
    assert names == set(read_manifest(FULL_LIST.parent).validation)
    assert len(content["pairs"]) == 8


def test_small_set_is_small_and_complete(small_set):
    folder = small_set_folder()
    assert sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) < 6_000_000
    listed = {each.scene.path for each in small_set.scenes}
    listed |= {path for each in small_set.pairs for path in (each.files.sdr, each.files.hdr)}
    listed |= {folder / LIST_NAME, folder / "NOTICE.md"}
    assert listed == {path for path in folder.rglob("*") if path.is_file()}
    assert len(small_set.scenes) >= 6
    assert len(small_set.pairs) == 8


def test_changed_and_missing_pictures_are_refused(tmp_path: Path):
    folder = tmp_path / "exam"
    shutil.copytree(small_set_folder(), folder)
    victim = folder / "sdr" / "uhdr_lamps.png"
    victim.write_bytes(victim.read_bytes()[:-1] + b"x")
    with pytest.raises(InputError, match=r"uhdr_lamps\.png is not the picture of the exam set"):
        read_exam_set(folder)
    victim.unlink()
    with pytest.raises(InputError, match=r"uhdr_lamps\.png of the exam set cannot be read"):
        read_exam_set(folder)


def test_folder_without_a_list_is_the_full_set(tmp_path: Path):
    with pytest.raises(InputError, match=r"st_peters_square_night\.exr of the exam set"):
        read_exam_set(tmp_path)


def test_broken_list_is_refused(tmp_path: Path):
    (tmp_path / LIST_NAME).write_text('name = "x"\nscenes = []\n')
    with pytest.raises(InputError, match="cannot be read: KeyError"):
        read_exam_set(tmp_path)


@pytest.mark.parametrize("scale", [1, 4])
def test_frames_fit_the_scale_and_come_out_the_same_again(tiny_set, scale: int):
    operators = OPERATORS[:2]
    frames = list(anchored_frames(tiny_set.scenes, scale, operators))
    assert [(f.group, f.part) for f in frames] == [
        (operator, part) for operator in operators for part in ("clean", "compressed")
    ]
    for frame, again in zip(
        frames, anchored_frames(tiny_set.scenes, scale, operators), strict=True
    ):
        assert frame.pair.hdr.shape == (1, 3, 192, 320)
        assert frame.pair.sdr.shape == (1, 3, 192 // scale, 320 // scale)
        assert torch.equal(frame.pair.sdr, again.pair.sdr)
        assert torch.equal(frame.pair.hdr, again.pair.hdr)
    clean, compressed = frames[:2]
    assert torch.equal(clean.pair.hdr, compressed.pair.hdr)
    assert not torch.equal(clean.pair.sdr, compressed.pair.sdr)


def test_ladder_gets_worse_step_by_step(tiny_set):
    frames = list(ladder_frames(tiny_set.scenes, 1))
    assert [f.group for f in frames] == ["clean", *(f"qp{qp}" for qp in LADDER_QPS)]
    errors = [float((f.pair.sdr - frames[0].pair.sdr).square().mean()) for f in frames]
    assert errors == sorted(errors)
    assert errors[1] > 0.0


def test_pairs_are_given_smaller_to_super_resolution(tiny_set):
    for scale in (1, 2):
        (frame,) = pair_frames(tiny_set.pairs, scale)
        height, width = frame.pair.hdr.shape[2:]
        assert frame.pair.sdr.shape[2:] == (height // scale, width // scale)
