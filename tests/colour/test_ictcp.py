from __future__ import annotations

import numpy as np
import torch

from sdr2hdr.colour.ictcp import hue_degrees, ictcp_to_rgb, rgb_to_ictcp


def light() -> torch.Tensor:
    generator = torch.Generator().manual_seed(5)
    return (torch.rand(2, 3, 30, 40, generator=generator) ** 4) * 10000.0


def test_rgb_to_ictcp_matches_colour_science(colour_science):
    rows = light().movedim(1, -1).reshape(-1, 3)
    expected = colour_science.RGB_to_ICtCp(rows.double().numpy(), method="ITU-R BT.2100-2 PQ")
    actual = rgb_to_ictcp(light()).movedim(1, -1).reshape(-1, 3)
    np.testing.assert_allclose(actual.numpy(), expected, atol=1e-5)


def test_ictcp_to_rgb_undoes_it():
    """Dark channels of bright colours are small differences of large numbers: 0.1 cd/m2 it is."""
    back = ictcp_to_rgb(rgb_to_ictcp(light()))
    torch.testing.assert_close(back, light(), rtol=1e-4, atol=0.1)


def test_neutral_has_no_colour_and_black_is_zero():
    grey = torch.tensor([0.0, 1.0, 100.0, 10000.0]).expand(1, 3, 1, 4)
    ictcp = rgb_to_ictcp(grey)
    assert ictcp[:, 1:].abs().max() < 2e-6
    assert ictcp[0, :, 0, 0].tolist() == [0.0, 0.0, 0.0]


def test_hue_is_the_angle_from_ct_to_cp():
    ictcp = torch.tensor([[0.5, 0.1, 0.0], [0.5, 0.0, 0.1], [0.5, -0.1, 0.0], [0.5, 0.0, -0.1]])
    hues = hue_degrees(ictcp.T.reshape(1, 3, 1, 4))
    assert hues.shape == (1, 1, 4)
    np.testing.assert_allclose(hues[0, 0].numpy(), [0.0, 90.0, 180.0, -90.0], atol=1e-4)
