"""Count and time every packet of a file without decoding: what a file holds besides its tags."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av.error

from sdr2hdr.errors import InputError
from sdr2hdr.frames import PresentationTimes
from sdr2hdr.media.containers.container_trial import codec_name, is_attached_picture
from sdr2hdr.media.opening import demuxed, open_input
from sdr2hdr.media.reading.streams import choose_video

__all__ = ["FileContent", "FoundStream", "scan_packets"]


@dataclass(frozen=True)
class FoundStream:
    """One stream.

    Attributes:
        kind: "video", "audio", "subtitle", "data" or "attachment"; cover art counts as the last,
            because Matroska keeps it as one.
        packets: How many it has; 1 for an attachment.
    """

    index: int
    kind: str
    codec: str
    language: str | None
    packets: int


@dataclass(frozen=True)
class FileContent:
    """Everything that can be counted.

    Attributes:
        streams: In the file's order, the video stream too.
        video_index: Of the video stream among them.
        video_times: Presentation times of the video's packets in seconds, sorted.
        chapters: How many there are.
    """

    streams: tuple[FoundStream, ...]
    video_index: int
    video_times: Sequence[Fraction] = field(repr=False)
    chapters: int


def scan_packets(path: Path) -> FileContent:
    """Read a file to its end.

    Raises:
        InputError: The file cannot be read, is damaged, or has no video.
    """
    with open_input(path) as container:
        stream, _, _ = choose_video(container, None, str(path))
        counts = dict.fromkeys(range(len(container.streams)), 0)
        video_pts = array("q")
        tick = stream.time_base or Fraction(1)
        media = [each for each in container.streams if each.type != "attachment"]
        try:
            for packet in demuxed(container, media):
                if packet.size == 0:
                    continue
                counts[packet.stream.index] += 1
                if packet.stream.index == stream.index and packet.pts is not None:
                    video_pts.append(packet.pts)
        except av.error.FFmpegError as error:
            raise InputError(f"{path} cannot be read to its end: {error.strerror}.") from error
        return FileContent(
            streams=tuple(
                FoundStream(
                    each.index,
                    "attachment" if is_attached_picture(each) else each.type,
                    codec_name(each),
                    each.metadata.get("language"),
                    1 if each.type == "attachment" else counts[each.index],
                )
                for each in container.streams
            ),
            video_index=stream.index,
            video_times=PresentationTimes(sorted(video_pts), tick),
            chapters=len(container.chapters()),
        )
