"""The sequence parameter set of H.264, read as far as its colour (Rec. ITU-T H.264, 7.3.2.1.1)."""

from __future__ import annotations

from sdr2hdr.media.bitstreams.bits import BitReader, HeaderColour, said, without_emulation

__all__ = ["SPS_TYPE", "h264_sps_colour", "vui_colour"]

SPS_TYPE = 7
"""nal_unit_type of a sequence parameter set."""

PROFILES_WITH_CHROMA_FORMAT = frozenset(
    {44, 83, 86, 100, 110, 118, 122, 128, 134, 135, 138, 139, 244}
)
EXTENDED_SAR = 255


def h264_sps_colour(unit: bytes) -> HeaderColour:
    """Colour that a sequence parameter set signals.

    Args:
        unit: The NAL unit with its one-byte header.

    Raises:
        EndOfBitsError: The unit is cut short or nonsense.
    """
    bits = BitReader(without_emulation(unit)[1:])
    profile = bits.unsigned(8)
    bits.skip(16)
    bits.exp_golomb()
    if profile in PROFILES_WITH_CHROMA_FORMAT:
        _skip_chroma_format(bits)
    bits.exp_golomb()
    _skip_picture_order(bits)
    bits.exp_golomb()
    bits.skip(1)
    bits.exp_golomb()
    bits.exp_golomb()
    if not bits.flag():
        bits.skip(1)
    bits.skip(1)
    if bits.flag():
        for _ in range(4):
            bits.exp_golomb()
    return vui_colour(bits) if bits.flag() else HeaderColour()


def vui_colour(bits: BitReader) -> HeaderColour:
    """The head of the video usability information, which H.264 (E.1.1) and H.265 (E.2.1) share."""
    if bits.flag() and bits.unsigned(8) == EXTENDED_SAR:
        bits.skip(32)
    if bits.flag():
        bits.skip(1)
    full_range = primaries = transfer = matrix = siting = None
    if bits.flag():
        bits.skip(3)
        full_range = bits.flag()
        if bits.flag():
            primaries, transfer, matrix = (said(bits.unsigned(8)) for _ in range(3))
    if bits.flag():
        # The top field's; encoders write the same for both.
        siting = bits.exp_golomb()
        bits.exp_golomb()
    if siting is not None and siting > 5:
        siting = None
    return HeaderColour(primaries, transfer, matrix, full_range, siting)


def _skip_chroma_format(bits: BitReader) -> None:
    chroma_format = bits.exp_golomb()
    if chroma_format == 3:
        bits.skip(1)
    bits.exp_golomb()
    bits.exp_golomb()
    bits.skip(1)
    if bits.flag():
        for index in range(12 if chroma_format == 3 else 8):
            if bits.flag():
                _skip_scaling_list(bits, 16 if index < 6 else 64)


def _skip_scaling_list(bits: BitReader, size: int) -> None:
    last = following = 8
    for _ in range(size):
        if following:
            following = (last + bits.signed_exp_golomb()) % 256
        last = following or last


def _skip_picture_order(bits: BitReader) -> None:
    order_type = bits.exp_golomb()
    if order_type == 0:
        bits.exp_golomb()
    elif order_type == 1:
        bits.skip(1)
        bits.exp_golomb()
        bits.exp_golomb()
        for _ in range(bits.exp_golomb()):
            bits.exp_golomb()
