"""Read a recipe from its TOML file, taking nothing for granted.

What is wrong with one is said before the work begins, not when it is first needed: that may be an
hour later, or in the process that makes pairs.
"""

from __future__ import annotations

import dataclasses
import tomllib
from collections.abc import Collection, Mapping
from math import inf, isfinite
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from sdr2hdr.errors import UsageError
from sdr2hdr.networks.card import DataSource
from sdr2hdr.strict_json import WORDS
from sdr2hdr.training.anchor import AnchorKind
from sdr2hdr.training.graphics import GRAPHIC_KINDS
from sdr2hdr.training.recipe import Recipe
from sdr2hdr.training.tone_curves import OPERATORS

__all__ = ["find_recipe", "read_recipe"]

_FOLDER = Path(__file__).with_name("recipes")

_Part = TypeVar("_Part")

_ABOVE_ZERO = frozenset(
    {
        *("hours", "data.height", "data.width", "data.shard", "data.window", "data.reuse"),
        *("optimiser.batch", "optimiser.learning_rate", "optimiser.gradient_norm"),
        *("validation.height", "validation.width", "validation.watch_px"),
    }
)
"""Numbers that may not be 0; the others may, and none may be less."""

_SHARES = frozenset({"data.phones", "data.graphics", "data.pairs", "optimiser.ema"})
"""Numbers of at most 1, as all of "data.degradation" are."""

_HIGHEST = 2**63 - 1
"""TOML's whole numbers have 64 bits, though Python reads longer ones."""


def find_recipe(model: str) -> Path:
    """The package's recipe for a network.

    Raises:
        UsageError: There is none.
    """
    path = _FOLDER / f"{model}.toml"
    if not path.is_file():
        raise UsageError(f"There is no recipe for {model}; --recipe names a file.")
    return path


def read_recipe(path: Path) -> Recipe:
    """Read a recipe; what it leaves out has its default.

    Raises:
        UsageError: The file cannot be read, or a key is unknown, of the wrong type or out of range.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"Recipe {path} cannot be read: {error.strerror} (--recipe).") from error
    except ValueError as error:
        raise UsageError(f"Recipe {path} is not TOML: {error} (--recipe).") from error
    recipe = _part(Recipe, content, path, "")
    data = recipe.data
    _check_weights(data.operators or dict.fromkeys(OPERATORS, 1.0), OPERATORS, path, "operators")
    _check_weights(data.anchors, get_args(AnchorKind), path, "anchors")
    _check_weights(data.graphic_kinds, GRAPHIC_KINDS, path, "graphic_kinds")
    _check_names(data.camera_operators, OPERATORS, path, "camera_operators")
    loss = recipe.loss
    if not any((loss.l1, loss.l2, loss.ictcp, loss.gradient)):
        raise UsageError(
            f'Recipe {path}: "loss" has no weight above 0; expected l1, l2, ictcp or gradient to '
            "have some."
        )
    fields = {field.name for field in dataclasses.fields(DataSource)}
    for source in recipe.card.training_data:
        if source.keys() != fields:
            raise UsageError(
                f'Recipe {path}: "card.training_data" has a source with '
                f"{', '.join(source) or 'nothing'}; expected {', '.join(sorted(fields))}."
            )
    return recipe


def _part(kind: type[_Part], content: Mapping[str, Any], path: Path, where: str) -> _Part:
    hints = get_type_hints(kind)
    values: dict[str, Any] = {}
    for key, value in content.items():
        name = f"{where}{key}"
        if key not in hints:
            raise UsageError(f'Recipe {path} has a key "{name}"; expected {", ".join(hints)}.')
        values[key] = _value(hints[key], value, path, name)
    return kind(**values)


def _value(expected: Any, value: Any, path: Path, name: str) -> Any:
    """A value of the type that a field of a recipe has, in its range if it is a number."""
    origin, inside = get_origin(expected), get_args(expected)
    if origin is Literal:
        if value not in inside:
            raise _fault(path, name, value, " or ".join(inside))
        return value
    if dataclasses.is_dataclass(expected) and isinstance(expected, type):
        return _part(expected, _typed(dict, value, path, name), path, f"{name}.")
    if origin is dict:
        given = _typed(dict, value, path, name)
        return {key: _value(inside[1], each, path, f"{name}.{key}") for key, each in given.items()}
    if origin is tuple:
        given = _typed(list, value, path, name)
        return tuple(_value(inside[0], each, path, f"{name}[{i}]") for i, each in enumerate(given))
    if expected is float and type(value) is int:
        value = float(value)
    value = _typed(expected, value, path, name)
    if expected in (int, float):
        _check_range(value, path, name)
    return value


def _typed(kind: Any, value: Any, path: Path, name: str) -> Any:
    if type(value) is not kind:
        words = {dict: "a table", list: "a list", **WORDS}
        raise _fault(path, name, value, words[kind])
    return value


def _check_range(value: float, path: Path, name: str) -> None:
    is_share = name in _SHARES or name.startswith("data.degradation.")
    highest = 1.0 if is_share else inf
    if name in _ABOVE_ZERO and not value > 0:
        raise _fault(path, name, value, "more than 0")
    if not (isfinite(value) and 0 <= value <= highest):
        raise _fault(path, name, value, "0 to 1" if is_share else "a finite number of 0 or more")
    if type(value) is int and value > _HIGHEST:
        raise _fault(path, name, value, f"at most {_HIGHEST}")


def _check_weights(
    weights: Mapping[str, float], known: Collection[str], path: Path, name: str
) -> None:
    _check_names(weights, known, path, name)
    if not any(weights.values()):
        raise UsageError(
            f'Recipe {path}: "data.{name}" has no weight above 0; expected one of '
            f"{', '.join(known)} to have some."
        )


def _check_names(names: Collection[str], known: Collection[str], path: Path, name: str) -> None:
    for each in names:
        if each not in known:
            raise UsageError(
                f'Recipe {path}: "data.{name}" has "{each}"; expected {", ".join(known)}.'
            )


def _fault(path: Path, name: str, found: object, expected: str) -> UsageError:
    return UsageError(f'Recipe {path}: "{name}" is {found!r}; expected {expected}.')
