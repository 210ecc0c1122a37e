"""Non-linear R'G'B' to Y'CbCr planes and back, and the integers that carry them.

E'Y is in [0, 1] and E'Cb, E'Cr in [-0.5, 0.5]. With `Matrix.RGB` the three planes are G', B', R',
all in [0, 1] and all quantised like luma.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from sdr2hdr.signal import CodedSignal, ColourRange, Matrix

__all__ = [
    "LUMA_COEFFICIENTS",
    "LumaCoefficients",
    "dequantise",
    "highest_code",
    "nominal_white_code",
    "quantise",
    "rgb_to_ycbcr",
    "round_codes",
    "to_code_scale",
    "ycbcr_to_rgb",
]


@dataclass(frozen=True)
class LumaCoefficients:
    """Weights of R' and B' in luma; G' has what is left to 1."""

    red: float
    blue: float

    @property
    def green(self) -> float:
        """Weight of G'."""
        return 1.0 - self.red - self.blue

    @property
    def cb_span(self) -> float:
        """E'Cb is (B' - Y') over this."""
        return 2.0 * (1.0 - self.blue)

    @property
    def cr_span(self) -> float:
        """E'Cr is (R' - Y') over this."""
        return 2.0 * (1.0 - self.red)


LUMA_COEFFICIENTS = {
    # Rec. ITU-R BT.709-6, item 3.2
    Matrix.BT709: LumaCoefficients(red=0.2126, blue=0.0722),
    # Rec. ITU-R BT.601-7, section 2.5.1
    Matrix.BT601: LumaCoefficients(red=0.299, blue=0.114),
    # Rec. ITU-R BT.2020-2, Table 4, non-constant luminance
    Matrix.BT2020_NCL: LumaCoefficients(red=0.2627, blue=0.0593),
}


def rgb_to_ycbcr(
    rgb: torch.Tensor, matrix: Matrix
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Split R'G'B' into its three coded planes, not yet subsampled or quantised.

    Args:
        rgb: (N, 3, H, W), floating, [0, 1].
        matrix: Which luma and colour differences.

    Returns:
        E'Y, E'Cb, E'Cr, each (N, H, W); with `Matrix.RGB` the channels G', B', R' themselves.
    """
    red, green, blue = rgb.unbind(dim=1)
    if matrix is Matrix.RGB:
        return green, blue, red
    k = LUMA_COEFFICIENTS[matrix]
    luma = (red * k.red).add_(green, alpha=k.green).add_(blue, alpha=k.blue)
    return luma, (blue - luma).div_(k.cb_span), (red - luma).div_(k.cr_span)


def ycbcr_to_rgb(
    luma: torch.Tensor, cb: torch.Tensor, cr: torch.Tensor, matrix: Matrix
) -> torch.Tensor:
    """Undo `rgb_to_ycbcr`; the result is not clipped.

    Args:
        luma: (N, H, W), floating.
        cb: Like `luma`.
        cr: Like `luma`.
        matrix: Which luma and colour differences.

    Returns:
        R'G'B', (N, 3, H, W).
    """
    if matrix is Matrix.RGB:
        return torch.stack((cr, luma, cb), dim=1)
    k = LUMA_COEFFICIENTS[matrix]
    frames, height, width = luma.shape
    rgb = luma.new_empty((frames, 3, height, width))
    torch.add(luma, cr, alpha=k.cr_span, out=rgb[:, 0])
    torch.add(luma, cb, alpha=-k.cb_span * k.blue / k.green, out=rgb[:, 1])
    rgb[:, 1].add_(cr, alpha=-k.cr_span * k.red / k.green)
    torch.add(luma, cb, alpha=k.cb_span, out=rgb[:, 2])
    return rgb


@dataclass(frozen=True)
class _Quantisation:
    """Code = scale x E' + offset; `lowest` and `highest` bound what may be written."""

    scale: int
    offset: int
    lowest: int
    highest: int


def _quantisation(signal: CodedSignal, *, chroma: bool) -> _Quantisation:
    """Read scale, offset and bounds off a signal.

    Source:
        Rec. ITU-T H.273 (07/2021), clause 8.3; Rec. ITU-R BT.2100-2, Table 9. In limited
        range the lowest and highest 2^(n-8) codes are kept for timing references.
    """
    as_luma = not chroma or signal.matrix is Matrix.RGB
    offset = signal.black_code if as_luma else signal.neutral_chroma_code
    if signal.colour_range is ColourRange.FULL:
        top = (1 << signal.bit_depth) - 1
        return _Quantisation(scale=top, offset=offset, lowest=0, highest=top)
    unit = 1 << (signal.bit_depth - 8)
    return _Quantisation(
        scale=(219 if as_luma else 224) * unit,
        offset=offset,
        lowest=unit,
        highest=255 * unit - 1,
    )


def nominal_white_code(signal: CodedSignal) -> int:
    """Luma code of E'Y = 1: 235 x 2^(n-8), or 2^n - 1 in full range."""
    luma = _quantisation(signal, chroma=False)
    return luma.offset + luma.scale


def highest_code(signal: CodedSignal) -> int:
    """Highest luma code that carries picture: 255 x 2^(n-8) - 1, or 2^n - 1 in full range."""
    return _quantisation(signal, chroma=False).highest


def dequantise(codes: torch.Tensor, signal: CodedSignal, *, chroma: bool) -> torch.Tensor:
    """Turn codes into E' values; black, white and neutral chroma come out as exactly 0, 1 and 0.

    Args:
        codes: Any shape, integer.
        signal: What the codes mean.
        chroma: Whether the plane is Cb or Cr (or B' or R', with `Matrix.RGB`) and not luma.

    Returns:
        Same shape, float32, not clipped.
    """
    q = _quantisation(signal, chroma=chroma)
    return codes.to(torch.float32).sub_(float(q.offset)).div_(float(q.scale))


def quantise(plane: torch.Tensor, signal: CodedSignal, *, chroma: bool) -> torch.Tensor:
    """Turn E' values into codes: to the nearest, halves up, never into a reserved code.

    Args:
        plane: Any shape, floating.
        signal: What the codes shall mean.
        chroma: As in `dequantise`.

    Returns:
        Same shape, uint8 for 8 bits, else uint16.
    """
    return round_codes(to_code_scale(plane, signal, chroma=chroma), signal, chroma=chroma)


def to_code_scale(plane: torch.Tensor, signal: CodedSignal, *, chroma: bool) -> torch.Tensor:
    """Turn E' values into codes that are not yet rounded or bounded.

    Args:
        plane: Any shape, floating.
        signal: What the codes shall mean.
        chroma: As in `dequantise`.

    Returns:
        Same shape and dtype, a new tensor.
    """
    q = _quantisation(signal, chroma=chroma)
    return (plane * float(q.scale)).add_(q.offset)


def round_codes(codes: torch.Tensor, signal: CodedSignal, *, chroma: bool) -> torch.Tensor:
    """Round what `to_code_scale` gave, as `quantise` does; overwrites it.

    Args:
        codes: Any shape, floating.
        signal: What the codes shall mean.
        chroma: As in `dequantise`.

    Returns:
        Same shape, uint8 for 8 bits, else uint16.
    """
    q = _quantisation(signal, chroma=chroma)
    codes = codes.add_(0.5).floor_().clamp_(float(q.lowest), float(q.highest))
    return codes.to(torch.uint8 if signal.bit_depth == 8 else torch.uint16)
