"""Whether a container can hold a stream, found out by writing one into memory and reading it back.

A table of codecs would be wrong with the next libavformat; and some muxers take a stream that
nobody can read from the file afterwards.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path

import av
import av.error
import av.logging
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.stream import Stream

from sdr2hdr.media.av_log import captured_av_log
from sdr2hdr.media.containers.channel_layout import layout_name, usual_layout
from sdr2hdr.media.containers.format_names import is_mp4
from sdr2hdr.media.containers.isobmff import sample_entries, sample_entry_name, track_box
from sdr2hdr.media.containers.packets import with_data
from sdr2hdr.media.opening import demuxed

__all__ = [
    "add_copied_stream",
    "codec_name",
    "copy_packet",
    "data_kind",
    "is_attached_picture",
    "name_when_read_back",
    "refusal",
    "sample_packets",
]

_SAME_WHEN_READ_BACK = {"mp1": "mpeg audio", "mp2": "mpeg audio", "mp3": "mpeg audio"}
"""Layers of MPEG-1 audio share one object type in MP4; each frame says which layer it is."""
_SAMPLES_PER_STREAM = 3
_SAMPLE_BYTES = 32_000_000


def codec_name(stream: Stream) -> str:
    """What libav calls a stream's codec, whatever decodes it; "unknown" where it has no name."""
    if stream.codec_context is not None:
        return stream.codec_context.codec.canonical_name
    return (stream.name if stream.type == "data" else None) or "unknown"


def data_kind(path: Path, stream: Stream) -> str:
    """What an MP4 or MOV calls the samples of a data stream, as "gpmd"; "" for all others."""
    return sample_entry_name(path, stream.id) if _is_data_in_boxes(stream) else ""


def _is_data_in_boxes(stream: Stream) -> bool:
    return stream.type == "data" and is_mp4(stream.container.format.name)


def name_when_read_back(codec: str) -> str:
    """What tells a codec from others in every container: one name for those that MP4 names alike.

    Args:
        codec: As `codec_name` gives it, of a stream of the source or of the file made from it.
    """
    return _SAME_WHEN_READ_BACK.get(codec, codec)


def is_attached_picture(stream: Stream) -> bool:
    """Whether a stream is one picture that belongs to the file and to no time, as a cover does."""
    return stream.type == "video" and bool(stream.disposition & stream.disposition.attached_pic)


def add_copied_stream(target: OutputContainer, template: Stream) -> Stream:
    """Add a stream like `template`, for packets that are copied."""
    stream = target.add_stream_from_template(template, opaque=True)
    if isinstance(stream, AudioStream):
        name = layout_name(stream.codec_context)
        if (usual := usual_layout(name)) != name:
            stream.codec_context.layout = usual
    return stream


def copy_packet(packet: Packet) -> Packet:
    """A packet with the same bytes and times that can go to another file than the first one."""
    copy = with_data(packet, bytes(packet))
    for side_data in packet.iter_sidedata():
        copy.set_sidedata(side_data)
    return copy


def sample_packets(
    source: InputContainer, streams: Sequence[Stream], count: int = _SAMPLES_PER_STREAM
) -> Mapping[int, list[Packet]]:
    """The first `count` packets of each stream, by stream index, as far as they come early."""
    samples: dict[int, list[Packet]] = {stream.index: [] for stream in streams}
    if not streams:
        return samples
    read_bytes = 0
    try:
        for packet in demuxed(source, streams):
            if packet.size:
                read_bytes += packet.size
                if len(samples[packet.stream.index]) < count:
                    samples[packet.stream.index].append(packet)
            enough = all(len(found) == count for found in samples.values())
            if enough or read_bytes > _SAMPLE_BYTES:
                break
    except (av.error.FFmpegError, OSError):
        # Damage in the source is the reader's to report; what was read serves for the trial.
        return samples
    return samples


def refusal(stream: Stream, packets: Sequence[Packet], container_format: str) -> str | None:
    """Why `container_format` cannot hold `stream`, None if it can.

    Args:
        stream: Of an opened source.
        packets: Its first packets, perhaps none.
        container_format: libavformat's name of a muxer.
    """
    if stream.type == "data" and not packets:
        packets = [_stand_in()]
    written = io.BytesIO()
    with captured_av_log(av.logging.ERROR) as messages:
        try:
            with av.open(written, "w", format=container_format) as target:
                copy = add_copied_stream(target, stream)
                copy.disposition = stream.disposition
                copy.metadata.update(stream.metadata)
                target.start_encoding()
                for packet in packets:
                    sample = copy_packet(packet)
                    sample.pts = sample.dts if sample.pts is None else sample.pts
                    sample.pts = sample.dts = 0 if is_attached_picture(stream) else sample.pts
                    sample.stream = copy
                    target.mux_one(sample)
        except (av.error.FFmpegError, ValueError, OSError) as error:
            said = messages[-1][2].strip() if messages else str(error)
            return said.rstrip(".")
    if not packets:
        return None
    return _not_read_back(stream, written)


def _stand_in() -> Packet:
    """A packet for a stream whose own come late: what becomes of it shows only where it has one."""
    packet = Packet(bytes(1))
    packet.pts = packet.dts = 0
    packet.time_base, packet.duration = Fraction(1, 1000), 1
    return packet


def _not_read_back(stream: Stream, written: io.BytesIO) -> str | None:
    written.seek(0)
    wanted = name_when_read_back(codec_name(stream))
    try:
        with av.open(written, "r", metadata_errors="replace") as back:
            for found in back.streams:
                if (
                    found.type == stream.type
                    and name_when_read_back(codec_name(found)) == wanted
                    and is_attached_picture(found) == is_attached_picture(stream)
                ):
                    is_described = not _is_data_in_boxes(found) or _has_description(
                        written, found.id
                    )
                    return None if is_described else "its description is not supported"
            found_names = ", ".join(f"{s.type} {codec_name(s)}" for s in back.streams) or "nothing"
    except (av.error.FFmpegError, ValueError, OSError) as error:
        return f"what is written cannot be read again ({error})"
    return f"it is read back as {found_names}"


def _has_description(written: io.BytesIO, track_id: int) -> bool:
    """Whether a track says what its samples are; libavformat leaves that out where it cannot."""
    data = written.getvalue()
    return next(sample_entries(data, track_box(data, track_id)), None) is not None
