"""What a network is before its first step, and whom it learns from."""

import pytest
import torch
from safetensors.torch import save_file

from sdr2hdr.errors import InputError, UsageError
from sdr2hdr.networks.gpgmnet import GPGMNet
from sdr2hdr.networks.registry import build, resolve_exactly
from sdr2hdr.networks.weights import load_network
from sdr2hdr.training.forms import keep_last_layer_exact, predict
from sdr2hdr.training.initialisation import start_as_curve
from sdr2hdr.training.start_weights import load_start_weights
from sdr2hdr.training.teacher import load_teacher


def _seen_by_the_last_layer(network, pixels):
    seen = []
    handle = network.tail.register_forward_pre_hook(lambda layer, given: seen.append(given[0]))
    with torch.no_grad():
        network(pixels)
    handle.remove()
    return seen[0]


@pytest.mark.parametrize("scale", [2, 4])
def test_the_last_layer_of_a_new_gpgmnet_sees_the_picture(scale):
    torch.manual_seed(0)
    network = GPGMNet(scale).eval()
    picture = torch.rand(1, 3, 24, 32)

    def share_of_the_picture():
        features = _seen_by_the_last_layer(network, picture)
        of_grey = _seen_by_the_last_layer(network, torch.full_like(picture, 0.5))
        return float((features - of_grey).norm() / features.norm())

    before = share_of_the_picture()
    start_as_curve(network)
    assert share_of_the_picture() > 2.0 * before


@pytest.mark.parametrize("scale", [2, 4])
def test_a_new_gpgmnet_keeps_its_features_at_one_size(scale):
    torch.manual_seed(0)
    network = GPGMNet(scale).eval()
    start_as_curve(network)
    sizes = []
    for part in (network.head, *network.body, network.gather, network.upsample):
        part.register_forward_hook(lambda *about: sizes.append(float(about[-1].square().mean())))
    with torch.no_grad():
        network(torch.rand(1, 3, 24, 32))
    assert max(sizes) < 3.0 * min(sizes)


@pytest.mark.parametrize(
    ("name", "other"),
    [("gpgmnet-x2", "gpgmnet-x4"), ("gpgmnet-x4", "gpgmnet-x2"), ("irnet5-x2", "irnet5-x4")],
)
def test_a_network_may_start_from_its_other_scale(tmp_path, name, other):
    known = build(resolve_exactly(other)).state_dict()
    save_file(known, tmp_path / "other.safetensors")
    network = build(resolve_exactly(name))
    start_as_curve(network)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    load_start_weights([tmp_path / "other.safetensors"], network)
    for key, value in network.state_dict().items():
        is_common = key in known and not key.startswith("tail.")
        assert torch.equal(value, known[key] if is_common else before[key]), key


@pytest.mark.parametrize("other", ["irnet2", "irnet5-x2", "gpgmnet-x2"])
def test_weights_of_another_network_are_no_start(tmp_path, other):
    save_file(build(resolve_exactly(other)).state_dict(), tmp_path / "other.safetensors")
    with pytest.raises(InputError, match="--start-from"):
        load_start_weights([tmp_path / "other.safetensors"], build(resolve_exactly("irnet1")))


def test_a_file_that_is_not_weights_is_no_start(tmp_path):
    (tmp_path / "weights.safetensors").write_bytes(b"not weights at all")
    with pytest.raises(InputError, match="cannot be read as weights"):
        load_start_weights([tmp_path / "weights.safetensors"], build(resolve_exactly("irnet1")))


def test_weights_that_are_no_numbers_are_no_start(tmp_path):
    """They were published as the best, beside a card that is no JSON."""
    network = build(resolve_exactly("irnet1"))
    with torch.no_grad():
        network.state_dict()["head.weight"].view(-1)[0] = torch.nan
    save_file(network.state_dict(), tmp_path / "weights.safetensors")
    with pytest.raises(InputError, match=r'"head\.weight" holds infinities or NaN.*--start-from'):
        load_start_weights([tmp_path / "weights.safetensors"], build(resolve_exactly("irnet1")))


def test_several_weights_start_a_network_with_their_mean(tmp_path):
    networks = [build(resolve_exactly("gpgmnet-x2")) for _ in range(3)]
    for index, network in enumerate(networks):
        save_file(network.state_dict(), tmp_path / f"{index}.safetensors")
    mean = build(resolve_exactly("gpgmnet-x2"))
    load_start_weights([tmp_path / f"{index}.safetensors" for index in range(3)], mean)
    first, second, third = (network.state_dict() for network in networks)
    assert not torch.equal(first["head.weight"], second["head.weight"])
    for key, value in mean.state_dict().items():
        expected = (first[key].double() + second[key].double() + third[key].double()) / 3
        assert torch.equal(value, expected.to(value.dtype)), key


def test_a_teacher_answers_as_its_own_weights_do():
    network, card = load_network("irnet5-x2")
    sdr = torch.rand(2, 3, 16, 24)
    teacher = load_teacher("irnet5-x2", resolve_exactly("gpgmnet-x2"), torch.device("cpu"))
    answer = teacher(sdr)
    keep_last_layer_exact(network)
    assert torch.equal(answer, predict(network, sdr, card.form).clamp(0.0, 1.0))
    assert answer.shape == (2, 3, 32, 48)


def test_a_teacher_of_another_scale_is_refused():
    with pytest.raises(UsageError, match=r"irnet2, of scale 1; expected one of scale 2"):
        load_teacher("irnet2", resolve_exactly("gpgmnet-x2"), torch.device("cpu"))
