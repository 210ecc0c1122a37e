from __future__ import annotations

import subprocess
import sys

import pytest

from sdr2hdr.errors import ModelError
from sdr2hdr.networks.macs import macs_per_pixel
from sdr2hdr.networks.registry import (
    NETWORKS,
    NetworkSpec,
    build,
    is_network,
    resolve,
    resolve_exactly,
)


@pytest.mark.parametrize("spec", NETWORKS, ids=lambda spec: spec.name)
def test_constants_are_those_of_the_module(spec: NetworkSpec) -> None:
    network = build(spec)
    assert network.scale == spec.scale
    assert sum(p.numel() for p in network.parameters()) == spec.parameters
    assert macs_per_pixel(network) == spec.macs_per_pixel


@pytest.mark.parametrize(
    ("name", "width", "height", "giga"),
    [
        ("irnet2", 3840, 2160, 1104.15),
        ("irnet1", 3840, 2160, 404.10),
        ("irnet5-x4", 960, 540, 251.35),
    ],
)
def test_multiply_adds_are_the_papers(name: str, width: int, height: int, giga: float) -> None:
    spec = next(spec for spec in NETWORKS if spec.name == name)
    assert abs(spec.macs_per_pixel * width * height / 1e9 - giga) <= 0.0051


@pytest.mark.parametrize(("name", "giga"), [("irnet2", 1103.09), ("irnet1", 403.70)])
def test_pooling_is_blocks_times_channels_a_pixel(name: str, giga: float) -> None:
    spec = next(spec for spec in NETWORKS if spec.name == name)
    convolutions = spec.macs_per_pixel - spec.blocks * spec.channels
    assert abs(convolutions * 3840 * 2160 / 1e9 - giga) <= 0.0051


@pytest.mark.parametrize(
    ("asked", "scale", "found"),
    [
        ("irnet2", 1, "irnet2"),
        ("irnet1", 1, "irnet1"),
        ("irnet5", 2, "irnet5-x2"),
        ("irnet5", 4, "irnet5-x4"),
        ("gpgmnet", 2, "gpgmnet-x2"),
        ("gpgmnet", 4, "gpgmnet-x4"),
        ("gpgmnet-x4", 4, "gpgmnet-x4"),
    ],
)
def test_names_and_families_are_found(asked: str, scale: int, found: str) -> None:
    assert resolve(asked, scale).name == found
    assert is_network(asked)


def test_unknown_name_lists_the_known_ones() -> None:
    assert not is_network("irnet7")
    with pytest.raises(ModelError, match="irnet7") as caught:
        resolve("irnet7")
    assert all(spec.name in str(caught.value) for spec in NETWORKS)
    assert caught.value.exit_code == 6


def test_a_family_is_refused_with_its_networks_where_no_scale_is_given() -> None:
    with pytest.raises(ModelError, match='"gpgmnet" stands for gpgmnet-x2 and gpgmnet-x4'):
        resolve_exactly("gpgmnet")
    assert resolve_exactly("gpgmnet-x4").scale == 4
    assert resolve_exactly("irnet2").name == "irnet2"


@pytest.mark.parametrize(
    ("name", "scale", "said"),
    [
        ("irnet2", 4, "at x1 only, and x4 was asked for"),
        ("gpgmnet", 1, "at x2 and x4 only, and x1 was asked for"),
        ("gpgmnet-x2", 4, "at x2 only, and x4 was asked for; try --model irnet5-x4 or gpgmnet-x4"),
        ("irnet5", 3, "no network does that: change --scale"),
    ],
)
def test_lacking_scale_is_refused_with_those_there_are(name: str, scale: int, said: str) -> None:
    with pytest.raises(ModelError) as caught:
        resolve(name, scale)
    assert said in str(caught.value)


def test_listing_networks_and_their_cards_imports_no_torch() -> None:
    program = (
        "import sys\n"
        "from sdr2hdr.networks.registry import NETWORKS\n"
        "from sdr2hdr.networks.weights import find_card\n"
        "print(len([find_card(spec.name) for spec in NETWORKS]))\n"
        "sys.exit(any(name in sys.modules for name in ('torch', 'safetensors', 'numpy')))\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert (run.returncode, run.stdout) == (0, f"{len(NETWORKS)}\n"), run.stderr
