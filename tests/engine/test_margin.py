"""A frame's margin: no padding shows at its border, and nothing else sees the margin."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from sdr2hdr.engine import load_engine
from sdr2hdr.engine.tile_workers import TileWorkers
from sdr2hdr.engine.tiling import MapBuffers, reach_px, run_program, tiles
from sdr2hdr.engine.whole_program import WholeProgram
from sdr2hdr.networks.collapse import collapse
from sdr2hdr.networks.gpgmnet import GPGMNet
from sdr2hdr.networks.irnet import IRNet
from sdr2hdr.networks.network import Network
from sdr2hdr.networks.registry import NETWORKS
from sdr2hdr.networks.stages import Stage
from sdr2hdr.options import EngineOptions

BUILT = {
    "irnet n=2 C=32": (lambda: IRNet(2, 32), 6),
    "irnet n=3 C=16 x2": (lambda: IRNet(3, 16, 2), 9),
    "irnet n=1 C=16 x4": (lambda: IRNet(1, 16, 4), 6),
    "gpgmnet x2": (lambda: GPGMNet(2, modules=2, channels=16), 17),
}


@pytest.fixture(scope="module", params=list(BUILT))
def built(request: pytest.FixtureRequest) -> tuple[Network, int]:
    """A random network of float64, and how far it reaches, px."""
    torch.manual_seed(7)
    make, reach = BUILT[request.param]
    network = make().double().eval().requires_grad_(False)
    for name, parameter in network.named_parameters():
        if name.endswith("bias"):
            nn.init.normal_(parameter, std=0.1)
    return network, reach


def run(program, pixels, tile_px, margin_px, smooth=None) -> torch.Tensor:
    buffers = MapBuffers(pixels.dtype)
    return run_program(
        program, pixels, tile_px, buffers, TileWorkers(1), smooth, margin_px=margin_px
    )


@pytest.mark.parametrize("tile_px", [7, 64])
def test_border_is_that_of_a_larger_frame(built, picture, tile_px):
    network, reach = built
    program = collapse(network)
    assert reach_px(program) == reach
    pixels = picture(23, 31).double()
    seen: dict[str, torch.Tensor] = {}

    def keep(name: str, vector: torch.Tensor) -> torch.Tensor:
        return seen.setdefault(name, vector)

    found = run(program, pixels, tile_px, reach, keep)
    around = reach + 20
    larger = run(program, F.pad(pixels, (around,) * 4, mode="replicate"), 64, 0, keep)
    cut = around * network.scale
    assert (found - larger[..., cut:-cut, cut:-cut]).abs().max() < 1e-10
    without = run(program, pixels, tile_px, 0, keep)
    assert (found - without).abs().max() > 1e-3


@pytest.mark.parametrize(("height_px", "width_px"), [(23, 31), (1, 1), (2, 40)])
@pytest.mark.parametrize("margin_px", [0, 3, 30])
def test_tiled_is_whole_with_any_margin(built, picture, margin_px, height_px, width_px):
    network, _ = built
    pixels = picture(height_px, width_px).double()
    whole = WholeProgram(network.program(), margin_px)(pixels)
    for program in (network.program(), collapse(network)):
        for tile_px in (9, 64):
            assert (run(program, pixels, tile_px, margin_px) - whole).abs().max() < 1e-9


def test_cores_cover_what_is_wanted_once():
    covered = torch.zeros(20 + 2 * 6, 33 + 2 * 6)
    for tile in tiles(20, 33, 8, 3, margin_px=6, wanted_px=4):
        core = tile.core
        covered[core.top : core.bottom, core.left : core.right] += 1
        assert tile.sides.top == (tile.source.top == 0)
        assert tile.sides.right == (tile.source.right == 45)
    expected = torch.zeros_like(covered)
    expected[2:-2, 2:-2] = 1
    assert torch.equal(covered, expected)
    with pytest.raises(ValueError, match="7 px of its margin of 6"):
        next(tiles(20, 33, 8, 3, margin_px=6, wanted_px=7))


@pytest.mark.parametrize("spec", NETWORKS, ids=lambda spec: spec.name)
@pytest.mark.parametrize("grey", [0.5, 1.0])
def test_flat_frames_stay_flat_to_their_border(spec, grey, batch):
    engine = load_engine(spec.name, spec.scale, EngineOptions(device="cpu", precision="fp32"))
    codes = engine.run(batch(torch.full((1, 3, 64, 80), grey))).pixels * 1023
    distance = (codes - codes[..., codes.shape[2] // 2, codes.shape[3] // 2, None, None]).abs()
    print(f"{spec.name} {grey}: {float(distance.max()):.2f} codes")
    assert distance.max() < 3


class _Checked(nn.Module):
    """A stage that is given numbers alone."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, *inputs: torch.Tensor, **about: object) -> torch.Tensor:
        assert all(torch.isfinite(value).all() for value in inputs)
        return self.module(*inputs, **about)


@pytest.fixture
def fresh_memory_is_no_number():
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(False)


@pytest.mark.parametrize("width_px", [30, 31, 32, 33])
@pytest.mark.parametrize("make", [lambda: IRNet(2, 16), lambda: GPGMNet(2, 3, 16)])
def test_of_a_margin_that_is_not_computed_stages_see_numbers(
    picture, fresh_memory_is_no_number, make, width_px
):
    """What lies beside a tile is multiplied by 0 at most, and what is no number stays none."""
    assert torch.empty(1).isnan().all()
    program = collapse(make().eval().requires_grad_(False))
    checked = tuple(
        replace(step, module=_Checked(step.module)) if isinstance(step, Stage) else step
        for step in program
    )
    found = run(checked, picture(23, width_px), 16, reach_px(program))
    assert found.isfinite().all()
