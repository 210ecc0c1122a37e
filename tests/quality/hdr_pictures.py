"""Pictures the quality tests measure: formulas, so that other programs can make the same ones."""

from __future__ import annotations

import torch

from sdr2hdr.colour.transfer import pq_inverse_eotf
from sdr2hdr.quality.scores import score

BT2020_LUMA = (0.2627, 0.6780, 0.0593)


def pattern(height: int, width: int) -> torch.Tensor:
    """Waves and a chirp in each channel, from deep shadow to highlight; (1, 3, H, W), float64."""
    rows = torch.arange(height, dtype=torch.float64)[:, None]
    columns = torch.arange(width, dtype=torch.float64)[None, :]
    channels = [
        0.45
        + 0.25 * torch.sin(columns / (7 + 3 * channel) + rows / (11 - 2 * channel))
        + 0.2 * torch.cos(columns * rows / (300 + 90 * channel))
        for channel in range(3)
    ]
    return torch.stack(channels)[None].clamp(0.0, 1.0)


def degraded(picture: torch.Tensor) -> torch.Tensor:
    """Less contrast, and noise from the fractional part of a fast sine."""
    rows = torch.arange(picture.shape[2], dtype=torch.float64)[:, None]
    columns = torch.arange(picture.shape[3], dtype=torch.float64)[None, :]
    waves = [torch.sin(columns * 12.9898 + rows * 78.233 + channel) for channel in range(3)]
    noise = torch.stack(waves)[None] * 43758.5453
    noise = noise - noise.floor() - 0.5
    return (0.95 * picture + 0.02 + 0.1 * noise).clamp(0.0, 1.0)


def grey(*levels: float) -> torch.Tensor:
    """Neutral frames of one level each; (N, 3, 4, 6), float64."""
    return torch.tensor(levels, dtype=torch.float64)[:, None, None, None].expand(-1, 3, 4, 6)


def as_image(picture: torch.Tensor) -> torch.Tensor:
    """The only frame of a batch as (H, W, 3), for other libraries."""
    return picture[0].permute(1, 2, 0)


def measured(name: str, reference_pq: torch.Tensor, test_pq: torch.Tensor) -> torch.Tensor:
    """One metric of each frame, (N,)."""
    return score(reference_pq, test_pq, frozenset({name}))[name]


def measured_light(
    name: str, reference_cd_m2: torch.Tensor, test_cd_m2: torch.Tensor
) -> torch.Tensor:
    """The same of linear light."""
    return measured(name, pq_inverse_eotf(reference_cd_m2), pq_inverse_eotf(test_cd_m2))
