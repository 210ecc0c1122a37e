"""One picture a frame: PNG and TIFF in PQ, OpenEXR in linear light."""

from __future__ import annotations

import shutil
import struct
import tempfile
import zlib
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import av.error
import numpy as np
import torch
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame

from sdr2hdr.errors import Notice, OutputError
from sdr2hdr.frames import RgbBatch
from sdr2hdr.media.containers.exr_attributes import (
    float_attribute,
    floats_attribute,
    with_attributes,
)
from sdr2hdr.media.encoding.output_video import OutputVideo
from sdr2hdr.media.mastering import BT2020_1000, P3_D65_1000, MasteringDisplay
from sdr2hdr.media.targets import check_sequence_name, frame_path
from sdr2hdr.media.writing.sequence_names import FIRST_FRAME_NUMBER, name_pictures, refuse_pictures
from sdr2hdr.media.writing.writer import Writer
from sdr2hdr.media.writing.written import WrittenSummary
from sdr2hdr.signal import HDR_DISPLAY

__all__ = ["ImageSequenceWriter"]

EXR_WHITE_CD_M2 = 1.0
"""R = G = B = 1 in our OpenEXR files: the numbers are cd/m2."""

_EXR_LINES_PER_BLOCK = 16
"""Of ZIP compression (OpenEXR File Layout)."""
_LARGEST_CODE = 65535
_BT2020, _PQ, _RGB, _FULL_RANGE = 9, 16, 0, 2
"""Rec. ITU-T H.273 (07/2021), Tables 2 to 4; libav's code of full range."""


class ImageSequenceWriter(Writer):
    """Writes each frame as a file of its own; a context manager like `SegmentWriter`.

    PNG and TIFF hold 16-bit full-range R'G'B' in BT.2020 primaries and PQ; PNG says so (`cICP`)
    and names the mastering display (`mDCV`), TIFF has no field for it. OpenEXR holds linear light
    in BT.2020 primaries as 16-bit floats whose numbers are cd/m2, and says so (`chromaticities`,
    `whiteLuminance` = 1). TIFF and OpenEXR say what shape their pixels have (`XResolution` and
    `YResolution`, `pixelAspectRatio`); PNG does not, because libav reads its `pHYs` turned round.
    Padding is cut off and turned pictures are turned upright, because pictures have no field for
    either that all programs read.

    The files appear under their names only when all are written. Leaving the context before that
    removes what was written; while they get their names, what has none yet stays for who goes on.

    Args:
        target: A name with the place of the frame's number in it, such as "shot_%06d.exr"; frames
            count from 1.
        video: Size, padding, rotation and mastering display; its signal is not looked at.
        pq_eotf: From PQ, [0, 1], to cd/m2, same shape.
        overwrite: Replace an older sequence of that name, all of it, and what has appeared of one
            by the end.

    Raises:
        OutputError: The name has no place for a number, frames of that name are there already
            without `overwrite`, or nothing can be written there.
    """

    def __init__(
        self,
        target: Path,
        video: OutputVideo,
        pq_eotf: Callable[[torch.Tensor], torch.Tensor],
        *,
        overwrite: bool = False,
    ) -> None:
        self._target = target
        self._video = video
        self._pq_eotf = pq_eotf
        self._overwrite = overwrite
        check_sequence_name(target)
        try:
            self._check_is_new("exists already")
            name = tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".partial", dir=target.parent)
            self._folder = Path(name)
        except OSError as error:
            raise self._cannot_write(error) from error
        self._frames = 0
        self._bytes = 0
        self._is_whole = False

    def write(self, batch: RgbBatch) -> None:
        """Write the frames of a batch.

        Args:
            batch: In BT.2020 and PQ, of the video's size, padding included.

        Raises:
            ValueError: Another size or signal.
            OutputError: A picture cannot be coded, or the disk is full.
        """
        video = self._video
        height, width = batch.pixels.shape[2:]
        if (height, width) != (video.height_px, video.width_px) or batch.signal != HDR_DISPLAY:
            raise ValueError(
                f"A batch of {width}x{height} px, {batch.signal}; "
                f"expected {video.width_px}x{video.height_px}, {HDR_DISPLAY}."
            )
        shown = batch.pixels[:, :, : height - video.crop_bottom_px, : width - video.crop_right_px]
        shown = torch.rot90(shown, video.rotation_degrees // 90, dims=(2, 3))
        shown = shown.flip(3) if video.is_mirrored else shown
        for pixels in shown:
            number = FIRST_FRAME_NUMBER + self._frames
            data = self._picture(pixels)
            try:
                frame_path(self._folder / self._target.name, number).write_bytes(data)
            except OSError as error:
                raise self._cannot_write(error) from error
            self._frames += 1
            self._bytes += len(data)

    def finish(
        self, on_whole: Callable[[WrittenSummary, Path], None] = lambda written, folder: None
    ) -> WrittenSummary:
        """Give the files their names.

        Args:
            on_whole: Told what was written, and the folder that the files lie in, before the first
                gets its name. A file more in that folder goes with it.

        Raises:
            OutputError: No frame was written, frames of that name have appeared meanwhile without
                `overwrite`, or the files cannot be renamed.
        """
        if self._frames == 0:
            raise OutputError("No frame was written; expected at least one in the time range.")
        try:
            self._check_is_new("has appeared meanwhile")
        except OSError as error:
            raise self._cannot_write(error) from error
        written = WrittenSummary(self._frames, self._bytes, {}, self.notices)
        on_whole(written, self._folder)
        self._is_whole = True
        name_pictures(self._folder, self._target, self._frames, overwrite=self._overwrite)
        return written

    @property
    def notices(self) -> tuple[Notice, ...]:
        """What the reader of the files has to be told, because they cannot say it."""
        if self._target.suffix.lower() not in (".tif", ".tiff"):
            return ()
        return (
            Notice(
                "notice",
                "TIFF has no field for HDR: read the pictures as BT.2020, PQ (ST 2084), full "
                "range.",
            ),
        )

    @property
    def written_bytes(self) -> int:
        """Size of the pictures so far."""
        return self._bytes

    def abort(self) -> None:
        """Remove what was written, unless it is about to get its names; may be called any time."""
        if not self._is_whole:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _check_is_new(self, how: str) -> None:
        if not self._overwrite:
            refuse_pictures(self._target, how)

    def _picture(self, pixels: torch.Tensor) -> bytes:
        """One file of R'G'B' (3, H, W)."""
        suffix = self._target.suffix.lower()
        if suffix == ".exr":
            light = self._pq_eotf(pixels).to(torch.float32).cpu().numpy()
            return _exr(light, self._video.average_rate, self._pixel_aspect_ratio)
        codes = (pixels.double() * _LARGEST_CODE).round().clamp(0, _LARGEST_CODE)
        packed = codes.permute(1, 2, 0).cpu().numpy().astype(np.uint16)
        if suffix == ".png":
            return with_mdcv(_png(packed), self._video.mastering or P3_D65_1000)
        return _encoded(
            packed.astype("<u2"),
            "tiff",
            "rgb48le",
            {"compression_algo": "deflate"},
            self._pixel_aspect_ratio,
        )

    @property
    def _pixel_aspect_ratio(self) -> Fraction:
        """Width to height of a pixel that stands upright."""
        aspect = self._video.sample_aspect_ratio
        return 1 / aspect if self._video.rotation_degrees % 180 else aspect

    def _cannot_write(self, error: OSError) -> OutputError:
        return OutputError(f"{self._target} cannot be written: {error.strerror}.")


def with_mdcv(png: bytes, mastering: MasteringDisplay) -> bytes:
    """A PNG with the mastering display behind its `cICP` chunk.

    Raises:
        ValueError: There is no such chunk.

    Source:
        W3C, Portable Network Graphics (PNG) Specification (Third Edition), 11.3.2.7.
    """
    chromaticities = (mastering.red, mastering.green, mastering.blue, mastering.white)
    *_, high, low = mastering.coded()
    content = struct.pack(
        ">8H2I",
        *(round(c * 50_000) for point in chromaticities for c in point),
        *(high, low),
    )
    body = b"mDCV" + content
    chunk = struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))
    end = png.index(b"cICP") + len(b"cICP") + 4 + 4
    return png[:end] + chunk + png[end:]


def _png(packed: np.ndarray) -> bytes:
    return _encoded(packed.astype(">u2"), "png", "rgb48be", {})


def _exr(light_cd_m2: np.ndarray, rate: Fraction | None, pixel_aspect_ratio: Fraction) -> bytes:
    """A file of (3, H, W), R, G, B."""
    # Rounded here, because libav cuts the bits off and everything would be a little too dark.
    red, green, blue = light_cd_m2.astype(np.float16).astype(np.float32)
    data = _encoded(
        (green, blue, red),
        "exr",
        "gbrpf32le",
        {"compression": "zip16", "format": "half"},
        pixel_aspect_ratio,
    )
    display = BT2020_1000
    attributes = floats_attribute(
        "chromaticities",
        "chromaticities",
        (*display.red, *display.green, *display.blue, *display.white),
    )
    attributes += float_attribute("whiteLuminance", EXR_WHITE_CD_M2)
    if rate is not None:
        value = struct.pack("<iI", rate.numerator, rate.denominator)
        attributes += b"framesPerSecond\0rational\0" + struct.pack("<I", len(value)) + value
    return with_attributes(data, attributes, -(-red.shape[0] // _EXR_LINES_PER_BLOCK))


def _encoded(
    picture: np.ndarray | tuple[np.ndarray, ...],
    encoder_name: str,
    pixel_format: str,
    options: dict[str, str],
    sample_aspect_ratio: Fraction = Fraction(1),
) -> bytes:
    """One picture through libav.

    Args:
        picture: (H, W, 3) of packed samples, or planes (H, W), in the format's own types.
        encoder_name: libav's.
        pixel_format: libav's.
        options: Of the encoder.
        sample_aspect_ratio: Width to height of a pixel; 1 is not said.
    """
    planes = picture if isinstance(picture, tuple) else (picture,)
    height, width = planes[0].shape[:2]
    frame = VideoFrame(width, height, pixel_format)
    for plane, samples in zip(frame.planes, planes, strict=True):
        row = np.ascontiguousarray(samples).reshape(height, -1).view(np.uint8)
        rows = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
        rows[:height, : row.shape[1]] = row
    try:
        context = cast(VideoCodecContext, av.CodecContext.create(encoder_name, "w"))
        context.width, context.height, context.pix_fmt = width, height, pixel_format
        context.time_base = Fraction(1, 25)
        context.options = options
        if sample_aspect_ratio != 1:
            context.sample_aspect_ratio = sample_aspect_ratio.limit_denominator(1_000_000)
        for described in (context, frame):
            described.color_primaries = _BT2020
            described.color_trc = _PQ
            described.colorspace = _RGB
            described.color_range = _FULL_RANGE
        frame.pts = 0
        packets = [*context.encode(frame), *context.encode(None)]
    except av.error.FFmpegError as error:
        raise OutputError(f"A picture of {width}x{height} px cannot be coded: {error}.") from error
    return b"".join(bytes(packet) for packet in packets)
