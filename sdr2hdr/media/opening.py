"""Open a media file, with libavformat's errors in plain words, and read its packets."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import av.error
from av.codec.context import Flags

from sdr2hdr.errors import InputError
from sdr2hdr.media.targets import names_sequence
from sdr2hdr.path_kinds import exists, is_file, is_folder

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.stream import Stream

__all__ = ["demuxed", "open_input"]

TEXT_DEMUXERS = frozenset({"tty", "lrc", "srt", "ass", "webvtt", "ffmetadata", "concat", "hls"})
"""Demuxers that take plain text for media, or text that names other files."""

_URL = re.compile(r"([A-Za-z][A-Za-z\d+.-]+):/")
"""RFC 3986, 3.1; one letter alone is a drive of Windows."""


@contextmanager
def open_input(path: Path, from_byte: int = 0) -> Iterator[InputContainer]:
    """Open a local file for demuxing, and close it afterwards.

    Metadata that is not UTF-8 is shown with replacement characters. Frames are cropped to the pixel
    as their stream says (Rec. ITU-T H.264, 7.4.2.1.1); libavcodec alone would leave as many columns
    at the left as the processor's alignment asks for, other ones on another processor.

    Args:
        path: The file.
        from_byte: Where to begin, for formats without a header.

    Raises:
        InputError: No such file, not a regular readable file, empty, or not a media file.
    """
    container = _opened(path, from_byte)
    try:
        for stream in container.streams.video:
            if stream.codec_context is not None:
                stream.codec_context.flags |= Flags.unaligned
        yield container
    finally:
        container.close()


def demuxed(container: InputContainer, streams: Iterable[Stream]) -> Iterator[Packet[Any]]:
    """The packets of some streams in the file's order, then those that flush their decoders.

    Transport and program streams may take up further streams on the way. They are not among
    `container.streams`, and not read; `later_streams` looks for them.
    """
    # PyAV 18 counts them when it flushes, behind all that are known, and has no object for them.
    with suppress(IndexError):
        yield from container.demux(list(streams))


def _opened(path: Path, from_byte: int) -> InputContainer:
    _check_file(path)
    skipped = {"skip_initial_bytes": str(from_byte)} if from_byte else {}
    try:
        # The scheme keeps a name such as "a:b.mp4" or "%03d.png" from being anything but a file.
        container = av.open(
            f"file:{path}", mode="r", metadata_errors="replace", container_options=skipped
        )
    except av.error.FFmpegError as error:
        raise InputError(_reason(path, error)) from error
    if container.format.name in TEXT_DEMUXERS:
        container.close()
        raise InputError(f"{path} is a text file; expected a video file.")
    return container


def _check_file(path: Path) -> None:
    try:
        if not exists(path):
            _refuse_what_is_no_file(path)
            if names_sequence(path):
                raise InputError(
                    f"{path} names a sequence of pictures, which is not read; expected a video "
                    "file. Make one of it without loss first, such as FFV1 in Matroska."
                )
            raise InputError(f"{path} does not exist; expected a video file.")
        if is_folder(path):
            raise InputError(f"{path} is a folder; expected a video file.")
        if not is_file(path):
            raise InputError(f"{path} is not a regular file; expected a video file.")
        if path.stat().st_size == 0:
            raise InputError(f"{path} is empty; expected a video file.")
        with path.open("rb"):
            pass
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.") from error


def _refuse_what_is_no_file(path: Path) -> None:
    if str(path) == "-":
        raise InputError(
            "- is standard input, which is not read, because a source is read more than once; "
            "expected a video file. Write what comes there to a file first."
        )
    url = _URL.match(str(path))
    if url is not None:
        # Path makes one slash of several.
        name = f"{url[1]}://{'/' * (url[1].lower() == 'file')}{str(path)[url.end() :]}"
        first = "Give its path alone" if url[1].lower() == "file" else "Download it first"
        raise InputError(f"{name} is a URL, which is not read; expected a file on disk. {first}.")


def _reason(path: Path, error: av.error.FFmpegError) -> str:
    if _starts_like_mp4(path):
        return (
            f"{path} has no readable index (moov box): it is cut short or was never finished; "
            "expected a whole video file."
        )
    if _looks_like_text(path):
        return f"{path} is a text file; expected a video file."
    if isinstance(error, av.error.PermissionError):
        return f"{path} cannot be opened: {error.strerror}."
    return (
        f"{path} is not a media file, or its header is cut short or damaged; expected a video file."
    )


def _starts_like_mp4(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(8)[4:] == b"ftyp"


def _looks_like_text(path: Path) -> bool:
    with path.open("rb") as file:
        head = file.read(4096)
    if b"\0" in head:
        return False
    try:
        head.decode("utf-8")
    except UnicodeDecodeError as error:
        # The cut at 4096 bytes may fall inside a character.
        return error.start > len(head) - 4
    return True
