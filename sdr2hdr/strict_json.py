"""Read a file that this program wrote, taking nothing for granted: every field, every type."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from sdr2hdr.errors import InputError, Sdr2HdrError

__all__ = ["WORDS", "JsonObject", "read_object"]

Kind = TypeVar("Kind")

_LONGEST_INTEGER = len(str(-(1 << 63)))

WORDS = {int: "a whole number", float: "a number", str: "text", bool: "true or false"}


class JsonObject:
    """The fields of one JSON object, taken one by one; `finish` refuses those left over.

    Every method raises the error that `failure` names for a field that is missing or of another
    type.
    """

    def __init__(
        self, content: object, what: str, failure: type[Sdr2HdrError] = InputError
    ) -> None:
        """Wrap a parsed value.

        Args:
            content: Expected to be an object.
            what: How messages call it, such as "plan.json: segments[3]".
            failure: What is raised where it is not as expected.
        """
        if not isinstance(content, dict):
            raise failure(f"{what} is {_found(content)}; expected an object.")
        self._content: dict[str, Any] = dict(content)
        self._what = what
        self._failure = failure

    def has(self, name: str) -> bool:
        """Whether a field is there and not taken yet."""
        return name in self._content

    def take(self, name: str, kind: type[Kind]) -> Kind:
        """A value of one of the types int, float, str and bool; an int is a float too."""
        value = self._take(name)
        if kind is float and type(value) is int:
            return kind(value)
        if type(value) is not kind:
            raise self._failure(
                f'{self._what}: "{name}" is {_found(value)}; expected {WORDS.get(kind, kind)}.'
            )
        return value

    def take_choice(self, name: str, allowed: tuple[Any, ...]) -> Any:
        """Text that is one of some."""
        value = self.take(name, str)
        if value not in allowed:
            raise self.fault(f'"{name}" is {_found(value)}; expected one of {", ".join(allowed)}.')
        return value

    def take_member(self, name: str, members: Mapping[str, Kind]) -> Kind:
        """What a text stands for that is one of some."""
        return members[self.take_choice(name, tuple(members))]

    def take_positive(self, name: str) -> int:
        """A whole number above 0."""
        value = self.take(name, int)
        if value < 1:
            raise self.fault(f'"{name}" is {value}; expected 1 or more.')
        return value

    def take_optional(self, name: str, kind: type[Kind]) -> Kind | None:
        """The same, or None for null."""
        return None if self.take_null(name) else self.take(name, kind)

    def take_null(self, name: str) -> bool:
        """Whether a field is there and null; if so, it is taken."""
        if name not in self._content or self._content[name] is not None:
            return False
        del self._content[name]
        return True

    def take_object(self, name: str) -> JsonObject:
        """An object within."""
        return JsonObject(self._take(name), f'{self._what}: "{name}"', self._failure)

    def take_mapping(self, name: str) -> Mapping[str, Any]:
        """An object within, as it is."""
        value = self._take(name)
        if not isinstance(value, dict):
            raise self._failure(f'{self._what}: "{name}" is {_found(value)}; expected an object.')
        return value

    def take_objects(self, name: str) -> list[JsonObject]:
        """A list of objects."""
        return [
            JsonObject(value, f'{self._what}: "{name}"[{index}]', self._failure)
            for index, value in enumerate(self.take_list(name))
        ]

    def take_integers(self, name: str) -> list[int]:
        """A list of whole numbers."""
        return self._take_all(name, int)

    def take_texts(self, name: str) -> list[str]:
        """A list of text."""
        return self._take_all(name, str)

    def finish(self) -> None:
        """Say that all fields have been taken."""
        if self._content:
            names = ", ".join(f'"{name}"' for name in self._content)
            raise self._failure(f"{self._what} has {names} that nobody knows; expected none such.")

    def fault(self, text: str) -> Sdr2HdrError:
        """An error about this object, to be raised."""
        return self._failure(f"{self._what}: {text}")

    def _take_all(self, name: str, kind: type[Kind]) -> list[Kind]:
        values = self.take_list(name)
        for index, value in enumerate(values):
            if type(value) is not kind:
                raise self._failure(
                    f'{self._what}: "{name}"[{index}] is {_found(value)}; '
                    f"expected {WORDS.get(kind, kind)}."
                )
        return values

    def _take(self, name: str) -> Any:
        if name not in self._content:
            raise self._failure(f'{self._what} has no "{name}"; expected one.')
        return self._content.pop(name)

    def take_list(self, name: str) -> list[Any]:
        """A list of values, as they are."""
        value = self._take(name)
        if not isinstance(value, list):
            raise self._failure(f'{self._what}: "{name}" is {_found(value)}; expected a list.')
        return value


def _integer(digits: str) -> int:
    """A whole number: all of ours fit into 64 bits, and what reads them counts on that."""
    if len(digits) <= _LONGEST_INTEGER and abs(int(digits)) < 1 << 63:
        return int(digits)
    raise OverflowError(f"a whole number of {len(digits)} digits that 64 bits do not hold")


def _number(text: str) -> float:
    """A number with a point or an exponent."""
    value = float(text)
    if math.isinf(value):
        raise OverflowError(f"{text[:20]}, a number that 64 bits do not hold")
    return value


_DECODER = json.JSONDecoder(parse_int=_integer, parse_float=_number)
"""One for all files: `json.loads` would make one a call, and each is garbage in a circle."""


def read_object(path: Path, what: str = "", failure: type[Sdr2HdrError] = InputError) -> JsonObject:
    """Read a file that holds one JSON object.

    Args:
        path: The file.
        what: How messages call it; "" takes its path.
        failure: What is raised here, and by the object, where something is not as expected.

    Raises:
        Sdr2HdrError: It is missing, unreadable, not JSON, not an object, or holds a number that we
            never write.
    """
    what = what or str(path)
    try:
        return JsonObject(_DECODER.decode(path.read_text(encoding="utf-8")), what, failure)
    except UnicodeDecodeError as error:
        raise failure(f"{what} is not text; expected a file of ours in UTF-8.") from error
    except OSError as error:
        raise failure(f"{what} cannot be read: {error.strerror}.") from error
    except (json.JSONDecodeError, RecursionError) as error:
        raise failure(f"{what} is not JSON ({error}); expected a file of ours.") from error
    except OverflowError as error:
        raise failure(f"{what} holds {error}; expected a file of ours.") from error


def _found(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 40 else text[:37] + "..."
