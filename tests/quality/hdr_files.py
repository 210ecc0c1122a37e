"""Small HDR files, written without any code of the program."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from clips import ClipRecipe, Tags, blank_frame, fill_plane

PQ_2020 = Tags(primaries=9, transfer=16, matrix=9, colour_range=1)

BT2020_XY = (0.708, 0.292, 0.170, 0.797, 0.131, 0.046, 0.3127, 0.3290)


def write_video(
    path: Path,
    frames: Sequence[Sequence[np.ndarray]],
    tags: Tags = PQ_2020,
    pixel_format: str = "yuv420p10le",
    codec: str = "ffv1",
    codec_options: tuple[tuple[str, str], ...] = (),
) -> Path:
    """Write frames, each given as its planes in the encoder's order."""
    height, width = frames[0][0].shape
    recipe = ClipRecipe(width_px=width, height_px=height, pixel_format=pixel_format, tags=tags)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = width, height, pixel_format
        context = stream.codec_context
        context.time_base = Fraction(1, 25)
        context.color_primaries = tags.primaries
        context.color_trc = tags.transfer
        context.colorspace = tags.matrix
        context.color_range = tags.colour_range
        context.options = dict(codec_options)
        for number, planes in enumerate(frames):
            frame = blank_frame(recipe)
            for plane, values in zip(frame.planes, planes, strict=True):
                fill_plane(plane, values)
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def flat_planes(luma: int, cb: int = 512, cr: int = 512, height: int = 48, width: int = 64):
    """One colour, 10-bit 4:2:0."""
    half = (height // 2, width // 2)
    return (
        np.full((height, width), luma, np.uint16),
        np.full(half, cb, np.uint16),
        np.full(half, cr, np.uint16),
    )


def write_still(path: Path, pixels: np.ndarray, tags: Tags | None) -> Path:
    """Write (H, W, 3) R'G'B' codes, uint16 or uint8, as PNG or TIFF."""
    codec = {".png": "png", ".tif": "tiff"}[path.suffix]
    wide = "rgb48be" if codec == "png" else "rgb48le"
    name = "rgb24" if pixels.dtype == np.uint8 else wide
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format=name)
    encoder = av.CodecContext.create(codec, "w")
    encoder.width, encoder.height, encoder.pix_fmt = frame.width, frame.height, name
    encoder.time_base = Fraction(1)
    if tags is not None:
        for holder in (encoder, frame):
            holder.color_primaries, holder.color_trc = tags.primaries, tags.transfer
            holder.colorspace, holder.color_range = tags.matrix, tags.colour_range
    packets = [*encoder.encode(frame), *encoder.encode(None)]
    path.write_bytes(b"".join(bytes(packet) for packet in packets))
    return path


def write_exr(
    path: Path,
    pixels: np.ndarray,
    chromaticities: Sequence[float] | None = BT2020_XY,
    white_cd_m2: float | None = 203.0,
) -> Path:
    """Write (H, W, 3) float32 R, G, B as an uncompressed scan-line OpenEXR file."""
    height, width, _ = pixels.shape
    window = struct.pack("<4i", 0, 0, width - 1, height - 1)
    single = 2
    channels = b"".join(
        name + b"\0" + struct.pack("<iB3xii", single, 0, 1, 1) for name in (b"B", b"G", b"R")
    )
    attributes = [
        (b"channels", b"chlist", channels + b"\0"),
        (b"compression", b"compression", b"\0"),
        (b"dataWindow", b"box2i", window),
        (b"displayWindow", b"box2i", window),
        (b"lineOrder", b"lineOrder", b"\0"),
        (b"pixelAspectRatio", b"float", struct.pack("<f", 1.0)),
        (b"screenWindowCenter", b"v2f", struct.pack("<2f", 0.0, 0.0)),
        (b"screenWindowWidth", b"float", struct.pack("<f", 1.0)),
    ]
    if chromaticities is not None:
        value = struct.pack("<8f", *chromaticities)
        attributes.append((b"chromaticities", b"chromaticities", value))
    if white_cd_m2 is not None:
        attributes.append((b"whiteLuminance", b"float", struct.pack("<f", white_cd_m2)))
    header = b"\x76\x2f\x31\x01" + struct.pack("<I", 2)
    for name, kind, value in attributes:
        header += name + b"\0" + kind + b"\0" + struct.pack("<i", len(value)) + value
    header += b"\0"
    line_bytes = width * 3 * 4
    first = len(header) + 8 * height
    offsets = [first + row * (8 + line_bytes) for row in range(height)]
    lines = b""
    for row in range(height):
        planes = pixels[row, :, ::-1].T.astype("<f4")
        lines += struct.pack("<2i", row, line_bytes) + planes.tobytes()
    path.write_bytes(header + struct.pack(f"<{height}Q", *offsets) + lines)
    return path
