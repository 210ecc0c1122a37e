"""Attributes of an OpenEXR file's header, which libavcodec does not hand on."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import BinaryIO

import numpy as np

from sdr2hdr.errors import InputError

__all__ = ["exr_chromaticities", "exr_white_cd_m2"]

MAGIC = b"\x76\x2f\x31\x01"
LONGEST_NAME_BYTES = 255


def exr_white_cd_m2(path: Path) -> float | None:
    """Luminance of R = G = B = 1 from the attribute `whiteLuminance`.

    Args:
        path: Any file.

    Returns:
        cd/m2; None if the attribute is absent, or the file is not an OpenEXR file.

    Raises:
        InputError: The header is cut short or nonsense, or the luminance is not above 0.

    Source:
        OpenEXR documentation, "OpenEXR File Layout" and "Standard Optional Attributes".
    """
    value = _attribute(path, "whiteLuminance", "float", size=4)
    if value is None:
        return None
    (white_cd_m2,) = struct.unpack("<f", value)
    if not 0.0 < white_cd_m2 < float("inf"):
        raise InputError(
            f"{path} says that its white is {white_cd_m2} cd/m2 (whiteLuminance); expected more "
            "than 0."
        )
    return white_cd_m2


def exr_chromaticities(path: Path) -> np.ndarray | None:
    """Primaries and white from the attribute `chromaticities`.

    Args:
        path: Any file.

    Returns:
        (4, 2), float64: x and y of red, green, blue and white; None if the attribute is absent, or
        the file is not an OpenEXR file.

    Raises:
        InputError: The header is cut short or nonsense, or no colour can be made of the primaries.

    Source:
        OpenEXR documentation, "OpenEXR File Layout" and "Standard Optional Attributes".
    """
    value = _attribute(path, "chromaticities", "chromaticities", size=32)
    if value is None:
        return None
    chromaticities = np.frombuffer(value, "<f4").reshape(4, 2).astype(np.float64)
    red, green, blue, _ = chromaticities
    area = np.linalg.det(np.stack((green - red, blue - red)))
    is_finite = bool(np.isfinite(chromaticities).all())
    if not is_finite or area == 0.0 or not chromaticities[:, 1].all():
        numbers = ", ".join(f"{number:g}" for number in chromaticities.ravel())
        raise InputError(
            f"{path} has the chromaticities {numbers}; expected x and y of red, green, blue and "
            "white, y not 0, and a triangle of primaries."
        )
    return chromaticities


def _attribute(path: Path, name: str, kind: str, size: int) -> bytes | None:
    """Value of the attribute of this name and type."""
    with path.open("rb") as file:
        if file.read(len(MAGIC)) != MAGIC:
            return None
        file.seek(4, 1)
        while found := _text(file, path):
            found_kind = _text(file, path)
            (found_size,) = struct.unpack("<I", _exactly(file, 4, path))
            if (found, found_kind, found_size) == (name, kind, size):
                return _exactly(file, size, path)
            file.seek(found_size, 1)
    return None


def _text(file: BinaryIO, path: Path) -> str:
    """Text up to the next zero byte."""
    text = b""
    while (byte := _exactly(file, 1, path)) != b"\0":
        text += byte
        if len(text) > LONGEST_NAME_BYTES:
            raise InputError(f"{path} has a damaged header; expected an OpenEXR file.")
    return text.decode("latin-1")


def _exactly(file: BinaryIO, count: int, path: Path) -> bytes:
    data = file.read(count)
    if len(data) < count:
        raise InputError(f"{path} ends inside its header; expected a whole OpenEXR file.")
    return data
