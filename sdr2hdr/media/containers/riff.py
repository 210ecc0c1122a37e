"""The chunks of an AVI file, as far as they say how long the file is.

RIFF: Multimedia Programming Interface and Data Specifications 1.0 (IBM and Microsoft, 1991),
chapter 2; several RIFF chunks one behind the other: OpenDML AVI File Format Extensions 1.02.
"""

from __future__ import annotations

import struct
from pathlib import Path

__all__ = ["missing_riff_bytes"]

HEADER_BYTES = 8
UNKNOWN_SIZES = frozenset({0, 0xFFFFFFFF})
"""What writers leave that never came back to the header."""


def missing_riff_bytes(path: Path) -> int:
    """How many bytes an AVI file lacks at its end; 0 for a whole one and for other files."""
    size_bytes = path.stat().st_size
    position = 0
    with path.open("rb") as file:
        while position + HEADER_BYTES <= size_bytes:
            file.seek(position)
            name, length = struct.unpack("<4sI", file.read(HEADER_BYTES))
            if name != b"RIFF" or length in UNKNOWN_SIZES:
                return 0
            position += HEADER_BYTES + length + length % 2
    missing = position - size_bytes
    # Some writers count the header in.
    return missing if missing > HEADER_BYTES else 0
