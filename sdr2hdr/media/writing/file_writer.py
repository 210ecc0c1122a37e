"""What all that writes a single file has in common: it is finished, or it is removed."""

from __future__ import annotations

from contextlib import ExitStack, suppress
from pathlib import Path

import av.error
from av.container import OutputContainer
from av.video.stream import VideoStream

from sdr2hdr.media.writing.writer import Writer
from sdr2hdr.media.writing.writing_errors import writing_errors_told

__all__ = ["FileWriter"]


class FileWriter(Writer):
    """Writes a file through libav; leaving the context without `finish` removes it.

    Args:
        path: The file, replaced if it exists; it is never renamed.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._output: OutputContainer | None = None
        self._stream: VideoStream | None = None
        self._finished = False
        self._resources = ExitStack()

    @property
    def written_bytes(self) -> int:
        """How much is on the disk so far."""
        return self._path.stat().st_size if self._path.exists() else 0

    def abort(self) -> None:
        """See `Writer`."""
        self._resources.close()

    def _make_file(self) -> None:
        """Make the file, empty, for `_resources` to remove unless it is finished.

        Raises:
            OutputError: It cannot be written.
        """
        with writing_errors_told(self._path):
            # Touching it first gives the plain reason where it cannot be written.
            self._path.open("wb").close()
        self._resources.callback(self._discard)

    def _discard(self) -> None:
        """Close an unfinished file and remove it; a finished one is left alone."""
        if self._finished:
            return
        # Without its name first: closing would otherwise move a long file's data about.
        with suppress(OSError):
            self._path.unlink(missing_ok=True)
        if self._output is not None:
            with suppress(av.error.FFmpegError, OSError):
                self._output.close()
        with suppress(OSError):
            self._path.unlink(missing_ok=True)
