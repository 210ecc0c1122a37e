"""A network's program on whole frames, as one module: what an exported graph computes."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from sdr2hdr.networks.stages import INPUT, OUTPUT, Program, Stage

__all__ = ["WholeProgram"]


class WholeProgram(nn.Module):
    """The same function as `run_program`, without tiles, in memory that grows with the frame."""

    def __init__(self, program: Program, margin_px: int) -> None:
        """Take a program.

        Args:
            program: Its modules in eval mode.
            margin_px: As `run_program` has it.
        """
        super().__init__()
        self._program = program
        self._margin_px = margin_px
        self.steps = nn.ModuleList(step.module for step in program)
        self.summaries = nn.ModuleList(
            step.summary.module
            for step in program
            if isinstance(step, Stage) and step.summary is not None
        )

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Map (N, 3, H, W) to (N, 3, H x scale, W x scale), not clipped."""
        around = (self._margin_px,) * 4
        maps = {INPUT: F.pad(pixels, around, mode="replicate") if self._margin_px else pixels}
        vectors: dict[str, torch.Tensor] = {}
        for step in self._program:
            if not isinstance(step, Stage):
                vectors[step.vector] = step.module(pixels)
                continue
            result = step.module(*(maps[m] for m in step.maps), *(vectors[v] for v in step.vectors))
            inner = self._inner(result, step.scale)
            if step.summary is not None:
                variance, mean = torch.var_mean(inner, dim=(2, 3), correction=0)
                vectors[step.summary.vector] = step.summary.module(mean, variance.sqrt())
            if step.output is not None:
                maps[step.output] = inner if step.output == OUTPUT else result
        return maps[OUTPUT]

    def _inner(self, extended: torch.Tensor, scale: int) -> torch.Tensor:
        cut_px = self._margin_px * scale
        return extended[..., cut_px:-cut_px, cut_px:-cut_px] if cut_px else extended
