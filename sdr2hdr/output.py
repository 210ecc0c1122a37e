"""Where converted frames go: a video file, a sequence of pictures, or a pipe."""

from __future__ import annotations

import dataclasses
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import torch

from sdr2hdr.colour import to_coded
from sdr2hdr.colour.active_picture import place_on_black
from sdr2hdr.colour.dither import Dither
from sdr2hdr.colour.transfer import pq_eotf
from sdr2hdr.delivery.findings import Finding
from sdr2hdr.delivery.light_patch import PatchSummary, patch_light_levels
from sdr2hdr.delivery.target_file import publish, unfinished_file
from sdr2hdr.delivery.verify import Expectation, expected_streams, verify_output
from sdr2hdr.errors import Notice, VerificationError
from sdr2hdr.frames import CodedBatch, Rectangle, RgbBatch, Timeline
from sdr2hdr.media.encoders import choose_encoder
from sdr2hdr.media.image_sequence import ImageSequenceWriter
from sdr2hdr.media.mastering import mastering_display
from sdr2hdr.media.source import SourceInfo
from sdr2hdr.media.stream_plan import StreamPlan
from sdr2hdr.media.targets import target_kind
from sdr2hdr.media.writer import OutputVideo, VideoWriter, WrittenSummary, output_time_base
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
    active_picture: Rectangle | None,
) -> Iterator[Sink]:
    """Open what `target` names; leaving without `finish` leaves nothing behind.

    Args:
        target: A video file, a sequence of pictures such as "shot_%06d.png", or "-".
        source: What is converted.
        streams: What becomes of its streams; None unless `target` is a video file.
        options: How to encode, and whether to overwrite.
        video: The converted video.
        active_picture: Inside letterbox bars, px of the output; None without bars.

    Raises:
        OutputError: It cannot be opened.
        UsageError: The encoder does not take its options.
    """
    kind = target_kind(target)
    dither = Dither() if options.dither else None
    if kind == "sequence":
        with ImageSequenceWriter(target, video, pq_eotf, overwrite=options.overwrite) as pictures:
            yield _PictureSink(pictures, video)
    elif kind == "pipe":
        with Y4mWriter(sys.stdout.buffer, video) as pipe:
            yield _PipeSink(pipe, video, dither)
    else:
        if streams is None:
            raise ValueError(f"{target} is a video file; expected a plan of its streams.")
        with (
            unfinished_file(target, options.temp_dir) as unfinished,
            VideoWriter(unfinished, source, streams, options.encode, video) as writer,
        ):
            promises = _Promises(source, streams, options, video, active_picture)
            yield _FileSink(writer, promises, unfinished, dither)


@dataclass(frozen=True)
class _Promises:
    """What a finished video file must hold, apart from what only the conversion shows."""

    source: SourceInfo
    streams: StreamPlan
    options: ConvertOptions
    video: OutputVideo
    active_picture: Rectangle | None

    def output_times(self, timeline: Timeline) -> list[Fraction]:
        """When the output shows frames, seconds: the source's times, on the output's clock."""
        shift_seconds = self.streams.shift_seconds
        ticks = output_time_base(self.video.time_base, shift_seconds)
        return [
            round((frame.pts * timeline.time_base - shift_seconds) / ticks) * ticks
            for frame in timeline.frames
        ]

    def expectation(
        self, written: WrittenSummary, patched: PatchSummary, times: list[Fraction]
    ) -> Expectation:
        """All that can be looked up in the file again."""
        encode, part = self.options.encode, self.options.read.time_range
        is_whole = part.start_seconds is None and part.end_seconds is None
        return Expectation(
            signal=self.video.signal,
            codec=choose_encoder(encode, self.streams.target).codec,
            width_px=self.video.width_px,
            height_px=self.video.height_px,
            mastering=mastering_display(encode.mastering),
            max_cll=patched.max_cll,
            max_fall=patched.max_fall,
            frame_count=written.frames,
            frame_times=times,
            streams=expected_streams(self.streams, written.copied_packets),
            chapters=len(self.source.chapters) if is_whole else None,
            active_picture=self.active_picture,
        )


class _FileSink(Sink):
    """A video file: its light levels are put in, it is read again, and published if it is whole."""

    def __init__(
        self,
        writer: VideoWriter,
        promises: _Promises,
        unfinished: Path,
        dither: Dither | None,
    ) -> None:
        self._writer = writer
        self._promises = promises
        self._unfinished = unfinished
        self._dither = dither
        self._times: list[Fraction] = []

    def write(self, picture: RgbBatch, place: Rectangle | None) -> None:
        self._times += self._promises.output_times(picture.timeline)
        self._writer.write(_coded_frames(picture, place, self._promises.video, self._dither))

    def finish(self, meter: LightMeter) -> WrittenSummary:
        options, target = self._promises.options, self._promises.streams.target
        written = self._writer.finish()
        robust = options.robust_light_levels
        patched = patch_light_levels(self._unfinished, meter.levels(), robust=robust)
        notices = written.notices
        if options.verify:
            notices += self._verified(self._promises.expectation(written, patched, self._times))
        publish(self._unfinished, target, overwrite=options.overwrite)
        return dataclasses.replace(written, notices=notices)

    def _verified(self, expectation: Expectation) -> tuple[Notice, ...]:
        """Read the file again; what is not as promised is an error, the rest worth a word."""
        findings = verify_output(self._unfinished, expectation)
        broken = [finding for finding in findings if finding.severity == "error"]
        if broken:
            name = self._promises.streams.target.name
            raise VerificationError(
                f"{name} was written but is not what was promised, and was not kept: "
                + "; ".join(_in_words(finding) for finding in broken)
                + ". --no-verify keeps such a file."
            )
        return tuple(
            Notice("warning", f"{_in_words(finding)}.")
            for finding in findings
            if finding.severity == "warning"
        )

    @property
    def written_bytes(self) -> int:
        return self._unfinished.stat().st_size if self._unfinished.exists() else 0


def _in_words(finding: Finding) -> str:
    return f"{finding.place}: {finding.found}; expected {finding.expected} ({finding.rule})"


class _PipeSink(Sink):
    """Raw video for another program, which has to be told what it is."""

    def __init__(self, writer: Y4mWriter, video: OutputVideo, dither: Dither | None) -> None:
        self._writer = writer
        self._video = video
        self._dither = dither

    def write(self, picture: RgbBatch, place: Rectangle | None) -> None:
        self._writer.write(_coded_frames(picture, place, self._video, self._dither))

    def finish(self, meter: LightMeter) -> WrittenSummary:
        return self._writer.finish()

    @property
    def written_bytes(self) -> int:
        return self._writer.written_bytes


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


def _coded_frames(
    picture: RgbBatch, place: Rectangle | None, video: OutputVideo, dither: Dither | None
) -> CodedBatch:
    """Whole frames as planes; bars are exact black (64/512/512 in HDR10)."""
    coded = to_coded(picture, video.signal, dither=dither)
    if place is None:
        return coded
    return place_on_black(coded, place, video.height_px, video.width_px)
