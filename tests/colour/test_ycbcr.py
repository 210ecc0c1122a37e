from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from sdr2hdr.colour.ycbcr import (
    dequantise,
    highest_code,
    nominal_white_code,
    quantise,
    rgb_to_ycbcr,
    ycbcr_to_rgb,
)
from sdr2hdr.signal import HDR10_SIGNAL, CodedSignal, ColourRange, Matrix, Subsampling

WEIGHTS = {
    Matrix.BT601: "ITU-R BT.601",
    Matrix.BT709: "ITU-R BT.709",
    Matrix.BT2020_NCL: "ITU-R BT.2020",
}
LIMITED, FULL = ColourRange.LIMITED, ColourRange.FULL


def signal_of(matrix: Matrix, colour_range: ColourRange, bit_depth: int) -> CodedSignal:
    return dataclasses.replace(
        HDR10_SIGNAL,
        matrix=matrix,
        colour_range=colour_range,
        bit_depth=bit_depth,
        subsampling=Subsampling.YUV444,
    )


def random_rgb() -> torch.Tensor:
    generator = torch.Generator().manual_seed(3)
    corners = torch.cartesian_prod(*3 * [torch.tensor([0.0, 1.0])])
    colours = torch.cat([torch.rand(20000, 3, generator=generator), corners])
    return colours.T.reshape(1, 3, 1, -1)


def as_rows(planes: tuple[torch.Tensor, ...]) -> np.ndarray:
    return torch.stack(planes, dim=-1).reshape(-1, 3).to(torch.int64).numpy()


@pytest.mark.parametrize("bit_depth", [8, 10, 12])
@pytest.mark.parametrize("colour_range", ColourRange)
@pytest.mark.parametrize("matrix", WEIGHTS)
def test_codes_match_colour_science(colour_science, matrix, colour_range, bit_depth):
    signal = signal_of(matrix, colour_range, bit_depth)
    rgb = random_rgb()
    planes = rgb_to_ycbcr(rgb, matrix)
    codes = tuple(quantise(plane, signal, chroma=i > 0) for i, plane in enumerate(planes))
    rows = rgb[0, :, 0].T.double().numpy()
    expected = colour_science.RGB_to_YCbCr(
        rows,
        K=colour_science.WEIGHTS_YCBCR[WEIGHTS[matrix]],
        out_bits=bit_depth,
        out_legal=colour_range is LIMITED,
        out_int=True,
    )
    difference = np.abs(as_rows(codes) - expected)
    # Float32 may fall on the other side of a half; nothing else may differ.
    assert difference.max() <= 1
    assert np.count_nonzero(difference) <= 3e-3 * difference.size

    back = ycbcr_to_rgb(
        *(dequantise(plane, signal, chroma=i > 0) for i, plane in enumerate(codes)), matrix
    )
    expected_rgb = colour_science.YCbCr_to_RGB(
        as_rows(codes),
        K=colour_science.WEIGHTS_YCBCR[WEIGHTS[matrix]],
        in_bits=bit_depth,
        in_legal=colour_range is LIMITED,
        in_int=True,
        out_legal=False,
        out_int=False,
    )
    np.testing.assert_allclose(back[0, :, 0].T.numpy(), expected_rgb, atol=1e-5)


@pytest.mark.parametrize(
    ("matrix", "bit_depth", "largest_error"),
    [(Matrix.BT601, 8, 2), (Matrix.BT709, 8, 2), (Matrix.BT709, 10, 0), (Matrix.BT601, 10, 0)],
)
def test_eight_bit_rgb_survives_ycbcr(matrix, bit_depth, largest_error):
    """8-bit limited Y'CbCr has fewer codes than R'G'B' and may lose 2; 10 bits lose nothing."""
    signal = signal_of(matrix, LIMITED, bit_depth)
    codes = torch.cartesian_prod(*3 * [torch.arange(0, 256, 5)]).T.reshape(1, 3, 1, -1)
    planes = rgb_to_ycbcr(codes / 255.0, matrix)
    back = ycbcr_to_rgb(
        *(
            dequantise(quantise(plane, signal, chroma=i > 0), signal, chroma=i > 0)
            for i, plane in enumerate(planes)
        ),
        matrix,
    )
    error = ((back.clamp(0.0, 1.0) * 255.0).round() - codes).abs().max()
    assert int(error) <= largest_error


def test_rgb_planes_are_green_blue_red():
    rgb = torch.tensor([0.1, 0.2, 0.3]).reshape(1, 3, 1, 1)
    planes = rgb_to_ycbcr(rgb, Matrix.RGB)
    assert [round(float(plane), 3) for plane in planes] == [0.2, 0.3, 0.1]
    assert torch.equal(ycbcr_to_rgb(*planes, Matrix.RGB), rgb)
    signal = signal_of(Matrix.RGB, LIMITED, 8)
    assert int(quantise(torch.tensor([1.0]), signal, chroma=True)) == 235


@pytest.mark.parametrize(
    ("colour_range", "bit_depth", "black", "white", "highest", "neutral"),
    [
        (LIMITED, 8, 16, 235, 254, 128),
        (LIMITED, 10, 64, 940, 1019, 512),
        (LIMITED, 12, 256, 3760, 4079, 2048),
        (LIMITED, 16, 4096, 60160, 65279, 32768),
        (FULL, 8, 0, 255, 255, 128),
        (FULL, 10, 0, 1023, 1023, 512),
        (FULL, 12, 0, 4095, 4095, 2048),
        (FULL, 16, 0, 65535, 65535, 32768),
    ],
)
def test_reference_codes(colour_range, bit_depth, black, white, highest, neutral):
    signal = signal_of(Matrix.BT709, colour_range, bit_depth)
    assert nominal_white_code(signal) == white
    assert highest_code(signal) == highest
    luma = quantise(torch.tensor([0.0, 1.0]), signal, chroma=False)
    assert luma.dtype == (torch.uint8 if bit_depth == 8 else torch.uint16)
    assert luma.tolist() == [black, white]
    assert quantise(torch.tensor([0.0]), signal, chroma=True).tolist() == [neutral]
    assert dequantise(luma, signal, chroma=False).tolist() == [0.0, 1.0]


@pytest.mark.parametrize("chroma", [False, True])
def test_reserved_codes_are_never_written(chroma):
    far = torch.tensor([-9.0, 9.0])
    signal = signal_of(Matrix.BT709, LIMITED, 10)
    assert quantise(far, signal, chroma=chroma).tolist() == [4, 1019]
    signal = signal_of(Matrix.BT709, LIMITED, 8)
    assert quantise(far, signal, chroma=chroma).tolist() == [1, 254]
    signal = signal_of(Matrix.BT709, FULL, 10)
    assert quantise(far, signal, chroma=chroma).tolist() == [0, 1023]


def test_halves_are_rounded_up():
    signal = signal_of(Matrix.BT709, LIMITED, 8)
    assert quantise(torch.tensor([100.5 / 219]), signal, chroma=False).tolist() == [117]
    assert quantise(torch.tensor([101.5 / 219]), signal, chroma=False).tolist() == [118]
