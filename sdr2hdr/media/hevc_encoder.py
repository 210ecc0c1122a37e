"""x265 Main 10: frames in, packets out, and a description of the stream that muxers understand.

libav's encoder writes HDR10 metadata into the stream but tells the muxer nothing of it. A muxer
does write the container's metadata when a stream is copied from a file that has it. So the encoder
is opened inside a tiny MP4 in memory, the missing boxes are put into that file's header, and the
stream read back from it (`HevcEncoder.template`) is what the real file is modelled on. Chroma
siting comes along, because the demuxer reads it from the parameter sets.
"""

from __future__ import annotations

import io
import os
from fractions import Fraction

import av
import av.error
import numpy as np
import torch
from av.container import OutputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from sdr2hdr.errors import OutputError, UsageError
from sdr2hdr.media.av_log import captured_av_log
from sdr2hdr.media.isobmff import clap_box, insert_boxes, make_box
from sdr2hdr.media.output_video import OutputVideo
from sdr2hdr.options import EncodeOptions
from sdr2hdr.signal import ColourRange, Subsampling, Transfer

__all__ = ["HevcEncoder", "frame_threads"]

_PIXEL_FORMATS = {
    (Subsampling.YUV420, 10): "yuv420p10le",
    (Subsampling.YUV422, 10): "yuv422p10le",
    (Subsampling.YUV444, 10): "yuv444p10le",
}
_TRANSFER_CODE = {Transfer.PQ: 16}
_AV_RANGE = {ColourRange.LIMITED: 1, ColourRange.FULL: 2}
_SAMPLE_ENTRY = (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd", b"hvc1")
_FRAMES_WITHOUT_DECODING_TIME = 2
"""So few frames x265 gives in display order, and their decoding times are not set to anything."""
_RATE_WITHOUT_A_RATE = Fraction(25)
"""What rate control assumes where the source's rate is unknown; timestamps do not depend on it."""


def frame_threads(threads: int) -> int:
    """Frames that x265 encodes at once; the bytes of the result depend on it.

    The steps are those that x265 itself takes for that many cores, fixed here so that a run with
    `--threads N` gives the same file on every machine.
    """
    for cores, frames in ((32, 6), (16, 5), (8, 3), (4, 2)):
        if threads >= cores:
            return frames
    return 1


class HevcEncoder:
    """An opened x265 encoder.

    Args:
        video: What to write into the stream.
        options: Quality, preset, threads and the user's own parameters, which win over ours.
        time_base: Of the pts given to `encode`.

    Attributes:
        template: The stream to model an output stream on; valid as long as the encoder lives.
        parameter_sets: VPS, SPS, PPS and SEI with start codes, as the packets have them.

    Raises:
        UsageError: x265 does not know a parameter or its value.
        OutputError: x265 cannot be opened.
    """

    def __init__(self, video: OutputVideo, options: EncodeOptions, time_base: Fraction) -> None:
        signal = video.signal
        pixel_format = _PIXEL_FORMATS.get((signal.subsampling, signal.bit_depth))
        if pixel_format is None or signal.transfer not in _TRANSFER_CODE:
            raise ValueError(f"HEVC is written in 10 bits with PQ; found {signal}.")
        self._video = video
        self._frames = 0
        self._time_base = time_base
        self._pixel_format = pixel_format
        self._header = io.BytesIO()
        self._shell: OutputContainer = av.open(
            self._header,
            "w",
            format="mp4",
            container_options={"movflags": "empty_moov+frag_custom", "fflags": "+bitexact"},
        )
        self._stream: VideoStream = self._shell.add_stream(
            "libx265",
            rate=_limited(video.average_rate or _RATE_WITHOUT_A_RATE),
            options={
                "preset": options.preset,
                "crf": f"{options.quality:g}",
                "x265-params": _x265_params(video, options),
            },
            width=video.width_px,
            height=video.height_px,
            time_base=time_base,
        )
        context = self._stream.codec_context
        context.pix_fmt = pixel_format
        context.color_primaries = int(signal.primaries)
        context.color_trc = _TRANSFER_CODE[signal.transfer]
        context.colorspace = int(signal.matrix)
        context.color_range = _AV_RANGE[signal.colour_range]
        context.sample_aspect_ratio = _limited(video.sample_aspect_ratio)
        context.codec_tag = "hvc1"
        self._open(options)
        self.parameter_sets = context.extradata or b""
        self._template_file = av.open(io.BytesIO(self._described_header()))
        self.template: VideoStream = self._template_file.streams.video[0]

    def encode(
        self, planes: tuple[torch.Tensor, torch.Tensor, torch.Tensor], pts: int
    ) -> list[Packet]:
        """Encode one frame.

        Args:
            planes: Y', Cb, Cr, each (H, W) of uint16, any device.
            pts: In ticks of the encoder's time base.

        Returns:
            The packets that are ready, often none: x265 looks ahead.

        Raises:
            OutputError: x265 failed.
        """
        frame = VideoFrame(self._video.width_px, self._video.height_px, self._pixel_format)
        for plane, codes in zip(frame.planes, planes, strict=True):
            height, width = codes.shape
            rows = np.frombuffer(memoryview(plane), dtype="<u2").reshape(-1, plane.line_size // 2)
            rows[:height, :width] = codes.cpu().numpy()
        frame.pts = pts
        frame.time_base = self._time_base
        self._frames += 1
        return self._encode(frame)

    def flush(self) -> list[Packet]:
        """The packets of all frames still inside the encoder.

        Raises:
            OutputError: x265 failed.
        """
        packets = self._encode(None)
        if self._frames <= _FRAMES_WITHOUT_DECODING_TIME:
            for packet in packets:
                packet.dts = packet.pts
        return packets

    def close(self) -> None:
        """Let go of the template and of the file in memory."""
        self._template_file.close()
        self._shell.close()

    def _encode(self, frame: VideoFrame | None) -> list[Packet]:
        try:
            return self._stream.encode(frame)
        except av.error.FFmpegError as error:
            raise OutputError(f"x265 failed: {error}.") from error

    def _open(self, options: EncodeOptions) -> None:
        """Open x265; a parameter that libav only warns about is an error here."""
        with captured_av_log() as messages:
            try:
                self._shell.start_encoding()
            except (av.error.FFmpegError, ValueError) as error:
                said = " ".join(_texts(messages)) or str(error)
                raise OutputError(
                    f"x265 cannot be opened for {self._video.width_px}x{self._video.height_px} "
                    f"with quality {options.quality:g}, preset {options.preset!r} and parameters "
                    f"{options.encoder_params!r}: {said} Change --quality, --preset or "
                    "--encoder-params."
                ) from error
        refused = [
            text
            for text in _texts(messages)
            if text.startswith(("Unknown option", "Invalid value"))
        ]
        if refused:
            self._shell.close()
            raise UsageError(
                f"x265 does not take these parameters: {' '.join(refused)} "
                "Correct them in --encoder-params."
            )

    def _described_header(self) -> bytes:
        """The header of the MP4 in memory, with the boxes libav left out."""
        additions = make_box(b"mdcv", self._video.mastering.mdcv_payload())
        video = self._video
        if video.crop_right_px or video.crop_bottom_px:
            additions += clap_box(
                video.width_px, video.height_px, video.crop_right_px, video.crop_bottom_px
            )
        return insert_boxes(self._header.getvalue(), _SAMPLE_ENTRY, additions)


def _x265_params(video: OutputVideo, options: EncodeOptions) -> str:
    """Our parameters, then the user's: x265 keeps the last of each.

    Groups of pictures are closed, so that editors and joins can cut at every key frame; x265's
    note of its settings is left out, because it names the processor and would make the bytes
    differ between machines.
    """
    threads = options.threads or os.cpu_count() or 1
    ours = [
        "log-level=error",
        f"pools={threads}",
        f"frame-threads={frame_threads(threads)}",
        f"chromaloc={video.signal.siting.value}",
        "hdr10=1",
        "hdr10-opt=1",
        "open-gop=0",
        "info=0",
        f"master-display={video.mastering.x265_text()}",
    ]
    if video.variable_rate or video.average_rate is None:
        ours.append("vui-timing-info=0")
    return ":".join([*ours, *([options.encoder_params] if options.encoder_params else [])])


def _limited(value: Fraction) -> Fraction:
    """The nearest fraction whose parts fit libav's 32-bit rationals with room to multiply."""
    return value.limit_denominator(1_000_000)


def _texts(messages: list[tuple[int, str, str]]) -> list[str]:
    return [text.strip() for _, _, text in messages]
