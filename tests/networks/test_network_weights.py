from __future__ import annotations

import dataclasses
import hashlib
import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

from sdr2hdr.errors import ModelError, WeightsError
from sdr2hdr.networks.card import DataSource, Form, Score, read_card, write_card
from sdr2hdr.networks.registry import NETWORKS, build, resolve_exactly
from sdr2hdr.networks.weights import WEIGHTS_VARIABLE, find_card, load_network, weights_folder
from sdr2hdr.signal import BT709_DISPLAY, HDR_DISPLAY
from sdr2hdr.training.publishing import Run, publish
from sdr2hdr.training.recipe_file import find_recipe, read_recipe

RUN = Run(steps=1, seconds=1.0, threads=1, device="cpu")
Tensors = dict[str, torch.Tensor]


@pytest.fixture(autouse=True)
def _no_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(WEIGHTS_VARIABLE, raising=False)


@pytest.fixture(name="folder")
def _folder(tmp_path: Path) -> Path:
    """Weights of irnet2, not trained and in single precision, that a test may spoil."""
    spec = resolve_exactly("irnet2")
    torch.manual_seed(5)
    recipe = read_recipe(find_recipe("irnet2"))
    publish(tmp_path / "weights", spec, build(spec).state_dict(), recipe, RUN, [])
    return tmp_path / "weights"


def _edit_card(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    path = folder / "irnet2.json"
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def _replace_file(folder: Path, content: bytes) -> None:
    """New bytes, and a card that vouches for them."""
    (folder / "irnet2.safetensors").write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    _edit_card(folder, lambda card: card.update(sha256=digest))


def _edit_tensors(folder: Path, change: Callable[[Tensors], object]) -> None:
    tensors = safetensors.torch.load((folder / "irnet2.safetensors").read_bytes())
    change(tensors)
    _replace_file(folder, safetensors.torch.save(tensors))


def _refusal(folder: Path) -> str:
    with pytest.raises(WeightsError) as caught:
        load_network("irnet2", folder)
    assert caught.value.exit_code == 6
    return str(caught.value)


def test_shipped_weights_load_and_say_what_they_are() -> None:
    network, card = load_network("irnet2")
    assert (card.form, card.scale) == (Form.RESIDUAL_BT2446A, 1)
    assert card.status in ("pilot", "release")
    assert (card.input, card.output) == (BT709_DISPLAY, HDR_DISPLAY)
    assert not network.training
    assert all(p.dtype == torch.float32 and not p.requires_grad for p in network.parameters())
    picture = torch.linspace(0, 1, 3 * 40 * 48).reshape(1, 3, 40, 48)
    residual = network(picture)
    assert residual.shape == (1, 3, 40, 48)
    # Trained, and a correction: neither nothing nor a picture of its own.
    assert 1e-3 < float(residual.abs().mean()) < 0.2


def test_tensors_are_copied_unchanged(folder: Path) -> None:
    network, _ = load_network("irnet2", folder)
    stored = safetensors.torch.load((folder / "irnet2.safetensors").read_bytes())
    state = network.state_dict()
    assert state.keys() == stored.keys()
    assert all(torch.equal(state[name], stored[name]) for name in stored)


def test_every_card_in_the_repository_fits_its_weights() -> None:
    cards = [find_card(spec.name) for spec in NETWORKS]
    found = {card.name for card in cards if card is not None}
    assert found == {path.stem for path in weights_folder().glob("*.safetensors")}
    assert found == {path.stem for path in weights_folder().glob("*.json")}
    for name in found:
        load_network(name)


def test_weights_are_found_from_any_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert (weights_folder() / "irnet2.safetensors").is_file()


def test_option_comes_before_variable_before_installation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    named, explicit = tmp_path / "named", tmp_path / "explicit"
    named.mkdir()
    explicit.mkdir()
    monkeypatch.setenv(WEIGHTS_VARIABLE, str(named))
    assert weights_folder() == named
    assert weights_folder(explicit) == explicit


@pytest.mark.parametrize("by_variable", [True, False])
def test_missing_folder_is_named_with_who_chose_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by_variable: bool
) -> None:
    missing = tmp_path / "nowhere"
    if by_variable:
        monkeypatch.setenv(WEIGHTS_VARIABLE, str(missing))
    with pytest.raises(WeightsError, match="nowhere") as caught:
        load_network("irnet2", None if by_variable else missing)
    assert (WEIGHTS_VARIABLE if by_variable else "from --weights-dir") in str(caught.value)


@pytest.mark.parametrize("name", [s.name for s in NETWORKS if s.name != "irnet2"])
def test_network_without_weights_says_so(name: str, folder: Path) -> None:
    assert find_card(name, folder) is None
    with pytest.raises(WeightsError, match=f"{name} has no weights yet"):
        load_network(name, folder)


def test_empty_folder_has_no_weights(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="irnet2 has no weights yet"):
        load_network("irnet2", tmp_path)


def test_unknown_network_is_not_a_matter_of_weights() -> None:
    with pytest.raises(ModelError, match='Unknown network "irnet7"'):
        load_network("irnet7")


@pytest.mark.parametrize("missing", ["irnet2.json", "irnet2.safetensors"])
def test_half_a_pair_is_incomplete(folder: Path, missing: str) -> None:
    (folder / missing).unlink()
    assert f"{missing} is missing" in _refusal(folder)


@pytest.mark.parametrize("position", [0, 3000, -1])
def test_one_changed_bit_is_found(folder: Path, position: int) -> None:
    path = folder / "irnet2.safetensors"
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    path.write_bytes(content)
    message = _refusal(folder)
    assert hashlib.sha256(content).hexdigest() in message
    assert read_card(folder / "irnet2.json").sha256 in message


def test_truncated_file_is_found(folder: Path) -> None:
    path = folder / "irnet2.safetensors"
    path.write_bytes(path.read_bytes()[:1000])
    assert "corrupted" in _refusal(folder)


def test_pickles_are_never_opened(folder: Path, tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path.touch, (tmp_path / "sprung",)

    _replace_file(folder, pickle.dumps(Trap()))
    assert "not a safetensors file" in _refusal(folder)
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda t: t.pop("body.bias"), 'lack the tensor "body.bias"'),
        (lambda t: t.update(extra=torch.zeros(1)), 'hold "extra"'),
        (lambda t: t.update({"body.bias": torch.zeros(65)}), r"shape (65,); expected (64,)"),
        (
            lambda t: t.update({"body.bias": torch.zeros(64, dtype=torch.float64)}),
            '"body.bias" is float64; expected float32, as the card says',
        ),
        (lambda t: t["body.bias"].fill_(float("nan")), '"body.bias" holds infinities or NaN'),
    ],
    ids=["missing", "extra", "shape", "dtype", "nan"],
)
def test_tensors_must_be_exactly_the_networks(
    folder: Path, change: Callable[[Tensors], object], said: str
) -> None:
    _edit_tensors(folder, change)
    assert said in _refusal(folder)


def test_half_precision_becomes_single(folder: Path) -> None:
    reference, _ = load_network("irnet2", folder)
    _edit_card(folder, lambda card: card.update(storage="float16"))
    _edit_tensors(folder, lambda t: t.update({k: v.half() for k, v in t.items()}))
    network, card = load_network("irnet2", folder)
    assert card.storage == "float16"
    for ours, theirs in zip(network.parameters(), reference.parameters(), strict=True):
        assert ours.dtype == torch.float32
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda c: c.pop("licence"), 'has no "licence"'),
        (lambda c: c.update(colour="blue"), 'has "colour" that nobody knows'),
        (lambda c: c.update(scale="1"), '"scale" is "1"; expected a whole number'),
        (lambda c: c.update(scale=True), '"scale" is true; expected a whole number'),
        (lambda c: c.update(scale=2), '"scale" is 2; expected 1'),
        (lambda c: c.update(name="irnet1"), '"name" is irnet1; expected irnet2'),
        (lambda c: c.update(parameters=5), '"parameters" is 5; expected 134731'),
        (lambda c: c.update(form="new"), "expected one of direct, residual on bt2446a"),
        (lambda c: c.update(status="good"), "expected one of pilot, release"),
        (lambda c: c.update(sha256="beef"), "expected 64 hexadecimal digits"),
        (lambda c: c["input"].update(primaries="BT999"), '"input": "primaries" is "BT999"'),
        (lambda c: c["training"].pop("steps"), '"training" has no "steps"'),
        (lambda c: c["training_data"].append(7), "is 7; expected an object"),
        (lambda c: c["training_data"][1].pop("source"), '"training_data"[1] has no "source"'),
        (lambda c: c.update(known_failures=[3]), '"known_failures"[0] is 3; expected text'),
        (lambda c: c.update(scores=[{"metric": "PSNR"}]), '"scores"[0] has no "unit"'),
    ],
)
def test_wrong_cards_are_refused(
    folder: Path, change: Callable[[dict[str, Any]], object], said: str
) -> None:
    _edit_card(folder, change)
    message = _refusal(folder)
    assert said in message
    assert "irnet2.json" in message


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe\x00", b'{"name": "irnet2"'])
def test_cards_that_are_no_json_objects_are_refused(folder: Path, content: bytes) -> None:
    (folder / "irnet2.json").write_bytes(content)
    assert "Model card" in _refusal(folder)


def test_scores_and_steps_are_read(folder: Path) -> None:
    score = {"metric": "PSNR", "unit": "dB", "data": "a set", "value": 31}
    _edit_card(folder, lambda c: c.update(scores=[score]))
    _edit_card(folder, lambda c: c["training"].update(steps=1000))
    card = read_card(folder / "irnet2.json")
    assert (card.scores[0].value, card.scores[0].unit) == (31.0, "dB")
    assert card.training.steps == 1000


def test_storage_must_be_what_the_card_says(folder: Path) -> None:
    _edit_tensors(folder, lambda t: t.update({"body.bias": t["body.bias"].half()}))
    assert "is float16; expected float32, as the card says" in _refusal(folder)
    _edit_card(folder, lambda card: card.update(storage="int8"))
    assert '"storage" is "int8"; expected one of float16, float32' in _refusal(folder)


def test_a_written_card_is_read_as_it_was(folder: Path, tmp_path: Path) -> None:
    card = read_card(folder / "irnet2.json")
    card = dataclasses.replace(
        card,
        degradations=("noise",),
        scores=(Score("mean PSNR", "dB", "here", 38.25),),
        training_data=(DataSource("someone", "CC0-1.0", "pictures"),),
    )
    write_card(tmp_path / "card.json", card)
    assert read_card(tmp_path / "card.json") == card


def test_cards_from_before_storage_and_degradations_are_read(folder: Path) -> None:
    _edit_card(folder, lambda card: [card.pop(key) for key in ("storage", "degradations")])
    card = read_card(folder / "irnet2.json")
    assert (card.storage, card.degradations) == ("float32", ())
