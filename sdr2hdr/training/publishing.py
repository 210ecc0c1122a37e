"""Turn trained weights into files that `--model` can use: safetensors and the model card."""

from __future__ import annotations

import hashlib
import json
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
import torch

from sdr2hdr.errors import InputError
from sdr2hdr.networks.card import read_card
from sdr2hdr.networks.network import Network
from sdr2hdr.networks.registry import NetworkSpec
from sdr2hdr.signal import BT709_DISPLAY, HDR_DISPLAY, RgbSignal
from sdr2hdr.training.recipe import Recipe

__all__ = ["Run", "Score", "load_start_weights", "publish"]


@dataclass(frozen=True)
class Score:
    """A measured number, as the card's `scores` have it."""

    metric: str
    unit: str
    data: str
    value: float


@dataclass(frozen=True)
class Run:
    """What a training took."""

    steps: int
    seconds: float
    threads: int
    device: str


def publish(
    folder: Path,
    spec: NetworkSpec,
    tensors: Mapping[str, torch.Tensor],
    recipe: Recipe,
    run: Run,
    scores: Sequence[Score],
) -> Path:
    """Write `<name>.safetensors` and `<name>.json`.

    Args:
        folder: Made if it is not there; both files are replaced.
        spec: The network.
        tensors: Its state; floating tensors are stored as float32.
        recipe: Says form, title, licence, data and failures.
        run: What it took.
        scores: What it reached.

    Returns:
        The path of the weights.
    """
    folder.mkdir(parents=True, exist_ok=True)
    content = safetensors.torch.save(
        {name: tensor.detach().to("cpu").contiguous() for name, tensor in tensors.items()}
    )
    card = {
        "name": spec.name,
        "title": recipe.card.title or f"{spec.name}, in training",
        "status": "pilot",
        "architecture": _architecture(spec),
        "parameters": spec.parameters,
        "scale": spec.scale,
        "input": _signal(BT709_DISPLAY),
        "output": _signal(HDR_DISPLAY),
        "form": recipe.output_form.value,
        "licence": recipe.card.licence,
        "training_data": [dict(source) for source in recipe.card.training_data],
        "training": {
            "machine": f"{run.device}, {run.threads} threads, {platform.machine()}",
            "hours": round(run.seconds / 3600.0, 3),
            "steps": run.steps,
        },
        "scores": [vars(score) | {"value": round(score.value, 3)} for score in scores],
        "known_failures": list(recipe.card.known_failures),
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    weights = folder / f"{spec.name}.safetensors"
    _write(weights, content)
    card_path = folder / f"{spec.name}.json"
    _write(card_path, (json.dumps(card, indent=2, ensure_ascii=False) + "\n").encode())
    read_card(card_path)
    return weights


def load_start_weights(path: Path, network: Network) -> None:
    """Fill a network with the weights of an earlier training, to train on from them.

    Raises:
        InputError: The file cannot be read, or is of another network.
    """
    try:
        tensors = safetensors.torch.load_file(path)
        network.load_state_dict(tensors)
    except (OSError, safetensors.SafetensorError, RuntimeError) as error:
        raise InputError(
            f"{path} does not hold weights of this network (--start-from): {error}"
        ) from error


def _architecture(spec: NetworkSpec) -> str:
    family = {"irnet": "IRNet", "gpgmnet": "GPGMNet"}[spec.kind]
    part = "blocks" if spec.kind == "irnet" else "modules"
    return f"{family}, {spec.blocks} {part}, {spec.channels} channels, scale {spec.scale}"


def _signal(signal: RgbSignal) -> dict[str, Any]:
    return {"primaries": signal.primaries.name, "transfer": signal.transfer.name}


def _write(path: Path, content: bytes) -> None:
    unfinished = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    unfinished.write_bytes(content)
    unfinished.replace(path)
