"""Raw frames for an external encoder: a YUV4MPEG2 stream, on standard output as a rule.

A stream says its size, rate, pixel shape and sample format. Colour has no field: `XCOLORRANGE` is
a comment that libav understands, and primaries, transfer, matrix and mastering display have to be
given to the encoder that reads the stream; `signalling_hint` says how.
"""

from __future__ import annotations

import errno
import os
from fractions import Fraction
from typing import BinaryIO

import torch

from sdr2hdr.errors import Notice, OutputError
from sdr2hdr.frames import CodedBatch
from sdr2hdr.media.encoding.output_video import OutputVideo
from sdr2hdr.media.mastering import MasteringDisplay
from sdr2hdr.media.writing.writer import Writer
from sdr2hdr.media.writing.written import WrittenSummary
from sdr2hdr.signal import HDR10_SIGNAL

__all__ = ["Y4mWriter", "signalling_hint"]


def signalling_hint(mastering: MasteringDisplay) -> str:
    """What x265 must be told about the stream, as its command-line options."""
    return (
        "--colorprim bt2020 --transfer smpte2084 --colormatrix bt2020nc --range limited "
        f'--chromaloc 2 --hdr10 --hdr10-opt --master-display "{mastering.x265_text()}"'
    )


class Y4mWriter(Writer):
    """Writes batches as YUV4MPEG2, 10-bit 4:2:0; a context manager like `SegmentWriter`.

    Only the pictures are written: no sound, no times. Frames are expected at an even rate; where
    they are not, a notice says by how much.

    Args:
        stream: Takes bytes; it is flushed but not closed.
        video: What is written; its average rate is the stream's.

    Raises:
        ValueError: The signal is not HDR10.
        OutputError: The frame rate varies or is unknown, which the format cannot say.
    """

    def __init__(self, stream: BinaryIO, video: OutputVideo) -> None:
        if video.signal != HDR10_SIGNAL:
            raise ValueError(f"Y4M is written as {HDR10_SIGNAL}; found {video.signal}.")
        if video.average_rate is None or video.variable_rate:
            found = "unknown" if video.average_rate is None else "variable"
            raise OutputError(
                f"The frame rate is {found}; Y4M on standard output has one rate for all frames. "
                "Write a file instead, such as .mkv, or make the source's rate constant first."
            )
        self._stream = stream
        self._video = video
        self._rate: Fraction = video.average_rate
        self._first_seconds: Fraction | None = None
        self._furthest_off_seconds = Fraction(0)
        self._frames = 0
        self._bytes = 0

    def write(self, batch: CodedBatch) -> None:
        """Write the frames of a batch.

        Raises:
            ValueError: Another size or signal than the video's.
            OutputError: Nobody takes the bytes any more.
        """
        video = self._video
        size = tuple(batch.luma.shape[1:])
        if size != (video.height_px, video.width_px) or batch.signal != video.signal:
            raise ValueError(
                f"A batch of {size[1]}x{size[0]} px, {batch.signal}; "
                f"expected {video.width_px}x{video.height_px}, {video.signal}."
            )
        for number, time in enumerate(batch.timeline.frames):
            if self._frames == 0:
                self._put(self._header())
            self._note_time(time.pts * batch.timeline.time_base)
            self._put(b"FRAME\n")
            for plane in (batch.luma, batch.cb, batch.cr):
                self._put(_little_endian(plane[number]))
            self._frames += 1

    def finish(self) -> WrittenSummary:
        """Hand on what is left.

        Raises:
            OutputError: Nobody takes the bytes any more, or no frame was written.
        """
        if self._frames == 0:
            raise OutputError("No frame was written; expected at least one in the time range.")
        try:
            self._stream.flush()
        except OSError as error:
            raise _cannot_write(error) from error
        return WrittenSummary(self._frames, self._bytes, {}, self.notices)

    @property
    def notices(self) -> tuple[Notice, ...]:
        """What happened on the way that the user should know."""
        if self._furthest_off_seconds * self._rate <= Fraction(1, 2):
            return ()
        return (
            Notice(
                "warning",
                f"Frames come up to {float(self._furthest_off_seconds):.3f} s off an even "
                f"{float(self._rate):.3f} frames a second, and Y4M cannot say so: sound that is "
                "added later may drift.",
            ),
        )

    @property
    def written_bytes(self) -> int:
        """How much has been handed on."""
        return self._bytes

    def abort(self) -> None:
        """Stop; there is nothing to remove."""

    def _header(self) -> bytes:
        video = self._video
        rate, shape = self._rate, video.sample_aspect_ratio
        return (
            f"YUV4MPEG2 W{video.width_px} H{video.height_px} "
            f"F{rate.numerator}:{rate.denominator} Ip A{shape.numerator}:{shape.denominator} "
            "C420p10 XYSCSS=420P10 XCOLORRANGE=LIMITED\n"
        ).encode()

    def _note_time(self, seconds: Fraction) -> None:
        if self._first_seconds is None:
            self._first_seconds = seconds
        off = abs(seconds - self._first_seconds - self._frames / self._rate)
        self._furthest_off_seconds = max(self._furthest_off_seconds, off)

    def _put(self, data: bytes) -> None:
        left = memoryview(data)
        try:
            while left:
                # A stream without a buffer may take less than it is given, or nothing.
                taken = self._stream.write(left)
                if taken is None:
                    raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
                left = left[taken:]
        except OSError as error:
            raise _cannot_write(error) from error
        self._bytes += len(data)


def _little_endian(plane: torch.Tensor) -> bytes:
    return plane.cpu().numpy().astype("<u2", copy=False).tobytes()


def _cannot_write(error: OSError) -> OutputError:
    return OutputError(
        f"Standard output cannot be written: {error.strerror}. The program that reads it must take "
        "all of it."
    )
