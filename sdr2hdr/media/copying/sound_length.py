"""How long the samples of a packet of sound take, where libavformat does not know it to the sample.

It rounds to the clock of the file, milliseconds in Matroska, counts samples that nobody is to hear,
and knows nothing of a stream that begins behind what it looks at when it opens a file.
"""

from __future__ import annotations

import re
import struct
from fractions import Fraction

from av.audio.codeccontext import AudioCodecContext
from av.packet import Packet

__all__ = ["sound_seconds"]

_PCM = re.compile(r"pcm_[fsu](\d+)(?:le|be)?|pcm_(?:alaw|mulaw)")
_SKIP_SAMPLES = "skip_samples"
_OPUS_FRAME_SECONDS = (
    *(Fraction(milliseconds, 1000) for milliseconds in (10, 20, 40, 60) * 3),
    *(Fraction(milliseconds, 1000) for milliseconds in (10, 20) * 2),
    *(Fraction(halves, 2000) for halves in (5, 10, 20, 40) * 4),
)
"""By the five upper bits of a packet's first byte (RFC 6716, Table 2)."""
_FRAMES_ARE_COUNTED = 3
"""The two lower bits, if the next byte has the number of frames in its six lower ones (3.2.5)."""


def sound_seconds(packet: Packet, known: AudioCodecContext | None) -> Fraction | None:
    """How long a packet lasts; None where the packet says it as well as it can be known.

    Args:
        packet: Of the source.
        known: What is known of its stream where it is under way; None of what is not sound.
    """
    if known is None or not known.sample_rate:
        return None
    name = known.codec.canonical_name
    pcm = _PCM.fullmatch(name)
    if pcm is not None and known.channels:
        sample_bytes = int(pcm[1] or 8) // 8
        return Fraction(packet.size, sample_bytes * known.channels * known.sample_rate)
    whole = Fraction(known.frame_size or 0, known.sample_rate)
    if name == "opus":
        whole = _opus_seconds(bytes(packet))
    if not whole:
        return None
    heard = whole - Fraction(_unheard_at_end(packet), known.sample_rate)
    if not packet.duration:
        return heard
    # Some writers count what nobody is to hear, others do not. A frame cut short says so itself.
    said, tick = packet.duration * packet.time_base, packet.time_base
    return heard if min(abs(said - whole), abs(said - heard)) < tick else None


def _opus_seconds(data: bytes) -> Fraction:
    """How long the frames of a packet of Opus last; 0 if it is cut short."""
    if len(data) < 2:
        return Fraction(0)
    code = data[0] & 3
    frames = data[1] & 0x3F if code == _FRAMES_ARE_COUNTED else min(code + 1, 2)
    return frames * _OPUS_FRAME_SECONDS[data[0] >> 3]


def _unheard_at_end(packet: Packet) -> int:
    """Samples at the end of a packet that its container says to throw away."""
    if not packet.has_sidedata(_SKIP_SAMPLES):
        return 0
    _, at_end = struct.unpack_from("<2I", bytes(packet.get_sidedata(_SKIP_SAMPLES)))
    return at_end
