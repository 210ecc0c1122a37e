"""Errors and notices: what the program says when something is not as expected.

    Sdr2HdrError                  1  a fault of ours
    ├── UsageError                2  options that contradict one another
    ├── InputError                3  missing, unreadable, no video, damaged under --strict
    ├── AlreadyHdrError           4  PQ, HLG, BT.2020 or another wide gamut
    ├── OutputError               5  exists, not writable, container cannot hold what must be kept
    ├── ModelError                6  unknown model, or a scale that it lacks
    │   ├── WeightsError          6  missing, corrupted, or not of the declared shape
    │   └── BackendUnavailableError  6  device, backend or precision that is not here
    ├── VerificationError         7  a file is not what was promised
    └── PartialFailureError       8  some files of a batch failed

Every message says what was found, what was expected, and the option that changes it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

__all__ = [
    "AlreadyHdrError",
    "BackendUnavailableError",
    "InputError",
    "ModelError",
    "Notice",
    "OutputError",
    "PartialFailureError",
    "Sdr2HdrError",
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


class AlreadyHdrError(Sdr2HdrError):
    """The input is HDR (PQ, HLG) or wide gamut already."""

    exit_code = 4


class OutputError(Sdr2HdrError):
    """The output exists, cannot be written, or its container cannot hold what must be kept."""

    exit_code = 5


class ModelError(Sdr2HdrError):
    """No such model, or the model does not do what was asked."""

    exit_code = 6


class WeightsError(ModelError):
    """The weights of a model are missing, corrupted, or of another shape than declared."""


class BackendUnavailableError(ModelError):
    """The backend, device or precision asked for is not available on this machine."""


class VerificationError(Sdr2HdrError):
    """A finished file is not what was promised, or `check` found an error in one."""

    exit_code = 7


class PartialFailureError(Sdr2HdrError):
    """Some files of a batch failed; the others are done."""

    exit_code = 8


@dataclass(frozen=True)
class Notice:
    """Something the user should know that does not stop the work."""

    severity: Literal["notice", "warning"]
    text: str
