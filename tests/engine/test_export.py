"""`export` writes one graph that says what it is and computes what the engine computes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from sdr2hdr.curves import load_curve
from sdr2hdr.engine import export, load_engine
from sdr2hdr.engine.export import export_onnx
from sdr2hdr.errors import ModelError, OutputError, Sdr2HdrError, WeightsError
from sdr2hdr.networks.weights import find_card
from sdr2hdr.options import EngineOptions


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("export") / "irnet2.onnx"
    export_onnx("irnet2", target)
    return target


@pytest.fixture(scope="module")
def exported_curve(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("export") / "bt2446c.onnx"
    export_onnx("bt2446c", target)
    return target


def run(path: Path, pixels: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (result,) = session.run(["hdr"], {"sdr": pixels})
    return np.asarray(result)


def test_the_graph_gives_what_the_engine_gives(exported, picture, batch):
    pixels = picture(75, 98)
    options = EngineOptions(device="cpu", precision="fp32")
    expected = load_engine("irnet2", 1, options).run(batch(pixels)).pixels
    found = run(exported, pixels.numpy())
    assert np.abs(found - expected.numpy()).max() * 1023 < 0.05
    assert found.min() >= 0
    assert found.max() <= 1


def test_a_curve_is_a_graph_too(exported_curve, picture):
    pixels = picture(31, 44)
    expected = load_curve("bt2446c")(pixels).numpy()
    assert np.abs(run(exported_curve, pixels.numpy()) - expected).max() * 1023 < 0.05


def test_black_is_black(exported_curve):
    assert run(exported_curve, np.zeros((1, 3, 8, 8), np.float32)).max() * 1023 < 0.5


def test_the_graph_says_what_it_is(exported):
    model = onnx.load(exported)
    onnx.checker.check_model(model, full_check=True)
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    card = find_card("irnet2")
    assert card is not None
    assert metadata["model"] == "irnet2"
    assert metadata["scale"] == "1"
    assert metadata["licence"] == card.licence
    assert metadata["weights_sha256"] == card.sha256
    assert len(json.loads(metadata["training_data"])) == len(card.training_data)
    assert "BT.709" in metadata["input_signal"]
    assert "BT.2020" in metadata["output_signal"]
    assert "whole frame" in metadata["tiling"]
    (given,), (taken,) = model.graph.input, model.graph.output
    axes = [d.dim_param or d.dim_value for d in given.type.tensor_type.shape.dim]
    assert (given.name, taken.name) == ("sdr", "hdr")
    assert axes == ["batch", 3, "height", "width"]


def test_only_the_target_is_left(exported):
    assert [path.name for path in exported.parent.iterdir()] == ["irnet2.onnx"]


def test_existing_and_impossible_targets_are_refused(tmp_path):
    target = tmp_path / "there.onnx"
    target.write_text("mine")
    with pytest.raises(OutputError, match="--overwrite"):
        export_onnx("bt2408", target)
    assert target.read_text() == "mine"
    with pytest.raises(OutputError, match="does not exist"):
        export_onnx("bt2408", tmp_path / "nowhere" / "new.onnx")


def test_overwriting_replaces_the_file(tmp_path, picture):
    target = tmp_path / "there.onnx"
    target.write_text("old")
    export_onnx("bt2408", target, overwrite=True)
    assert run(target, picture(8, 8).numpy()).shape == (1, 3, 8, 8)


def test_unknown_models_and_missing_weights_are_refused(tmp_path):
    with pytest.raises(ModelError, match=r'"irnet9"; expected one of bt2408,.* \(MODEL\)'):
        export_onnx("irnet9", tmp_path / "a.onnx")
    with pytest.raises(WeightsError):
        export_onnx("irnet2", tmp_path / "a.onnx", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_graph_that_differs_from_torch_is_not_written(tmp_path, monkeypatch):
    monkeypatch.setattr(export, "CLOSENESS", -1.0)
    with pytest.raises(Sdr2HdrError, match="Nothing was written"):
        export_onnx("bt2408", tmp_path / "a.onnx")
    assert list(tmp_path.iterdir()) == []
