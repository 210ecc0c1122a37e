from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812

from sdr2hdr.networks.irnet import IRNet

# Thousands of parameters, from the paper's Tables 1 and 5 to 9.
ITM_PARAMETERS = {
    (1, 64): 86.86,
    (2, 64): 134.73,
    (3, 64): 182.61,
    (4, 64): 230.48,
    (1, 32): 22.31,
    (1, 48): 49.30,
    (2, 32): 34.34,
    (2, 48): 76.28,
    (2, 96): 301.17,
}
X4_PARAMETERS = {
    (1, 64): 276.69,
    (2, 64): 324.56,
    (3, 64): 372.44,
    (4, 64): 420.32,
    (5, 64): 468.19,
    (6, 64): 516.07,
    (5, 32): 119.29,
    (5, 48): 265.04,
    (5, 96): 1046.73,
}


def _thousands(network: torch.nn.Module) -> float:
    return sum(p.numel() for p in network.parameters()) / 1000


@pytest.mark.parametrize(("shape", "thousands"), ITM_PARAMETERS.items())
def test_parameters_at_scale_1_are_the_papers(shape: tuple[int, int], thousands: float) -> None:
    assert abs(_thousands(IRNet(*shape)) - thousands) <= 0.0051


@pytest.mark.parametrize(("shape", "thousands"), X4_PARAMETERS.items())
def test_parameters_at_scale_4_are_the_papers(shape: tuple[int, int], thousands: float) -> None:
    assert abs(_thousands(IRNet(*shape, scale=4)) - thousands) <= 0.0051


def test_scale_2_lacks_only_the_middle_step_of_scale_4() -> None:
    middle = 64 * 256 * 9 + 256
    x4 = {k: v.shape for k, v in IRNet(5, 64, 4).state_dict().items()}
    x2 = {k: v.shape for k, v in IRNet(5, 64, 2).state_dict().items()}
    assert {k for k in x4 if k not in x2} == {"tail.upsample.weight", "tail.upsample.bias"}
    assert sum(x4[k].numel() for k in x4 if k not in x2) == middle
    assert all(x4[k] == x2[k] for k in x2)


def _written_out(state: dict[str, torch.Tensor], pixels: torch.Tensor, scale: int) -> np.ndarray:
    """The network again, from its description and nothing but the tensors' names."""

    def conv(name: str, x: torch.Tensor) -> torch.Tensor:
        weight = state[f"{name}.weight"]
        return F.conv2d(x, weight, state[f"{name}.bias"], padding=weight.shape[-1] // 2)

    def leaky(x: torch.Tensor) -> torch.Tensor:
        return torch.where(x > 0, x, 0.05 * x)

    first = current = conv("head", pixels)
    collected = []
    for i in range(sum(k.endswith("conv1.bias") for k in state)):
        f1 = leaky(conv(f"blocks.{i}.conv1", current))
        f2 = conv(f"blocks.{i}.conv2", f1)
        fuse = conv(f"blocks.{i}.fuse", current + f2)
        out = conv(f"blocks.{i}.out", torch.cat((f1, fuse), 1))
        values = out.numpy()
        deviation = np.sqrt(((values - values.mean((2, 3), keepdims=True)) ** 2).mean((2, 3)))
        contrast = torch.from_numpy(deviation + values.mean((2, 3)))[:, :, None, None]
        hidden = conv(f"blocks.{i}.attention.reduce", contrast).clamp(min=0)
        gate = 1 / (1 + torch.exp(-conv(f"blocks.{i}.attention.expand", hidden)))
        current = current + out * gate
        collected.append(current)
    x = conv("body", leaky(conv("fuse", torch.cat(collected, 1)))) + first
    if scale == 1:
        return conv("tail", x).numpy()
    x = conv("tail.refine", x)
    if scale == 4:
        x = F.pixel_shuffle(conv("tail.upsample", x), 2)
    return F.pixel_shuffle(conv("tail.rgb", x), 2).numpy()


@pytest.mark.parametrize(
    ("blocks", "channels", "scale"), [(1, 48, 1), (2, 64, 1), (3, 16, 2), (3, 16, 4)]
)
def test_forward_is_the_description_written_out(blocks: int, channels: int, scale: int) -> None:
    torch.manual_seed(3)
    network = IRNet(blocks, channels, scale).double().eval()
    # Biases start at zero; a reference that forgot one must not pass.
    for name, parameter in network.named_parameters():
        if name.endswith("bias"):
            torch.nn.init.normal_(parameter, std=0.3)
    pixels = torch.rand(2, 3, 11, 14, dtype=torch.float64)
    with torch.no_grad():
        found = network(pixels).numpy()
        expected = _written_out(dict(network.state_dict()), pixels, scale)
    assert found.shape == (2, 3, 11 * scale, 14 * scale)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6 * np.abs(expected).max())


def test_initial_weights_have_kaimings_spread() -> None:
    torch.manual_seed(0)
    network = IRNet(2, 64)
    body = network.body
    expected = np.sqrt(2 / (1 + 0.05**2) / (64 * 9))
    assert float(body.weight.detach().std()) == pytest.approx(expected, rel=0.03)
    assert not body.bias.any()


def test_trains_on_a_flat_picture() -> None:
    """The gradient of a standard deviation is infinite on a flat channel without an epsilon."""
    network = IRNet(1, 16)
    network(torch.zeros(1, 3, 8, 8)).square().mean().backward()
    gradients = [parameter.grad for parameter in network.parameters()]
    assert all(grad is not None and torch.isfinite(grad).all() for grad in gradients)


@pytest.mark.parametrize(("blocks", "channels", "scale"), [(0, 64, 1), (2, 40, 1), (2, 64, 3)])
def test_impossible_shapes_are_refused(blocks: int, channels: int, scale: int) -> None:
    with pytest.raises(ValueError, match="expected"):
        IRNet(blocks, channels, scale)
