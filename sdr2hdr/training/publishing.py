"""Turn trained weights into files that `--model` can use: safetensors and the model card."""

from __future__ import annotations

import dataclasses
import hashlib
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import safetensors.torch
import torch

from sdr2hdr.networks.card import (
    DataSource,
    ModelCard,
    Score,
    TrainingRun,
    read_card,
    write_card,
)
from sdr2hdr.networks.registry import NetworkSpec
from sdr2hdr.networks.weights import weights_files
from sdr2hdr.signal import BT709_DISPLAY, HDR_DISPLAY
from sdr2hdr.training.anchor import ANCHOR_SIGNAL
from sdr2hdr.training.graphics import WHITE_CD_M2
from sdr2hdr.training.recipe import Recipe
from sdr2hdr.training.tone_curves import OPERATORS
from sdr2hdr.whole_file import write_whole
from sdr2hdr.wording import how_many

__all__ = ["Run", "degradation_texts", "publish", "write_weights"]


_AS_THEY_ARE = "none: own pairs as they are, in crops of many scales"


@dataclass(frozen=True)
class Run:
    """What a training took.

    Attributes:
        own_pairs: Pairs of a user's own files that were trained on.
        is_all_own: Nothing else went into the weights: neither scenes nor weights to start from.
    """

    steps: int
    seconds: float
    threads: int
    device: str
    own_pairs: int = 0
    is_all_own: bool = False


def publish(
    folder: Path,
    spec: NetworkSpec,
    tensors: Mapping[str, torch.Tensor],
    recipe: Recipe,
    run: Run,
    scores: Sequence[Score],
) -> Path:
    """Write `<name>.safetensors` and `<name>.json`, a pilot until an exam says otherwise.

    Args:
        folder: Made if it is not there; both files are replaced.
        spec: The network.
        tensors: Its state; floating tensors are stored as float32.
        recipe: Says form, title, licence and failures, and data and degradations unless all pairs
            were a user's own.
        run: What it took.
        scores: What it reached.

    Returns:
        The path of the weights.
    """
    card = ModelCard(
        name=spec.name,
        title=recipe.card.title or f"{spec.name}, in training",
        status="pilot",
        architecture=_architecture(spec),
        parameters=spec.parameters,
        scale=spec.scale,
        input=BT709_DISPLAY,
        output=HDR_DISPLAY,
        form=recipe.output_form,
        licence=recipe.card.licence,
        training_data=_training_data(recipe, run),
        training=TrainingRun(
            machine=f"{run.device}, {how_many(run.threads, 'thread')}, {platform.machine()}",
            hours=round(run.seconds / 3600.0, 3),
            steps=run.steps,
        ),
        scores=tuple(dataclasses.replace(score, value=round(score.value, 3)) for score in scores),
        known_failures=recipe.card.known_failures,
        sha256="",
        degradations=(_AS_THEY_ARE,) if run.is_all_own else degradation_texts(recipe),
    )
    return write_weights(folder, card, tensors)


def _training_data(recipe: Recipe, run: Run) -> tuple[DataSource, ...]:
    """The recipe's sources, as far as they were trained on, and the user's own pairs."""
    of_recipe = tuple(DataSource(**source) for source in recipe.card.training_data)
    if not run.own_pairs:
        return of_recipe
    content = f"{run.own_pairs} SDR and HDR files of one name each"
    own = DataSource(source="Own pairs (--pairs)", licence="not stated", content=content)
    return (own,) if run.is_all_own else (*of_recipe, own)


def write_weights(folder: Path, card: ModelCard, tensors: Mapping[str, torch.Tensor]) -> Path:
    """Write weights, and the card that says which file they are.

    Args:
        folder: Made if it is not there; both files are replaced.
        card: Its `storage` decides how floating tensors are stored; its hash is filled in.
        tensors: The network's state.

    Returns:
        The path of the weights.
    """
    dtype = torch.float16 if card.storage == "float16" else torch.float32
    content = safetensors.torch.save(
        {
            name: tensor.detach()
            .to("cpu", dtype if tensor.is_floating_point() else tensor.dtype)
            .contiguous()
            for name, tensor in tensors.items()
        }
    )
    folder.mkdir(parents=True, exist_ok=True)
    weights, card_path = weights_files(card.name, folder)
    write_whole(weights, content)
    write_card(card_path, dataclasses.replace(card, sha256=hashlib.sha256(content).hexdigest()))
    read_card(card_path)
    return weights


def degradation_texts(recipe: Recipe) -> tuple[str, ...]:
    """What a recipe does to SDR pictures, in words for a card."""
    data, shares = recipe.data, recipe.data.degradation
    operators = ", ".join(data.operators or OPERATORS)
    phones = f"{100.0 * data.phones:g} %"
    percent = {name: f"{100.0 * share:g} %" for name, share in vars(shares).items()}
    return (
        f"SDR made from HDR by random down-conversions: {operators}",
        "gamut clipped or softly mapped",
        f"targets anchored to {_listed(data.anchors)} up to a signal of {ANCHOR_SIGNAL:g}",
        *(
            [f"in their place, what {recipe.loss.teacher} answers to the same SDR"]
            if recipe.loss.teacher
            else []
        ),
        "random view, exposure, white balance, contrast, saturation, flare and vignette",
        *(
            [f"developed as phones do, in their look (local contrast, sharpened): {phones}"]
            if data.phones
            else []
        ),
        f"graphics ({', '.join(data.graphic_kinds)}) with paper at {WHITE_CD_M2:g} cd/m2: "
        f"{100.0 * data.graphics:g} %",
        f"8 bits and 4:2:0, or 8-bit R'G'B' for {percent['full_chroma']} of what no codec touched",
        f"H.264 (CRF 18 to 40), JPEG or MPEG-2: {percent['compressed']}",
        f"noise of 0.5 to 6 codes: {percent['noisy']}; blur or sharpening: {percent['filtered']}; "
        f"banding of 5 to 7 bits: {percent['banded']}",
        "for scales above 1, SDR reduced by a bicubic, area or Lanczos filter",
    )


def _listed(weights: Mapping[str, float]) -> str:
    total = sum(weights.values())
    return ", ".join(f"{name} ({100.0 * w / total:g} %)" for name, w in weights.items())


def _architecture(spec: NetworkSpec) -> str:
    family = {"irnet": "IRNet", "gpgmnet": "GPGMNet"}[spec.kind]
    part = "block" if spec.kind == "irnet" else "module"
    return f"{family}, {how_many(spec.blocks, part)}, {spec.channels} channels, scale {spec.scale}"
