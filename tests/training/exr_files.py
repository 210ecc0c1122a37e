"""An EXR writer of our own, so that reading is checked against an independent file."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np


def write_exr(
    path: Path,
    pixels: np.ndarray,
    chromaticities: np.ndarray | None = None,
    white_cd_m2: float | None = None,
) -> None:
    """Write (H, W, 3) as uncompressed scan lines of 32-bit floats."""
    height, width, _ = pixels.shape

    def attribute(name: str, kind: str, value: bytes) -> bytes:
        return f"{name}\0{kind}\0".encode() + struct.pack("<I", len(value)) + value

    channels = b"".join(
        name.encode() + b"\0" + struct.pack("<iIii", 2, 0, 1, 1) for name in ("B", "G", "R")
    )
    window = struct.pack("<4i", 0, 0, width - 1, height - 1)
    header = struct.pack("<II", 20000630, 2)
    header += attribute("channels", "chlist", channels + b"\0")
    header += attribute("compression", "compression", b"\0")
    header += attribute("dataWindow", "box2i", window)
    header += attribute("displayWindow", "box2i", window)
    header += attribute("lineOrder", "lineOrder", b"\0")
    header += attribute("pixelAspectRatio", "float", struct.pack("<f", 1.0))
    header += attribute("screenWindowCenter", "v2f", struct.pack("<2f", 0.0, 0.0))
    header += attribute("screenWindowWidth", "float", struct.pack("<f", 1.0))
    if chromaticities is not None:
        header += attribute(
            "chromaticities", "chromaticities", np.asarray(chromaticities, "<f4").tobytes()
        )
    if white_cd_m2 is not None:
        header += attribute("whiteLuminance", "float", struct.pack("<f", white_cd_m2))
    header += b"\0"
    line_bytes = 8 + 3 * 4 * width
    first = len(header) + 8 * height
    offsets = struct.pack(f"<{height}Q", *(first + y * line_bytes for y in range(height)))
    lines = b"".join(
        struct.pack("<ii", y, 3 * 4 * width)
        + np.ascontiguousarray(pixels[y, :, ::-1].T, "<f4").tobytes()
        for y in range(height)
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(header + offsets + lines)


def scene_pixels(seed: int, height: int = 64, width: int = 128) -> np.ndarray:
    """A smooth, colourful scene with a lamp: (H, W, 3), linear, 0.01 to about 40."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width] / height
    waves = [
        np.exp(1.2 * np.sin(rng.uniform(2, 9) * x + rng.uniform(2, 9) * y + rng.uniform(0, 6)))
        for _ in range(3)
    ]
    lamp = 40.0 * np.exp(-((x - rng.uniform(0.2, 1.8)) ** 2 + (y - 0.4) ** 2) / 0.004)
    return (0.2 * np.stack(waves, axis=-1) + lamp[..., None]).astype(np.float32)
