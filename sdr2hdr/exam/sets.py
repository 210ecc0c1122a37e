"""Which pictures are examined: a folder's own list, and the package's list of the full set."""

from __future__ import annotations

import hashlib
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sdr2hdr.errors import InputError
from sdr2hdr.path_kinds import is_file
from sdr2hdr.training.scenes import Referral, Scene
from sdr2hdr.training.synthesis import PairFiles

__all__ = ["LIST_NAME", "ExamPair", "ExamScene", "ExamSet", "read_exam_set", "small_set_folder"]

LIST_NAME = "exam.toml"
"""A set's own list of its pictures; a folder without one is taken to hold the full set."""

_FULL_LIST = Path(__file__).with_name("full.toml")
_SMALL_SETS = (
    Path(__file__).with_name("small"),
    Path(__file__).resolve().parents[2] / "tests" / "data" / "exam",
)
"""Where the small set lies: inside an installed package, or in the source tree."""


@dataclass(frozen=True)
class ExamScene:
    """A scene that SDR and HDR are made from.

    Attributes:
        has_lights: Lamps, flames or the sun are in view, so highlights are expected.
    """

    scene: Scene
    has_lights: bool


@dataclass(frozen=True)
class ExamPair:
    """A real pair, as somebody's camera or colourist made it."""

    name: str
    files: PairFiles


@dataclass(frozen=True)
class ExamSet:
    """All pictures of an exam.

    Attributes:
        name: "small", "full", or what the list says.
        sha256: Of the list, which holds the hash of every file: one number for the whole set.
    """

    name: str
    folder: Path
    scenes: tuple[ExamScene, ...]
    pairs: tuple[ExamPair, ...]
    sha256: str


def small_set_folder() -> Path:
    """The set that comes with the program.

    Raises:
        InputError: The installation is incomplete.
    """
    for folder in _SMALL_SETS:
        if (folder / LIST_NAME).is_file():
            return folder
    places = " nor ".join(str(folder) for folder in _SMALL_SETS)
    raise InputError(
        f"The small exam set is neither in {places}; install the program again, or name a folder "
        "with a set (--set DIR)."
    )


def read_exam_set(folder: Path) -> ExamSet:
    """Read a set's list and check every file of it.

    Args:
        folder: With `exam.toml`, or, without it, holding the files that the package lists as the
            full set, under their paths.

    Raises:
        InputError: The list cannot be read, or a file is missing or is another than the list says.
    """
    path = folder / LIST_NAME
    try:
        if not is_file(path):
            path = _FULL_LIST
        text = path.read_bytes()
        content = tomllib.loads(text.decode())
        name = str(content["name"])
        scenes = tuple(_scene(folder, entry) for entry in content["scenes"])
        pairs = tuple(_pair(folder, entry) for entry in content["pairs"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"The exam's list {path} cannot be read: {error!r}.") from error
    if not scenes or not pairs:
        raise InputError(f"The exam's list {path} has no scenes or no pairs; expected both.")
    return ExamSet(name, folder, scenes, pairs, hashlib.sha256(text).hexdigest())


def _scene(folder: Path, entry: dict[str, Any]) -> ExamScene:
    path = _checked(folder, entry["file"], entry["sha256"])
    referral = Referral(entry.get("referral", "scene"))
    # Reduced views are flat whatever their shape; a full panorama is told by its shape.
    is_panorama = False if referral is Referral.DISPLAY or entry.get("flat", False) else None
    scene = Scene(path.stem, path, referral, path.stem, is_panorama)
    return ExamScene(scene, bool(entry.get("lights", False)))


def _pair(folder: Path, entry: dict[str, Any]) -> ExamPair:
    sdr = _checked(folder, entry["sdr"], entry["sdr_sha256"])
    hdr = _checked(folder, entry["hdr"], entry["hdr_sha256"])
    return ExamPair(sdr.stem, PairFiles(sdr, hdr))


def _checked(folder: Path, name: str, sha256: str) -> Path:
    path = folder / name
    try:
        found = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise InputError(
            f"{path} of the exam set cannot be read: {error.strerror}. --set names another folder."
        ) from error
    if found != sha256:
        raise InputError(
            f"{path} is not the picture of the exam set: SHA-256 is {found}; expected {sha256}."
        )
    return path
