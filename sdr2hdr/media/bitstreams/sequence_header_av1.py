"""AV1's sequence header, read as far as its colour (AV1 Bitstream & Decoding Process, 5.5)."""

from __future__ import annotations

from collections.abc import Iterator

from sdr2hdr.media.bitstreams.bits import BitReader, EndOfBitsError, HeaderColour, said
from sdr2hdr.signal import ChromaSiting

__all__ = ["SEQUENCE_HEADER", "av1_units", "av1c_content", "av1c_siting", "sequence_header_colour"]

SEQUENCE_HEADER = 1
SRGB = (1, 13, 0)
SITINGS = {1: ChromaSiting.LEFT.value, 2: ChromaSiting.TOP_LEFT.value}
"""chroma_sample_position (6.4.2): 1 is vertical, 2 colocated; 0 is unknown."""


def av1c_siting(configuration: bytes) -> int | None:
    """Chroma sample location type in an av1C record (AV1 in ISO BMFF, 2.3.3), None if unknown."""
    if len(configuration) < 4 or configuration[0] != 0x81:
        return None
    is_420 = configuration[2] & 0x0C == 0x0C
    return SITINGS.get(configuration[2] & 3) if is_420 else None


def av1c_content(extradata: bytes) -> bytes:
    """The units in an av1C record (AV1 in ISO BMFF, 2.3.3); all of what is no such record."""
    return extradata[4:] if extradata[:1] == b"\x81" else extradata


def av1_units(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Type and payload of each open bitstream unit (5.3).

    Raises:
        EndOfBitsError: A unit has no size, or one beyond the data's end.
    """
    position = 0
    while position < len(data):
        header = data[position]
        position += 2 if header & 4 else 1
        if not header & 2:
            raise EndOfBitsError("An open bitstream unit has no size.")
        size = shift = 0
        while True:
            if position >= len(data) or shift > 49:
                raise EndOfBitsError("The size of an open bitstream unit is cut short.")
            byte = data[position]
            position += 1
            size |= (byte & 0x7F) << shift
            shift += 7
            if not byte & 0x80:
                break
        if position + size > len(data):
            raise EndOfBitsError("An open bitstream unit is cut short.")
        yield (header >> 3) & 15, data[position : position + size]
        position += size


def sequence_header_colour(payload: bytes) -> HeaderColour:
    """Colour that a sequence header signals (5.5.1, 5.5.2).

    Raises:
        EndOfBitsError: The header is cut short.
    """
    bits = BitReader(payload)
    profile = bits.unsigned(3)
    bits.skip(1)
    is_reduced = bits.flag()
    if is_reduced:
        bits.skip(5)
    else:
        _skip_operating_points(bits)
    width_bits = bits.unsigned(4) + 1
    height_bits = bits.unsigned(4) + 1
    bits.skip(width_bits + height_bits)
    if not is_reduced and bits.flag():
        bits.skip(7)
    bits.skip(3)
    if not is_reduced:
        _skip_tools(bits)
    bits.skip(3)
    return _colour_config(bits, profile)


def _skip_operating_points(bits: BitReader) -> None:
    delay_bits = 0
    if bits.flag():
        bits.skip(64)
        if bits.flag():
            bits.exp_golomb()
        if bits.flag():
            delay_bits = bits.unsigned(5) + 1
            bits.skip(42)
    has_display_delay = bits.flag()
    for _ in range(bits.unsigned(5) + 1):
        bits.skip(12)
        if bits.unsigned(5) > 7:
            bits.skip(1)
        if delay_bits and bits.flag():
            bits.skip(2 * delay_bits + 1)
        if has_display_delay and bits.flag():
            bits.skip(4)


def _skip_tools(bits: BitReader) -> None:
    bits.skip(4)
    has_order_hint = bits.flag()
    if has_order_hint:
        bits.skip(2)
    may_choose_screen_content = bits.flag()
    # Whether integer motion vectors are signalled hangs on screen content tools being possible.
    if (may_choose_screen_content or bits.flag()) and not bits.flag():
        bits.skip(1)
    if has_order_hint:
        bits.skip(3)


def _colour_config(bits: BitReader, profile: int) -> HeaderColour:
    high_depth = bits.flag()
    is_12_bit = profile == 2 and high_depth and bits.flag()
    is_grey = profile != 1 and bits.flag()
    description: tuple[int | None, ...] = (None, None, None)
    if bits.flag():
        description = tuple(said(bits.unsigned(8)) for _ in range(3))
    if description == SRGB and not is_grey:
        return HeaderColour(*SRGB, is_full_range=True)
    full_range = bits.flag()
    across = down = profile == 0
    if profile == 2:
        across = bits.flag() if is_12_bit else True
        down = across and is_12_bit and bits.flag()
    siting = None
    if across and down and not is_grey:
        siting = SITINGS.get(bits.unsigned(2))
    primaries, transfer, matrix = description
    return HeaderColour(primaries, transfer, matrix, full_range, siting)
