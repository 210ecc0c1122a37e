"""Pictures for training and examination: linear EXR and Radiance files, and coded HDR or SDR ones.

A file is read as it is, nothing is converted: what the numbers mean comes along.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import av
import av.error
import numpy as np
from av.video.frame import VideoFrame

from sdr2hdr.errors import InputError
from sdr2hdr.media.containers.exr_header import exr_chromaticities
from sdr2hdr.media.opening import open_input
from sdr2hdr.media.pixel_formats import pixel_layout
from sdr2hdr.media.planes import Planes, frame_planes
from sdr2hdr.media.signalling.colour_codes import HLG_CODE, PQ_CODE
from sdr2hdr.signal import (
    ChromaSiting,
    CodedSignal,
    ColourRange,
    Matrix,
    Primaries,
    Subsampling,
    Transfer,
)

__all__ = [
    "LINEAR_SUFFIXES",
    "PICTURE_SUFFIXES",
    "VIDEO_SUFFIXES",
    "CodedPicture",
    "LinearPicture",
    "PictureTransfer",
    "count_pictures",
    "read_coded_pictures",
    "read_linear_picture",
    "write_png",
]

LINEAR_SUFFIXES = frozenset({".exr", ".hdr"})
"""Files of linear light."""

PICTURE_SUFFIXES = frozenset({".avif", ".jpeg", ".jpg", ".png"})
"""Files with one coded picture."""

VIDEO_SUFFIXES = frozenset({".m4v", ".mkv", ".mov", ".mp4", ".webm"})
"""Files with many coded pictures."""

_FLOAT_FORMATS = {
    "gbrpf16le": np.dtype("<f2"),
    "gbrapf16le": np.dtype("<f2"),
    "gbrpf32le": np.dtype("<f4"),
    "gbrapf32le": np.dtype("<f4"),
}

_GREATEST_HALF = 65504.0
"""IEEE 754 binary16."""

# Rec. ITU-T H.273 (07/2021), Tables 2, 3 and 4
_BT709_CODE, _SRGB_CODE = 1, 13
_PRIMARIES = {
    1: Primaries.BT709,
    5: Primaries.BT601_625,
    6: Primaries.BT601_525,
    9: Primaries.BT2020,
    12: Primaries.P3_D65,
}
_MATRICES = {1: Matrix.BT709, 5: Matrix.BT601, 6: Matrix.BT601, 9: Matrix.BT2020_NCL}
_FULL_RANGE = 2


class PictureTransfer(Enum):
    """How a coded picture's R'G'B' becomes light."""

    VIDEO = "BT.1886"
    SRGB = "sRGB"
    PQ = "PQ"
    HLG = "HLG"


@dataclass(frozen=True)
class LinearPicture:
    """Linear light.

    Attributes:
        pixels: (H, W, 3), float32, R, G, B, finite; may be negative or over 1.
        chromaticities: CIE x, y of red, green, blue and white from an EXR's header, (4, 2); None
            where the file does not say.
    """

    pixels: np.ndarray
    chromaticities: np.ndarray | None


@dataclass(frozen=True)
class CodedPicture:
    """One picture as coded planes.

    Attributes:
        planes: As the decoder gave them.
        signal: How planes become R'G'B'; `transfer` stands for its transfer function, which has no
            member for HLG.
        transfer: How R'G'B' becomes light.
    """

    planes: Planes
    signal: CodedSignal
    transfer: PictureTransfer


def read_linear_picture(path: Path) -> LinearPicture:
    """Read an OpenEXR or Radiance picture.

    Infinite light, which half floats have above 65504, becomes that, or the greatest in the file.

    Raises:
        InputError: The file cannot be read, or does not hold R, G, B as floating numbers.
    """
    frame = _first_frame(path)
    dtype = _FLOAT_FORMATS.get(frame.format.name)
    if dtype is None:
        raise InputError(
            f"{path} decodes to {frame.format.name}; expected R, G, B as half or single floats."
        )
    green, blue, red = (_float_plane(frame, index, dtype) for index in range(3))
    pixels = np.stack((red, green, blue), axis=-1)
    if np.isnan(pixels).any():
        raise InputError(f"{path} holds values that are not numbers; expected light.")
    is_infinite = np.isinf(pixels)
    if is_infinite.any():
        greatest = np.abs(pixels[~is_infinite]).max(initial=_GREATEST_HALF)
        pixels = pixels.clip(-greatest, greatest)
    return LinearPicture(pixels, exr_chromaticities(path))


def read_coded_pictures(path: Path, count: int = 1) -> Iterator[CodedPicture]:
    """Read one or several pictures of a file.

    Args:
        path: A still picture or a video.
        count: Pictures wanted; they are taken at equal distances over the whole video. Fewer come
            if the file has fewer.

    Raises:
        InputError: The file cannot be read, or its colour is none we know.
    """
    wanted = _wanted_frames(path, count)
    with open_input(path) as container:
        if not container.streams.video:
            raise InputError(f"{path} has no video; expected a picture or a video file.")
        try:
            for index, frame in enumerate(container.decode(video=0)):
                if index in wanted:
                    yield _coded(path, frame)
        except av.error.FFmpegError as error:
            raise InputError(f"{path} cannot be decoded: {error.strerror}.") from error


def count_pictures(path: Path) -> int:
    """How many pictures a video shows; 1 of every other file, which is not opened.

    Raises:
        InputError: The file cannot be read.
    """
    if path.suffix.lower() not in VIDEO_SUFFIXES:
        return 1
    with open_input(path) as container:
        if not container.streams.video:
            raise InputError(f"{path} has no video; expected a picture or a video file.")
        packets = container.demux(video=0)
        return sum(packet.size > 0 and not packet.is_discard for packet in packets)


def write_png(path: Path, pixels: np.ndarray) -> None:
    """Write (H, W, 3) uint8 R'G'B' as a PNG file."""
    frame = VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
    encoder = av.CodecContext.create("png", "w")
    encoder.width, encoder.height = frame.width, frame.height
    encoder.pix_fmt = "rgb24"
    packets = [*encoder.encode(frame), *encoder.encode(None)]
    path.write_bytes(b"".join(bytes(packet) for packet in packets))


def _first_frame(path: Path) -> VideoFrame:
    with open_input(path) as container:
        try:
            for frame in container.decode(video=0):
                return frame
        except (av.error.FFmpegError, IndexError) as error:
            raise InputError(f"{path} cannot be decoded: {error}.") from error
    raise InputError(f"{path} holds no picture.")


def _float_plane(frame: VideoFrame, index: int, dtype: np.dtype) -> np.ndarray:
    plane = frame.planes[index]
    lines = np.frombuffer(memoryview(plane), dtype)
    lines = lines.reshape(-1, plane.line_size // dtype.itemsize)
    return lines[: frame.height, : frame.width].astype(np.float32)


def _wanted_frames(path: Path, count: int) -> frozenset[int]:
    if count <= 1:
        return frozenset({0})
    total = count_pictures(path)
    return frozenset(int(i) for i in np.linspace(0, max(total - 1, 0), min(count, max(total, 1))))


def _coded(path: Path, frame: VideoFrame) -> CodedPicture:
    layout = pixel_layout(frame.format.name, path)
    transfer = _transfer(path, int(frame.color_trc))
    is_jpeg = path.suffix.lower() in {".jpg", ".jpeg"}
    is_hdr = transfer in (PictureTransfer.PQ, PictureTransfer.HLG)
    if layout.is_rgb:
        matrix = Matrix.RGB
    else:
        default = Matrix.BT601 if is_jpeg else Matrix.BT2020_NCL if is_hdr else Matrix.BT709
        matrix = _MATRICES.get(int(frame.colorspace), default)
    full = layout.is_rgb or layout.is_full_range or int(frame.color_range) == _FULL_RANGE
    primaries = _PRIMARIES.get(
        int(frame.color_primaries), Primaries.BT2020 if is_hdr else Primaries.BT709
    )
    if layout.subsampling is not Subsampling.YUV420 and not is_jpeg:
        siting = ChromaSiting.LEFT
    else:
        siting = (
            ChromaSiting.CENTRE
            if is_jpeg
            else ChromaSiting.TOP_LEFT
            if is_hdr
            else ChromaSiting.LEFT
        )
    signal = CodedSignal(
        matrix=matrix,
        colour_range=ColourRange.FULL if full else ColourRange.LIMITED,
        primaries=primaries,
        transfer=Transfer.PQ if transfer is PictureTransfer.PQ else Transfer.BT1886,
        siting=siting,
        subsampling=layout.subsampling,
        bit_depth=layout.bit_depth,
    )
    return CodedPicture(frame_planes(frame, layout), signal, transfer)


def _transfer(path: Path, code: int) -> PictureTransfer:
    if code == PQ_CODE:
        return PictureTransfer.PQ
    if code == HLG_CODE:
        return PictureTransfer.HLG
    is_still = path.suffix.lower() in PICTURE_SUFFIXES
    if code == _SRGB_CODE or (is_still and code != _BT709_CODE):
        return PictureTransfer.SRGB
    return PictureTransfer.VIDEO
