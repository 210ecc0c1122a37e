"""Read HDR pictures frame by frame, to measure them: PQ video and stills, and linear stills."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import av.error
import torch

from sdr2hdr.errors import InputError, Notice
from sdr2hdr.frames import CodedBatch, FrameTime, Timeline
from sdr2hdr.media.bitstreams.bitstream import header_colour
from sdr2hdr.media.containers.exr_header import exr_white_cd_m2
from sdr2hdr.media.opening import demuxed, open_input
from sdr2hdr.media.pixel_formats import PixelLayout, pixel_layout
from sdr2hdr.media.planes import frame_planes
from sdr2hdr.media.reading.still_images import read_linear_picture
from sdr2hdr.media.reading.streams import choose_video
from sdr2hdr.media.signalling.colour_facts import ColourTags
from sdr2hdr.media.signalling.container_picture import container_picture
from sdr2hdr.media.signalling.hdr_colour import read_hdr_colour

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

    from sdr2hdr.signal import CodedSignal

__all__ = ["HdrFrames", "LinearLight", "coded_batch", "open_hdr"]


@dataclass(frozen=True)
class LinearLight:
    """A still in linear light, as its file holds it.

    Attributes:
        pixels: (1, 3, H, W), float32, R, G, B, finite; may be negative or over 1.
        chromaticities: CIE x and y of red, green, blue and white; None where the file is silent.
        white_cd_m2: Luminance of R = G = B = 1; None where the file is silent.
    """

    pixels: torch.Tensor
    chromaticities: tuple[float, ...] | None
    white_cd_m2: float | None


@dataclass(frozen=True)
class HdrFrames:
    """An open HDR file.

    Attributes:
        frame_count: As the container says, None if it does not.
        frames: In presentation order; each can be taken once, while the file is open.
    """

    path: Path
    width_px: int
    height_px: int
    frame_count: int | None
    notices: tuple[Notice, ...]
    frames: Iterator[CodedBatch] | Iterator[LinearLight]

    @property
    def coded_frames(self) -> Iterator[CodedBatch]:
        """The same frames of a file that must hold PQ.

        Raises:
            InputError: It holds linear light.
        """
        for frame in self.frames:
            if not isinstance(frame, CodedBatch):
                raise InputError(f"{self.path} is a picture in linear light; expected video in PQ.")
            yield frame


@contextmanager
def open_hdr(path: Path, *, assume_pq: bool = False) -> Iterator[HdrFrames]:
    """Open a video or still picture in PQ, or a still in linear light (EXR, Radiance).

    Args:
        path: A local file.
        assume_pq: Take a file without a transfer tag as PQ.

    Raises:
        InputError: The file is missing, unreadable, not HDR, or damaged; the last is also raised
            while frames are taken, because frames are compared by their order.
    """
    with open_input(path) as container:
        stream, _, _ = choose_video(container, None, str(path))
        is_still = container.format.name.endswith("_pipe") or container.format.name == "image2"
        decoder = _Decoder(path, container, stream)
        # Asked before anything is decoded.
        place = list(container.streams.video).index(stream)
        said = container_picture(path, container.format.name, stream, place)
        containers = (ColourTags.of(stream.codec_context), said.tags)
        decoded = decoder.frames()
        first = next(decoded, None)
        if first is None:
            raise InputError(f"{path} holds no picture that can be decoded.")
        frames: Iterator[CodedBatch] | Iterator[LinearLight]
        notices: tuple[Notice, ...] = ()
        if _is_float(first):
            frames = iter((_linear_light(path),))
        else:
            layout = pixel_layout(first.format.name, path)
            signal, notices = read_hdr_colour(
                path,
                first,
                containers,
                layout,
                siting_codes=(decoder.siting_code, said.siting),
                is_still=is_still,
                assume_pq=assume_pq,
            )
            frames = (
                coded_batch(frame, layout, signal, stream.time_base)
                for frame in chain((first,), decoded)
            )
        yield HdrFrames(
            path=path,
            width_px=first.width,
            height_px=first.height,
            frame_count=1 if is_still else stream.frames or None,
            notices=notices,
            frames=frames,
        )


class _Decoder:
    """Frames of one stream, all of one size and format; the first damage ends it.

    Attributes:
        siting_code: From the stream's header, once a frame has been taken.
    """

    def __init__(self, path: Path, container: InputContainer, stream: VideoStream) -> None:
        if stream.codec_context is None:
            raise InputError(f"{path} is coded in a way that this FFmpeg build cannot decode.")
        self._path = path
        self._container = container
        self._stream = stream
        stream.thread_type = "AUTO"
        self._codec = stream.codec_context.codec.canonical_name
        self.siting_code: int | None = None

    def frames(self) -> Iterator[VideoFrame]:
        """Decode what is left, in presentation order.

        The decoder's threads end with the last name of what is returned; a name in here would make
        a ring, which Python takes apart some time, perhaps in a fork that has none of the threads.

        Raises:
            InputError: The frames change in size or format, or are damaged.
        """
        shape: tuple[int, int, str] | None = None
        number = 0
        try:
            for frame in self._decoded():
                found = (frame.width, frame.height, frame.format.name)
                shape = shape or found
                if found != shape:
                    raise InputError(
                        f"{self._path} changes at frame {number} from {_words(shape)} to "
                        f"{_words(found)}; expected one size and format throughout."
                    )
                if frame.is_corrupt:
                    raise InputError(
                        f"{self._path} is damaged at frame {number}; expected a whole file."
                    )
                yield frame
                number += 1
        except av.error.FFmpegError as error:
            raise InputError(
                f"{self._path} cannot be decoded at frame {number}: {error.strerror}; expected a "
                "whole file."
            ) from error

    def _decoded(self) -> Iterator[VideoFrame]:
        is_first = True
        for packet in demuxed(self._container, [self._stream]):
            if is_first and packet.size:
                context = self._stream.codec_context
                header = header_colour(self._codec, context.extradata, bytes(packet))
                self.siting_code = None if header is None else header.siting
                is_first = False
            yield from packet.decode()


def _words(shape: tuple[int, int, str]) -> str:
    return f"{shape[0]}x{shape[1]} {shape[2]}"


def _is_float(frame: VideoFrame) -> bool:
    return frame.format.name.endswith(("f16le", "f32le", "f16be", "f32be"))


def _linear_light(path: Path) -> LinearLight:
    picture = read_linear_picture(path)
    pixels = torch.from_numpy(picture.pixels).permute(2, 0, 1)[None].contiguous()
    chromaticities = None
    if picture.chromaticities is not None:
        chromaticities = tuple(float(value) for value in picture.chromaticities.ravel())
    return LinearLight(pixels, chromaticities, exr_white_cd_m2(path))


def coded_batch(
    frame: VideoFrame, layout: PixelLayout, signal: CodedSignal, time_base: Fraction | None
) -> CodedBatch:
    """A decoded frame as planes, (1, H, W).

    Args:
        frame: As the decoder gave it.
        layout: Of its pixel format.
        signal: What its codes mean.
        time_base: Seconds a tick of its times.
    """
    planes = frame_planes(frame, layout)
    luma, cb, cr = (torch.from_numpy(plane)[None] for plane in (planes.luma, planes.cb, planes.cr))
    times = FrameTime(frame.pts or 0, frame.duration or 0)
    return CodedBatch(luma, cb, cr, signal, Timeline(time_base or Fraction(1), (times,)))
