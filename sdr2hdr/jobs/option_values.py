"""Options as values that JSON holds, and back."""

from __future__ import annotations

import types
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from sdr2hdr.errors import InputError

__all__ = ["from_values", "to_values"]

Options = TypeVar("Options")


def to_values(options: Any, left_out: frozenset[str], place: str = "") -> dict[str, Any]:
    """Give the fields of frozen options as numbers, text, null, lists and objects.

    Args:
        options: A dataclass whose fields are dataclasses, enumerations, paths, plain values, and
            tuples of these.
        left_out: Fields that are not wanted, such as "read.strict".
        place: Where these options lie in the outermost ones, with a dot behind.
    """
    values = {}
    for field in fields(options):
        name = f"{place}{field.name}"
        if name in left_out:
            continue
        value = getattr(options, field.name)
        if isinstance(value, tuple):
            values[field.name] = [_plain(part, left_out, f"{name}.") for part in value]
        else:
            values[field.name] = _plain(value, left_out, f"{name}.")
    return values


def from_values(kind: type[Options], values: Mapping[str, Any], what: str) -> Options:
    """Make options from what `to_values` gave; fields that it left out have their defaults.

    Args:
        kind: The dataclass.
        values: By name of the field.
        what: How messages call it.

    Raises:
        InputError: A field is unknown, missing, or of another type.
        UsageError: A value is refused by the options themselves.
    """
    hints = get_type_hints(kind)
    names = {field.name for field in fields(kind)}  # pyright: ignore[reportArgumentType]
    for name in values:
        if name not in names:
            raise InputError(f'{what} says "{name}", which this version does not know.')
    try:
        given = {name: _value(hints[name], value, name, what) for name, value in values.items()}
        return kind(**given)
    except (TypeError, ValueError) as error:
        raise InputError(f"{what} holds options that are not complete: {error}.") from error


def _plain(value: Any, left_out: frozenset[str], place: str) -> Any:
    if is_dataclass(value):
        return to_values(value, left_out, place)
    if isinstance(value, Enum):
        return value.name
    return str(value) if isinstance(value, Path) else value


def _value(hint: Any, value: Any, name: str, what: str) -> Any:
    choices = get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)
    for choice in choices:
        if choice is type(None):
            if value is None:
                return None
        elif is_dataclass(choice) and isinstance(choice, type):
            if isinstance(value, Mapping):
                return from_values(choice, value, f"{what}: {name}")
        elif isinstance(choice, type) and issubclass(choice, Enum):
            if isinstance(value, str) and value in choice.__members__:
                return choice[value]
        elif get_origin(choice) is tuple:
            # As `tuple[Part, ...]`.
            if isinstance(value, list):
                return tuple(_value(get_args(choice)[0], part, name, what) for part in value)
        elif choice is Path:
            if isinstance(value, str):
                return Path(value)
        elif _is_plain(choice, value):
            return float(value) if choice is float else value
    raise InputError(f'{what}: "{name}" is {value!r}; expected {hint}.')


def _is_plain(choice: Any, value: Any) -> bool:
    if get_origin(choice) is Literal:
        return value in get_args(choice)
    if choice is float and type(value) is int:
        return True
    return type(value) is choice
