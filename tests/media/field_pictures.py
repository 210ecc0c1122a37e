"""Write H.264 whose frames are coded as two pictures, one a field (PAFF): no encoder here does."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

WIDTH_PX, HEIGHT_PX = 16, 32
"""One macroblock a field: the least that H.264 has."""
TICKS_A_SECOND = 50
PCM_MACROBLOCK = 25
"""I_PCM among the macroblocks of an I slice (Rec. ITU-T H.264, table 7-11)."""


class Bits:
    """Collects the syntax elements of a unit (Rec. ITU-T H.264, 7.2 and 9.1)."""

    def __init__(self) -> None:
        self._digits = ""

    def u(self, size: int, value: int) -> None:
        self._digits += f"{value:0{size}b}"

    def ue(self, *values: int) -> None:
        for value in values:
            digits = f"{value + 1:b}"
            self._digits += "0" * (len(digits) - 1) + digits

    def align(self) -> None:
        self._digits += "0" * (-len(self._digits) % 8)

    def payload(self) -> bytes:
        digits = self._digits + "1"
        digits += "0" * (-len(digits) % 8)
        return int(digits, 2).to_bytes(len(digits) // 8)


def write_field_pictures(path: Path, luma: Sequence[tuple[int, int]]) -> Path:
    """Write an elementary stream of 25 frames a second, each field flat.

    Args:
        luma: Y' of the top and of the bottom field of each frame, not below 16; top comes first.
    """
    units = bytearray(_unit(7, _sequence()) + _unit(8, _picture_parameters()))
    for number, fields in enumerate(luma):
        for is_bottom, value in enumerate(fields):
            is_idr = number == 0 and not is_bottom
            units += _unit(5 if is_idr else 1, _field(number, is_bottom, is_idr, value))
    path.write_bytes(units)
    return path


def _unit(kind: int, payload: bytes) -> bytes:
    """A unit of the byte stream (7.3.1, B.1.1), with what looks like a start code escaped."""
    unit = bytearray([0x60 | kind])
    for byte in payload:
        if byte <= 3 and unit[-2:] == b"\0\0":
            unit.append(3)
        unit.append(byte)
    return b"\0\0\0\1" + bytes(unit)


def _sequence() -> bytes:
    """Sequence parameters (7.3.2.1.1), Main profile, interlaced, with a clock (E.1.1)."""
    bits = Bits()
    bits.u(24, 77 << 16 | 30)
    bits.ue(0, 0, 0, 4, 1)
    bits.u(1, 0)
    bits.ue(WIDTH_PX // 16 - 1, HEIGHT_PX // 32 - 1)
    # Field pictures, no macroblock pairs, 8x8 inference, no cropping; of the VUI the clock alone.
    bits.u(10, 0b0010100001)
    bits.u(32, 1)
    bits.u(32, TICKS_A_SECOND)
    bits.u(5, 0b10000)
    return bits.payload()


def _picture_parameters() -> bytes:
    """Picture parameters (7.3.2.2), all at their simplest."""
    bits = Bits()
    bits.ue(0, 0)
    bits.u(2, 0)
    bits.ue(0, 0, 0)
    bits.u(3, 0)
    bits.ue(0, 0, 0)
    bits.u(3, 0)
    return bits.payload()


def _field(number: int, is_bottom: int, is_idr: bool, luma: int) -> bytes:
    """A slice of I_PCM (7.3.3, 7.3.5)."""
    bits = Bits()
    bits.ue(0, 7, 0)
    bits.u(4, number % 16)
    bits.u(2, 0b10 | is_bottom)
    if is_idr:
        bits.ue(0)
    bits.u(8, (2 * number + is_bottom) % 256)
    bits.u(2 if is_idr else 1, 0)
    bits.ue(0, PCM_MACROBLOCK)
    bits.align()
    for _ in range(256):
        bits.u(8, luma)
    for _ in range(128):
        bits.u(8, 128)
    return bits.payload()
