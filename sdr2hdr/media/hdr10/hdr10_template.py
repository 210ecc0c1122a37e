"""A stream like one that exists, described with other HDR10 metadata as muxers understand it.

A muxer writes the metadata of a stream when it is copied from a file that has it. So a file without
frames is made in memory, its description of the video is completed, and the stream read back from
it is what the real file's stream is modelled on.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import av
import av.error

from sdr2hdr.errors import OutputError
from sdr2hdr.media.av_log import captured_av_log
from sdr2hdr.media.bitstreams.hdr10_sei import HdrSei
from sdr2hdr.media.containers import matroska_elements as matroska
from sdr2hdr.media.containers.container_trial import codec_name
from sdr2hdr.media.containers.ebml import CRC_32, element_bytes, elements_in, uint_bytes
from sdr2hdr.media.containers.format_names import is_matroska
from sdr2hdr.media.containers.isobmff import (
    VISUAL_SAMPLE_ENTRY_BYTES,
    boxes_in,
    children_start,
    find_box,
    make_box,
)
from sdr2hdr.media.encoding.track_template import mastering_element
from sdr2hdr.media.mastering import CHROMATICITY_STEP, LUMINANCE_STEP_CD_M2

if TYPE_CHECKING:
    from av.video.stream import VideoStream

__all__ = ["described_stream"]

_SHELLS = {"hevc": "mp4", "av1": "mp4", "vp9": "matroska", "ffv1": "matroska"}
"""What can hold a codec; MOV for all others."""

_DESCRIPTIONS = (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd")
_REPLACED_BOXES = frozenset({b"mdcv", b"clli", b"SmDm", b"CoLL"})

_EMPTY_CLUSTER = element_bytes(
    matroska.CLUSTER, element_bytes(matroska.CLUSTER_TIMESTAMP, uint_bytes(0))
)


@contextmanager
def described_stream(stream: VideoStream, sei: HdrSei, path: Path) -> Iterator[VideoStream]:
    """Open the description; the stream is valid inside the context.

    Args:
        stream: Of an open file.
        sei: What to say. A mastering display of None keeps what the stream says.
        path: The stream's file, for messages.

    Raises:
        OutputError: libavformat cannot write such a stream.
    """
    shell = io.BytesIO()
    kind = _shell(stream)
    flags = {} if kind == "matroska" else {"movflags": "empty_moov+frag_custom"}
    try:
        # libav complains, rightly, that there are no frames to learn more from.
        with captured_av_log():
            with av.open(shell, "w", format=kind, container_options=flags) as movie:
                copy = movie.add_stream_from_template(stream, opaque=True)
                copy.time_base = stream.time_base
                movie.start_encoding()
                header = shell.getvalue()
            if kind == "matroska":
                described = _with_elements(shell.getvalue(), sei)
            else:
                described = _with_boxes(header, sei)
            opened = av.open(io.BytesIO(described), "r", format=kind)
    except (av.error.FFmpegError, ValueError) as error:
        raise OutputError(
            f"The video of {path.name} cannot be described in a new file: {error}."
        ) from error
    with opened:
        yield opened.streams.video[0]


def _shell(stream: VideoStream) -> str:
    if is_matroska(stream.container.format.name):
        # It says where chroma lies, for which MP4 and MOV have no place.
        return "matroska"
    return _SHELLS.get(codec_name(stream), "mov")


def _with_boxes(header: bytes, sei: HdrSei) -> bytes:
    """A header whose only sample entry has our `mdcv` and `clli` and none of its own."""
    parents = find_box(header, _DESCRIPTIONS)
    entry = next(boxes_in(header, children_start(parents[-1]), parents[-1].end))
    end = entry.start + VISUAL_SAMPLE_ENTRY_BYTES
    content = bytearray(header[entry.start : end])
    for box in boxes_in(header, end, entry.end):
        end = box.end
        is_kept = box.name == b"mdcv" and sei.mastering is None
        if is_kept or box.name not in _REPLACED_BOXES:
            content += header[box.start : box.end]
    for name, payload in ((b"mdcv", sei.mastering), (b"clli", sei.light)):
        if payload is not None:
            content += make_box(name, payload)
    content += header[end : entry.end]
    struct.pack_into(">I", content, 0, len(content))
    growth = len(content) - (entry.end - entry.start)
    result = bytearray(header)
    for box in parents:
        struct.pack_into(">I", result, box.start, box.end - box.start + growth)
    result[entry.start : entry.end] = content
    return bytes(result)


def _with_elements(file: bytes, sei: HdrSei) -> bytes:
    """A Matroska file without frames whose only track has our metadata and none of its own."""
    parts: list[bytes] = []
    for element in elements_in(file):
        raw = file[element.start : element.end]
        if element.identifier == matroska.SEGMENT:
            kept = b"".join(
                _with_track_colour(
                    file[child.start : child.end], (matroska.TRACK_ENTRY, matroska.VIDEO), sei
                )
                for child in elements_in(file, element.content, element.end)
                if child.identifier in (matroska.INFO, matroska.TRACKS)
            )
            raw = element_bytes(matroska.SEGMENT, kept + _EMPTY_CLUSTER)
        parts.append(raw)
    return b"".join(parts)


def _with_track_colour(raw: bytes, path: tuple[int, ...], sei: HdrSei) -> bytes:
    """An element with the metadata in the `Colour` at the end of a path; others as they are."""
    (outer,) = elements_in(raw)
    if outer.identifier not in (matroska.TRACKS, matroska.TRACK_ENTRY, matroska.VIDEO):
        return raw
    parts: list[bytes] = []
    colour = b""
    for child in elements_in(raw, outer.content, outer.end):
        content = raw[child.start : child.end]
        if child.identifier == CRC_32:
            continue
        if child.identifier == matroska.COLOUR and not path:
            colour = raw[child.content : child.end]
            continue
        if path and child.identifier == path[0]:
            content = _with_track_colour(content, path[1:], sei)
        parts.append(content)
    if not path:
        parts.append(element_bytes(matroska.COLOUR, _colour_content(colour, sei)))
    return element_bytes(outer.identifier, b"".join(parts))


def _colour_content(old: bytes, sei: HdrSei) -> bytes:
    parts: list[bytes] = []
    replaced: set[int] = set()
    if sei.light is not None:
        max_cll, max_fall = struct.unpack(">2H", sei.light)
        replaced |= {matroska.MAX_CLL, matroska.MAX_FALL}
        parts.append(element_bytes(matroska.MAX_CLL, uint_bytes(max_cll)))
        parts.append(element_bytes(matroska.MAX_FALL, uint_bytes(max_fall)))
    if sei.mastering is not None:
        replaced.add(matroska.MASTERING)
        numbers = struct.unpack(">8H2I", sei.mastering)
        green, blue, red, white = (numbers[2 * i : 2 * i + 2] for i in range(4))
        points = (coordinate for point in (red, green, blue, white) for coordinate in point)
        values = [coordinate * CHROMATICITY_STEP for coordinate in points]
        values += [luminance * LUMINANCE_STEP_CD_M2 for luminance in numbers[8:]]
        parts.append(mastering_element(values))
    kept = [
        old[child.start : child.end]
        for child in elements_in(old)
        if child.identifier not in replaced
    ]
    return b"".join(kept + parts)
