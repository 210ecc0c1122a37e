"""How long the samples of a packet of sound take, where libavformat does not know it to the sample.

It rounds to the clock of the file, milliseconds in Matroska, and knows nothing of a stream that
begins behind what it looks at when it opens a file.
"""

from __future__ import annotations

import re
from fractions import Fraction

from av.audio.codeccontext import AudioCodecContext
from av.packet import Packet

__all__ = ["sound_seconds"]

_PCM = re.compile(r"pcm_[fsu](\d+)(?:le|be)?|pcm_(?:alaw|mulaw)")


def sound_seconds(packet: Packet, known: AudioCodecContext | None) -> Fraction | None:
    """How long a packet lasts; None where the packet says it as well as it can be known.

    Args:
        packet: Of the source.
        known: What is known of its stream where it is under way; None of what is not sound.
    """
    if known is None or not known.sample_rate:
        return None
    pcm = _PCM.fullmatch(known.codec.canonical_name)
    if pcm is not None and known.channels:
        sample_bytes = int(pcm[1] or 8) // 8
        return Fraction(packet.size, sample_bytes * known.channels * known.sample_rate)
    if packet.duration or not known.frame_size:
        return None
    return Fraction(known.frame_size, known.sample_rate)
