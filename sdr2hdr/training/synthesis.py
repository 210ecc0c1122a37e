"""One random pair of SDR and HDR, from a scene or from a user's own pair of files."""

from __future__ import annotations

import dataclasses
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, cast

import numpy as np
import torch
from torch.nn import functional

from sdr2hdr.colour.transfer import (
    bt1886_eotf,
    bt1886_inverse_eotf,
    pq_eotf,
    pq_inverse_eotf,
)
from sdr2hdr.errors import InputError
from sdr2hdr.media.reading.still_images import count_pictures
from sdr2hdr.path_kinds import is_folder
from sdr2hdr.signal import REFERENCE_WHITE_CD_M2
from sdr2hdr.training.anchor import AnchorKind, draw_look, draw_roll_off
from sdr2hdr.training.degradation import degrade, draw_degradation
from sdr2hdr.training.grade import apply_grade, draw_grade
from sdr2hdr.training.graphics import GraphicKind, add_graphics
from sdr2hdr.training.pictures import read_hdr_pictures, read_sdr_pictures
from sdr2hdr.training.randomness import chance, log_uniform, uniform
from sdr2hdr.training.recipe import DataRecipe
from sdr2hdr.training.rendering import draw_down_conversion, draw_phone_conversion, render
from sdr2hdr.training.scenes import Referral, Scene
from sdr2hdr.training.stored_pairs import to_floats, to_integers
from sdr2hdr.training.tone_curves import OPERATORS
from sdr2hdr.training.views import Light, look, prepare
from sdr2hdr.wording import how_many

__all__ = [
    "Pair",
    "PairFiles",
    "PairSource",
    "RealPairs",
    "SceneStore",
    "SyntheticPairs",
    "find_pair_files",
    "find_unpaired_files",
    "read_pair",
]

_VIDEO_FRAMES = 8

_HELD_BYTES = 3 << 30
"""Of scenes' pictures kept in memory."""


@dataclass(frozen=True)
class Pair:
    """A picture twice.

    Attributes:
        sdr: (1, 3, H / scale, W / scale), float32, [0, 1], R'G'B', BT.709, gamma 2.4.
        hdr: (1, 3, H, W), float32, [0, 1], R'G'B', BT.2020, PQ.
    """

    sdr: torch.Tensor
    hdr: torch.Tensor

    @property
    def scale(self) -> int:
        """How many times as large HDR is."""
        return self.hdr.shape[2] // self.sdr.shape[2]


class PairSource(Protocol):
    """Whatever makes pairs."""

    def draw(self, rng: np.random.Generator) -> Pair:
        """One pair, wholly decided by `rng`."""
        ...


class SceneStore:
    """Scenes ready to be looked at; the most recent ones stay in memory."""

    def __init__(self, scenes: Sequence[Scene]) -> None:
        """Take what is to be looked at; a picture is read when it is first asked for."""
        self.scenes = tuple(scenes)
        self._held: OrderedDict[int, tuple[Light, ...]] = OrderedDict()
        self._held_bytes = 0

    def pictures(self, index: int) -> tuple[Light, ...]:
        """The picture of a scene, or the frames of a video.

        Raises:
            InputError: The file cannot be read or is not HDR.
        """
        if index in self._held:
            self._held.move_to_end(index)
            return self._held[index]
        scene = self.scenes[index]
        pictures = tuple(
            prepare(light, scene.is_panorama)
            for light in read_hdr_pictures(scene.path, scene.referral, _VIDEO_FRAMES)
        )
        if not pictures:
            raise InputError(f"{scene.path} holds no picture.")
        self._held[index] = pictures
        self._held_bytes += _bytes_of(pictures)
        while self._held_bytes > _HELD_BYTES and len(self._held) > 1:
            _, dropped = self._held.popitem(last=False)
            self._held_bytes -= _bytes_of(dropped)
        return pictures


def _bytes_of(pictures: tuple[Light, ...]) -> int:
    return sum(picture.root.nbytes for picture in pictures)


class SyntheticPairs:
    """Pairs made from scenes: viewed, graded, down-converted, degraded at random."""

    def __init__(self, scenes: Sequence[Scene], recipe: DataRecipe, scale: int) -> None:
        self._store = SceneStore(scenes)
        self._recipe = recipe
        self._scale = scale
        operators = recipe.operators or dict.fromkeys(OPERATORS, 1.0) | {"local_contrast": 2.0}
        self._operators = _Weighted(operators)
        self._anchors = _Weighted(recipe.anchors)
        self._graphics = _Weighted(recipe.graphic_kinds)

    def draw(self, rng: np.random.Generator) -> Pair:
        """One pair; see `PairSource`."""
        recipe = self._recipe
        pictures = self._store.pictures(int(rng.integers(len(self._store.scenes))))
        picture = pictures[int(rng.integers(len(pictures)))]
        view = look(picture, recipe.height, recipe.width, rng)
        graded = apply_grade(view, draw_grade(view, rng))
        if chance(rng, recipe.phones):
            return self._of_a_phone(graded, rng)
        operator = self._operators.draw(rng)
        kind = self._anchors.draw(rng)
        if operator in recipe.camera_operators:
            kind = "camera"
        sdr, hdr = render(
            graded,
            draw_down_conversion(operator, rng),
            draw_look(cast(AnchorKind, kind), rng),
            draw_roll_off(rng),
        )
        if chance(rng, recipe.graphics):
            graphic = cast(GraphicKind, self._graphics.draw(rng))
            sdr, hdr = add_graphics(sdr, hdr, rng, graphic)
        degradation = draw_degradation(recipe.degradation, rng)
        return Pair(degrade(sdr, degradation, self._scale, rng), hdr)

    def _of_a_phone(self, graded: torch.Tensor, rng: np.random.Generator) -> Pair:
        """A pair as phones take it: developed with local contrast, sharpened, in their own look."""
        sdr, hdr = render(
            graded, draw_phone_conversion(rng), draw_look("camera", rng), draw_roll_off(rng)
        )
        degradation = draw_degradation(self._recipe.degradation, rng)
        sharpened = dataclasses.replace(degradation, sharpening=uniform(rng, (0.2, 1.0)))
        return Pair(degrade(sdr, sharpened, self._scale, rng), hdr)


class _Weighted:
    """Names, each drawn as often as its weight says."""

    def __init__(self, weights: dict[str, float]) -> None:
        self._names = list(weights)
        shares = np.array(list(weights.values()), dtype=np.float64)
        self._shares = shares / shares.sum()

    def draw(self, rng: np.random.Generator) -> str:
        return self._names[int(rng.choice(len(self._names), p=self._shares))]


@dataclass(frozen=True)
class PairFiles:
    """Two files of one name that show the same picture or video."""

    sdr: Path
    hdr: Path


def find_pair_files(
    sdr_folder: Path, hdr_folder: Path, option: str = "--pairs"
) -> tuple[PairFiles, ...]:
    """Match files of two folders by their names without suffix; hidden ones are left alone.

    Raises:
        InputError: A folder does not exist, nothing matches, or one file matches several.
    """
    sdr_files, hdr_files = (_by_stem(folder, option) for folder in (sdr_folder, hdr_folder))
    matching = [stem for stem in sdr_files if stem in hdr_files]
    if not matching:
        raise InputError(
            f"No file of {sdr_folder} has one of the same name in {hdr_folder}; expected pairs "
            f"such as shot.png and shot.exr ({option})."
        )
    for stem in matching:
        for found in (sdr_files[stem], hdr_files[stem]):
            if len(found) > 1:
                raise InputError(
                    f"{found[0]} and {found[1].name} have one name; expected one file of it in "
                    f"the folder ({option})."
                )
    return tuple(PairFiles(sdr_files[stem][0], hdr_files[stem][0]) for stem in matching)


def find_unpaired_files(
    sdr_folder: Path, hdr_folder: Path, option: str = "--pairs"
) -> tuple[Path, ...]:
    """List what `find_pair_files` leaves out of two folders, hidden files apart.

    Raises:
        InputError: A folder does not exist.
    """
    sdr_files, hdr_files = (_by_stem(folder, option) for folder in (sdr_folder, hdr_folder))
    return tuple(
        path
        for own, other in ((sdr_files, hdr_files), (hdr_files, sdr_files))
        for stem in sorted(own.keys() - other.keys())
        for path in own[stem]
    )


def _by_stem(folder: Path, option: str) -> dict[str, list[Path]]:
    try:
        is_there = is_folder(folder)
    except OSError as error:
        raise InputError(
            f"The folder of pairs {folder} cannot be read: {error.strerror} ({option})."
        ) from error
    if not is_there:
        raise InputError(f"The folder of pairs {folder} does not exist ({option}).")
    files: dict[str, list[Path]] = {}
    for path in sorted(folder.iterdir()):
        # File managers leave hidden files of the same names in every folder.
        if path.is_file() and not path.name.startswith("."):
            files.setdefault(path.stem, []).append(path)
    return files


def read_pair(files: PairFiles, count: int = 1, option: str = "--pairs") -> list[Pair]:
    """Read whole pairs; HDR is display-referred.

    In linear files 1.0 is 203 cd/m2 unless their header says otherwise.

    Args:
        files: Of a picture or a video.
        count: Pictures wanted of a video.
        option: What names the files on the command line.

    Raises:
        InputError: A file cannot be read or holds nothing, or lengths or sizes do not agree.
    """
    in_sdr, in_hdr = count_pictures(files.sdr), count_pictures(files.hdr)
    if in_sdr != in_hdr:
        raise InputError(
            f"{files.sdr} has {how_many(in_sdr, 'picture')} and {files.hdr} {in_hdr}; expected as "
            f"many, of the same moments ({option})."
        )
    pairs = []
    hdr_pictures = read_hdr_pictures(files.hdr, Referral.DISPLAY, count)
    for sdr, light in zip(read_sdr_pictures(files.sdr, count), hdr_pictures, strict=False):
        rows, columns = (light.shape[i] / sdr.shape[i] for i in (2, 3))
        if rows != columns or rows != int(rows):
            raise InputError(
                f"{files.sdr} is {sdr.shape[3]}x{sdr.shape[2]} and {files.hdr} "
                f"{light.shape[3]}x{light.shape[2]}; expected equal sizes, or HDR a whole number "
                f"of times as large ({option})."
            )
        pairs.append(Pair(sdr, pq_inverse_eotf(light * REFERENCE_WHITE_CD_M2)))
    if not pairs:
        raise InputError(f"{files.sdr} or {files.hdr} holds no picture; expected one or more.")
    return pairs


def _check_pair(files: PairFiles, pair: Pair, recipe: DataRecipe, scale: int) -> None:
    """Refuse a pair that a network or a recipe cannot use."""
    if pair.scale != scale:
        raise InputError(
            f"{files.hdr} is {pair.scale} times as large as {files.sdr}; the network's scale is "
            f"{scale} (--pairs)."
        )
    if pair.hdr.shape[2] < recipe.height or pair.hdr.shape[3] < recipe.width:
        raise InputError(
            f"{files.hdr} is {pair.hdr.shape[3]}x{pair.hdr.shape[2]}; expected at least the "
            f"recipe's {recipe.width}x{recipe.height} (--pairs)."
        )


class RealPairs:
    """Crops of many scales of a user's own pairs, with nothing changed but their size."""

    def __init__(self, files: Sequence[PairFiles], recipe: DataRecipe, scale: int) -> None:
        """Read all pairs into memory.

        Raises:
            InputError: A pair cannot be read, or is not of the network's scale.
        """
        self._recipe = recipe
        self._scale = scale
        # In 16 bits, as in shards: half of what they would take as they are read.
        self._pairs: list[tuple[np.ndarray, np.ndarray]] = []
        for each in files:
            for pair in read_pair(each, _VIDEO_FRAMES):
                _check_pair(each, pair, recipe, scale)
                self._pairs.append((to_integers(pair.sdr), to_integers(pair.hdr)))

    def draw(self, rng: np.random.Generator) -> Pair:
        """One pair; see `PairSource`."""
        whole_sdr, whole_hdr = self._pairs[int(rng.integers(len(self._pairs)))]
        scale, rows, columns = self._scale, self._recipe.height, self._recipe.width
        largest = min(whole_hdr.shape[1] / rows, whole_hdr.shape[2] / columns)
        zoom = 1.0 if chance(rng, 0.5) else log_uniform(rng, (1.0, largest))
        high, wide = int(rows // scale * zoom), int(columns // scale * zoom)
        top = int(rng.integers(0, whole_sdr.shape[1] - high + 1))
        left = int(rng.integers(0, whole_sdr.shape[2] - wide + 1))
        sdr = to_floats(whole_sdr[None, :, top : top + high, left : left + wide])
        down, across = (slice(a * scale, (a + n) * scale) for a, n in ((top, high), (left, wide)))
        hdr = to_floats(whole_hdr[None, :, down, across])
        if zoom > 1.0:
            sdr = _resized(bt1886_eotf(sdr), rows // scale, columns // scale)
            sdr = torch.round(bt1886_inverse_eotf(sdr.clamp(0.0, 1.0)) * 255.0) / 255.0
            hdr = pq_inverse_eotf(_resized(pq_eotf(hdr), rows, columns).clamp(min=0.0))
        return Pair(sdr, hdr)


def _resized(light: torch.Tensor, height: int, width: int) -> torch.Tensor:
    return functional.interpolate(light, size=(height, width), mode="bilinear", antialias=True)
