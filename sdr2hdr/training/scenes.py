"""Which pictures there are, what their numbers mean, and which of them are never trained on."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any
from zlib import crc32

from sdr2hdr.errors import InputError
from sdr2hdr.media.reading.still_images import LINEAR_SUFFIXES, PICTURE_SUFFIXES, VIDEO_SUFFIXES
from sdr2hdr.path_kinds import is_file

__all__ = [
    "ALWAYS_EXCLUDED",
    "MANIFEST_NAME",
    "Manifest",
    "Referral",
    "Scene",
    "Split",
    "file_state",
    "find_scenes",
    "is_excluded",
    "read_manifest",
    "split_scenes",
]

MANIFEST_NAME = "scenes.toml"
"""A data folder's own manifest; without it the one of the package is used."""

ALWAYS_EXCLUDED = ("uhdr_*", "pq_rooftop_*", "hlg_rooftop_*", "hlg_clouds_*", "pq_fort_flag*")
"""Pictures of the real-world row of the exam, and others of the same places: never trained on."""

_PACKAGE_MANIFEST = Path(__file__).with_name("scenes.toml")
_HELD_OUT_SHARE = 0.1


class Referral(Enum):
    """What the numbers of a picture are proportional to."""

    SCENE = "scene"
    """Light in front of the camera, at any exposure."""

    DISPLAY = "display"
    """Light of a display; 1.0 is 203 cd/m2."""


@dataclass(frozen=True)
class Scene:
    """A picture (or video) of the data folder.

    Attributes:
        name: The file's name without its suffix.
        group: Scenes of one group show the same place, and stay on one side of the split.
        is_panorama: The picture is equirectangular, as every 2:1 picture is taken to be; None
            leaves it to the picture's size.
    """

    name: str
    path: Path
    referral: Referral
    group: str
    is_panorama: bool | None = None


@dataclass(frozen=True)
class Manifest:
    """What cannot be read off the files themselves; every name is a pattern with `*` and `?`.

    Attributes:
        exclude: Neither trained nor validated on.
        validation: Held out; if none of these is there, a tenth of the groups is.
        groups: Scenes of the same place.
        display: Display-referred, beside those in a folder named "display".
        scene: Scene-referred, whatever the folder.
        flat: 2:1 pictures that are not panoramas.
    """

    exclude: tuple[str, ...] = ()
    validation: tuple[str, ...] = ()
    groups: tuple[tuple[str, ...], ...] = ()
    display: tuple[str, ...] = ()
    scene: tuple[str, ...] = ()
    flat: tuple[str, ...] = ()


@dataclass(frozen=True)
class Split:
    """Scenes to train on, and scenes to be judged by."""

    training: tuple[Scene, ...]
    validation: tuple[Scene, ...]


def read_manifest(folder: Path) -> Manifest:
    """Read the manifest of a data folder, or the package's own.

    Raises:
        InputError: It is not TOML, or a key is unknown or of the wrong kind.
    """
    path = folder / MANIFEST_NAME
    try:
        if not is_file(path):
            path = _PACKAGE_MANIFEST
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"The manifest {path} cannot be read: {error}.") from error
    unknown = sorted(set(content) - set(Manifest.__dataclass_fields__))
    if unknown:
        known = ", ".join(Manifest.__dataclass_fields__)
        raise InputError(f'The manifest {path} has a key "{unknown[0]}"; expected {known}.')
    groups = content.pop("groups", [])
    if not isinstance(groups, list):
        raise InputError(f'The manifest {path}: "groups" is not a list of lists of names.')
    return Manifest(
        groups=tuple(_names(path, "groups", group) for group in groups),
        **{key: _names(path, key, value) for key, value in content.items()},
    )


def _names(path: Path, key: str, value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise InputError(f'The manifest {path}: "{key}" is not a list of names.')
    return tuple(value)


def is_excluded(name: str) -> bool:
    """Whether a picture of this name must never be trained on, whatever a manifest says."""
    return _matches(name, ALWAYS_EXCLUDED)


def find_scenes(folder: Path, manifest: Manifest | None = None) -> tuple[Scene, ...]:
    """List the HDR pictures and videos below a folder, without opening them.

    Args:
        folder: Searched with all its subfolders.
        manifest: See `read_manifest`, which is called if this is None.

    Raises:
        InputError: The folder does not exist, or holds no usable picture.
    """
    if not folder.is_dir():
        raise InputError(f"The data folder {folder} does not exist; --data names another.")
    manifest = read_manifest(folder) if manifest is None else manifest
    suffixes = LINEAR_SUFFIXES | (PICTURE_SUFFIXES - {".jpg", ".jpeg"}) | VIDEO_SUFFIXES
    scenes = [
        _scene(path, manifest)
        for path in sorted(folder.rglob("*"))
        if path.suffix.lower() in suffixes
        and not is_excluded(path.stem)
        and not _matches(path.stem, manifest.exclude)
    ]
    if not scenes:
        raise InputError(
            f"The data folder {folder} holds no picture to train on; expected "
            f"{', '.join(sorted(suffixes))} files that the manifest does not exclude (--data)."
        )
    return tuple(scenes)


def file_state(path: Path) -> tuple[str, int, int]:
    """What tells a file from another that takes its place: where it is, its bytes, its time in ns.

    Raises:
        InputError: It cannot be read.
    """
    try:
        found = path.stat()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.") from error
    return str(path.absolute()), found.st_size, found.st_mtime_ns


def _scene(path: Path, manifest: Manifest) -> Scene:
    name = path.stem
    is_linear = path.suffix.lower() in LINEAR_SUFFIXES
    display = not is_linear or "display" in path.parts or _matches(name, manifest.display)
    if _matches(name, manifest.scene):
        display = False
    group = next((names[0] for names in manifest.groups if _matches(name, names)), name)
    return Scene(
        name=name,
        path=path,
        referral=Referral.DISPLAY if display else Referral.SCENE,
        group=group,
        is_panorama=False if display or _matches(name, manifest.flat) else None,
    )


def split_scenes(scenes: Iterable[Scene], manifest: Manifest) -> Split:
    """Divide scenes by group into those trained on and those held out.

    A group with one scene held out is not trained on at all; of such a group only the scenes that
    the manifest names are judged by.

    Raises:
        InputError: One side would be empty.
    """
    scenes = tuple(scenes)
    validation = tuple(s for s in scenes if _matches(s.name, manifest.validation))
    if not validation:
        groups = sorted({scene.group for scene in scenes}, key=lambda g: crc32(os.fsencode(g)))
        held_out = set(groups[: max(1, round(_HELD_OUT_SHARE * len(groups)))])
        validation = tuple(scene for scene in scenes if scene.group in held_out)
    held_out = {scene.group for scene in validation}
    training = tuple(scene for scene in scenes if scene.group not in held_out)
    if not training:
        raise InputError(
            f"All {len(scenes)} scenes are held out for validation; expected some of another group."
        )
    return Split(training, validation)


def _matches(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)
