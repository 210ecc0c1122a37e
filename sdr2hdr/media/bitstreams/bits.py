"""Bit-level reading, as H.264, H.265 and AV1 describe their headers, and NAL unit packaging."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

__all__ = [
    "UNSPECIFIED",
    "BitReader",
    "EndOfBitsError",
    "HeaderColour",
    "annex_b_units",
    "said",
    "without_emulation",
]

UNSPECIFIED = 2
"""H.273's code, of primaries, transfer and matrix alike, where nothing is said."""


class EndOfBitsError(ValueError):
    """A header ends, or holds nonsense, before the field that was asked for."""


@dataclass(frozen=True)
class HeaderColour:
    """Colour as a sequence header says it, in H.273 code points; None where it is silent.

    Attributes:
        siting: H.273 chroma sample location type, 0 to 5.
    """

    primaries: int | None = None
    transfer: int | None = None
    matrix: int | None = None
    is_full_range: bool | None = None
    siting: int | None = None


def said(code: int | None) -> int | None:
    """A code of primaries, transfer or matrix; None for the one that says nothing."""
    return None if code == UNSPECIFIED else code


class BitReader:
    """Reads unsigned and Exp-Golomb numbers from bytes, most significant bit first."""

    def __init__(self, data: bytes) -> None:
        self._bits = int.from_bytes(data, "big")
        self._left = 8 * len(data)

    def unsigned(self, count: int) -> int:
        """The next `count` bits, u(n).

        Raises:
            EndOfBitsError: There are not as many.
        """
        if count > self._left:
            raise EndOfBitsError(f"{count} bits asked for, {self._left} left.")
        self._left -= count
        return (self._bits >> self._left) & ((1 << count) - 1)

    def flag(self) -> bool:
        """The next bit, u(1)."""
        return self.unsigned(1) == 1

    def skip(self, count: int) -> None:
        """Pass over `count` bits."""
        self.unsigned(count)

    def exp_golomb(self) -> int:
        """The next ue(v) (Rec. ITU-T H.264, 9.1).

        Raises:
            EndOfBitsError: No end within 32 zeros, or no bits left.
        """
        zeros = 0
        while not self.flag():
            zeros += 1
            if zeros > 32:
                raise EndOfBitsError("An Exp-Golomb number has more than 32 leading zeros.")
        return (1 << zeros) - 1 + self.unsigned(zeros)

    def signed_exp_golomb(self) -> int:
        """The next se(v) (Rec. ITU-T H.264, 9.1.1)."""
        number = self.exp_golomb()
        return (number + 1) // 2 if number % 2 else -(number // 2)


def without_emulation(unit: bytes) -> bytes:
    """A NAL unit without its emulation prevention bytes (00 00 03 becomes 00 00)."""
    return unit.replace(b"\0\0\3", b"\0\0")


def annex_b_units(data: bytes) -> Iterator[bytes]:
    """NAL units of a byte stream with start codes (Rec. ITU-T H.264, Annex B)."""
    starts = data.split(b"\0\0\1")[1:]
    for unit in starts:
        # Zeros before the next start code belong to it.
        yield unit.rstrip(b"\0")
