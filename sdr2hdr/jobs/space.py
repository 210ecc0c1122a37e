"""Room on the disk: guessed before the work, then reckoned from what the segments really take."""

from __future__ import annotations

from pathlib import Path

from sdr2hdr.conversion import Conversion
from sdr2hdr.errors import DiskFullError, Notice
from sdr2hdr.jobs.disk import free_bytes, told
from sdr2hdr.media.encoding.encoders import choose_encoder

__all__ = ["SpaceWatch", "check_room"]

RESERVE_BYTES = 64 << 20
"""Left alone: logs, records, and what other programs write meanwhile."""

BITS_PER_SAMPLE = {
    "hevc": 0.12,
    "av1": 0.10,
    "prores-422hq": 3.6,
    "prores-4444": 4.9,
    "dnxhr-hqx": 3.5,
    "dnxhr-444": 7.1,
    "ffv1": 5.9,
}
"""A first guess for a luma sample, until segments tell. Measured on the video packets of two clips
under `bt2408` at the default quality, and averaged: a fairground at night with noise (1280x720, 10
frames) and a smooth close-up (1920x1080, 8 frames). In the order above, the first gave 0.174,
0.153, 4.17, 6.19, 3.52, 7.04 and 7.93, the second 0.059, 0.044, 2.94, 3.67, 3.54, 7.08 and 3.82:
HEVC and AV1 differ threefold between two such clips, and FFV1 twofold. So few frames make the key
frame of HEVC and AV1 count for more than it does in a film."""


class SpaceWatch:
    """Says in time when a disk will not hold the rest of a job.

    The segments and the merged file lie on the disk at once, so video takes twice its size.
    """

    def __init__(self, conversion: Conversion, folder: Path, frame_count: int) -> None:
        """Watch the disk of a work folder.

        Args:
            conversion: What is written.
            folder: The work folder.
            frame_count: Frames of the whole conversion.
        """
        self._folder = folder
        self._target_folder = other_disk(folder, conversion.target)
        self._frame_count = frame_count
        self._frames = 0
        self._bytes = 0
        self._warned = False
        encode = conversion.options.encode
        name = choose_encoder(encode, conversion.target).name.removesuffix("-nvenc")
        samples = conversion.width_px * conversion.height_px
        self._guess_bytes = samples * BITS_PER_SAMPLE.get(name, BITS_PER_SAMPLE["hevc"]) / 8
        self._copied_bytes = _copied_bytes(conversion)

    def add(self, frames: int, size_bytes: int) -> None:
        """Take a finished segment into account."""
        self._frames += frames
        self._bytes += size_bytes

    @property
    def needed_bytes(self) -> int:
        """What is still to be written, as far as can be told."""
        left = self._frame_count - self._frames
        return round(self._bytes_a_frame * left) + self._output_bytes

    @property
    def _output_bytes(self) -> int:
        return round(self._bytes_a_frame * self._frame_count + self._copied_bytes)

    @property
    def _bytes_a_frame(self) -> float:
        return self._bytes / self._frames if self._frames else self._guess_bytes

    def check(self, next_frames: int) -> Notice | None:
        """Look at the disk before a segment of so many frames is begun.

        Returns:
            A warning, once, if the disk will probably not hold everything.

        Raises:
            DiskFullError: It will not even hold this segment.
            OutputError: The folder is gone.
        """
        free = free_bytes(self._folder)
        if self._frames:
            next_bytes = round(next_frames * self._bytes / self._frames)
            if free < next_bytes + RESERVE_BYTES:
                raise DiskFullError(
                    f"The disk of {self._folder} has {_gigabytes(free)} left; expected "
                    f"{_gigabytes(next_bytes + RESERVE_BYTES)} for the next segment. What is "
                    "finished is kept: make room and give the same command again."
                )
        if self._warned:
            return None
        place, needed, remedy = self._folder, self.needed_bytes, "--temp-dir names another disk"
        if free >= needed + RESERVE_BYTES:
            if self._target_folder is None:
                return None
            place, needed = self._target_folder, self._output_bytes
            free, remedy = free_bytes(place), "name another output"
            if free >= needed + RESERVE_BYTES:
                return None
        self._warned = True
        reckoned = "by what is done" if self._frames else "by a rough guess"
        return Notice(
            "warning",
            f"The disk of {place} has {_gigabytes(free)} left, and {reckoned} "
            f"{_gigabytes(needed)} are still to be written. If it fills up, what is finished is "
            f"kept and the same command goes on; or {remedy}.",
        )


def check_room(conversion: Conversion, folder: Path, segments_bytes: int) -> None:
    """Look at the disks before the segments become one file.

    Args:
        conversion: What is written.
        folder: The work folder, where the file is made.
        segments_bytes: Of all segments.

    Raises:
        DiskFullError: One will not hold it.
        OutputError: The folder of one is gone.
    """
    expected = segments_bytes + _copied_bytes(conversion) + RESERVE_BYTES
    for place in filter(None, (folder, other_disk(folder, conversion.target))):
        free = free_bytes(place)
        if free < expected:
            raise DiskFullError(
                f"The disk of {place} has {_gigabytes(free)} left; expected {_gigabytes(expected)} "
                "to join the segments. They are kept: make room and give the same command again."
            )


def other_disk(folder: Path, target: Path) -> Path | None:
    """The folder of the output, if it lies on another file system than the work folder.

    Raises:
        OutputError: One of the two is gone.
    """
    place = target.absolute().parent
    with told(str(target)):
        return None if place.stat().st_dev == folder.stat().st_dev else place


def _copied_bytes(conversion: Conversion) -> int:
    """What the other streams will take: a tenth of the source is usual."""
    others = len(conversion.source.streams) > 1
    return conversion.source.size_bytes // 10 if others else 0


def _gigabytes(size_bytes: int) -> str:
    return f"{size_bytes / 1e9:.2f} GB"
