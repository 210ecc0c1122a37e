"""Pictures to run methods on, and the methods themselves."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import pytest
import torch
from known_network import write_known_weights

from sdr2hdr.frames import FrameTime, RgbBatch, Timeline
from sdr2hdr.networks.gpgmnet import GPGMNet
from sdr2hdr.networks.network import Network
from sdr2hdr.networks.registry import build, resolve_exactly
from sdr2hdr.networks.weights import load_network
from sdr2hdr.options import EngineOptions
from sdr2hdr.signal import BT709_DISPLAY

PictureMaker = Callable[[int, int], torch.Tensor]
BatchMaker = Callable[[torch.Tensor], RgbBatch]


def make_picture(height_px: int, width_px: int) -> torch.Tensor:
    """Ramps, a hard-edged disc, fine stripes, clipped white and noise, in 8 bits."""
    y = torch.linspace(0, 1, height_px)[:, None].expand(height_px, width_px)
    x = torch.linspace(0, 1, width_px)[None, :].expand(height_px, width_px)
    disc = ((x - 0.6) ** 2 + (y - 0.4) ** 2 < 0.04).float()
    stripes = 0.1 * torch.sin(60 * x) * (y > 0.7)
    noise = 0.03 * torch.randn(3, height_px, width_px, generator=torch.Generator().manual_seed(1))
    picture = torch.stack((x, 0.8 * y + 0.1, 1 - x * y)) * 0.7 + 0.5 * disc + stripes + noise
    return ((picture.clamp(0, 1) * 255).round() / 255)[None]


@pytest.fixture(scope="session")
def picture() -> PictureMaker:
    return make_picture


@pytest.fixture(scope="session")
def batch() -> BatchMaker:
    def make(pixels: torch.Tensor) -> RgbBatch:
        times = tuple(FrameTime(i, 1) for i in range(pixels.shape[0]))
        return RgbBatch(pixels, BT709_DISPLAY, Timeline(Fraction(1, 25), times))

    return make


@pytest.fixture(scope="session")
def known_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with weights for irnet2 that stay the same whatever is shipped."""
    folder = tmp_path_factory.mktemp("weights")
    write_known_weights(folder, make_picture(101, 147))
    return folder


@pytest.fixture(scope="session")
def known(known_weights: Path) -> EngineOptions:
    """On a CPU in fp32, where "auto" is bf16 on some processors, with weights that stay."""
    return EngineOptions(device="cpu", precision="fp32", weights_dir=known_weights)


@pytest.fixture(scope="session")
def irnet2(known_weights: Path) -> Network:
    network, _ = load_network("irnet2", known_weights)
    return network


@pytest.fixture(scope="session")
def gpgmnet() -> GPGMNet:
    torch.manual_seed(3)
    network = build(resolve_exactly("gpgmnet-x2"))
    assert isinstance(network, GPGMNet)
    return network.eval().requires_grad_(False)


@pytest.fixture(autouse=True)
def own_threads():
    """An engine sets torch's number of threads for the whole process; put it back."""
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)
