"""The first partition pack of an MXF file, as far as it says how long the file is.

SMPTE ST 377-1, its run-in and its partition packs.
"""

from __future__ import annotations

import struct
from pathlib import Path

__all__ = ["missing_mxf_bytes"]

HEADER_PARTITION_KEY = bytes.fromhex("060e2b34020501010d0102010102")
"""Without its last two bytes, which say whether it is open or closed, complete or not."""
MOST_RUN_IN_BYTES = 65_536
KEY_BYTES = 16
FOOTER_PARTITION_OFFSET_BYTES = 24
"""Of the field FooterPartition in the pack, behind the versions, KAG size and two partitions."""


def missing_mxf_bytes(path: Path) -> int:
    """How many bytes an MXF file lacks at least: those up to the footer that its header promises.

    Returns:
        0 for a file that has its footer, or promises none, and for other files.
    """
    with path.open("rb") as file:
        head = file.read(MOST_RUN_IN_BYTES + 2 * KEY_BYTES + FOOTER_PARTITION_OFFSET_BYTES + 8)
    start = head.find(HEADER_PARTITION_KEY)
    if start < 0 or len(head) <= start + KEY_BYTES:
        return 0
    first = head[start + KEY_BYTES]
    # BER: the length itself, or how many bytes of length follow (SMPTE ST 336).
    content = start + KEY_BYTES + 1 + (first & 0x7F if first & 0x80 else 0)
    place = content + FOOTER_PARTITION_OFFSET_BYTES
    if len(head) < place + 8:
        return 0
    footer: int = struct.unpack_from(">Q", head, place)[0]
    return max(0, start + footer + KEY_BYTES - path.stat().st_size) if footer else 0
