"""Where converted frames go: a segment's file, a sequence of pictures, or a pipe."""

from __future__ import annotations

import dataclasses
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch

from sdr2hdr.colour import to_coded
from sdr2hdr.colour.active_picture import place_on_black
from sdr2hdr.colour.transfer import pq_eotf
from sdr2hdr.errors import OutputError
from sdr2hdr.frames import CodedBatch, Rectangle, RgbBatch
from sdr2hdr.media.copying.stream_plan import StreamPlan
from sdr2hdr.media.encoding.output_video import OutputVideo
from sdr2hdr.media.targets import target_kind
from sdr2hdr.media.writing.image_sequence import ImageSequenceWriter
from sdr2hdr.media.writing.segment_file import SegmentSummary, SegmentWriter
from sdr2hdr.media.writing.written import WrittenSummary
from sdr2hdr.media.writing.y4m import Y4mWriter
from sdr2hdr.options import ConvertOptions

__all__ = ["DirectSink", "SegmentSink", "Sink", "open_direct_sink", "open_segment_sink"]


Output = TypeVar("Output", SegmentWriter, Y4mWriter, ImageSequenceWriter)


class Sink(ABC, Generic[Output]):
    """Takes converted pictures in order: first prepared, then written.

    One thread may prepare pictures while another writes those before.
    """

    def __init__(self, writer: Output, video: OutputVideo, dither: bool = False) -> None:
        self._writer = writer
        self._video = video
        self._dither = dither

    def prepared(self, picture: RgbBatch, place: Rectangle | None) -> CodedBatch | RgbBatch:
        """Turn frames into what `write` takes: planes; bars are exact black (64/512/512 in HDR10).

        Args:
            picture: In PQ; whole frames, or what is inside letterbox bars.
            place: Where the picture lies in the frame, px of the output; None is the whole frame.
        """
        coded = to_coded(picture, self._video.signal, dither=self._dither)
        if place is None:
            return coded
        return place_on_black(coded, place, self._video.height_px, self._video.width_px)

    def write(self, prepared: Any) -> None:
        """Write frames that `prepared` gave."""
        self._writer.write(prepared)

    @property
    def written_bytes(self) -> int:
        """How much has been written so far."""
        return self._writer.written_bytes


class DirectSink(Sink[Output]):
    """Takes all pictures of a conversion, and nothing else comes with them."""

    @abstractmethod
    def finish(self, on_whole: Callable[[WrittenSummary, Path | None], None]) -> WrittenSummary:
        """Make the output whole.

        Args:
            on_whole: Told what was written; for pictures before they get their names, with the
                folder that they lie in.
        """


class SegmentSink(Sink[SegmentWriter]):
    """Encodes pictures into the file of one segment."""

    def finish(self) -> SegmentSummary:
        """Encode what is left; the file is whole and on the disk when this returns."""
        return self._writer.finish()


@contextmanager
def open_segment_sink(
    path: Path, video: OutputVideo, options: ConvertOptions, streams: StreamPlan
) -> Iterator[SegmentSink]:
    """Open the file of a segment; leaving without `finish` leaves nothing behind.

    Args:
        path: The file to write.
        video: The converted video.
        options: How to encode.
        streams: Of the whole output.

    Raises:
        OutputError: It cannot be opened.
        UsageError: The encoder does not take its options.
    """
    with SegmentWriter(path, video, options.encode, streams) as writer:
        yield SegmentSink(writer, video, options.dither)


@contextmanager
def open_direct_sink(
    target: Path, video: OutputVideo, options: ConvertOptions
) -> Iterator[DirectSink]:
    """Open a sequence of pictures such as "shot_%06d.png", or "-" for standard output.

    Leaving without `finish` leaves nothing behind.

    Args:
        target: See above.
        video: The converted video.
        options: Whether to dither and to overwrite.

    Raises:
        OutputError: It cannot be opened.
    """
    if target_kind(target) == "sequence":
        with ImageSequenceWriter(target, video, pq_eotf, overwrite=options.overwrite) as pictures:
            yield _PictureSink(pictures, video)
    else:
        if sys.stdout is None:
            raise OutputError(
                "Standard output is closed; expected a program that reads the video from it. Name "
                "a file such as out.mkv instead of -."
            )
        with Y4mWriter(sys.stdout.buffer, video) as pipe:
            yield _PipeSink(pipe, video, options.dither)


class _PipeSink(DirectSink[Y4mWriter]):
    """Raw video for another program, which has to be told what it is."""

    def finish(self, on_whole: Callable[[WrittenSummary, Path | None], None]) -> WrittenSummary:
        written = self._writer.finish()
        on_whole(written, None)
        return written


class _PictureSink(DirectSink[ImageSequenceWriter]):
    """A file a frame; R'G'B', so that no chroma is lost."""

    def prepared(self, picture: RgbBatch, place: Rectangle | None) -> RgbBatch:
        if place is not None:
            frames = picture.pixels.shape[0]
            size_px = (self._video.height_px, self._video.width_px)
            canvas = torch.zeros((frames, 3, *size_px), device=picture.pixels.device)
            rows = slice(place.top, place.top + picture.pixels.shape[2])
            columns = slice(place.left, place.left + picture.pixels.shape[3])
            canvas[:, :, rows, columns] = picture.pixels
            picture = dataclasses.replace(picture, pixels=canvas)
        return picture

    def finish(self, on_whole: Callable[[WrittenSummary, Path | None], None]) -> WrittenSummary:
        return self._writer.finish(on_whole)
