from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from sdr2hdr.quality.fades import FadeFinder, FoundFade


def fades(frames: list[torch.Tensor]) -> list[FoundFade]:
    finder = FadeFinder()
    found = [fade for frame in frames for fade in finder.add(frame)]
    return found + finder.finish()


def scene(seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand((1, 1, 9, 16), generator=generator)
    return functional.interpolate(coarse, (36, 64), mode="bicubic")[0, 0].clamp(0, 1)


def with_light(picture: torch.Tensor, gains: list[float], seed: int = 0) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [
        gain * picture + 0.001 * torch.randn(picture.shape, generator=generator) for gain in gains
    ]


UP = [(number + 1) / 12 for number in range(12)]


@pytest.mark.parametrize("level", ["black", "white"])
def test_fade_out_and_in(level: str):
    gains = [1.0] * 10 + UP[-2::-1] + [0.0] * 5 + UP + [1.0] * 10
    frames = with_light(scene(1), gains)
    if level == "white":
        frames = [1 - frame for frame in frames]
    out, back = fades(frames)
    assert (out.kind, back.kind) == (f"to {level}", f"from {level}")
    assert abs(out.first_frame - 10) <= 1
    assert out.first_frame + out.frame_count == 21
    assert back.first_frame == 26
    assert abs(back.frame_count - 12) <= 1


def test_fades_at_the_ends_of_the_film():
    frames = with_light(scene(2), [0.0, *UP, *UP[-2::-1], 0.0])
    assert [fade.kind for fade in fades(frames)] == ["from black", "to black"]
    assert [fade.kind for fade in fades(frames[:9])] == ["from black"]


def test_cuts_to_and_from_black_are_no_fades():
    frames = with_light(scene(3), [1.0] * 8 + [0.0] * 4 + [1.0] * 8)
    assert fades(frames) == []


def test_a_soft_cut_is_no_fade():
    frames = with_light(scene(3), [1.0] * 8 + [0.4] + [0.0] * 4 + [0.5] + [1.0] * 8)
    assert fades(frames) == []


def test_light_that_never_reaches_black_is_no_fade():
    frames = with_light(scene(4), [1.0] * 8 + UP[::-1][:10] + [0.25] * 4 + UP[2:])
    assert fades(frames) == []


def test_a_cut_ends_a_fade():
    frames = with_light(scene(5), [0.0, *UP[:8]]) + with_light(scene(6), [1.0] * 8)
    (fade,) = fades(frames)
    assert (fade.first_frame, fade.kind) == (1, "from black")
    assert fade.frame_count <= 9
