"""The sequence parameter set of H.265, as far as its colour (Rec. ITU-T H.265, 7.3.2.2)."""

from __future__ import annotations

from sdr2hdr.media.bitstreams.bits import BitReader, EndOfBitsError, HeaderColour, without_emulation
from sdr2hdr.media.bitstreams.sps_h264 import vui_colour

__all__ = ["SPS_TYPE", "hevc_reorder_pictures", "hevc_sps_colour"]

SPS_TYPE = 33
"""nal_unit_type of a sequence parameter set."""

PROFILE_BITS = 88
LEVEL_BITS = 8
MOST_REFERENCE_SETS = 64


def hevc_sps_colour(unit: bytes) -> HeaderColour:
    """Colour that a sequence parameter set signals.

    Args:
        unit: The NAL unit with its two-byte header.

    Raises:
        EndOfBitsError: The unit is cut short or nonsense.
    """
    bits = BitReader(without_emulation(unit)[2:])
    order_count_bits, _ = _read_to_ordering(bits)
    for _ in range(6):
        bits.exp_golomb()
    if bits.flag() and bits.flag():
        _skip_scaling_lists(bits)
    bits.skip(2)
    if bits.flag():
        bits.skip(8)
        bits.exp_golomb()
        bits.exp_golomb()
        bits.skip(1)
    _skip_reference_sets(bits)
    if bits.flag():
        for _ in range(bits.exp_golomb()):
            bits.skip(order_count_bits + 1)
    bits.skip(2)
    return vui_colour(bits) if bits.flag() else HeaderColour()


def hevc_reorder_pictures(unit: bytes) -> int:
    """How many pictures may be decoded before one that is shown before them.

    Args:
        unit: The NAL unit of the sequence parameter set with its two-byte header.

    Returns:
        sps_max_num_reorder_pics of the highest temporal sub-layer.

    Raises:
        EndOfBitsError: The unit is cut short or nonsense.
    """
    _, reorder_pictures = _read_to_ordering(BitReader(without_emulation(unit)[2:]))
    return reorder_pictures


def _read_to_ordering(bits: BitReader) -> tuple[int, int]:
    """Read from behind the unit's header to the sub-layers' ordering, included.

    Returns:
        Bits of a picture order count's low part, and sps_max_num_reorder_pics.
    """
    bits.skip(4)
    sub_layers = bits.unsigned(3)
    bits.skip(1)
    _skip_profile_tier_level(bits, sub_layers)
    bits.exp_golomb()
    if bits.exp_golomb() == 3:
        bits.skip(1)
    bits.exp_golomb()
    bits.exp_golomb()
    if bits.flag():
        for _ in range(4):
            bits.exp_golomb()
    bits.exp_golomb()
    bits.exp_golomb()
    order_count_bits = bits.exp_golomb() + 4
    reorder_pictures = 0
    for _ in range(sub_layers + 1 if bits.flag() else 1):
        bits.exp_golomb()
        reorder_pictures = bits.exp_golomb()
        bits.exp_golomb()
    return order_count_bits, reorder_pictures


def _skip_profile_tier_level(bits: BitReader, sub_layers: int) -> None:
    """Clause 7.3.3."""
    bits.skip(PROFILE_BITS + LEVEL_BITS)
    present = [(bits.flag(), bits.flag()) for _ in range(sub_layers)]
    if sub_layers:
        bits.skip(2 * (8 - sub_layers))
    for has_profile, has_level in present:
        bits.skip(PROFILE_BITS * has_profile + LEVEL_BITS * has_level)


def _skip_scaling_lists(bits: BitReader) -> None:
    """Clause 7.3.4."""
    for size in range(4):
        for _ in range(0, 6, 3 if size == 3 else 1):
            if not bits.flag():
                bits.exp_golomb()
                continue
            if size > 1:
                bits.signed_exp_golomb()
            for _ in range(min(64, 1 << (4 + 2 * size))):
                bits.signed_exp_golomb()


def _skip_reference_sets(bits: BitReader) -> None:
    """Clause 7.3.7, for all sets of the sequence."""
    count = bits.exp_golomb()
    if count > MOST_REFERENCE_SETS:
        raise EndOfBitsError(f"{count} reference picture sets; at most 64 are allowed.")
    pictures = 0
    for index in range(count):
        if index and bits.flag():
            bits.skip(1)
            bits.exp_golomb()
            kept = 0
            for _ in range(pictures + 1):
                if bits.flag() or bits.flag():
                    kept += 1
            pictures = kept
        else:
            pictures = bits.exp_golomb() + bits.exp_golomb()
            for _ in range(pictures):
                bits.exp_golomb()
                bits.skip(1)
