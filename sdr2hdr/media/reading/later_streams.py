"""Find the streams of a recording that are not there yet when it is opened.

A broadcast takes up a second sound for a while, a disc shows its first subtitle after minutes, and
recordings of two channels are put together. libavformat opens such a file with the streams of its
beginning, and with those of its end, of which it knows no more than the codec. Others are not read.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import av.error

from sdr2hdr.errors import InputError, Notice
from sdr2hdr.media.opening import demuxed, open_input
from sdr2hdr.media.reading.spliced_clock import starts_anywhere
from sdr2hdr.media.reading.streams import has_form, stream_summary

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.stream import Stream

__all__ = ["later_streams_notices", "stream_under_way"]

PLACES = 16
"""Where a file is looked at: at so many places evenly apart. A stream that comes and goes between
two of them is not found."""


def later_streams_notices(path: Path, container: InputContainer) -> tuple[Notice, ...]:
    """Say which streams a transport or program stream has that are not open.

    Args:
        path: Of the file.
        container: The same file, open from its beginning.
    """
    if not starts_anywhere(container.format.name):
        return ()
    # Of a transport stream the PID, of a program stream the stream_id (Rec. ITU-T H.222.0, 2.4.3.3
    # and 2.5.3.7).
    seen = {stream.id for stream in container.streams}
    found: list[str] = []
    first_byte = size_bytes = path.stat().st_size
    for later in _opened_on_the_way(path):
        new = [each for each in later.streams if each.id not in seen and has_form(each)]
        for stream in new:
            seen.add(stream.id)
            found.append(f"{stream.type} {stream_summary(stream)}")
        with suppress(av.error.FFmpegError):
            first = next(demuxed(later, new), None) if new else None
            if first is not None and first.pos is not None:
                first_byte = min(first_byte, first.pos)
    if not found:
        return ()
    is_one = len(found) == 1
    text = (
        f"Behind {100 * first_byte // size_bytes} % of the file it has "
        f"{'a stream' if is_one else 'streams'} that it does not begin with ({'; '.join(found)}): "
        f"{'it is' if is_one else 'they are'} neither converted nor copied. Cut the file where "
        f"{'it begins' if is_one else 'they begin'}, without loss, and convert the parts one by "
        "one where that matters."
    )
    return (Notice("warning", text),)


@contextmanager
def stream_under_way(path: Path, stream: Stream) -> Iterator[Stream]:
    """A stream as it is known where it is under way, to be copied by; itself if it is known.

    Args:
        path: Of the file.
        stream: Of the file, open from its beginning.
    """
    if stream.type == "audio" and not has_form(stream):
        for later in _opened_on_the_way(path):
            for found in later.streams:
                if found.id == stream.id and found.type == stream.type and has_form(found):
                    yield found
                    return
    yield stream


def _opened_on_the_way(path: Path) -> Iterator[InputContainer]:
    """The file, opened at one place after another; each is closed before the next."""
    size_bytes = path.stat().st_size
    for place in range(1, PLACES):
        with (
            suppress(InputError, av.error.FFmpegError, OSError),
            open_input(path, size_bytes * place // PLACES) as later,
        ):
            yield later
