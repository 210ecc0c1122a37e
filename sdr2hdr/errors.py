"""Errors and notices: what the program says when something is not as expected.

    Sdr2HdrError                  1  a fault of ours
    ├── UsageError                2  options that contradict one another
    ├── InputError                3  missing, unreadable, no video, damaged under --strict
    │   └── SourceChangedError    3  no longer the file that was planned
    ├── AlreadyHdrError           4  PQ, HLG, BT.2020 or another wide gamut
    ├── OutputError               5  exists, not writable, container cannot hold what must be kept
    │   └── DiskFullError         5  there is no room for what is to come
    ├── ModelError                6  unknown model, or a scale that it lacks
    │   ├── WeightsError          6  missing, corrupted, or not of the declared shape
    │   ├── BackendUnavailableError  6  device, backend or precision that is not here
    │   └── FrameMemoryError      6  memory ran out inside a frame (a MemoryError too)
    ├── VerificationError         7  a file is not what was promised
    ├── PartialFailureError       8  some files of a batch, or some parts of a file, failed
    ├── GateError                 9  a measured value is above what was allowed
    └── LockedError              10  another run works on the same output

and `StoppedError`, which is no error: the user asked a long job to end.

Every message says what was found, what was expected, and the option that changes it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

__all__ = [
    "AlreadyHdrError",
    "BackendUnavailableError",
    "DiskFullError",
    "FrameMemoryError",
    "GateError",
    "InputError",
    "LockedError",
    "ModelError",
    "Notice",
    "OutputError",
    "PartialFailureError",
    "Sdr2HdrError",
    "SourceChangedError",
    "StoppedError",
    "UsageError",
    "VerificationError",
    "WeightsError",
]


class Sdr2HdrError(Exception):
    """Base of all errors the program raises on purpose; `exit_code` is what a shell sees."""

    exit_code: ClassVar[int] = 1


class UsageError(Sdr2HdrError):
    """Options that contradict one another or the input."""

    exit_code = 2


class InputError(Sdr2HdrError):
    """The input is missing, unreadable, has no video, or is damaged under `--strict`."""

    exit_code = 3


class SourceChangedError(InputError):
    """The input is no longer the file that the work was planned for."""


class AlreadyHdrError(Sdr2HdrError):
    """The input is HDR (PQ, HLG) or wide gamut already."""

    exit_code = 4


class OutputError(Sdr2HdrError):
    """The output exists, cannot be written, or its container cannot hold what must be kept."""

    exit_code = 5


class DiskFullError(OutputError):
    """The disk has no room for what is still to be written."""


class ModelError(Sdr2HdrError):
    """No such model, or the model does not do what was asked."""

    exit_code = 6


class WeightsError(ModelError):
    """The weights of a model are missing, corrupted, or of another shape than declared."""


class BackendUnavailableError(ModelError):
    """The backend, device or precision asked for is not available on this machine."""


class FrameMemoryError(ModelError, MemoryError):
    """Memory could not be had while a frame was computed; smaller tiles may fit.

    Attributes:
        tile_px: Longest side of the tiles that did not.
    """

    def __init__(self, message: str, tile_px: int) -> None:
        super().__init__(message)
        self.tile_px = tile_px

    def __reduce__(self) -> tuple[type[FrameMemoryError], tuple[str, int]]:
        return type(self), (str(self), self.tile_px)


class VerificationError(Sdr2HdrError):
    """A finished file is not what was promised, or `check` found an error in one."""

    exit_code = 7


class PartialFailureError(Sdr2HdrError):
    """Some files of a batch, or some parts of a file, failed; the others are done."""

    exit_code = 8


class GateError(Sdr2HdrError):
    """A measured value is above the bound that the user set."""

    exit_code = 9


class LockedError(Sdr2HdrError):
    """Another run works on the same output."""

    exit_code = 10


class StoppedError(Exception):
    """A long job ended because the user asked it to; what is finished is kept.

    Attributes:
        exit_code: 128 and the number of the signal that asked for it.
    """

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code

    def __reduce__(self) -> tuple[type[StoppedError], tuple[str, int]]:
        return type(self), (str(self), self.exit_code)


@dataclass(frozen=True)
class Notice:
    """Something the user should know that does not stop the work."""

    severity: Literal["notice", "warning"]
    text: str
