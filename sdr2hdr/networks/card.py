"""The model card beside each weights file: what the weights are, and which file they are."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, Literal, TypeVar

from sdr2hdr.errors import WeightsError
from sdr2hdr.signal import Primaries, RgbSignal, Transfer

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

_T = TypeVar("_T")


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
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise WeightsError(f"Model card {path} cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise WeightsError(f"Model card {path} is not JSON: {error}.") from error
    return _card(_Fields(path, "", content))


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
    unfinished = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    unfinished.write_text(text, encoding="utf-8")
    unfinished.replace(path)


class _Fields:
    """The members of a JSON object, each of which has to be taken exactly once."""

    def __init__(self, path: Path, where: str, content: object) -> None:
        self._path = path
        self._where = where
        if not isinstance(content, dict):
            raise self.error("", f"is {_shown(content)}; expected an object")
        self._content: Mapping[str, Any] = content
        self._taken: set[str] = set()

    def error(self, field: str, complaint: str) -> WeightsError:
        name = ".".join(part for part in (self._where, field) if part) or "the whole"
        return WeightsError(f'Model card {self._path}: "{name}" {complaint}.')

    def take(self, field: str, kind: type[_T]) -> _T:
        self._taken.add(field)
        if field not in self._content:
            raise self.error(field, "is missing")
        value = self._content[field]
        if not isinstance(value, kind) or isinstance(value, bool):
            raise self.error(field, f"is {_shown(value)}; expected a JSON {_JSON_NAMES[kind]}")
        return value

    def take_number(self, field: str) -> float:
        if isinstance(self._content.get(field), int):
            return float(self.take(field, int))
        return self.take(field, float)

    def take_integer_or_null(self, field: str) -> int | None:
        if field in self._content and self._content[field] is None:
            self._taken.add(field)
            return None
        return self.take(field, int)

    def has(self, field: str) -> bool:
        return field in self._content

    def take_choice(self, field: str, choices: Mapping[str, _T]) -> _T:
        value = self.take(field, str)
        if value not in choices:
            raise self.error(field, f"is {_shown(value)}; expected one of {', '.join(choices)}")
        return choices[value]

    def take_object(self, field: str) -> _Fields:
        self.take(field, dict)
        return _Fields(self._path, field, self._content[field])

    def take_objects(self, field: str) -> list[_Fields]:
        items = self.take(field, list)
        return [_Fields(self._path, f"{field}[{i}]", item) for i, item in enumerate(items)]

    def take_texts(self, field: str) -> tuple[str, ...]:
        items = self.take(field, list)
        if not all(isinstance(item, str) for item in items):
            raise self.error(field, f"is {_shown(items)}; expected strings only")
        return tuple(items)

    def end(self) -> None:
        unknown = sorted(set(self._content) - self._taken)
        if unknown:
            raise self.error(unknown[0], "is not a field of a model card")


_JSON_NAMES = {str: "string", int: "integer", float: "number", dict: "object", list: "array"}


def _shown(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:57] + "..."


_STORAGES: Mapping[str, Storage] = {"float16": "float16", "float32": "float32"}


def _card(fields: _Fields) -> ModelCard:
    card = ModelCard(
        name=fields.take("name", str),
        title=fields.take("title", str),
        status=fields.take_choice("status", {"pilot": "pilot", "release": "release"}),
        architecture=fields.take("architecture", str),
        parameters=fields.take("parameters", int),
        scale=fields.take("scale", int),
        input=_signal(fields.take_object("input")),
        output=_signal(fields.take_object("output")),
        form=fields.take_choice("form", {form.value: form for form in Form}),
        licence=fields.take("licence", str),
        training_data=tuple(_data_source(f) for f in fields.take_objects("training_data")),
        training=_training_run(fields.take_object("training")),
        scores=tuple(_score(f) for f in fields.take_objects("scores")),
        known_failures=fields.take_texts("known_failures"),
        sha256=fields.take("sha256", str),
        degradations=fields.take_texts("degradations") if fields.has("degradations") else (),
        storage=fields.take_choice("storage", _STORAGES) if fields.has("storage") else "float32",
    )
    fields.end()
    if len(card.sha256) != 64 or set(card.sha256) - set("0123456789abcdef"):
        raise fields.error("sha256", f"is {_shown(card.sha256)}; expected 64 hexadecimal digits")
    return card


def _signal(fields: _Fields) -> RgbSignal:
    signal = RgbSignal(
        primaries=fields.take_choice("primaries", {p.name: p for p in Primaries}),
        transfer=fields.take_choice("transfer", {t.name: t for t in Transfer}),
    )
    fields.end()
    return signal


def _data_source(fields: _Fields) -> DataSource:
    source = DataSource(
        source=fields.take("source", str),
        licence=fields.take("licence", str),
        content=fields.take("content", str),
    )
    fields.end()
    return source


def _training_run(fields: _Fields) -> TrainingRun:
    run = TrainingRun(
        machine=fields.take("machine", str),
        hours=fields.take_number("hours"),
        steps=fields.take_integer_or_null("steps"),
    )
    fields.end()
    return run


def _score(fields: _Fields) -> Score:
    score = Score(
        metric=fields.take("metric", str),
        unit=fields.take("unit", str),
        data=fields.take("data", str),
        value=fields.take_number("value"),
    )
    fields.end()
    return score
