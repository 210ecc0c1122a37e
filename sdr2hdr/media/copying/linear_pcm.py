"""Linear PCM that is wrapped for one kind of disc or line, made plain: every sample stays.

The PCM of Blu-ray and AVCHD (HDMV LPCM), of DVD-Video, of contribution lines (SMPTE ST 302), and
G.711, which no muxer here writes into Matroska, and few into anything else.
"""

from __future__ import annotations

import io
from contextlib import suppress
from fractions import Fraction
from typing import TYPE_CHECKING, Any, cast

import av
import av.error
import numpy as np
from av.audio.layout import AudioLayout
from av.packet import Packet

from sdr2hdr.media.av_log import captured_av_log
from sdr2hdr.media.containers.channel_layout import has_usual_order, layout_name, usual_layout

if TYPE_CHECKING:
    from av.audio.frame import AudioFrame
    from av.audio.stream import AudioStream
    from av.container import OutputContainer
    from av.stream import Stream

__all__ = ["add_plain_pcm", "plain_pcm", "plain_samples"]

LINE_PCM = "s302m"
"""It says how many channels there are and nothing of what they are: libavcodec makes that up."""
WRAPPED = frozenset({"pcm_bluray", "pcm_dvd", LINE_PCM, "pcm_alaw", "pcm_mulaw"})
PLAIN = {"s16": "pcm_s16le", "s32": "pcm_s24le"}
"""By libavcodec's sample format; of 20 and 24 bits it makes the upper ones of 32. Those of G.711
(Rec. ITU-T G.711) decode to 13 and 14 bits."""
ALIGNED_SAMPLES = 32
"""libavutil rounds the samples of a frame's memory up to so many (`av_samples_get_buffer_size`)."""

TRIAL_BYTES = 6
"""Of each channel: whole samples of 16 and of 24 bits."""


def plain_pcm(stream: Stream, container_format: str) -> str | None:
    """The plain PCM that holds all samples of a stream; None if it is not wrapped PCM.

    Args:
        stream: Of the source.
        container_format: libavformat's name of the muxer; None too if it does not take that.
    """
    if stream.type != "audio" or stream.codec_context is None:
        return None
    context = cast("AudioStream", stream).codec_context
    name = context.codec.canonical_name
    if name not in WRAPPED or not (name == LINE_PCM or has_usual_order(context)):
        return None
    plain = PLAIN.get(context.format.name)
    return plain if plain and _takes(container_format, plain, stream) else None


def _takes(container_format: str, codec: str, stream: Stream) -> bool:
    """Whether a muxer takes plain PCM with a stream's channels: MP4 wants to know what each is."""
    with captured_av_log(), suppress(av.error.FFmpegError):
        # That something is missing shows when the file is finished.
        with av.open(io.BytesIO(), "w", format=container_format) as target:
            added, channels = add_plain_pcm(target, codec, stream)
            silence = Packet(bytes(TRIAL_BYTES * channels))
            silence.pts = silence.dts = 0
            silence.time_base, silence.stream = Fraction(1, added.sample_rate), added
            target.mux_one(silence)
        return True
    return False


def add_plain_pcm(target: OutputContainer, codec: str, template: Stream) -> tuple[AudioStream, int]:
    """Add a stream for the samples of another, and count its channels.

    Args:
        target: The output.
        codec: What `plain_pcm` says.
        template: The stream of the source.
    """
    context = cast("AudioStream", template).codec_context
    name = layout_name(context)
    if not has_usual_order(context):
        name = name.partition(" (")[0]
    layout = AudioLayout(usual_layout(name))
    added = target.add_stream(codec, rate=context.sample_rate, layout=layout)
    return cast("AudioStream", added), layout.nb_channels


def plain_samples(packet: Packet[Any], channels: int) -> bytes:
    """The samples of a packet, channels interleaved, little-endian, 16 or 24 bits.

    Args:
        packet: Of the source.
        channels: How many `add_plain_pcm` has counted.

    Returns:
        Nothing if it cannot be decoded, or has another number of channels.
    """
    with suppress(av.error.FFmpegError, ValueError):
        return b"".join(_samples(frame, channels) for frame in packet.decode())
    return b""


def _samples(frame: AudioFrame, channels: int) -> bytes:
    """Raises ValueError where a frame's memory is not that of so many channels."""
    plane, count = frame.planes[0], frame.samples * channels
    sample_bytes = 2 if frame.format.name == "s16" else 4
    room = (frame.samples + ALIGNED_SAMPLES) * channels * sample_bytes
    if not count * sample_bytes <= plane.buffer_size < room:
        raise ValueError(f"{plane.buffer_size} bytes for {count} samples.")
    if sample_bytes == 2:
        return np.frombuffer(memoryview(plane), "=i2", count).astype("<i2").tobytes()
    upper = np.frombuffer(memoryview(plane), "=i4", count).astype("<i4").view(np.uint8)
    return upper.reshape(count, 4)[:, 1:].tobytes()
