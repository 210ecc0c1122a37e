"""A network's program run on whole frames, without the engine and its tiles."""

from __future__ import annotations

import torch

from sdr2hdr.networks.stages import INPUT, OUTPUT, Program, Stage


@torch.no_grad()
def run_whole(program: Program, pixels: torch.Tensor) -> torch.Tensor:
    """Run the steps of `program` in order, each on the whole frame.

    Args:
        program: Its modules in eval mode and of the dtype of `pixels`.
        pixels: (N, 3, H, W), floating, [0, 1].

    Returns:
        (N, 3, H x scale, W x scale), same dtype, not clipped.
    """
    maps = {INPUT: pixels}
    vectors: dict[str, torch.Tensor] = {}
    for step in program:
        if not isinstance(step, Stage):
            vectors[step.vector] = step.module(pixels)
            continue
        result = step.module(*(maps[m] for m in step.maps), *(vectors[v] for v in step.vectors))
        if step.summary is not None:
            variance, mean = torch.var_mean(result, dim=(2, 3), correction=0)
            vectors[step.summary.vector] = step.summary.module(mean, variance.sqrt())
        if step.output is not None:
            maps[step.output] = result
    return maps[OUTPUT]
