from __future__ import annotations

from fractions import Fraction

import torch
from torch.nn import functional

from sdr2hdr.frames import CodedBatch, FrameTime, Rectangle, Timeline
from sdr2hdr.quality.shots import LOOKAHEAD_FRAMES, ShotDetector, thumbnails
from sdr2hdr.signal import (
    ChromaSiting,
    CodedSignal,
    ColourRange,
    Matrix,
    Primaries,
    Subsampling,
    Transfer,
)


def starts(frames: list[torch.Tensor]) -> list[tuple[int, str]]:
    detector = ShotDetector()
    verdicts = [verdict for frame in frames for verdict in detector.add(frame)]
    verdicts += detector.finish()
    assert [verdict.frame for verdict in verdicts] == list(range(len(frames)))
    return [(verdict.frame, verdict.transition) for verdict in verdicts if verdict.transition]


def scene(seed: int, columns: int = 64) -> torch.Tensor:
    """Blobs and stripes, so that neighbouring places differ."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand((1, 1, 9, columns // 4), generator=generator)
    return functional.interpolate(coarse, (36, columns), mode="bicubic")[0, 0].clamp(0, 1)


def noisy(frame: torch.Tensor, seed: int, deviation: float = 0.01) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return frame + deviation * torch.randn(frame.shape, generator=generator)


def still(seed: int, count: int) -> list[torch.Tensor]:
    return [noisy(scene(seed), 100 * seed + number) for number in range(count)]


def test_cuts_are_found_where_they_are():
    frames = still(1, 10) + still(2, 3) + still(3, 10)
    assert starts(frames) == [(0, "start"), (10, "cut"), (13, "cut")]


def test_dark_and_faint_pictures_have_cuts_too():
    dark = [0.15 * frame for frame in still(1, 10) + still(2, 10)]
    faint = [0.4 + 0.2 * frame for frame in still(1, 10) + still(2, 10)]
    assert starts(dark) == starts(faint) == [(0, "start"), (10, "cut")]


def test_noise_pans_and_changes_of_light_are_no_cuts():
    wide = scene(4, 256)
    sequences = {
        "noise": [noisy(scene(1), number, 0.05) for number in range(20)],
        "pan": [wide[:, 5 * number : 5 * number + 64] for number in range(30)],
        "ramp": [scene(3) * min(1.0, 0.3 + 0.1 * number) for number in range(20)],
        "flash": [scene(3) * (2.5 if number in (9, 10) else 0.4) for number in range(20)],
        "dissolve": [
            scene(1) * (1 - share) + scene(2) * share
            for share in torch.linspace(-0.5, 1.5, 40).clamp(0, 1)
        ],
    }
    found = {name: starts(frames)[1:] for name, frames in sequences.items()}
    assert found == {name: [] for name in sequences}


def test_a_shot_begins_with_the_first_picture_after_black():
    black = torch.zeros((36, 64))
    cut = still(1, 10) + [black] * 6 + still(2, 10)
    rising = [scene(2) * min(1.0, (number + 1) / 12) for number in range(20)]
    fade = still(1, 10) + [black] * 6 + rising
    assert starts(cut) == [(0, "start"), (16, "cut")]
    assert starts(fade) == [(0, "start"), (16, "fade")]


def test_white_for_a_moment_is_a_flash():
    white = torch.full((36, 64), 1.05)
    assert starts(still(1, 10) + [white] * 2 + still(1, 10)) == [(0, "start")]
    assert starts(still(1, 10) + [white] * 2 + still(2, 10)) == [(0, "start"), (12, "cut")]


def test_a_picture_without_texture_has_a_cut_on_either_side():
    sky = [noisy(torch.full((36, 64), 0.8), number, 0.002) for number in range(10)]
    frames = [0.6 * frame for frame in still(1, 10)]
    assert starts(frames + sky + frames) == [(0, "start"), (10, "cut"), (20, "cut")]


def test_short_sequences():
    assert starts([]) == []
    for count in range(1, LOOKAHEAD_FRAMES + 3):
        assert starts(still(1, count)) == [(0, "start")]
    assert starts(still(1, 1) + still(2, 4)) == [(0, "start"), (1, "cut")]
    assert starts(still(1, 4) + still(2, 1)) == [(0, "start"), (4, "cut")]


def coded(luma: torch.Tensor, bit_depth: int, colour_range: ColourRange) -> CodedBatch:
    signal = CodedSignal(
        Matrix.BT709,
        colour_range,
        Primaries.BT709,
        Transfer.BT1886,
        ChromaSiting.LEFT,
        Subsampling.YUV420,
        bit_depth,
    )
    frames, height, width = luma.shape
    chroma = torch.zeros((frames, -(-height // 2), -(-width // 2)), dtype=luma.dtype)
    times = tuple(FrameTime(number, 1) for number in range(frames))
    return CodedBatch(luma, chroma, chroma, signal, Timeline(Fraction(1, 25), times))


def test_thumbnails_are_local_means_from_black_to_white():
    luma = torch.full((2, 720, 1280), 16, dtype=torch.uint8)
    luma[1, :, 640:] = 235
    small = thumbnails(coded(luma, 8, ColourRange.LIMITED))
    assert small.shape == (2, 36, 64)
    assert small[0].abs().max() == 0
    torch.testing.assert_close(small[1].mean(0), (torch.arange(64) >= 32).float())
    deep = torch.full((1, 37, 53), 1023, dtype=torch.uint16)
    white = thumbnails(coded(deep, 10, ColourRange.FULL))
    torch.testing.assert_close(white, torch.ones(1, 36, 64))


def test_thumbnails_leave_bars_out():
    luma = torch.full((1, 720, 1280), 16, dtype=torch.uint8)
    luma[:, 90:630] = 126
    inside = thumbnails(coded(luma, 8, ColourRange.LIMITED), Rectangle(90, 0, 630, 1280))
    torch.testing.assert_close(inside, torch.full((1, 36, 64), 110 / 219))
