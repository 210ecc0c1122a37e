"""Add attributes to the header of an OpenEXR file in memory.

Source: OpenEXR documentation, "OpenEXR File Layout" (header, offset table) and "Standard
Attributes".
"""

from __future__ import annotations

import struct
from collections.abc import Iterable

__all__ = ["float_attribute", "floats_attribute", "with_attributes"]

_HEADER_START = 8


def floats_attribute(name: str, kind: str, values: Iterable[float]) -> bytes:
    """An attribute whose value is 32-bit floats one after the other."""
    value = b"".join(struct.pack("<f", number) for number in values)
    return name.encode() + b"\0" + kind.encode() + b"\0" + struct.pack("<I", len(value)) + value


def float_attribute(name: str, value: float) -> bytes:
    """An attribute of one number."""
    return floats_attribute(name, "float", [value])


def with_attributes(data: bytes, attributes: bytes, blocks: int) -> bytes:
    """The file with more attributes; the offsets of its blocks of lines move along.

    Args:
        data: A file of one part with lines in blocks.
        attributes: Made by the functions above.
        blocks: How many blocks of lines it has.
    """
    end = _header_end(data)
    table = struct.unpack_from(f"<{blocks}Q", data, end + 1)
    moved = struct.pack(f"<{blocks}Q", *(offset + len(attributes) for offset in table))
    return data[:end] + attributes + b"\0" + moved + data[end + 1 + 8 * blocks :]


def _header_end(data: bytes) -> int:
    """Where the zero byte behind the last attribute is."""
    position = _HEADER_START
    while data[position]:
        for _ in ("name", "kind"):
            position = data.index(b"\0", position) + 1
        (size,) = struct.unpack_from("<I", data, position)
        position += 4 + size
    return position
