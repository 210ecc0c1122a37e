"""Judge a network on whole frames of scenes it was not trained on, beside the standards' curves."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

from sdr2hdr.colour.transfer import (
    bt1886_eotf,
    bt1886_inverse_eotf,
    pq_eotf,
    pq_inverse_eotf,
)
from sdr2hdr.curves.bt2408 import bt2408
from sdr2hdr.curves.bt2446a import bt2446a
from sdr2hdr.errors import InputError
from sdr2hdr.networks.gpgmnet import bicubic_upscale
from sdr2hdr.training.anchor import BT2446A_LOOK, RollOff
from sdr2hdr.training.degradation import CLEAN, CodecLoss, Degradation, degrade, reduce
from sdr2hdr.training.grade import apply_grade, draw_grade
from sdr2hdr.training.randomness import generator
from sdr2hdr.training.recipe import Recipe
from sdr2hdr.training.rendering import draw_down_conversion, render
from sdr2hdr.training.scenes import Scene, file_state
from sdr2hdr.training.stored_pairs import open_pairs, store_pairs, to_floats, to_integers
from sdr2hdr.training.synthesis import Pair, SceneStore
from sdr2hdr.training.tone_curves import OPERATORS
from sdr2hdr.training.views import Light, look_straight

__all__ = [
    "CRF_RANGE",
    "CURVES",
    "Frame",
    "FrameSet",
    "Judgement",
    "Method",
    "frames_of_pairs",
    "judge",
    "make_frame_set",
    "psnr_db",
    "show_scene",
]

Method = Callable[[torch.Tensor], torch.Tensor]

CURVES: dict[str, Method] = {"bt2408": bt2408, "bt2446a": bt2446a}
"""What every network is compared with; at scales above 1 they see the bicubically enlarged SDR."""

_SEED = 20_446
"""Validation frames are the same for every recipe and run."""

CRF_RANGE = (20, 38)
"""x264's rate factors of compressed frames, from the first up to but not the second."""


@dataclass(frozen=True)
class Frame:
    """A frame to be judged by; `group` is the down-conversion, or the name of a real pair."""

    name: str
    group: str
    pair: Pair


class FrameSet:
    """Frames on disk, read one after the other."""

    def __init__(self, names: list[tuple[str, str]], sdr: np.ndarray, hdr: np.ndarray) -> None:
        """Keep names (name, group) and pictures ((n, 3, H, W), uint16)."""
        self._names, self._sdr, self._hdr = names, sdr, hdr

    def __len__(self) -> int:
        return len(self._names)

    def __iter__(self) -> Iterator[Frame]:
        for (name, group), *stacks in zip(self._names, self._sdr, self._hdr, strict=True):
            sdr, hdr = (to_floats(stack[None]) for stack in stacks)
            yield Frame(name, group, Pair(sdr, hdr))


@dataclass(frozen=True)
class Judgement:
    """PSNR of PQ R'G'B', dB, mean over so many frames; by group too, and by frames' names."""

    frames: int
    mean_db: float
    by_group_db: dict[str, float]
    by_frame_db: dict[str, float]


def psnr_db(prediction: torch.Tensor, target: torch.Tensor) -> float:
    """PSNR of PQ R'G'B' with a peak of 1.0, after clipping to [0, 1]; at most 100 dB."""
    error = (prediction.clamp(0.0, 1.0) - target).square().mean(dtype=torch.float64)
    return float(-10.0 * torch.log10(error.clamp(min=1e-10)))


def judge(method: Method, frames: Iterable[Frame], scale: int = 1) -> Judgement:
    """Let a method answer every frame.

    Args:
        method: SDR (1, 3, H, W) to PQ (1, 3, H x scale, W x scale), or, for a curve, of its own
            size: with a scale above 1 curves are given enlarged pictures.
        frames: At least one.
        scale: By which SDR is enlarged before the method sees it.
    """
    scores: list[float] = []
    by_frame: dict[str, float] = {}
    groups: dict[str, list[float]] = {}
    for frame in frames:
        sdr = frame.pair.sdr
        if scale > 1:
            sdr = bicubic_upscale(sdr, scale).clamp(0.0, 1.0)
        with torch.no_grad():
            score = psnr_db(method(sdr), frame.pair.hdr)
        # Scenes of two folders may have one name.
        scores.append(score)
        by_frame[frame.name] = score
        groups.setdefault(frame.group, []).append(score)
    means = {group: sum(found) / len(found) for group, found in groups.items()}
    return Judgement(len(scores), sum(scores) / len(scores), means, by_frame)


def make_frame_set(
    scenes: Sequence[Scene],
    recipe: Recipe,
    scale: int,
    folder: Path,
    stop: Callable[[], None],
) -> FrameSet:
    """Make every held-out scene through every down-conversion, or find them made already.

    Every third frame is compressed. Grades and operators are random but the same for all recipes;
    the look is BT.2446-A's and the peak 1000 cd/m2.

    Args:
        scenes: Held out.
        recipe: For the frames' size.
        scale: The network's.
        folder: Where the frames are kept; those of other files, sizes or operators are not used.
        stop: Called before each frame that is made; may raise.

    Raises:
        InputError: A scene cannot be read.
        OSError: The frames cannot be kept.
    """
    names = [(f"{scene.name}/{operator}", operator) for scene in scenes for operator in OPERATORS]
    place = folder / f"validation_{_fingerprint(scenes, recipe, scale)}"
    if not place.is_dir():
        _make_frames(scenes, recipe, scale, place, stop)
    return FrameSet(names, *open_pairs(place))


def _fingerprint(scenes: Sequence[Scene], recipe: Recipe, scale: int) -> str:
    """A hash of all that frames are made of; of the scenes what the file system says."""
    files = [file_state(scene.path) for scene in scenes]
    size = (recipe.validation.height, recipe.validation.width)
    content = [files, size, scale, OPERATORS, CRF_RANGE]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:12]


def show_scene(
    picture: Light, name: str, operator: str, height: int, width: int
) -> tuple[Pair, np.random.Generator]:
    """Show a held-out scene as it is judged by: one view, one grade, one down-conversion.

    Args:
        picture: The scene.
        name: The scene's name; with `operator` it decides everything that is random.
        operator: One of `OPERATORS`.
        height: Rows of the view, px.
        width: Columns, px.

    Returns:
        The pair at full size, SDR neither quantised nor spoilt, the look BT.2446-A's and the peak
        1000 cd/m2; and the generator, for what is drawn after it.
    """
    rng = generator(_SEED, name, operator)
    view = look_straight(picture, height, width, 360.0 * float(rng.random()))
    graded = apply_grade(view, draw_grade(view, rng))
    sdr, hdr = render(graded, draw_down_conversion(operator, rng), BT2446A_LOOK, RollOff())
    return Pair(sdr, hdr), rng


def _make_frames(
    scenes: Sequence[Scene], recipe: Recipe, scale: int, place: Path, stop: Callable[[], None]
) -> None:
    height, width = recipe.validation.height, recipe.validation.width
    store = SceneStore(scenes)
    sdr: list[np.ndarray] = []
    hdr: list[np.ndarray] = []
    for index, scene in enumerate(scenes):
        picture = store.pictures(index)[0]
        for number, operator in enumerate(OPERATORS):
            stop()
            shown, rng = show_scene(picture, scene.name, operator, height, width)
            degradation = CLEAN
            if (index + number) % 3 == 0:
                degradation = Degradation(codec=CodecLoss("h264", int(rng.integers(*CRF_RANGE))))
            sdr.append(to_integers(degrade(shown.sdr, degradation, scale, rng)))
            hdr.append(to_integers(shown.hdr))
    store_pairs(np.stack(sdr), np.stack(hdr), place)


def frames_of_pairs(
    names: Sequence[str], pairs: Sequence[Pair], longest_px: int, scale: int
) -> list[Frame]:
    """Real pairs as frames, averaged in linear light by a whole factor to at most `longest_px`.

    Args:
        names: One for each pair.
        pairs: Whole pictures.
        longest_px: Longer side of HDR that is still left alone.
        scale: The network's; pairs of one size are given to it with SDR made smaller.

    Raises:
        InputError: HDR is larger than SDR, but not as many times as the network makes it.
    """
    frames = []
    for name, pair in zip(names, pairs, strict=True):
        if pair.scale not in (1, scale):
            raise InputError(
                f'HDR is {pair.scale} times as large as SDR in the pair "{name}"; expected equal '
                f"sizes, or the network's scale of {scale}."
            )
        factor = -(-max(pair.hdr.shape[2:]) // longest_px)
        sdr, hdr = pair.sdr, pair.hdr
        if factor > 1:
            sdr = bt1886_inverse_eotf(functional.avg_pool2d(bt1886_eotf(sdr), factor))
            sdr = torch.round(sdr * 255.0) / 255.0
            hdr = pq_inverse_eotf(functional.avg_pool2d(pq_eotf(hdr), factor))
            rows, columns = sdr.shape[2:]
            hdr = hdr[:, :, : rows * pair.scale, : columns * pair.scale]
        if scale > 1 and sdr.shape == hdr.shape:
            rows, columns = (size - size % scale for size in sdr.shape[2:])
            hdr = hdr[:, :, :rows, :columns]
            reduced = reduce(sdr[:, :, :rows, :columns], scale, "bicubic").clamp(0.0, 1.0)
            sdr = torch.round(reduced * 255.0) / 255.0
        frames.append(Frame(name, name, Pair(sdr, hdr)))
    return frames
