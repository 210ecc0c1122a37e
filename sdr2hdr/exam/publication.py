"""From examined weights to the files that a release ships: stored small, with their scores."""

from __future__ import annotations

import dataclasses
import math
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sdr2hdr.exam.frames import LADDER_PAIR_PX, anchored_frames, pair_frames
from sdr2hdr.exam.gates import gates, is_released
from sdr2hdr.exam.methods import exam_methods
from sdr2hdr.exam.results import ExamResult, MethodResult
from sdr2hdr.exam.sets import ExamSet
from sdr2hdr.networks.card import DataSource, ModelCard, Score
from sdr2hdr.networks.registry import NetworkSpec, resolve_exactly
from sdr2hdr.networks.weights import load_network
from sdr2hdr.training.publishing import degradation_texts, write_weights
from sdr2hdr.training.recipe import Recipe
from sdr2hdr.training.tone_curves import OPERATORS
from sdr2hdr.training.validation import psnr_db

__all__ = ["LARGEST_HALF_COST_DB", "Published", "publish_examined"]

LARGEST_HALF_COST_DB = 0.01
"""Weights are stored in half precision if that costs less of the mean PSNR than this."""

_LARGEST_HALF = 65504.0
_STRIDE = 5
"""Of the anchored frames every so many are answered with both storages, and all real pairs."""
_MISSED = "Exam, set "


@dataclass(frozen=True)
class Published:
    """What was written.

    Attributes:
        half_costs_db: Mean PSNR that half precision loses; infinite where its range is too small.
    """

    weights: Path
    card: ModelCard
    half_costs_db: float


def publish_examined(
    folder: Path,
    model: str,
    weights_dir: Path | None,
    exam: ExamSet,
    result: ExamResult,
    recipe: Recipe,
    title: str | None = None,
    failures: Sequence[str] = (),
) -> Published:
    """Write a network's weights, and a card with its exam.

    The card keeps what the training wrote into it; scores of an earlier exam and failures it named
    are replaced. It is a release if all required gates are met, else a pilot; aims that are missed
    become known failures.

    Args:
        folder: May be the one the weights come from.
        model: The network's name.
        weights_dir: Where the weights are; see `networks.weights`.
        exam: The pictures.
        result: Of an exam that the network was in.
        recipe: What it was trained with, for degradations and data that the card lacks.
        title: Of the card; None describes the network.
        failures: Known failures that somebody saw.
    """
    network, old = load_network(model, weights_dir)
    tensors = network.state_dict()
    method = result.network(model)
    if method is None:
        raise ValueError(f"{model} was not examined.")
    judged = gates(result, model)
    missed = [f"{_MISSED}{result.set_name}: {g.sentence()}" for g in judged if not g.is_met]
    kept = [text for text in old.known_failures if not text.startswith(_MISSED)]
    kept += [text for text in (*recipe.card.known_failures, *failures) if text not in kept]
    scores = [score for score in old.scores if not score.data.startswith(_MISSED)]
    data = old.training_data or tuple(DataSource(**source) for source in recipe.card.training_data)
    card = dataclasses.replace(
        old,
        title=title or recipe.card.title or _title(resolve_exactly(model)),
        status="release" if is_released(judged) else "pilot",
        training_data=data,
        scores=(*scores, *_scores(result, method)),
        known_failures=(*kept, *missed),
        degradations=old.degradations or degradation_texts(recipe),
        storage="float16",
    )
    cost_db = math.inf
    if all(float(t.abs().max()) <= _LARGEST_HALF for t in tensors.values() if t.numel()):
        with tempfile.TemporaryDirectory() as place:
            write_weights(Path(place), card, tensors)
            cost_db = _cost_db(model, weights_dir, Path(place), exam)
    if cost_db >= LARGEST_HALF_COST_DB:
        card = dataclasses.replace(card, storage="float32")
    weights = write_weights(folder, card, tensors)
    _, written = load_network(model, folder)
    return Published(weights, written, cost_db)


def _cost_db(model: str, whole_dir: Path | None, half_dir: Path, exam: ExamSet) -> float:
    """Mean PSNR that stored half precision loses."""
    whole, half = (
        next(m for m in exam_methods([model], place, "cpu", None) if m.kind == "network")
        for place in (whole_dir, half_dir)
    )
    frames = [
        frame
        for index, frame in enumerate(anchored_frames(exam.scenes, whole.scale))
        if index % _STRIDE == 0
    ]
    frames += pair_frames(exam.pairs, whole.scale, longest_px=LADDER_PAIR_PX)
    losses = [
        psnr_db(whole.answer(frame.pair.sdr), frame.pair.hdr)
        - psnr_db(half.answer(frame.pair.sdr), frame.pair.hdr)
        for frame in frames
    ]
    return math.fsum(losses) / len(losses)


def _scores(result: ExamResult, method: MethodResult) -> list[Score]:
    """What a user wants to know first, beside the best curve's numbers."""
    curves = [other for other in result.at_scale(method.scale) if other.kind == "curve"]
    best = max(curves, key=lambda curve: curve.anchored().psnr_db)
    scenes = (
        f"{_MISSED}{result.set_name}: {result.scenes} scenes x {len(OPERATORS)} down-conversions"
    )
    pairs = f"{_MISSED}{result.set_name}: {result.pairs} real pairs, never trained on"
    found = []
    for who, shown in ((method, ""), (best, f" of {best.name}")):
        for data, summary in ((scenes, who.anchored()), (pairs, who.part("pair"))):
            found += [
                Score(f"mean PSNR of PQ R'G'B'{shown}", "dB", data, summary.psnr_db),
                Score(f"worst PSNR of PQ R'G'B'{shown}", "dB", data, summary.worst_psnr_db),
                Score(f"mean SSIM{shown}", "", data, summary.ssim),
                Score(f"mean Delta E ITP{shown}", "", data, summary.delta_e_itp),
            ]
        gained = who.aligned_pairs_psnr_db()
        found.append(Score(f"mean PSNR after each pair's best gain{shown}", "dB", pairs, gained))
    ladder = f"{_MISSED}{result.set_name}: {result.pairs} real pairs through H.264"
    for qp, loss in method.ladder_loss_db("pair ladder").items():
        found.append(Score(f"PSNR lost at {qp.upper()}", "dB", ladder, loss))
    return [dataclasses.replace(score, value=round(score.value, 3)) for score in found]


def _title(spec: NetworkSpec) -> str:
    family = {"irnet": f"IRNet-{spec.blocks}", "gpgmnet": "GPGMNet"}[spec.kind]
    task = "SDR to HDR10" if spec.scale == 1 else f"SDR to HDR10 at {spec.scale} times the size"
    return f"{family}, {spec.channels} channels: {task}"
