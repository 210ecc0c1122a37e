"""What a plan pins, taken field by field: a key that fits does not say that every field does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from sdr2hdr.strict_json import JsonObject

__all__ = ["ComputedWith", "Pinned", "read_pinned"]

Backend = Literal["torch", "onnx"]
Device = Literal["cpu", "cuda"]
Precision = Literal["fp32", "bf16", "fp16"]


@dataclass(frozen=True)
class ComputedWith:
    """What "auto" came to.

    Attributes:
        device: Its kind.
        tile_px: Longest side of a tile.
    """

    backend: Backend
    device: Device
    precision: Precision
    tile_px: int
    encoder_threads: int


@dataclass(frozen=True)
class Pinned:
    """All that a plan pins.

    Attributes:
        container: The output's suffix, such as ".mkv".
        options: As `option_values.to_values` gives them.
        made_with: Versions, weights and processor.
    """

    container: str
    options: Mapping[str, Any]
    computed_with: ComputedWith
    made_with: Mapping[str, Any]


def read_pinned(pinned: Mapping[str, Any]) -> Pinned:
    """Take everything that `settings.pinned_settings` gave.

    Raises:
        InputError: A field is missing, unknown, of another type, or out of its range.
    """
    given = JsonObject(dict(pinned), 'The plan: "pinned"')
    read = Pinned(
        container=given.take("container", str),
        options=given.take_mapping("options"),
        computed_with=_computed_with(given.take_object("computed_with")),
        made_with=given.take_mapping("made_with"),
    )
    given.finish()
    return read


def _computed_with(given: JsonObject) -> ComputedWith:
    computed = ComputedWith(
        backend=given.take_choice("backend", get_args(Backend)),
        device=given.take_choice("device", get_args(Device)),
        precision=given.take_choice("precision", get_args(Precision)),
        tile_px=given.take_positive("tile_px"),
        encoder_threads=given.take_positive("encoder_threads"),
    )
    given.finish()
    return computed
