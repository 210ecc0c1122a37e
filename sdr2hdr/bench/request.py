"""What a process that measures is asked to do, as plain values that go through a pipe."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from sdr2hdr.options import BackendName, EngineOptions, PrecisionName

__all__ = ["MethodRequest"]


@dataclass(frozen=True)
class MethodRequest:
    """A method, the frame it is to be run on, and how.

    Attributes:
        model: Name of a curve, or a network's own name.
        scale: Magnification.
        height_px: Of the frame before the method; likewise `width_px`.
        tile_px: Longest side of a tile; None is the engine's choice.
        random_weights: Whether the network's weights are to be random: it has none.
    """

    model: str
    scale: int
    height_px: int
    width_px: int
    backend: BackendName = "auto"
    device: str = "auto"
    precision: PrecisionName = "auto"
    weights_dir: str | None = None
    threads: int | None = None
    max_memory_bytes: int | None = None
    tile_px: int | None = None
    random_weights: bool = False

    @property
    def engine(self) -> EngineOptions:
        """The engine's part of it."""
        return EngineOptions(
            backend=self.backend,
            device=self.device,
            precision=self.precision,
            weights_dir=None if self.weights_dir is None else Path(self.weights_dir),
            threads=self.threads,
            max_memory_bytes=self.max_memory_bytes,
        )

    def content(self) -> dict[str, Any]:
        """As JSON has it; `MethodRequest(**content)` is the way back."""
        return asdict(self)

    def in_folder(self, weights_dir: Path) -> MethodRequest:
        """The same with weights from a folder."""
        return replace(self, weights_dir=str(weights_dir))
