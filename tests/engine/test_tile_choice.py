"""The tile: tuned, else from the cache; a broken file of tuned tiles is none."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from sdr2hdr.engine import load_engine, tile_choice
from sdr2hdr.engine.placement import Placement
from sdr2hdr.engine.tile_choice import choose_tile_px, store_tuned_tile, tuned_tile
from sdr2hdr.options import EngineOptions

CPU = Placement("torch", torch.device("cpu"), "fp32", 2)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SDR2HDR_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.mark.parametrize(
    ("cache_bytes", "tile_px"),
    [(None, 240), (64 << 10, 64), (256 << 10, 240), (512 << 10, 240), (2 << 20, 240)],
)
def test_the_cache_decides(cache_bytes, tile_px, monkeypatch):
    monkeypatch.setattr(tile_choice, "l2_cache_bytes", lambda: cache_bytes)
    assert choose_tile_px("irnet2", CPU) == tile_px
    assert choose_tile_px("irnet2", replace(CPU, threads=8)) == tile_px
    assert choose_tile_px("irnet2", replace(CPU, threads=9)) == min(tile_px, 128)
    assert choose_tile_px("irnet2", replace(CPU, backend="onnx")) == min(tile_px, 128)


def test_half_precision_takes_larger_tiles_on_few_threads(monkeypatch):
    monkeypatch.setattr(tile_choice, "l2_cache_bytes", lambda: 1 << 20)
    monkeypatch.setattr(tile_choice, "has_amx", lambda: False)
    half = replace(CPU, precision="bf16")
    assert choose_tile_px("irnet2", half) == 320
    assert choose_tile_px("irnet2", replace(half, threads=3)) == 240
    assert choose_tile_px("irnet2", replace(half, backend="onnx")) == 128
    monkeypatch.setattr(tile_choice, "has_amx", lambda: True)
    assert choose_tile_px("irnet2", half) == 240
    monkeypatch.setattr(tile_choice, "l2_cache_bytes", lambda: 128 << 10)
    assert choose_tile_px("irnet2", half) == 64


def test_a_tuned_tile_goes_before_the_cache():
    store_tuned_tile("irnet2", CPU, 80)
    store_tuned_tile("irnet1", CPU, 112)
    assert choose_tile_px("irnet2", CPU) == 80
    assert tuned_tile("irnet1", CPU) == 112
    assert tuned_tile("irnet2", Placement("onnx", CPU.device, "fp32", 2)) is None
    assert tuned_tile("irnet2", replace(CPU, threads=32)) is None, "they share a cache"
    options = EngineOptions(device="cpu", backend="torch", precision="fp32", threads=2)
    assert load_engine("irnet2", 1, options).tile_px == 80
    assert load_engine("irnet2", 1, options, tile_px=48).tile_px == 48


@pytest.mark.parametrize("content", ["", "[1, 2]", "{", '{"irnet2": 5}'])
def test_a_broken_file_is_none(content, cache):
    cache.mkdir()
    (cache / "tiles.json").write_text(content)
    assert tuned_tile("irnet2", CPU) is None
    store_tuned_tile("irnet2", CPU, 64)
    assert tuned_tile("irnet2", CPU) == 64


def test_a_tile_of_nothing_but_halo_is_refused():
    with pytest.raises(ValueError, match="16 or more"):
        store_tuned_tile("irnet2", CPU, 8)
