from __future__ import annotations

from pathlib import Path

import pytest
import torch
from exam_results import exam_result

from sdr2hdr.exam import publication
from sdr2hdr.exam.publication import publish_examined
from sdr2hdr.networks.registry import build, resolve_exactly
from sdr2hdr.networks.weights import load_network
from sdr2hdr.training.publishing import Run, publish
from sdr2hdr.training.recipe import Recipe
from sdr2hdr.training.recipe_file import find_recipe, read_recipe


@pytest.fixture(name="run")
def _run(tmp_path: Path) -> Path:
    """A training's folder of weights: irnet1, a little different from the curve."""
    torch.manual_seed(3)
    spec = resolve_exactly("irnet1")
    network = build(spec)
    tensors = {name: 0.02 * tensor for name, tensor in network.state_dict().items()}
    publish(tmp_path / "run", spec, tensors, Recipe(), Run(500, 7200.0, 2, "cpu"), [])
    return tmp_path / "run"


def test_examined_weights_become_a_small_release(run: Path, tmp_path: Path, tiny_set):
    recipe = read_recipe(find_recipe("irnet1"))
    result = exam_result("irnet1", title_card_white_cd_m2=700.0)
    out = tmp_path / "weights"
    published = publish_examined(out, "irnet1", run, tiny_set, result, recipe, None, ["Noisy."])
    network, card = load_network("irnet1", out)
    before, _ = load_network("irnet1", run)
    assert card == published.card
    assert (card.status, card.storage) == ("release", "float16")
    assert abs(published.half_costs_db) < 0.01
    small, large = ((folder / "irnet1.safetensors").stat().st_size for folder in (out, run))
    assert small < 0.55 * large
    for ours, theirs in zip(network.parameters(), before.parameters(), strict=True):
        assert ours.dtype == torch.float32
        assert torch.equal(ours, theirs.half().float())
    assert card.training.steps == 500
    assert card.training.hours == 2.0
    assert any("H.264" in text for text in card.degradations)
    assert "Noisy." in card.known_failures
    assert any("white of the title card: 700.00 cd/m2" in text for text in card.known_failures)
    assert {score.value for score in card.scores} >= {42.0, 31.0, 40.0}


def test_a_second_exam_replaces_the_first(run: Path, tiny_set, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(publication, "_cost_db", lambda *_: 0.0)
    recipe = read_recipe(find_recipe("irnet1"))
    first = publish_examined(
        run, "irnet1", run, tiny_set, exam_result("irnet1", anchored_db=30.0), recipe
    )
    assert first.card.status == "pilot"
    second = publish_examined(run, "irnet1", run, tiny_set, exam_result("irnet1"), recipe)
    assert second.card.status == "release"
    assert not any(text.startswith("Exam") for text in second.card.known_failures)
    assert len(second.card.scores) == len(first.card.scores)


def test_weights_that_half_precision_spoils_stay_single(
    run: Path, tmp_path: Path, tiny_set, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(publication, "_cost_db", lambda *_: 0.02)
    recipe = read_recipe(find_recipe("irnet1"))
    published = publish_examined(
        tmp_path / "weights", "irnet1", run, tiny_set, exam_result("irnet1"), recipe
    )
    assert published.card.storage == "float32"
    assert (tmp_path / "weights" / "irnet1.safetensors").stat().st_size == (
        run / "irnet1.safetensors"
    ).stat().st_size
