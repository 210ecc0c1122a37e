"""How whole-frame vectors of a program depend on one another."""

from __future__ import annotations

from sdr2hdr.networks.stages import INPUT, Program, Stage

__all__ = ["vectors_in_chain"]


def vectors_in_chain(program: Program) -> int:
    """Count the whole-frame vectors that lie one behind the other, along the longest way.

    A vector is behind another if what it is measured on was computed with that one.
    """
    behind = {INPUT: 0}
    longest = 0
    for step in program:
        if isinstance(step, Stage):
            depth = max((behind[name] for name in (*step.maps, *step.vectors)), default=0)
            if step.output is not None:
                behind[step.output] = depth
            vector = None if step.summary is None else step.summary.vector
        else:
            depth, vector = 0, step.vector
        if vector is not None:
            behind[vector] = depth + 1
            longest = max(longest, depth + 1)
    return longest
