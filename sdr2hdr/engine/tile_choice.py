"""How large tiles are: from the processor's cache, or what was found fastest on this machine."""

from __future__ import annotations

import json
import os
import platform
from pathlib import Path

from sdr2hdr.engine.placement import Placement
from sdr2hdr.engine.user_cache import cache_folder
from sdr2hdr.networks.half_precision import has_amx
from sdr2hdr.whole_file import write_whole

__all__ = [
    "CUDA_TILE_PX",
    "SMALLEST_TILE_PX",
    "choose_tile_px",
    "l2_cache_bytes",
    "store_tuned_tile",
    "tuned_tile",
]

CUDA_TILE_PX = 512
"""On CUDA a tile has to fill the device; memory stays bounded. A guess, not measured."""

SMALLEST_TILE_PX = 16
"""Below this a tile is mostly halo; what does not fit then does not fit."""

_CPU_TILE_PX = 240
"""The larger a tile, the less of it is halo and the fewer calls a frame takes, until caches are too
small. With 1 MB of second-level cache a core and two threads, tiles of 128, 160, 240 and 320 px
take 1.95, 1.89, 1.82 and 1.80 s (IRNet-2, 1920x1080, fp32), with AVX2 and 0.5 MB 2.37, 2.33, 2.15
and 2.18 s, and a process of the last tile's 0.2 GB more than of the others. `sdr2hdr bench --tune`
knows better."""

_HALF_TILE_PX = 320
"""In half precision, whose tiles are half as large in memory, without AMX. With AVX-512, 1 MB a
core and two threads, tiles of 128, 160, 240, 320 and 360 px take 1.47, 1.40, 1.28, 1.21 and 1.20 s
(IRNet-2, 1920x1080, bf16), and those of 240, 320 and 360 px 1.27, 1.27 and 1.22 s (IRNet-5 x2,
960x540), 2.32, 2.19 and 2.17 s (GPGMNet x4): medians of 8 turns. With AMX, where oneDNN is slow at
some widths above 256 px, and 2 MB a core, tiles of 240 px take less than those of 320 by 7 %
(IRNet-2, 25 turns), 9 (at 3840x2160; IRNet-5 x2), 10 (IRNet-5 x4) and 7 (GPGMNet x4)."""

_FEW_THREADS = 2
"""A frame of 960x540 has 6 tiles of `_HALF_TILE_PX`: four threads would stand idle for a quarter of
their time. A count, not measured."""

_SMALLER_TILE_PX = 128
"""For more threads than `_MANY_THREADS`, and for ONNX Runtime, which takes 2.6 s for IRNet-2 at
1920x1080 and peaks at 1.4 GB; in tiles of `_CPU_TILE_PX` it takes 2.8 s and 1.8 GB."""

_MANY_THREADS = 8
"""A frame of 1920x1080 has 40 tiles of `_CPU_TILE_PX`: 16 threads would stand idle for a sixth of
their time. A count, not measured."""

_SMALL_CACHE_TILE_PX = 64
_SMALL_CACHE_BYTES = 256 * 1024
"""With less cache than this a core, tiles are smaller. A guess, not measured."""

_FILE = "tiles.json"


def choose_tile_px(model: str, placement: Placement) -> int:
    """Longest side of a tile, input px: the tuned one, or what suits the cache.

    A plan pins the answer, so that a job goes on with it whatever is tuned in the meantime.

    Args:
        model: The method's own name.
        placement: Where it is computed.
    """
    tuned = tuned_tile(model, placement)
    if tuned is not None:
        return tuned
    if placement.device.type != "cpu":
        return CUDA_TILE_PX
    cache_bytes = l2_cache_bytes()
    is_small = cache_bytes is not None and cache_bytes < _SMALL_CACHE_BYTES
    if is_small:
        return _SMALL_CACHE_TILE_PX
    if placement.backend == "onnx" or placement.threads > _MANY_THREADS:
        return _SMALLER_TILE_PX
    is_half = placement.precision != "fp32"
    is_large = is_half and placement.threads <= _FEW_THREADS and not has_amx()
    return _HALF_TILE_PX if is_large else _CPU_TILE_PX


def l2_cache_bytes() -> int | None:
    """Second-level cache of a core, or None where the system does not tell."""
    name = "SC_LEVEL2_CACHE_SIZE"
    if name not in getattr(os, "sysconf_names", {}):
        return None
    size_bytes = os.sysconf(name)
    return size_bytes if size_bytes > 0 else None


def tuned_tile(model: str, placement: Placement) -> int | None:
    """The tile that `store_tuned_tile` was last given for this model, placement and machine.

    A file that cannot be read or holds anything else is as good as none.
    """
    value = _stored().get(_key(model, placement))
    return value if isinstance(value, int) and value >= SMALLEST_TILE_PX else None


def store_tuned_tile(model: str, placement: Placement, tile_px: int) -> Path:
    """Keep the fastest tile in the user's cache.

    Args:
        model: The method's own name.
        placement: Where it was measured.
        tile_px: Longest side of a tile, input px, 16 or more.

    Returns:
        The file it is in.

    Raises:
        ValueError: The tile is too small.
        OSError: The cache cannot be written.
    """
    if tile_px < SMALLEST_TILE_PX:
        raise ValueError(f"The tile is {tile_px} px; expected {SMALLEST_TILE_PX} or more.")
    path = cache_folder() / _FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    tiles = _stored() | {_key(model, placement): tile_px}
    write_whole(path, (json.dumps(tiles, indent=2, sort_keys=True) + "\n").encode())
    return path


def _stored() -> dict[str, object]:
    try:
        content = json.loads((cache_folder() / _FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _key(model: str, placement: Placement) -> str:
    where = (
        f"{platform.machine()} with {l2_cache_bytes() or 'unknown'} bytes of cache, "
        f"{placement.threads} threads"
        if placement.device.type == "cpu"
        else placement.device.type
    )
    return f"{model}, {placement.backend}, {placement.precision}, {where}"
