"""Checkpoints: all that a training needs to go on as if it had never stopped.

A checkpoint is a folder with `state.safetensors` (weights, their average, the optimiser's tensors)
and `state.json`. It is written beside the old one and takes its name when it is whole.
"""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

import safetensors
import safetensors.torch
import torch
from torch import nn

from sdr2hdr.errors import InputError
from sdr2hdr.strict_json import JsonObject, read_object
from sdr2hdr.training.weight_average import WeightAverage

__all__ = ["Progress", "holds_checkpoint", "load_checkpoint", "save_checkpoint"]

_NAME = "checkpoint"
_OLD_NAME = "checkpoint.old"


@dataclass
class Progress:
    """How far a training has come.

    Attributes:
        step: Steps done.
        seconds: Spent training, over all runs; pauses do not count.
        validated_seconds: What `seconds` were at the last validation; 0 before the first.
        best_psnr_db: Highest mean PSNR in validation; None before the first.
        best_step: Where it was.
        model: The network's name.
        fingerprint: Hash of the recipe's part that must not change.
    """

    model: str
    fingerprint: str
    step: int = 0
    seconds: float = 0.0
    validated_seconds: float = 0.0
    best_psnr_db: float | None = None
    best_step: int | None = None


def save_checkpoint(
    folder: Path,
    progress: Progress,
    network: nn.Module,
    average: WeightAverage,
    optimiser: torch.optim.Optimizer,
) -> None:
    """Replace the checkpoint in `folder`; a crash at any moment leaves the old or the new one.

    Raises:
        OSError: It cannot be written.
    """
    tensors = {f"network.{name}": t for name, t in network.state_dict().items()}
    tensors |= {f"average.{name}": t for name, t in average.tensors.items()}
    for index, state in optimiser.state_dict()["state"].items():
        tensors |= {f"optimiser.{index}.{key}": value for key, value in state.items()}
    for abandoned in folder.glob(f"{_NAME}.*.tmp"):
        # A kill leaves it.
        shutil.rmtree(abandoned, ignore_errors=True)
    unfinished = folder / f"{_NAME}.{os.getpid()}.tmp"
    unfinished.mkdir(parents=True)
    contiguous = {
        name: tensor.detach().to("cpu", copy=True).contiguous() for name, tensor in tensors.items()
    }
    # Its own way to write a file tells a full disk by an error that is no `OSError`.
    (unfinished / "state.safetensors").write_bytes(safetensors.torch.save(contiguous))
    state = asdict(progress) | {"average_updates": average.updates}
    (unfinished / "state.json").write_text(json.dumps(state, indent=2), encoding="utf-8")
    for name in ("state.safetensors", "state.json"):
        with (unfinished / name).open("rb") as file:
            os.fsync(file.fileno())
    current, old = folder / _NAME, folder / _OLD_NAME
    if current.exists():
        # Else the old one is all there is: a kill came between the two renames.
        shutil.rmtree(old, ignore_errors=True)
        current.rename(old)
    unfinished.rename(current)
    shutil.rmtree(old, ignore_errors=True)


def load_checkpoint(
    folder: Path,
    expected: Progress,
    network: nn.Module,
    average: WeightAverage,
    optimiser: torch.optim.Optimizer,
) -> Progress:
    """Fill network, average and optimiser from the checkpoint in `folder`.

    Args:
        folder: The training's folder.
        expected: Model and fingerprint that the checkpoint must have.
        network: Filled in place.
        average: Filled in place.
        optimiser: Filled in place; made for the network's parameters.

    Raises:
        InputError: There is no checkpoint, it is damaged, or it is of another training.
    """
    place = _place(folder)
    if not place.is_dir():
        raise InputError(f"{folder} holds no checkpoint to go on from (--resume).")
    what = f"The checkpoint in {folder}"
    progress, updates = _read_progress(read_object(place / "state.json", what))
    for field, found, wanted in (
        ("model", progress.model, expected.model),
        ("recipe", progress.fingerprint, expected.fingerprint),
    ):
        if found != wanted:
            raise InputError(
                f"{what} has {field} {found}; expected {wanted}. Train into another folder "
                "(--out), or with the recipe it was begun with (--recipe)."
            )
    try:
        tensors = safetensors.torch.load_file(place / "state.safetensors")
        network.load_state_dict(_part(tensors, "network."))
        found_average = _part(tensors, "average.")
        for name, tensor in average.tensors.items():
            tensor.copy_(found_average[name])
        _fill_optimiser(optimiser, _part(tensors, "optimiser."))
    except (OSError, KeyError, ValueError, RuntimeError, safetensors.SafetensorError) as error:
        raise InputError(
            f"{what} is damaged: {error}. Begin anew in another folder (--out), perhaps from the "
            f"weights in {folder / 'weights'} (--start-from)."
        ) from error
    average.updates = updates
    return progress


def _read_progress(given: JsonObject) -> tuple[Progress, int]:
    """How far a training had come, and the average's updates.

    Checkpoints of earlier versions do not say when the last validation was.
    """
    progress = Progress(
        model=given.take("model", str),
        fingerprint=given.take("fingerprint", str),
        step=given.take("step", int),
        seconds=given.take("seconds", float),
        validated_seconds=(
            given.take("validated_seconds", float) if given.has("validated_seconds") else 0.0
        ),
        best_psnr_db=given.take_optional("best_psnr_db", float),
        best_step=given.take_optional("best_step", int),
    )
    updates = given.take("average_updates", int)
    given.finish()
    return progress, updates


def _fill_optimiser(optimiser: torch.optim.Optimizer, tensors: dict[str, torch.Tensor]) -> None:
    states: dict[int, dict[str, torch.Tensor]] = {}
    for name, tensor in tensors.items():
        index, key = name.split(".", 1)
        states.setdefault(int(index), {})[key] = tensor
    optimiser.load_state_dict(
        {"state": states, "param_groups": optimiser.state_dict()["param_groups"]}
    )


def holds_checkpoint(folder: Path) -> bool:
    """Whether a training has left something to go on from in its folder."""
    return _place(folder).is_dir()


def _place(folder: Path) -> Path:
    # Between the two renames of `save_checkpoint` only the old one has a name.
    current = folder / _NAME
    return current if current.is_dir() else folder / _OLD_NAME


def _part(tensors: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {
        name.removeprefix(prefix): tensor
        for name, tensor in tensors.items()
        if name.startswith(prefix)
    }
