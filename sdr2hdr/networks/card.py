"""The model card beside each weights file: what the weights are, and which file they are."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, Literal

from sdr2hdr.errors import WeightsError
from sdr2hdr.signal import Primaries, RgbSignal, Transfer
from sdr2hdr.strict_json import JsonObject, read_object
from sdr2hdr.whole_file import write_whole

__all__ = [
    "DataSource",
    "Form",
    "ModelCard",
    "Score",
    "Status",
    "Storage",
    "TrainingRun",
    "card_content",
    "read_card",
    "write_card",
]

Status = Literal["pilot", "release"]
"""A release has met the required gates of the exam (`exam.gates`)."""

Storage = Literal["float16", "float32"]
"""What floating tensors are stored as; they are computed with in single precision anyway."""


class Form(Enum):
    """What a network's output is, before it is clipped to [0, 1]."""

    DIRECT = "direct"
    """The picture itself."""

    RESIDUAL_BT2446A = "residual on bt2446a"
    """To be added to the PQ signal of the BT.2446-A curve of the (bicubically enlarged) input."""

    REFINEMENT_BT2446A = "refinement of bt2446a"
    """The picture itself, and what the network is given is the PQ signal of the BT.2446-A curve."""


@dataclass(frozen=True)
class DataSource:
    """Pictures that the training read.

    Attributes:
        licence: SPDX identifier, or "public domain".
    """

    source: str
    licence: str
    content: str


@dataclass(frozen=True)
class TrainingRun:
    """What the training took; a number that nobody noted is None."""

    machine: str
    hours: float
    steps: int | None


@dataclass(frozen=True)
class Score:
    """One measured number, with what it was measured on."""

    metric: str
    unit: str
    data: str
    value: float


@dataclass(frozen=True)
class ModelCard:
    """All that a user of some weights must know about them.

    Attributes:
        name: The network's name in the registry.
        architecture: The network's shape in words.
        parameters: Trained numbers.
        input: Signal taken, (N, 3, H, W), [0, 1], before anything that `form` does to it.
        output: Signal given by the network and whatever `form` adds to it.
        licence: SPDX identifier of the weights' own licence.
        degradations: What was done to the SDR pictures of the training, in words; empty where
            nobody noted it.
        storage: What the safetensors file holds.
        sha256: Of the bytes of the safetensors file, in hexadecimal digits.
    """

    name: str
    title: str
    status: Status
    architecture: str
    parameters: int
    scale: int
    input: RgbSignal
    output: RgbSignal
    form: Form
    licence: str
    training_data: tuple[DataSource, ...]
    training: TrainingRun
    scores: tuple[Score, ...]
    known_failures: tuple[str, ...]
    sha256: str
    degradations: tuple[str, ...] = ()
    storage: Storage = "float32"


def read_card(path: Path) -> ModelCard:
    """Read and check a model card.

    Args:
        path: A JSON file with exactly the fields of `ModelCard`; those with a default may be
            missing, as cards from before them lack them.

    Raises:
        WeightsError: The file cannot be read, is not JSON, or a field is missing, unknown or wrong.
    """
    return _card(read_object(path, f"Model card {path}", WeightsError))


def card_content(card: ModelCard) -> dict[str, Any]:
    """A card as `read_card` reads it."""
    content = dataclasses.asdict(card)
    for end in ("input", "output"):
        signal: RgbSignal = getattr(card, end)
        content[end] = {"primaries": signal.primaries.name, "transfer": signal.transfer.name}
    return content | {"form": card.form.value}


def write_card(path: Path, card: ModelCard) -> None:
    """Write a card, whole or not at all."""
    text = json.dumps(card_content(card), indent=2, ensure_ascii=False) + "\n"
    write_whole(path, text.encode())


_STATUSES: Mapping[str, Status] = {"pilot": "pilot", "release": "release"}
_STORAGES: Mapping[str, Storage] = {"float16": "float16", "float32": "float32"}


def _card(given: JsonObject) -> ModelCard:
    card = ModelCard(
        name=given.take("name", str),
        title=given.take("title", str),
        status=given.take_member("status", _STATUSES),
        architecture=given.take("architecture", str),
        parameters=given.take("parameters", int),
        scale=given.take("scale", int),
        input=_signal(given.take_object("input")),
        output=_signal(given.take_object("output")),
        form=given.take_member("form", {form.value: form for form in Form}),
        licence=given.take("licence", str),
        training_data=tuple(_data_source(f) for f in given.take_objects("training_data")),
        training=_training_run(given.take_object("training")),
        scores=tuple(_score(f) for f in given.take_objects("scores")),
        known_failures=tuple(given.take_texts("known_failures")),
        sha256=given.take("sha256", str),
        degradations=tuple(given.take_texts("degradations")) if given.has("degradations") else (),
        storage=given.take_member("storage", _STORAGES) if given.has("storage") else "float32",
    )
    given.finish()
    if len(card.sha256) != 64 or set(card.sha256) - set("0123456789abcdef"):
        raise given.fault(f'"sha256" is "{card.sha256}"; expected 64 hexadecimal digits.')
    return card


def _signal(given: JsonObject) -> RgbSignal:
    signal = RgbSignal(
        primaries=given.take_member("primaries", {p.name: p for p in Primaries}),
        transfer=given.take_member("transfer", {t.name: t for t in Transfer}),
    )
    given.finish()
    return signal


def _data_source(given: JsonObject) -> DataSource:
    source = DataSource(
        source=given.take("source", str),
        licence=given.take("licence", str),
        content=given.take("content", str),
    )
    given.finish()
    return source


def _training_run(given: JsonObject) -> TrainingRun:
    run = TrainingRun(
        machine=given.take("machine", str),
        hours=given.take("hours", float),
        steps=given.take_optional("steps", int),
    )
    given.finish()
    return run


def _score(given: JsonObject) -> Score:
    score = Score(
        metric=given.take("metric", str),
        unit=given.take("unit", str),
        data=given.take("data", str),
        value=given.take("value", float),
    )
    given.finish()
    return score
