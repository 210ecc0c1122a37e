"""The frames of the exam: what each method is shown, and what it should answer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from sdr2hdr.exam.sets import ExamPair, ExamScene
from sdr2hdr.training.degradation import CodecLoss, Degradation, Resizing, degrade
from sdr2hdr.training.randomness import generator
from sdr2hdr.training.synthesis import Pair, SceneStore, read_pair
from sdr2hdr.training.tone_curves import OPERATORS
from sdr2hdr.training.validation import CRF_RANGE, frames_of_pairs, show_scene
from sdr2hdr.training.views import Light

__all__ = [
    "FRAME_HEIGHT_PX",
    "FRAME_WIDTH_PX",
    "LADDER_PAIR_PX",
    "LADDER_QPS",
    "ExamFrame",
    "Part",
    "anchored_frames",
    "ladder_frames",
    "pair_frames",
    "pair_ladder_frames",
]

Part = Literal["clean", "compressed", "ladder", "pair", "pair ladder"]

FRAME_HEIGHT_PX, FRAME_WIDTH_PX = 192, 320
"""Size of the HDR frames made from scenes: whole views, as training's validation has them."""

LADDER_QPS = (22, 27, 32, 37, 42)
"""Quantisers of the compressed-input ladder: the usual four of codec comparisons, and one worse."""

LADDER_PAIR_PX = 512
"""Longer side of real pairs on the ladder, so that large ones do not take hours."""

_RESIZINGS: tuple[Resizing, ...] = ("bicubic", "area")


@dataclass(frozen=True)
class ExamFrame:
    """One picture to be answered.

    Attributes:
        part: "clean" and "compressed" frames of scenes, the "ladder" of compression on scenes, real
            "pair"s, and the ladder on these.
        scene: Name of the scene or pair.
        group: The down-conversion; on a ladder "clean" or "qp22" and so on; of a pair its name.
    """

    part: Part
    scene: str
    group: str
    pair: Pair


def anchored_frames(
    scenes: Sequence[ExamScene], scale: int, operators: Sequence[str] = OPERATORS
) -> Iterator[ExamFrame]:
    """Every scene through every down-conversion, clean and compressed.

    View, grade and operator are drawn as in training's validation, by the names of scene and
    operator alone. At scales above 1 SDR is made smaller by a bicubic or an area filter in turn.
    """
    store = SceneStore([each.scene for each in scenes])
    for index, each in enumerate(scenes):
        picture = store.pictures(index)[0]
        for number, operator in enumerate(operators):
            resizing = _RESIZINGS[(index + number) % len(_RESIZINGS)]
            for part in ("clean", "compressed"):
                yield _shown(picture, each.scene.name, operator, scale, resizing, part)


def _shown(
    picture: Light,
    name: str,
    operator: str,
    scale: int,
    resizing: Resizing,
    part: Literal["clean", "compressed"],
) -> ExamFrame:
    pair, rng = show_scene(picture, name, operator, FRAME_HEIGHT_PX, FRAME_WIDTH_PX)
    codec = CodecLoss("h264", int(rng.integers(*CRF_RANGE))) if part == "compressed" else None
    sdr = degrade(pair.sdr, Degradation(resizing=resizing, codec=codec), scale, rng)
    return ExamFrame(part, name, operator, Pair(sdr, pair.hdr))


def ladder_frames(scenes: Sequence[ExamScene], scale: int) -> Iterator[ExamFrame]:
    """Each scene through one down-conversion, clean and through H.264 at every quantiser."""
    store = SceneStore([each.scene for each in scenes])
    for index, each in enumerate(scenes):
        operator = OPERATORS[3 * index % len(OPERATORS)]
        picture = store.pictures(index)[0]
        name = each.scene.name
        pair, rng = show_scene(picture, name, operator, FRAME_HEIGHT_PX, FRAME_WIDTH_PX)
        for group, degradation in _rungs(_RESIZINGS[index % len(_RESIZINGS)]):
            sdr = degrade(pair.sdr, degradation, scale, rng)
            yield ExamFrame("ladder", name, group, Pair(sdr, pair.hdr))


def _rungs(resizing: Resizing = "area") -> Iterator[tuple[str, Degradation]]:
    yield "clean", Degradation(resizing=resizing)
    for qp in LADDER_QPS:
        yield f"qp{qp}", Degradation(resizing=resizing, codec=CodecLoss("h264-qp", qp))


def pair_frames(
    pairs: Sequence[ExamPair], scale: int, longest_px: int | None = None
) -> Iterator[ExamFrame]:
    """Real pairs, as they are or averaged by a whole factor to at most `longest_px`."""
    for each in pairs:
        pair = read_pair(each.files, option="--set")[0]
        rows, columns = (size // (2 * scale) * 2 * scale for size in pair.hdr.shape[2:])
        if pair.sdr.shape == pair.hdr.shape:
            pair = Pair(pair.sdr[:, :, :rows, :columns], pair.hdr[:, :, :rows, :columns])
        limit_px = max(pair.hdr.shape[2:]) if longest_px is None else longest_px
        (frame,) = frames_of_pairs([each.name], [pair], limit_px, scale)
        yield ExamFrame("pair", each.name, each.name, frame.pair)


def pair_ladder_frames(pairs: Sequence[ExamPair], scale: int) -> Iterator[ExamFrame]:
    """Real pairs, averaged to at most 512 px, clean and through H.264 at every quantiser."""
    for frame in pair_frames(pairs, scale, longest_px=LADDER_PAIR_PX):
        rows, columns = (size // 2 * 2 for size in frame.pair.sdr.shape[2:])
        sdr = frame.pair.sdr[:, :, :rows, :columns]
        hdr = frame.pair.hdr[:, :, : rows * scale, : columns * scale]
        for group, degradation in _rungs():
            # Made smaller already; a ladder has no noise, so the generator is not drawn from.
            spoilt = degrade(sdr, degradation, 1, generator(0))
            yield ExamFrame("pair ladder", frame.scene, group, Pair(spoilt, hdr))
