"""Colour: what coded numbers mean as light, and back. All in torch, float32, on any device.

`convert` is the front door; behind it one module for one thing each: `primaries`, `transfer`,
`ycbcr`, `chroma`, and `ictcp` for judging colour.
"""

from __future__ import annotations

from sdr2hdr.colour.convert import pad_to_even, super_white_share, to_coded, to_rgb

__all__ = ["pad_to_even", "super_white_share", "to_coded", "to_rgb"]
