"""What all that writes an output has in common: it is finished, or nothing of it stays."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Self

__all__ = ["Writer"]


class Writer(ABC):
    """Writes an output; a context that aborts it where it ends."""

    @abstractmethod
    def abort(self) -> None:
        """Stop, and remove what was written unless it is finished; may be called at any time."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.abort()
