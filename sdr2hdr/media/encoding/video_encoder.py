"""What all encoders share: frames in, packets out, and a description for the muxer."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from typing import cast

import av
import av.error
import numpy as np
import torch
from av.codec.context import Flags
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from sdr2hdr.cores import available_cores
from sdr2hdr.errors import OutputError, UsageError
from sdr2hdr.media.av_log import captured_av_log
from sdr2hdr.media.bitstreams.user_data import USER_DATA_CODECS, with_user_data
from sdr2hdr.media.containers.packets import with_data
from sdr2hdr.media.encoding.encoders import EncoderSpec
from sdr2hdr.media.encoding.output_video import OutputVideo
from sdr2hdr.media.encoding.track_template import TRANSFER_CODES, open_track_template
from sdr2hdr.media.mastering import MasteringDisplay, mastering_display
from sdr2hdr.media.signalling.colour_codes import AV_RANGES
from sdr2hdr.options import EncodeOptions

__all__ = ["VideoEncoder", "thread_count", "user_params"]

_RATE_WITHOUT_A_RATE = Fraction(25)
"""What rate control assumes where the source's rate is unknown; timestamps do not depend on it."""
_REFUSALS = ("Unknown option", "Invalid value", "Error parsing option")
"""How libav's wrappers begin to say that they leave a parameter out."""
_NOT_PAIRS = re.compile(r"Error setting option \S+-params to value ")
"""How libav says that the parameters as a whole are no list of keys and values. Ours are one, so it
is the user's that are not; libav is asked and not we, since it knows quotes and escapes."""


def thread_count(options: EncodeOptions) -> int:
    """Threads for the encoder: as told, or one for each core there is for us."""
    return options.threads or available_cores()


def user_params(options: EncodeOptions) -> dict[str, str]:
    """The user's own parameters one by one."""
    pairs = [pair for pair in options.encoder_params.split(":") if pair]
    return {key: value for key, _, value in (pair.partition("=") for pair in pairs)}


class VideoEncoder:
    """An opened encoder; each kind says in `_settings` how it is told what to do.

    Args:
        spec: Which encoder.
        video: What to write into the stream.
        options: Quality, preset, threads and the user's own parameters, which win over ours.
        time_base: Of the pts given to `encode`.

    Attributes:
        template: The stream to model an output stream on; valid as long as the encoder lives.
        parameter_sets: What the stream's description carries: of HEVC, VPS, SPS, PPS and SEI with
            start codes, as the packets have them; of AV1, the sequence header; else perhaps b"".

    Raises:
        UsageError: The encoder does not know a parameter or its value.
        OutputError: The encoder cannot be opened.
    """

    def __init__(
        self, spec: EncoderSpec, video: OutputVideo, options: EncodeOptions, time_base: Fraction
    ) -> None:
        if video.signal != spec.signal:
            raise ValueError(f"{spec.name} takes {spec.signal}; found {video.signal}.")
        self.spec = spec
        self._video = video
        self._options = options
        self._time_base = time_base
        self._user_data: dict[int, tuple[bytes, ...]] = {}
        self._context = self._described_context()
        with self._surroundings():
            self._open()
        self.parameter_sets = self._described_stream(bytes(self._context.extradata or b""))
        self._template_file = open_track_template(spec, video, self._mastering)
        self.template: VideoStream = self._template_file.streams.video[0]

    @property
    def _mastering(self) -> MasteringDisplay:
        """The display to name: of the video, else as the user chose."""
        return self._video.mastering or mastering_display(self._options.mastering)

    def encode(
        self,
        planes: tuple[torch.Tensor, torch.Tensor, torch.Tensor],
        pts: int,
        user_data: tuple[bytes, ...] = (),
    ) -> list[Packet]:
        """Encode one frame.

        Args:
            planes: Y', Cb, Cr, each (H, W) of uint16, any device.
            pts: In ticks of the encoder's time base.
            user_data: What belongs to the frame, as `frame_user_data` gives it; HEVC and AV1 take
                it along, other forms leave it out.

        Returns:
            The packets that are ready, often none: encoders look ahead. Their decoding times are
            not to be relied on: of two frames or fewer, x265 sets them to nothing in particular.

        Raises:
            OutputError: The encoder failed.
        """
        frame = VideoFrame(self._video.width_px, self._video.height_px, self.spec.pixel_format)
        self._fill(frame, [plane.cpu().numpy() for plane in planes])
        frame.pts = pts
        frame.time_base = self._time_base
        signal = self._video.signal
        frame.color_primaries = int(signal.primaries)
        frame.color_trc = TRANSFER_CODES[signal.transfer]
        frame.colorspace = int(signal.matrix)
        frame.color_range = AV_RANGES[signal.colour_range]
        if user_data and self.spec.codec in USER_DATA_CODECS:
            self._user_data[pts] = user_data
        return self._encode(frame)

    def flush(self) -> list[Packet]:
        """The packets of all frames still inside the encoder.

        Raises:
            OutputError: The encoder failed.
        """
        return self._encode(None)

    def close(self) -> None:
        """Let go of the template."""
        self._template_file.close()

    def _settings(self) -> dict[str, str]:
        """Options of libav's encoder, the user's parameters among them."""
        raise NotImplementedError

    def _described_stream(self, extradata: bytes) -> bytes:
        """The encoder's description of its stream with what it leaves out."""
        return extradata

    def _amended(self, packet: Packet) -> Packet:
        """The packet with what the encoder itself leaves out."""
        return packet

    def _with_user_data(self, packet: Packet) -> Packet:
        user_data = () if packet.pts is None else self._user_data.pop(packet.pts, ())
        if not user_data:
            return packet
        return with_data(packet, with_user_data(self.spec.codec, bytes(packet), user_data))

    @contextmanager
    def _surroundings(self) -> Iterator[None]:
        """What must hold while the encoder is opened."""
        yield

    def _fill(self, frame: VideoFrame, planes: list[np.ndarray]) -> None:
        """Copy the codes into a frame of planes, whatever its line stride."""
        for plane, codes in zip(frame.planes, planes, strict=True):
            height, width = codes.shape
            rows = np.frombuffer(memoryview(plane), dtype="<u2").reshape(-1, plane.line_size // 2)
            rows[:height, :width] = codes

    def _described_context(self) -> VideoCodecContext:
        spec, video = self.spec, self._video
        try:
            made = av.CodecContext.create(spec.libav_encoder, "w")
        except (av.error.FFmpegError, ValueError) as error:
            raise OutputError(
                f"The encoder {spec.libav_encoder} is not in this build of libav; choose another "
                "--codec."
            ) from error
        context = cast(VideoCodecContext, made)
        context.width, context.height = video.width_px, video.height_px
        context.pix_fmt = spec.pixel_format
        context.time_base = self._time_base
        context.framerate = _limited(video.average_rate or _RATE_WITHOUT_A_RATE)
        context.bit_rate = 0
        context.color_primaries = int(video.signal.primaries)
        context.color_trc = TRANSFER_CODES[video.signal.transfer]
        context.colorspace = int(video.signal.matrix)
        context.color_range = AV_RANGES[video.signal.colour_range]
        context.sample_aspect_ratio = _limited(video.sample_aspect_ratio)
        if spec.tag:
            context.codec_tag = spec.tag
        context.flags |= Flags.global_header
        context.options = self._settings()
        return context

    def _encode(self, frame: VideoFrame | None) -> list[Packet]:
        try:
            packets = self._context.encode(frame)
            return [self._with_user_data(self._amended(packet)) for packet in packets]
        except av.error.FFmpegError as error:
            raise OutputError(f"{self.spec.libav_encoder} failed: {error}.") from error

    def _open(self) -> None:
        """Open the encoder; a parameter that libav only warns about is an error here."""
        video, least = self._video, self.spec.smallest_px
        if video.width_px < least[0] or video.height_px < least[1]:
            raise OutputError(self._cannot_open("the picture is too small."))
        with captured_av_log() as messages:
            try:
                self._context.open()
            except (av.error.FFmpegError, ValueError) as error:
                if any(_NOT_PAIRS.match(text) for text in _texts(messages)):
                    raise UsageError(
                        f"{self.spec.libav_encoder} does not take {self._options.encoder_params!r} "
                        "for parameters; expected key=value:key=value. Correct them in "
                        "--encoder-params."
                    ) from error
                said = " ".join(_texts(messages)) or f"{error}."
                raise OutputError(self._cannot_open(said)) from error
        refused = [text for text in _texts(messages) if text.startswith(_REFUSALS)]
        refused += [f"Unknown option: {name}." for name in self._context.options]
        if refused:
            raise UsageError(
                f"{self.spec.libav_encoder} does not take these parameters: {' '.join(refused)} "
                "Correct them in --encoder-params."
            )

    def _cannot_open(self, said: str) -> str:
        spec, options = self.spec, self._options
        chosen = spec.quality_of(options)
        quality = "" if chosen is None else f"quality {chosen:g}, "
        preset = f"preset {spec.preset_of(options)!r} and " if spec.presets else ""
        least = " by ".join(str(size) for size in spec.smallest_px)
        return (
            f"{spec.libav_encoder} cannot be opened for {self._video.width_px}x"
            f"{self._video.height_px} with {quality}{preset}parameters "
            f"{options.encoder_params!r}: {said} It needs at least {least} px; change --codec, "
            "--quality, --preset or --encoder-params."
        )


def _limited(value: Fraction) -> Fraction:
    """The nearest fraction whose parts fit libav's 32-bit rationals with room to multiply."""
    return value.limit_denominator(1_000_000)


def _texts(messages: list[tuple[int, str, str]]) -> list[str]:
    return [text.strip() for _, _, text in messages]
