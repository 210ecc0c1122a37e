"""Linear PCM that is wrapped for one kind of disc or line, made plain: every sample stays.

The PCM of Blu-ray and AVCHD (HDMV LPCM), of DVD-Video, and G.711, which no muxer here writes into
Matroska, and few into anything else.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

import av.error
import numpy as np
from av.audio.layout import AudioLayout

from sdr2hdr.media.containers.channel_layout import has_usual_order, layout_name

if TYPE_CHECKING:
    from av.audio.frame import AudioFrame
    from av.audio.stream import AudioStream
    from av.container import OutputContainer
    from av.packet import Packet
    from av.stream import Stream

__all__ = ["add_plain_pcm", "plain_pcm", "plain_samples"]

WRAPPED = frozenset({"pcm_bluray", "pcm_dvd", "pcm_alaw", "pcm_mulaw"})
PLAIN = {"s16": "pcm_s16le", "s32": "pcm_s24le"}
"""By libavcodec's sample format; of 20 and 24 bits it makes the upper ones of 32. Those of G.711
(Rec. ITU-T G.711) decode to 13 and 14 bits."""
ALIGNED_SAMPLES = 32
"""libavutil rounds the samples of a frame's memory up to so many (`av_samples_get_buffer_size`)."""


def plain_pcm(stream: Stream) -> str | None:
    """The plain PCM that holds all samples of a stream; None if it is not wrapped PCM."""
    if stream.type != "audio" or stream.codec_context is None:
        return None
    context = cast("AudioStream", stream).codec_context
    if context.codec.canonical_name not in WRAPPED or not has_usual_order(context):
        return None
    return PLAIN.get(context.format.name)


def add_plain_pcm(target: OutputContainer, codec: str, template: Stream) -> tuple[AudioStream, int]:
    """Add a stream for the samples of another, and count its channels.

    Args:
        target: The output.
        codec: What `plain_pcm` says.
        template: The stream of the source.
    """
    context = cast("AudioStream", template).codec_context
    layout = AudioLayout(layout_name(context))
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
