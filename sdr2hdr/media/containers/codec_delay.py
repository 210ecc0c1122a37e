"""Tell a Matroska muxer how much of an audio stream comes before time 0.

MP4 says with an edit list that the first samples of AAC are not to be heard; they lie before 0.
Matroska has no times before 0: it says the same with `CodecDelay`. libavformat's muxer writes that
from a field which PyAV does not let us set, but which its demuxer fills. So the stream is described
in a Matroska header in memory, the element is put in, and the stream read back from there.
"""

from __future__ import annotations

import io
from fractions import Fraction

import av
from av.audio.stream import AudioStream
from av.container import InputContainer

from sdr2hdr.media.containers import matroska_elements as matroska
from sdr2hdr.media.containers.ebml import element_bytes, find_element, uint_bytes

__all__ = ["delayed_stream"]

_NANOSECONDS = 1_000_000_000
"""In which `CodecDelay` counts."""


def delayed_stream(stream: AudioStream, delay_seconds: Fraction) -> InputContainer:
    """A file in memory whose only stream is described like `stream`, with a codec delay.

    Args:
        stream: Of an opened source.
        delay_seconds: How long before 0 its first packet starts.

    Raises:
        av.error.FFmpegError: Matroska cannot hold the stream.
        ValueError: Likewise.
    """
    written = io.BytesIO()
    options = {"live": "1", "write_crc32": "0", "fflags": "+bitexact"}
    with av.open(written, "w", format="matroska", container_options=options) as target:
        target.add_stream_from_template(stream, opaque=True)
        target.start_encoding()
        header = written.getvalue()
    segment, tracks, track = find_element(
        header, matroska.SEGMENT, matroska.TRACKS, matroska.TRACK_ENTRY
    )
    delay = element_bytes(matroska.CODEC_DELAY, uint_bytes(round(delay_seconds * _NANOSECONDS)))
    entry = element_bytes(matroska.TRACK_ENTRY, header[track.content : track.end] + delay, 8)
    before, behind = header[tracks.content : track.start], header[track.end : tracks.end]
    patched = element_bytes(matroska.TRACKS, before + entry + behind, 8)
    # The demuxer reads on until a cluster begins.
    timestamp = element_bytes(matroska.CLUSTER_TIMESTAMP, uint_bytes(0))
    cluster = element_bytes(matroska.CLUSTER, timestamp)
    rest = header[tracks.end : segment.end] + cluster
    return av.open(io.BytesIO(header[: tracks.start] + patched + rest), mode="r")
