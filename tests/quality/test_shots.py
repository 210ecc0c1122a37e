from __future__ import annotations

import torch

from sdr2hdr.quality.shots import CutDetector


def cuts(frames: list[torch.Tensor]) -> list[int]:
    detector = CutDetector()
    return [number for number, frame in enumerate(frames) if detector.is_cut(frame)]


def scene(seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand((1, 3, 6, 8), generator=generator)
    return torch.nn.functional.interpolate(coarse, (96, 160), mode="bilinear")[0]


def noisy(frame: torch.Tensor, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return (frame + 0.05 * torch.randn(frame.shape, generator=generator)).clamp(0, 1)


def test_cuts_are_found_where_they_are():
    frames = [noisy(scene(n // 10), n) for n in range(40)]
    assert cuts(frames) == [10, 20, 30]


def test_noise_motion_and_fades_are_no_cuts():
    noise = [noisy(scene(1), n) for n in range(20)]
    pan = [torch.roll(scene(2), 4 * n, dims=2) for n in range(20)]
    fade = [scene(3) * (n / 19) for n in range(20)]
    assert cuts(noise) == cuts(pan) == cuts(fade) == []


def test_cut_in_a_static_scene():
    assert cuts([scene(1)] * 5 + [scene(2)] * 5) == [5]
