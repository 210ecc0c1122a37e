"""ONNX Runtime gives what torch gives, from graphs that are exported once."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from known_network import MAP_ROUNDING_CODES

from sdr2hdr.engine import load_engine, onnx_backend
from sdr2hdr.engine.graph_cache import GraphCache, module_key
from sdr2hdr.engine.onnx_backend import prepare_for_onnx
from sdr2hdr.engine.placement import Placement, resolve_placement
from sdr2hdr.engine.tile_choice import tuned_tile
from sdr2hdr.engine.tile_workers import TileWorkers
from sdr2hdr.engine.tiling import MapBuffers, run_program
from sdr2hdr.engine.user_cache import cache_folder
from sdr2hdr.networks.collapse import collapse
from sdr2hdr.networks.gpgmnet import GPGMNet
from sdr2hdr.networks.irnet import IRNet
from sdr2hdr.networks.network import Network
from sdr2hdr.networks.stages import Program, Stage
from sdr2hdr.options import EngineOptions

ONNX = EngineOptions(device="cpu", backend="onnx")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache with the graphs of a small IRNet."""
    folder = tmp_path_factory.mktemp("graphs") / "made" / "when needed"
    prepare(small(), folder)
    return folder


def small() -> Network:
    torch.manual_seed(11)
    return IRNet(1, 16, 2).eval().requires_grad_(False)


def prepare(network: Network, folder: Path) -> Program:
    return prepare_for_onnx(network.program(), resolve_placement(ONNX), GraphCache(folder))


def run(program: Program, pixels: torch.Tensor) -> torch.Tensor:
    buffers = MapBuffers(memory_format=torch.contiguous_format)
    return run_program(program, pixels, 24, buffers, TileWorkers(2))


@pytest.fixture
def exports(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Outputs of the graphs that were exported."""
    exported = []
    export = onnx_backend.module_to_onnx

    def counted(module, examples, input_names, output):
        exported.append(output)
        return export(module, examples, input_names, output)

    monkeypatch.setattr(onnx_backend, "module_to_onnx", counted)
    return exported


def test_irnet2_is_within_a_code_of_torch(known, picture, batch):
    frames = batch(torch.cat((picture(101, 147), picture(101, 147).flip(2) * 0.4)))
    engine = load_engine("irnet2", 1, replace(known, backend="onnx"), tile_px=40)
    assert engine.backend == "onnx"
    ours = engine.run(frames).pixels * 1023
    torchs = load_engine("irnet2", 1, replace(known, backend="torch"), tile_px=56).run(frames)
    assert (ours - torchs.pixels * 1023).abs().max() < 2 * MAP_ROUNDING_CODES
    assert (ours.round() != (torchs.pixels * 1023).round()).float().mean() < 0.001


def test_collapsed_gpgmnet_is_the_trained_one(picture, tmp_path):
    torch.manual_seed(3)
    gpgmnet = GPGMNet(4, modules=2, channels=16).eval().requires_grad_(False)
    program = prepare_for_onnx(collapse(gpgmnet), resolve_placement(ONNX), GraphCache(tmp_path))
    for height_px, width_px in ((61, 75), (2, 9)):
        pixels = picture(height_px, width_px)
        assert ((run(program, pixels) - gpgmnet(pixels)) * 1023).abs().max() < 0.1


def test_graphs_take_any_size(folder, picture):
    network = small()
    program = prepare(network, folder)
    for height_px, width_px in ((1, 1), (3, 90), (64, 47)):
        pixels = picture(height_px, width_px)
        torch.testing.assert_close(run(program, pixels), network(pixels), rtol=1e-4, atol=1e-4)


def test_a_second_run_exports_nothing(folder, exports):
    prepare(small(), folder)
    assert exports == []


def test_other_weights_are_other_graphs(folder, exports, tmp_path, picture):
    shutil.copytree(folder, tmp_path / "copy")
    network = small()
    torch.nn.init.normal_(network.get_parameter("blocks.0.conv1.bias"))
    program = prepare(network, tmp_path / "copy")
    # The first stage holds that layer, the second does not.
    assert len(exports) == 1
    pixels = picture(30, 30)
    torch.testing.assert_close(run(program, pixels), network(pixels), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("damage", ["flipped bit", "cut short", "empty"])
def test_damaged_graphs_are_exported_again(damage, folder, exports, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    path = sorted(copy.iterdir())[0]
    good = path.read_bytes()
    bad = bytearray(good)
    bad[len(bad) // 2] ^= 1
    path.write_bytes({"flipped bit": bytes(bad), "cut short": good[:-5], "empty": b""}[damage])
    prepare(small(), copy)
    assert len(exports) == 1
    prepare(small(), copy)
    assert len(exports) == 1


def test_a_cache_that_cannot_be_written_is_done_without(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    cache = GraphCache(tmp_path / "file" / "cache")
    assert cache.get("key", lambda: b"graph") == b"graph"


def test_a_user_without_a_home_does_without_a_cache(monkeypatch: pytest.MonkeyPatch):
    """As a container or a scheduler runs programs, under a number without an account."""
    for name in ("SDR2HDR_CACHE", "XDG_CACHE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "home", homeless)
        assert GraphCache().get("key", lambda: b"graph") == b"graph"
        assert tuned_tile("irnet2", Placement("torch", torch.device("cpu"), "fp32", 2)) is None


def homeless() -> Path:
    """As `Path.home` for a user of whom the system knows nothing."""
    raise RuntimeError("Could not determine home directory.")


def test_onnx_runtime_tells_nobody_that_it_runs(tmp_path: Path):
    code = "from sdr2hdr.engine.onnx_runtime import onnxruntime; print(onnxruntime.__version__)"
    home = {"HOME": str(tmp_path), "XDG_CACHE_HOME": "", "TMPDIR": str(tmp_path)}
    environment = {name: value for name, value in os.environ.items() if "TELEMETRY" not in name}
    subprocess.run([sys.executable, "-c", code], env=environment | home, check=True)
    assert list(tmp_path.iterdir()) == []


def test_nothing_unfinished_is_left_in_the_cache(folder):
    assert {path.suffix for path in folder.iterdir()} == {".graph"}
    assert len(list(folder.iterdir())) == 2


def test_the_cache_is_where_the_user_says(monkeypatch, tmp_path):
    monkeypatch.setenv("SDR2HDR_CACHE", str(tmp_path / "own"))
    assert cache_folder() == tmp_path / "own"
    monkeypatch.delenv("SDR2HDR_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "sdr2hdr"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr("sys.platform", "linux")
    assert cache_folder() == Path.home() / ".cache" / "sdr2hdr"


def test_keys_depend_on_the_source_of_layers(tmp_path, monkeypatch):
    """A graph is exported anew where a layer of another file computes something else."""
    keys = []
    for factor in (1, 2):
        path = tmp_path / f"layer_{factor}.py"
        path.write_text(
            "from torch import nn\n\n\nclass Layer(nn.Module):\n"
            f"    def forward(self, x):\n        return {factor} * x\n"
        )
        spec = importlib.util.spec_from_file_location(path.stem, path)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, path.stem, module)
        spec.loader.exec_module(module)
        keys.append(module_key(torch.nn.Sequential(module.Layer()), "a"))
    assert keys[0] != keys[1]


def test_keys_are_the_same_for_the_same_module_alone():
    first, second = small().program()
    again = small().program()[0]
    assert isinstance(first, Stage)
    assert module_key(first.module, "a") == module_key(again.module, "a")
    assert module_key(first.module, "a") != module_key(first.module, "b")
    assert module_key(first.module, "a") != module_key(second.module, "a")
    assert module_key(first.module, "a") != module_key(again.module.half(), "a")
