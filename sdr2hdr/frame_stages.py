"""What is done to every frame, as stages that work at the same time on different frames.

    decode | colour in | network | colour out | encode

The reader decodes in a thread of its own and the caller encodes; the three between are here. How
they share the cores: the network has a thread for each (`--threads`), x265 a pool of as many, and
all else one. Nobody has a core of his own: whoever has work runs, the bounded queues hold back
whoever is ahead, and so the slowest stage gets what the others leave. None of it can change a byte:
tiles, conversions and x265's frame threads give the same bits however long they take.

Frames of R'G'B' are large (25 MB at 1080p, 100 MB at 4K), so they are handed over and never queued;
codes are small, and one frame of them may wait.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch

from sdr2hdr.colour import pad_to_even, super_white_share, to_rgb
from sdr2hdr.colour.active_picture import crop
from sdr2hdr.colour.convert import white_signal
from sdr2hdr.colour.look import apply_look
from sdr2hdr.conversion import Conversion
from sdr2hdr.engine.temporal import ShotMemory
from sdr2hdr.engine.transfer import PlaneDownload, PlaneUpload
from sdr2hdr.frames import CodedBatch, FrameTime, Rectangle, RgbBatch
from sdr2hdr.media.reading.blackness import is_black_outside
from sdr2hdr.media.reading.reader import VideoReader
from sdr2hdr.output import Sink
from sdr2hdr.overlap import Overlap, PipelineStage
from sdr2hdr.quality.flicker import FlickerMeter
from sdr2hdr.quality.light_levels import FrameLight, measure
from sdr2hdr.quality.roundtrip import ShotRoundtrips
from sdr2hdr.signal import CodedSignal

__all__ = ["FinishedPart", "FrameSpan", "overlapped"]


@dataclass(frozen=True)
class FrameSpan:
    """Which frames are converted in one go.

    Attributes:
        first_frame: Number of the first one that is written, from 0 in the whole conversion.
        preroll_frames: How many before it are read and computed, but not written.
        shots: Numbers of the frames with which shots begin, in order; the first is that of the
            shot that the first frame read belongs to.
    """

    first_frame: int = 0
    preroll_frames: int = 0
    shots: tuple[int, ...] = (0,)


@dataclass(frozen=True)
class FinishedPart:
    """Frames that are ready for the sink.

    Attributes:
        prepared: What `Sink.write` takes.
        times: Of the frames.
        lights: Of their active picture.
        super_white: Sum over the frames of the share of luma samples above nominal white.
    """

    prepared: Any
    times: tuple[FrameTime, ...]
    lights: tuple[FrameLight, ...]
    super_white: float


@dataclass(frozen=True)
class _Decoded:
    """Frames that are treated alike.

    Attributes:
        frame: Number of the first one.
        batch: The frames.
        is_preroll: Whether they are computed only for those that follow.
        shot: The first frame of their shot, if that has not been told before; else None.
    """

    frame: int
    batch: CodedBatch
    is_preroll: bool
    shot: int | None


@dataclass(frozen=True)
class _Sdr:
    """A method's input: the picture inside `place`, or the whole frame if that is None."""

    decoded: _Decoded
    place: Rectangle | None
    sdr: RgbBatch
    super_white: float


@dataclass(frozen=True)
class _Hdr:
    """A method's output beside its input."""

    decoded: _Decoded
    place: Rectangle | None
    sdr: RgbBatch
    hdr: RgbBatch
    super_white: float


@contextmanager
def overlapped(
    reader: VideoReader,
    span: FrameSpan,
    conversion: Conversion,
    sink: Sink,
    roundtrips: ShotRoundtrips | None,
    flicker: FlickerMeter,
) -> Iterator[Overlap]:
    """Read and convert frames ahead of whoever writes them.

    Args:
        reader: Open; it may be closed when the block of the result has been left.
        span: Which of its frames are which.
        conversion: What is done to them.
        sink: Asked to prepare pictures.
        roundtrips: Told shots and pictures in order, or None.
        flicker: Likewise.

    Yields:
        What gives a `FinishedPart`, or None for a part that is not to be written.
    """
    stages = _FrameStages(conversion, reader.signal, sink, roundtrips, flicker)
    own_threads = torch.get_num_threads()
    with Overlap(
        _parts_of(reader, span),
        (
            PipelineStage("colour in", stages.colour_in, queued=0),
            PipelineStage("network", stages.network, queued=0),
            PipelineStage("colour out", stages.colour_out),
        ),
        source_name="decode",
        sink_name="encode",
        started=stages.set_threads,
    ) as results:
        # torch gives threads yet to come the number that was set last, by whatever thread.
        torch.set_num_threads(own_threads)
        yield results


class _FrameStages:
    """The stages between decoder and encoder; each method runs in one thread, in order."""

    def __init__(
        self,
        conversion: Conversion,
        signal: CodedSignal,
        sink: Sink,
        roundtrips: ShotRoundtrips | None,
        flicker: FlickerMeter,
    ) -> None:
        self._conversion = conversion
        self._sink = sink
        self._roundtrips = roundtrips
        self._flicker = flicker
        self._memory = ShotMemory() if conversion.options.temporal else None
        self._upload = PlaneUpload(conversion.engine.device)
        self._download = PlaneDownload(conversion.engine.device)
        white = white_signal(signal, conversion.options.super_white)
        self._nominal_white_cd_m2 = conversion.engine.white_of(white)

    def set_threads(self, name: str) -> None:
        """Give the network torch's threads, for what is not done tile by tile; others have one."""
        threads = self._conversion.engine.placement.threads
        torch.set_num_threads(threads if name == "network" else 1)
        # A thread takes its number when it is first asked for: the one that was set last.
        torch.get_num_threads()

    def colour_in(self, decoded: _Decoded) -> _Sdr:
        """Decode the active picture to R'G'B' on the engine's device.

        Bars stay out of whole-frame statistics.
        """
        batch, options = decoded.batch, self._conversion.options
        place = _shared_picture(batch, self._conversion.active_picture)
        inside = batch if place is None else crop(batch, place)
        return _Sdr(
            decoded,
            place,
            to_rgb(self._upload.upload(pad_to_even(inside)), super_white=options.super_white),
            super_white_share(inside) * len(batch.timeline),
        )

    def network(self, given: _Sdr) -> _Hdr:
        """Run the method, which may remember the frames before of the same shot."""
        if given.decoded.shot is not None and self._memory is not None:
            self._memory.begin_shot()
        hdr = self._conversion.engine.run(given.sdr, self._memory)
        return _Hdr(given.decoded, given.place, given.sdr, hdr, given.super_white)

    def colour_out(self, made: _Hdr) -> FinishedPart | None:
        """Apply the look, measure the light, and turn pictures into what the sink takes."""
        decoded, conversion = made.decoded, self._conversion
        if decoded.shot is not None:
            self._flicker.begin_shot(decoded.shot, decoded.frame)
            if self._roundtrips is not None:
                self._roundtrips.begin_shot(decoded.shot)
        if self._roundtrips is not None and not decoded.is_preroll:
            self._roundtrips.add(made.sdr, made.hdr)
        engine, place = conversion.engine, made.place
        picture = apply_look(
            made.hdr, conversion.options.look, engine.white_cd_m2, self._nominal_white_cd_m2
        )
        self._flicker.add(made.sdr, picture, is_preroll=decoded.is_preroll)
        if decoded.is_preroll:
            return None
        prepared = self._sink.prepared(
            picture, None if place is None else place.scaled(engine.scale)
        )
        if isinstance(prepared, CodedBatch):
            prepared = self._download.download(prepared)
        return FinishedPart(
            prepared,
            decoded.batch.timeline.frames,
            tuple(measure(picture.pixels)),
            made.super_white,
        )


def _parts_of(batches: Iterator[CodedBatch] | VideoReader, span: FrameSpan) -> Iterator[_Decoded]:
    """Cut batches where the pre-roll ends and where shots begin."""
    number = span.first_frame - span.preroll_frames
    bounds = {span.first_frame, *span.shots}
    shot: int | None = span.shots[0]
    for batch in batches:
        end = number + len(batch.timeline)
        places = sorted({number, *(place for place in bounds if number < place < end), end})
        for start, stop in pairwise(places):
            if start in span.shots:
                shot = start
            part = batch.part(start - number, stop - number)
            yield _Decoded(start, part, start < span.first_frame, shot)
            shot = None
        number = end


def _shared_picture(batch: CodedBatch, picture: Rectangle | None) -> Rectangle | None:
    """The active picture if the bars are black in every frame of the batch, else None."""
    if picture is None or not all(is_black_outside(batch, picture)):
        return None
    return picture
