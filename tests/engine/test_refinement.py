"""A network given the curve's picture: engine, exported graph and plain composition agree."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

from sdr2hdr.curves import load_curve
from sdr2hdr.engine import engine as engine_module
from sdr2hdr.engine import export, load_engine
from sdr2hdr.engine.export import export_onnx
from sdr2hdr.engine.whole_program import WholeProgram
from sdr2hdr.networks.card import Form, ModelCard
from sdr2hdr.networks.gpgmnet import GPGMNet
from sdr2hdr.networks.network import Network
from sdr2hdr.networks.weights import find_card
from sdr2hdr.options import EngineOptions


@pytest.fixture
def refinement(monkeypatch: pytest.MonkeyPatch) -> Network:
    """A small random GPGMNet, found where the weights of gpgmnet-x2 would be."""
    torch.manual_seed(9)
    network = GPGMNet(2, modules=1, channels=16).eval().requires_grad_(False)
    card = find_card("irnet2")
    assert card is not None
    card = replace(card, name="gpgmnet-x2", scale=2, form=Form.REFINEMENT_BT2446A)

    def load(name: str, weights_dir: Path | None = None) -> tuple[Network, ModelCard]:
        assert name == "gpgmnet-x2"
        return network, card

    monkeypatch.setattr(engine_module, "load_network", load)
    monkeypatch.setattr(export, "load_network", load)
    return network


def test_engine_and_exported_graph_are_the_plain_composition(refinement, picture, batch, tmp_path):
    pixels = picture(45, 58)
    whole = WholeProgram(refinement.program(), margin_px=8)
    plain = whole(load_curve("bt2446a")(pixels)).clamp(0, 1)
    assert ((plain - whole(pixels).clamp(0, 1)) * 1023).abs().max() > 1
    for tile_px in (20, 128):
        options = EngineOptions(device="cpu", backend="torch", precision="fp32")
        found = load_engine("gpgmnet-x2", 2, options, tile_px).run(batch(pixels)).pixels
        assert ((found - plain) * 1023).abs().max() < 0.5
    target = tmp_path / "refinement.onnx"
    export_onnx("gpgmnet-x2", target)
    session = onnxruntime.InferenceSession(target, providers=["CPUExecutionProvider"])
    (result,) = session.run(["hdr"], {"sdr": pixels.numpy()})
    assert np.abs(np.asarray(result) - plain.numpy()).max() * 1023 < 0.5
