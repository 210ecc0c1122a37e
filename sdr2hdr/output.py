"""Where converted frames go: a video file, a sequence of pictures, or a pipe."""

from __future__ import annotations

import dataclasses
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from sdr2hdr.colour import to_coded
from sdr2hdr.colour.active_picture import place_on_black
from sdr2hdr.colour.transfer import pq_eotf
from sdr2hdr.delivery.light_patch import patch_light_levels
from sdr2hdr.delivery.target_file import publish, unfinished_file
from sdr2hdr.frames import CodedBatch, Rectangle, RgbBatch
from sdr2hdr.media.image_sequence import ImageSequenceWriter
from sdr2hdr.media.source import SourceInfo
from sdr2hdr.media.stream_plan import StreamPlan
from sdr2hdr.media.targets import target_kind
from sdr2hdr.media.writer import OutputVideo, VideoWriter, WrittenSummary
from sdr2hdr.media.y4m import Y4mWriter
from sdr2hdr.options import ConvertOptions
from sdr2hdr.quality.light_levels import LightMeter

__all__ = ["Sink", "open_sink"]


class Sink(ABC):
    """Takes converted pictures in order."""

    @abstractmethod
    def write(self, picture: RgbBatch, place: Rectangle | None) -> None:
        """Write frames.

        Args:
            picture: In PQ; whole frames, or what is inside letterbox bars.
            place: Where the picture lies in the frame, px of the output; None is the whole frame.
        """

    @abstractmethod
    def finish(self, meter: LightMeter) -> WrittenSummary:
        """Make the output whole and give it its name.

        Args:
            meter: Has seen every frame.
        """

    @property
    @abstractmethod
    def written_bytes(self) -> int:
        """How much is on the disk so far."""


@contextmanager
def open_sink(
    target: Path,
    source: SourceInfo,
    streams: StreamPlan | None,
    options: ConvertOptions,
    video: OutputVideo,
) -> Iterator[Sink]:
    """Open what `target` names; leaving without `finish` leaves nothing behind.

    Args:
        target: A video file, a sequence of pictures such as "shot_%06d.png", or "-".
        source: What is converted.
        streams: What becomes of its streams; None unless `target` is a video file.
        options: How to encode, and whether to overwrite.
        video: The converted video.

    Raises:
        OutputError: It cannot be opened.
        UsageError: The encoder does not take its options.
    """
    kind = target_kind(target)
    if kind == "sequence":
        with ImageSequenceWriter(target, video, pq_eotf, overwrite=options.overwrite) as pictures:
            yield _PictureSink(pictures, video)
    elif kind == "pipe":
        with Y4mWriter(sys.stdout.buffer, video) as pipe:
            yield _PipeSink(pipe, video)
    else:
        if streams is None:
            raise ValueError(f"{target} is a video file; expected a plan of its streams.")
        with (
            unfinished_file(target, options.temp_dir) as unfinished,
            VideoWriter(unfinished, source, streams, options.encode, video) as writer,
        ):
            yield _FileSink(writer, video, unfinished, target, options)


class _FileSink(Sink):
    """A video file: its light levels are put in and it is published when it is whole."""

    def __init__(
        self,
        writer: VideoWriter,
        video: OutputVideo,
        unfinished: Path,
        target: Path,
        options: ConvertOptions,
    ) -> None:
        self._writer = writer
        self._video = video
        self._unfinished = unfinished
        self._target = target
        self._options = options

    def write(self, picture: RgbBatch, place: Rectangle | None) -> None:
        self._writer.write(_coded_frames(picture, place, self._video))

    def finish(self, meter: LightMeter) -> WrittenSummary:
        written = self._writer.finish()
        patch_light_levels(
            self._unfinished, meter.levels(), robust=self._options.robust_light_levels
        )
        publish(self._unfinished, self._target, overwrite=self._options.overwrite)
        return written

    @property
    def written_bytes(self) -> int:
        return self._unfinished.stat().st_size if self._unfinished.exists() else 0


class _PipeSink(Sink):
    """Raw video for another program, which has to be told what it is."""

    def __init__(self, writer: Y4mWriter, video: OutputVideo) -> None:
        self._writer = writer
        self._video = video
        self._bytes = 0

    def write(self, picture: RgbBatch, place: Rectangle | None) -> None:
        coded = _coded_frames(picture, place, self._video)
        self._bytes += 2 * (coded.luma.numel() + coded.cb.numel() + coded.cr.numel())
        self._writer.write(coded)

    def finish(self, meter: LightMeter) -> WrittenSummary:
        return self._writer.finish()

    @property
    def written_bytes(self) -> int:
        return self._bytes


class _PictureSink(Sink):
    """A file a frame; R'G'B', so that no chroma is lost."""

    def __init__(self, writer: ImageSequenceWriter, video: OutputVideo) -> None:
        self._writer = writer
        self._video = video

    def write(self, picture: RgbBatch, place: Rectangle | None) -> None:
        if place is not None:
            frames = picture.pixels.shape[0]
            size_px = (self._video.height_px, self._video.width_px)
            canvas = torch.zeros((frames, 3, *size_px), device=picture.pixels.device)
            rows = slice(place.top, place.top + picture.pixels.shape[2])
            columns = slice(place.left, place.left + picture.pixels.shape[3])
            canvas[:, :, rows, columns] = picture.pixels
            picture = dataclasses.replace(picture, pixels=canvas)
        self._writer.write(picture)

    def finish(self, meter: LightMeter) -> WrittenSummary:
        return self._writer.finish()

    @property
    def written_bytes(self) -> int:
        return self._writer.written_bytes


def _coded_frames(picture: RgbBatch, place: Rectangle | None, video: OutputVideo) -> CodedBatch:
    """Whole frames as planes; bars are exact black (64/512/512 in HDR10)."""
    coded = to_coded(picture, video.signal)
    if place is None:
        return coded
    return place_on_black(coded, place, video.height_px, video.width_px)
