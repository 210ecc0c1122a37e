from __future__ import annotations

import pytest
import torch

from sdr2hdr.networks.irnet import IRNet
from sdr2hdr.training.folding import folded_forward


@pytest.mark.parametrize(
    ("blocks", "channels", "scale", "size"),
    [
        (1, 48, 1, (9, 14)),
        (2, 64, 1, (16, 11)),
        (3, 32, 1, (2, 3)),
        (2, 32, 2, (8, 9)),
        (5, 16, 4, (6, 5)),
    ],
)
def test_folded_form_has_the_network_s_results_and_gradients(blocks, channels, scale, size):
    torch.manual_seed(3)
    network = IRNet(blocks, channels, scale).double()
    pixels = torch.rand(2, 3, *size, dtype=torch.float64)
    expected = network(pixels)
    direction = torch.randn_like(expected)
    wanted = torch.autograd.grad((expected * direction).sum(), list(network.parameters()))
    found = folded_forward(network, pixels)
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)
    gradients = torch.autograd.grad((found * direction).sum(), list(network.parameters()))
    for gradient, expected_gradient in zip(gradients, wanted, strict=True):
        torch.testing.assert_close(gradient, expected_gradient, rtol=1e-7, atol=1e-9)
