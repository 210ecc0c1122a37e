from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from source_clips import Clip, write_clip

from sdr2hdr.colour.active_picture import crop
from sdr2hdr.frames import CodedBatch, FrameTime, Rectangle, Timeline
from sdr2hdr.media.reading.blackness import is_black_outside
from sdr2hdr.media.reading.letterbox import LetterboxFinder, detect_active_picture
from sdr2hdr.media.reading.probe import probe
from sdr2hdr.media.reading.reader import VideoReader
from sdr2hdr.options import ReadOptions
from sdr2hdr.signal import (
    HDR10_SIGNAL,
    ChromaSiting,
    CodedSignal,
    ColourRange,
    Matrix,
    Primaries,
    Subsampling,
    Transfer,
)

WIDTH, HEIGHT = 192, 128
LOSSLESS = Clip(codec="ffv1", width_px=WIDTH, height_px=HEIGHT, pts=range(26))
LOSSY = replace(LOSSLESS, codec="libx264", options={"crf": "28", "g": "6"})


def boxed(
    picture: Rectangle, black: int = 16, after: int | None = None, step: tuple[int, int] = (2, 2)
):
    """Texture inside a rectangle, black outside; from frame `after` on the frame is filled.

    `step` is the luma px a chroma sample, down and across.
    """
    down, across = step

    def planes(clip: Clip, number: int) -> list[np.ndarray]:
        random = np.random.default_rng(number)
        inside = picture if after is None or number < after else Rectangle(0, 0, HEIGHT, WIDTH)
        luma = np.full((HEIGHT, WIDTH), black, np.uint8)
        rows, columns = np.indices((inside.height, inside.width))
        texture = 60 + (rows * 3 + columns * 5 + number * 11) % 120
        noise = random.integers(0, 8, texture.shape)
        luma[inside.top : inside.bottom, inside.left : inside.right] = texture + noise
        chroma = np.full((HEIGHT // down, WIDTH // across), 128, np.uint8)
        chroma[
            inside.top // down : -(-inside.bottom // down),
            inside.left // across : -(-inside.right // across),
        ] = 100
        return [luma, chroma, chroma]

    return planes


def detect(path: Path) -> Rectangle | None:
    return detect_active_picture(probe(path, ReadOptions()))


def black_frames(path: Path, active: Rectangle) -> list[bool]:
    options = ReadOptions(batch_frames=4)
    with VideoReader(probe(path, options), options) as reader:
        return [black for batch in reader for black in is_black_outside(batch, active)]


PICTURES = {
    "letterbox": Rectangle(20, 0, 108, WIDTH),
    "pillarbox": Rectangle(0, 32, HEIGHT, 160),
    "windowbox": Rectangle(16, 24, 112, 168),
    "narrow pair": Rectangle(4, 0, 124, WIDTH),
    "off centre": Rectangle(12, 0, 96, WIDTH),
}


@pytest.mark.parametrize("name", PICTURES)
@pytest.mark.parametrize("suffix", ["mkv", "mp4"])
def test_bars_are_found_to_the_pixel(tmp_path, name, suffix):
    path = write_clip(tmp_path / f"a.{suffix}", LOSSLESS, boxed(PICTURES[name]))
    assert detect(path) == PICTURES[name]
    assert all(black_frames(path, PICTURES[name]))


def test_odd_edges_are_moved_outward(tmp_path):
    path = write_clip(tmp_path / "a.mkv", LOSSLESS, boxed(Rectangle(21, 0, 107, WIDTH)))
    assert detect(path) == Rectangle(20, 0, 108, WIDTH)


@pytest.mark.parametrize("name", ["letterbox", "pillarbox", "windowbox"])
def test_coding_noise_moves_an_edge_by_a_block_at_most(tmp_path, name):
    picture = PICTURES[name]
    path = write_clip(tmp_path / "a.mp4", LOSSY, boxed(picture))
    found = detect(path)
    assert found is not None
    assert picture.top - 16 <= found.top <= picture.top
    assert picture.left - 16 <= found.left <= picture.left
    assert picture.bottom <= found.bottom <= picture.bottom + 16
    assert picture.right <= found.right <= picture.right + 16
    assert all(black_frames(path, found))


def test_edges_lie_on_whole_chroma_samples_of_four_pixels(tmp_path):
    seen = Rectangle(16, 22, 112, 170)
    clip = replace(LOSSLESS, pixel_format="yuv411p")
    path = write_clip(tmp_path / "a.mkv", clip, boxed(seen, step=(1, 4)))
    active = Rectangle(16, 20, 112, 172)
    assert detect(path) == active
    options = ReadOptions(batch_frames=4)
    info = probe(path, options)
    finder = LetterboxFinder(info)
    with VideoReader(info, options) as reader:
        for batch in reader:
            finder.add(batch)
            inside = crop(batch, active)
            assert inside.cb.shape[2] * 4 == active.width
            assert bool((inside.cb == 100).all())
    assert finder.active_picture() == active


def noisy_bars(clip: Clip, number: int) -> list[np.ndarray]:
    """Noise of 0.8 codes: some samples a frame are 4 codes off black, none beside another."""
    planes = boxed(PICTURES["letterbox"])(clip, number)
    random = np.random.default_rng(number)
    return [
        np.clip(np.rint(plane + random.normal(0.0, 0.8, plane.shape)), 1, 254).astype(np.uint8)
        for plane in planes
    ]


def test_lone_samples_of_noise_are_no_picture(tmp_path):
    clip = replace(LOSSLESS, pts=range(60))
    path = write_clip(tmp_path / "a.mkv", clip, noisy_bars)
    assert max(noisy_bars(clip, number)[0][:20].max() for number in range(60)) >= 20
    found = detect(path)
    # Beside the picture a sample is not alone.
    assert found in [Rectangle(top, 0, end, WIDTH) for top in (18, 20) for end in (108, 110)]
    assert all(black_frames(path, found))


@pytest.mark.parametrize("shape", [(1, 2), (2, 1)])
def test_the_smallest_faint_thing_in_a_bar_is_picture(tmp_path, shape):
    def marked(clip: Clip, number: int) -> list[np.ndarray]:
        luma, cb, cr = boxed(PICTURES["letterbox"])(clip, number)
        luma[126 : 126 + shape[0], 80 : 80 + shape[1]] = 20
        return [luma, cb, cr]

    path = write_clip(tmp_path / "a.mkv", LOSSLESS, marked)
    assert detect(path) == Rectangle(20, 0, HEIGHT, WIDTH)
    assert not any(black_frames(path, PICTURES["letterbox"]))


def test_no_bars(tmp_path):
    path = write_clip(tmp_path / "a.mkv", LOSSLESS, boxed(Rectangle(0, 0, HEIGHT, WIDTH)))
    assert detect(path) is None


@pytest.mark.parametrize("pixels", [2])
def test_bars_of_a_line_or_two_are_left_alone(tmp_path, pixels):
    picture = Rectangle(pixels, 0, HEIGHT - pixels, WIDTH)
    assert detect(write_clip(tmp_path / "a.mkv", LOSSLESS, boxed(picture))) is None


def test_all_black_is_no_letterbox(tmp_path):
    path = write_clip(tmp_path / "a.mkv", LOSSLESS, boxed(Rectangle(0, 0, 0, 0)))
    assert detect(path) is None


def test_a_logo_on_black_is_no_letterbox(tmp_path):
    path = write_clip(tmp_path / "a.mkv", LOSSLESS, boxed(Rectangle(60, 90, 72, 110)))
    assert detect(path) is None


def test_grey_bars_are_no_letterbox(tmp_path):
    path = write_clip(tmp_path / "a.mkv", LOSSLESS, boxed(PICTURES["letterbox"], black=24))
    assert detect(path) is None


def test_a_picture_that_fades_into_the_dark_has_no_bars(tmp_path):
    def vignette(clip: Clip, number: int) -> list[np.ndarray]:
        columns = np.abs(np.arange(WIDTH) - WIDTH / 2) / (WIDTH / 2)
        light = np.clip(1.0 - 1.3 * columns, 0, None) ** 2
        luma = np.broadcast_to(16 + 150 * light, (HEIGHT, WIDTH)).astype(np.uint8)
        neutral = np.full((HEIGHT // 2, WIDTH // 2), 128, np.uint8)
        return [luma, neutral, neutral]

    assert detect(write_clip(tmp_path / "a.mkv", LOSSLESS, vignette)) is None


@pytest.mark.parametrize("bottom", [106, 90])
def test_a_bar_beside_the_dark_is_found_if_the_other_is_as_wide(tmp_path, bottom):
    """A street at night: black sky above, to no less than 5 codes, lights below."""
    picture = Rectangle(20, 0, bottom, WIDTH)

    def night(clip: Clip, number: int) -> list[np.ndarray]:
        luma, cb, cr = boxed(picture)(clip, number)
        luma[20:80] = 21
        return [luma, np.full_like(cb, 128), np.full_like(cr, 128)]

    found = detect(write_clip(tmp_path / "a.mkv", LOSSLESS, night))
    assert found == (picture if bottom == 106 else Rectangle(0, 0, bottom, WIDTH))


def test_a_change_of_aspect_ratio_keeps_the_whole_frame(tmp_path):
    planes = boxed(PICTURES["letterbox"], after=13)
    assert detect(write_clip(tmp_path / "a.mkv", LOSSLESS, planes)) is None


def test_frames_not_sampled_are_told_apart(tmp_path):
    path = write_clip(tmp_path / "a.mkv", LOSSLESS, boxed(PICTURES["letterbox"], after=20))
    checks = black_frames(path, PICTURES["letterbox"])
    assert checks == [True] * 20 + [False] * 6


def test_range_alone_is_looked_at(tmp_path):
    planes = boxed(PICTURES["letterbox"], after=13)
    info = probe(write_clip(tmp_path / "a.mkv", LOSSLESS, planes), ReadOptions())
    assert detect_active_picture(info, 0.0, 0.4) == PICTURES["letterbox"]
    assert detect_active_picture(info, 0.6, None) is None


def signal(**changes) -> CodedSignal:
    sdr = replace(HDR10_SIGNAL, matrix=Matrix.BT709, primaries=Primaries.BT709)
    sdr = replace(sdr, transfer=Transfer.BT1886, siting=ChromaSiting.LEFT, bit_depth=8)
    return replace(sdr, **changes)


def black_batch(of: CodedSignal, frames: int = 3) -> CodedBatch:
    dtype = torch.uint8 if of.bit_depth == 8 else torch.uint16
    across, down = of.subsampling.value
    chroma = (frames, HEIGHT // down, WIDTH // across)
    neutral = 0 if of.matrix is Matrix.RGB else of.neutral_chroma_code
    times = tuple(FrameTime(number, 1) for number in range(frames))
    return CodedBatch(
        torch.full((frames, HEIGHT, WIDTH), of.black_code, dtype=torch.int32).to(dtype),
        torch.full(chroma, neutral, dtype=torch.int32).to(dtype),
        torch.full(chroma, neutral, dtype=torch.int32).to(dtype),
        of,
        Timeline(Fraction(1, 25), times),
    )


SIGNALS = {
    "8 bits": signal(),
    "full range": signal(colour_range=ColourRange.FULL),
    "10 bits": signal(bit_depth=10),
    "4:2:2": signal(subsampling=Subsampling.YUV422),
    "RGB": signal(matrix=Matrix.RGB, subsampling=Subsampling.YUV444, colour_range=ColourRange.FULL),
}


@pytest.mark.parametrize("name", SIGNALS)
def test_anything_in_the_bars_shows(name):
    active = PICTURES["windowbox"]
    batch = black_batch(SIGNALS[name])
    assert is_black_outside(batch, active) == [True] * 3
    step = 1 << (batch.signal.bit_depth - 8)
    batch.luma[1, 0, 0] = batch.signal.black_code + 10 * step
    assert is_black_outside(batch, active) == [True, False, True]
    batch.cr[2, -1, -1] = int(batch.cr[2, -1, -1]) + 10 * step
    assert is_black_outside(batch, active) == [True, False, False]
    batch.luma[0, 64, 96] = 200
    assert is_black_outside(batch, active)[0] is True


def test_ringing_beside_the_picture_is_forgiven_but_a_title_is_not():
    active = PICTURES["letterbox"]
    batch = black_batch(signal())
    batch.luma[0, active.top - 3, :] = 16 + 10
    batch.luma[1, active.top - 3, 40:60] = 180
    assert is_black_outside(batch, active) == [True, False, True]
