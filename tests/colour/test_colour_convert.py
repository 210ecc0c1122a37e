from __future__ import annotations

import dataclasses
import itertools
from fractions import Fraction

import numpy as np
import pytest
import torch
from clips import SDR

from sdr2hdr.colour import pad_to_even, super_white_share, to_coded, to_rgb
from sdr2hdr.frames import CodedBatch, FrameTime, RgbBatch, Timeline
from sdr2hdr.signal import (
    BT709_DISPLAY,
    HDR10_SIGNAL,
    HDR_DISPLAY,
    ChromaSiting,
    CodedSignal,
    ColourRange,
    Matrix,
    Primaries,
    Subsampling,
    Transfer,
)

WEIGHTS = {Matrix.BT601: "ITU-R BT.601", Matrix.BT709: "ITU-R BT.709"}

# White, yellow, cyan, green, magenta, red, blue, black, at 75%.
BARS = 0.75 * torch.tensor(
    [
        [1.0, 1.0, 1.0],
        [1.0, 1.0, 0.0],
        [0.0, 1.0, 1.0],
        [0.0, 1.0, 0.0],
        [1.0, 0.0, 1.0],
        [1.0, 0.0, 0.0],
        [0.0, 0.0, 1.0],
        [0.0, 0.0, 0.0],
    ]
)


def timeline(frames: int) -> Timeline:
    return Timeline(Fraction(1, 25), tuple(FrameTime(pts, 1) for pts in range(frames)))


def sdr(**changes) -> CodedSignal:
    return dataclasses.replace(SDR, **changes)


def hdr(**changes) -> CodedSignal:
    return dataclasses.replace(HDR10_SIGNAL, **changes)


def coded(luma, cb, cr, signal: CodedSignal) -> CodedBatch:
    dtype = torch.uint8 if signal.bit_depth == 8 else torch.uint16
    planes = [torch.as_tensor(plane).to(torch.int32).to(dtype) for plane in (luma, cb, cr)]
    return CodedBatch(*planes, signal, timeline(len(planes[0])))


def flat(luma: int, cb: int, cr: int, signal: CodedSignal, size=(6, 8)) -> CodedBatch:
    height, width = size
    chroma = (
        1,
        -(-height // signal.subsampling.vertical),
        -(-width // signal.subsampling.horizontal),
    )
    return coded(
        torch.full((1, height, width), luma),
        torch.full(chroma, cb),
        torch.full(chroma, cr),
        signal,
    )


def random_codes(signal: CodedSignal, height: int, width: int, frames: int = 1) -> CodedBatch:
    generator = torch.Generator().manual_seed(height * 1000 + width)
    subsampling = signal.subsampling
    chroma = (frames, -(-height // subsampling.vertical), -(-width // subsampling.horizontal))
    top = 1 << signal.bit_depth
    return coded(
        torch.randint(0, top, (frames, height, width), generator=generator),
        torch.randint(0, top, chroma, generator=generator),
        torch.randint(0, top, chroma, generator=generator),
        signal,
    )


SDR_SIGNALS = [
    sdr(matrix=matrix, colour_range=colour_range, subsampling=subsampling, bit_depth=bit_depth)
    for matrix, colour_range, subsampling, bit_depth in itertools.product(
        (Matrix.BT601, Matrix.BT709, Matrix.RGB), ColourRange, Subsampling, (8, 10, 12)
    )
    if matrix is not Matrix.RGB or subsampling is Subsampling.YUV444
]


@pytest.mark.parametrize("signal", SDR_SIGNALS, ids=str)
def test_black_and_white_are_exact(signal):
    chroma = signal.black_code if signal.matrix is Matrix.RGB else signal.neutral_chroma_code
    black = to_rgb(flat(signal.black_code, chroma, chroma, signal))
    assert black.signal == BT709_DISPLAY
    assert black.pixels.dtype == torch.float32
    assert torch.equal(black.pixels, torch.zeros(1, 3, 6, 8))
    white = {8: 235, 10: 940, 12: 3760}[signal.bit_depth]
    if signal.colour_range is ColourRange.FULL:
        white = (1 << signal.bit_depth) - 1
    chroma = white if signal.matrix is Matrix.RGB else signal.neutral_chroma_code
    assert torch.equal(to_rgb(flat(white, chroma, chroma, signal)).pixels, torch.ones(1, 3, 6, 8))


@pytest.mark.parametrize("colour_range", ColourRange)
@pytest.mark.parametrize("matrix", WEIGHTS)
def test_to_rgb_matches_colour_science(colour_science, matrix, colour_range):
    signal = sdr(matrix=matrix, colour_range=colour_range, subsampling=Subsampling.YUV444)
    batch = random_codes(signal, 50, 60)
    rows = torch.stack((batch.luma, batch.cb, batch.cr), dim=-1).reshape(-1, 3)
    expected = colour_science.YCbCr_to_RGB(
        rows.numpy().astype(np.int64),
        K=colour_science.WEIGHTS_YCBCR[WEIGHTS[matrix]],
        in_bits=8,
        in_legal=colour_range is ColourRange.LIMITED,
        in_int=True,
        out_legal=False,
        out_int=False,
    ).clip(0.0, 1.0)
    actual = to_rgb(batch).pixels.movedim(1, -1).reshape(-1, 3)
    np.testing.assert_allclose(actual.numpy(), expected, atol=1e-5)


@pytest.mark.parametrize("siting", ChromaSiting)
@pytest.mark.parametrize("colour_range", ColourRange)
@pytest.mark.parametrize("matrix", WEIGHTS)
def test_colour_bars_come_back(colour_science, matrix, colour_range, siting):
    """Written by colour-science, 16 px a bar; away from the edges they are flat and right."""
    signal = sdr(matrix=matrix, colour_range=colour_range, siting=siting)
    codes = colour_science.RGB_to_YCbCr(
        BARS.numpy(),
        K=colour_science.WEIGHTS_YCBCR[WEIGHTS[matrix]],
        out_bits=8,
        out_legal=colour_range is ColourRange.LIMITED,
        out_int=True,
    )
    luma, cb, cr = torch.as_tensor(codes).T
    chroma = [plane.repeat_interleave(8).expand(1, 8, -1) for plane in (cb, cr)]
    batch = coded(luma.repeat_interleave(16).expand(1, 16, -1), *chroma, signal)
    pixels = to_rgb(batch).pixels.unflatten(-1, (8, 16))[..., 6:-6]
    expected = BARS.T[None, :, None, :, None].expand_as(pixels)
    # Half a code of luma and of chroma, weighted as in B' = Y' + 1.86 Cb.
    assert (pixels - expected).abs().max() < (0.5 + 0.5 * 1.86) / 219


@pytest.mark.parametrize(
    ("primaries", "transfer", "space", "gamma"),
    [
        (Primaries.BT601_525, Transfer.BT1886, "SMPTE C", 2.4),
        (Primaries.BT601_625, Transfer.GAMMA28, "ITU-R BT.470 - 625", 2.8),
        (Primaries.BT709, Transfer.GAMMA22, "ITU-R BT.709", 2.2),
    ],
)
def test_other_primaries_and_transfers(colour_science, primaries, transfer, space, gamma):
    signal = sdr(
        matrix=Matrix.RGB,
        colour_range=ColourRange.FULL,
        subsampling=Subsampling.YUV444,
        primaries=primaries,
        transfer=transfer,
    )
    batch = random_codes(signal, 40, 40)
    rows = torch.stack((batch.cr, batch.luma, batch.cb), dim=-1).reshape(-1, 3).double() / 255.0
    spaces = colour_science.RGB_COLOURSPACES
    to_xyz = colour_science.normalised_primary_matrix(spaces[space].primaries, (0.3127, 0.3290))
    from_xyz = np.linalg.inv(
        colour_science.normalised_primary_matrix(spaces["ITU-R BT.709"].primaries, (0.3127, 0.3290))
    )
    light = (rows.numpy() ** gamma) @ (from_xyz @ to_xyz).T
    expected = light.clip(0.0, 1.0) ** (1.0 / 2.4)
    actual = to_rgb(batch).pixels.movedim(1, -1).reshape(-1, 3).double().numpy()
    # Near black the root is so steep that light is compared instead.
    np.testing.assert_allclose(actual**2.4, expected**2.4, atol=1e-6)
    assert np.abs(actual - expected)[expected > 0.02].max() < 1e-5


def test_grey_stays_grey_under_other_primaries():
    signal = sdr(primaries=Primaries.BT601_525, matrix=Matrix.BT601)
    pixels = to_rgb(flat(120, 128, 128, signal)).pixels
    torch.testing.assert_close(pixels, torch.full_like(pixels, 104 / 219), atol=1e-6, rtol=0)


def test_sub_black_and_super_white_are_clipped():
    assert torch.equal(to_rgb(flat(3, 128, 128, SDR)).pixels, torch.zeros(1, 3, 6, 8))
    assert torch.equal(to_rgb(flat(254, 128, 128, SDR)).pixels, torch.ones(1, 3, 6, 8))


@pytest.mark.parametrize(("bit_depth", "highest", "white"), [(8, 254, 235), (10, 1019, 940)])
def test_super_white_scale_keeps_what_is_above_white(bit_depth, highest, white):
    signal = sdr(bit_depth=bit_depth)
    neutral, black = signal.neutral_chroma_code, signal.black_code

    def level(luma: int) -> float:
        batch = flat(luma, neutral, neutral, signal)
        return float(to_rgb(batch, super_white="scale").pixels[0, 0, 0, 0])

    assert level(highest) == pytest.approx(1.0, abs=1e-6)
    assert level(white) == pytest.approx((white - black) / (highest - black), abs=1e-6)
    assert level(black) == 0.0


def test_super_white_scale_does_nothing_in_full_range():
    batch = random_codes(sdr(colour_range=ColourRange.FULL), 8, 8)
    assert torch.equal(to_rgb(batch).pixels, to_rgb(batch, super_white="scale").pixels)


@pytest.mark.parametrize("bit_depth", [8, 10])
def test_super_white_share(bit_depth):
    signal = sdr(bit_depth=bit_depth)
    batch = flat(100, signal.neutral_chroma_code, signal.neutral_chroma_code, signal, (10, 10))
    unit = 1 << (bit_depth - 8)
    luma = batch.luma.to(torch.int32)
    luma[0, 0, :3] = torch.tensor([235, 236, 254]) * unit
    assert super_white_share(dataclasses.replace(batch, luma=luma.to(batch.luma.dtype))) == 0.02
    full = dataclasses.replace(signal, colour_range=ColourRange.FULL)
    assert super_white_share(random_codes(full, 8, 8)) == 0.0


HDR_SIGNALS = [
    hdr(siting=siting, subsampling=subsampling, bit_depth=bit_depth, colour_range=colour_range)
    for siting, subsampling, bit_depth, colour_range in (
        (ChromaSiting.TOP_LEFT, Subsampling.YUV420, 10, ColourRange.LIMITED),
        (ChromaSiting.TOP_LEFT, Subsampling.YUV420, 12, ColourRange.FULL),
        (ChromaSiting.LEFT, Subsampling.YUV422, 10, ColourRange.LIMITED),
        (ChromaSiting.LEFT, Subsampling.YUV444, 12, ColourRange.LIMITED),
        (ChromaSiting.LEFT, Subsampling.YUV420, 10, ColourRange.FULL),
    )
]


@pytest.mark.parametrize("signal", HDR_SIGNALS, ids=str)
@pytest.mark.parametrize("size", [(1, 1), (5, 7), (6, 8), (3, 16)])
def test_black_is_coded_exactly_at_any_size(signal, size):
    batch = to_coded(RgbBatch(torch.zeros(2, 3, *size), HDR_DISPLAY, timeline(2)), signal)
    assert batch.signal == signal
    assert batch.luma.dtype == batch.cb.dtype == batch.cr.dtype == torch.uint16
    black = 0 if signal.colour_range is ColourRange.FULL else 16 << (signal.bit_depth - 8)
    assert set(batch.luma.flatten().tolist()) == {black}
    for plane in (batch.cb, batch.cr):
        assert set(plane.flatten().tolist()) == {1 << (signal.bit_depth - 1)}


def test_black_of_sdr_is_black_of_hdr10():
    black = to_rgb(flat(16, 128, 128, SDR))
    hdr10 = to_coded(RgbBatch(black.pixels, HDR_DISPLAY, black.timeline), HDR10_SIGNAL)
    assert set(hdr10.luma.flatten().tolist()) == {64}
    assert set(hdr10.cb.flatten().tolist()) == set(hdr10.cr.flatten().tolist()) == {512}


@pytest.mark.parametrize(
    ("light_cd_m2", "limited", "full"),
    [
        (0.0, 64, 0),
        (0.005, 77, 15),
        (0.1, 119, 64),
        (1.0, 195, 153),
        (10.0, 327, 307),
        (100.0, 509, 520),
        (203.0, 573, 594),
        (1000.0, 723, 769),
        (4000.0, 855, 923),
        (10000.0, 940, 1023),
    ],
)
def test_pq_code_table(light_cd_m2, limited, full):
    from sdr2hdr.colour.transfer import pq_inverse_eotf

    grey = pq_inverse_eotf(torch.full((1, 3, 2, 2), light_cd_m2))
    batch = RgbBatch(grey, HDR_DISPLAY, timeline(1))
    for colour_range, code in ((ColourRange.LIMITED, limited), (ColourRange.FULL, full)):
        planes = to_coded(batch, hdr(colour_range=colour_range))
        assert set(planes.luma.flatten().tolist()) == {code}
        assert set(planes.cb.flatten().tolist()) == {512}


def test_to_coded_samples_chroma_top_left():
    """Cb rises by 2 codes a column and Cr by 2 a row; sample (i, j) lies on luma (2i, 2j)."""
    rows, columns = torch.meshgrid(torch.arange(32.0), torch.arange(32.0), indexing="ij")
    cb, cr = 2.0 * columns / 896.0, 2.0 * rows / 896.0
    luma = torch.full_like(cb, 0.5)
    red, blue = luma + 1.4746 * cr, luma + 1.8814 * cb
    green = (luma - 0.2627 * red - 0.0593 * blue) / 0.6780
    rgb = torch.stack((red, green, blue))[None]
    batch = to_coded(RgbBatch(rgb, HDR_DISPLAY, timeline(1)), HDR10_SIGNAL)
    assert set(batch.luma.flatten().tolist()) == {502}
    inner = slice(3, -3)
    expected = (512 + 4 * torch.arange(16))[inner]
    assert batch.cb.to(torch.int32)[0, 5, inner].tolist() == expected.tolist()
    assert batch.cr.to(torch.int32)[0, inner, 5].tolist() == expected.tolist()


@pytest.mark.parametrize("siting", ChromaSiting)
@pytest.mark.parametrize("subsampling", Subsampling)
def test_a_smooth_picture_survives_coding(siting, subsampling):
    """Down and up again at 10 bits, odd size: within a code and a half everywhere."""
    rows, columns = torch.meshgrid(torch.arange(45.0), torch.arange(61.0), indexing="ij")
    waves = [torch.sin(columns / 12 + i) * torch.cos(rows / 10 - i) for i in range(3)]
    rgb = 0.5 + 0.3 * torch.stack(waves)[None]
    signal = sdr(siting=siting, subsampling=subsampling, bit_depth=10)
    back = to_rgb(to_coded(RgbBatch(rgb, BT709_DISPLAY, timeline(1)), signal)).pixels
    edge = 4 if subsampling.horizontal < 4 else 8
    difference = (back - rgb).abs()[..., 4:-4, edge:-edge]
    assert difference.max() < 2.5 / 876


@pytest.mark.parametrize("subsampling", Subsampling)
@pytest.mark.parametrize("size", [(5, 7), (5, 8), (6, 7), (1, 1)])
def test_pad_to_even_repeats_the_edge(subsampling, size):
    batch = random_codes(sdr(subsampling=subsampling, bit_depth=10), *size, frames=2)
    padded = pad_to_even(batch)
    height, width = size
    assert padded.luma.shape == (2, height + height % 2, width + width % 2)
    assert padded.luma.dtype == torch.uint16
    assert padded.timeline is batch.timeline
    luma, expected = padded.luma.to(torch.int32), batch.luma.to(torch.int32)
    assert torch.equal(luma[:, :height, :width], expected)
    assert torch.equal(luma[:, -1, :width], expected[:, -1])
    assert torch.equal(luma[:, :height, -1], expected[:, :, -1])
    if subsampling is Subsampling.YUV420:
        assert padded.cb is batch.cb
        assert padded.cr is batch.cr


def test_pad_to_even_leaves_even_frames_alone():
    batch = random_codes(SDR, 6, 8)
    assert pad_to_even(batch) is batch


def test_wrong_signals_are_refused():
    pixels = torch.zeros(1, 3, 4, 4)
    with pytest.raises(ValueError, match="expected RgbSignal"):
        to_coded(RgbBatch(pixels, BT709_DISPLAY, timeline(1)), HDR10_SIGNAL)
    hdr10 = to_coded(RgbBatch(pixels, HDR_DISPLAY, timeline(1)), HDR10_SIGNAL)
    with pytest.raises(ValueError, match="pq; expected SDR"):
        to_rgb(hdr10)
