"""AAC that a broadcast wraps in LATM, which no container here takes: described as AAC alone."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import av
import av.error
from av.packet import Packet
from av.stream import Stream

from sdr2hdr.media.av_log import captured_av_log
from sdr2hdr.media.bitstreams.latm import LatmReader
from sdr2hdr.media.containers.container_trial import sample_packets
from sdr2hdr.media.opening import demuxed, open_input

__all__ = ["AAC_CODEC", "LATM_CODEC", "AacSample", "latm_unwrapper", "open_as_adts"]

LATM_CODEC, AAC_CODEC = "aac_latm", "aac"
"""libavcodec's names."""
_SAMPLES = 128
"""Packets looked at. Broadcasts say twice a second how their AAC is to be read: some 24 packets."""


class AacSample(NamedTuple):
    """The beginning of a stream without its LATM.

    Attributes:
        stream: For a muxer to model its own on; valid as long as `open_as_adts` is entered.
        packets: Of it.
    """

    stream: Stream
    packets: list[Packet]


@contextmanager
def open_as_adts(path: Path, stream: Stream) -> Iterator[AacSample | None]:
    """Open the beginning of a stream as a file of ADTS frames in memory.

    Args:
        path: Of the file.
        stream: Of the file; of `LATM_CODEC`.

    Yields:
        None if nothing there can be read.

    Raises:
        InputError: The file cannot be opened again.
    """
    unwrap = latm_unwrapper()
    with open_input(path) as source:
        samples = sample_packets(source, [source.streams[stream.index]], _SAMPLES)[stream.index]
        frames = b"".join(map(unwrap, samples))
    with captured_av_log():
        try:
            written = av.open(io.BytesIO(frames), "r", format=AAC_CODEC)
        except av.error.FFmpegError:
            yield None
            return
    with written:
        found = written.streams[0]
        yield AacSample(found, [each for each in demuxed(written, [found]) if each.size])


def latm_unwrapper() -> Callable[[Packet], bytes]:
    """What gives packets of one stream, in their order, as `LatmReader.adts_frame` does."""
    reader = LatmReader()
    return lambda packet: reader.adts_frame(bytes(packet))
