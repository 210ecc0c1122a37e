"""Pairs of pictures on disk: integers of 16 bits, in a folder that is there whole or not at all."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import torch

__all__ = ["open_pairs", "store_pairs", "to_floats", "to_integers"]

_TOP = 65535.0
"""1.0 as an integer."""
_SDR_FILE, _HDR_FILE = "sdr.npy", "hdr.npy"


def to_integers(picture: torch.Tensor) -> np.ndarray:
    """One picture, (1, 3, H, W), clipped to [0, 1] and rounded; (3, H, W), uint16."""
    scaled = (picture[0].clamp(0.0, 1.0) * _TOP).round_().to(torch.int32)
    return scaled.numpy().astype(np.uint16)


def to_floats(integers: np.ndarray) -> torch.Tensor:
    """Integers of any shape as float32, [0, 1]."""
    return torch.from_numpy(integers.astype(np.float32)).div_(_TOP)


def store_pairs(sdr: np.ndarray, hdr: np.ndarray, folder: Path) -> None:
    """Write pairs; a folder of that name is replaced.

    Args:
        sdr: (pairs, 3, H / scale, W / scale), uint16.
        hdr: (pairs, 3, H, W), uint16.
        folder: Where they are found once all of it is written.

    Raises:
        OSError: The folder cannot be written, or the disk is full.
    """
    unfinished = folder.with_name(f"{folder.name}.{os.getpid()}.tmp")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    np.save(unfinished / _SDR_FILE, sdr)
    np.save(unfinished / _HDR_FILE, hdr)
    if folder.exists():
        shutil.rmtree(folder)
    unfinished.rename(folder)


def open_pairs(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """What `store_pairs` was given, read as it is needed.

    Raises:
        OSError: The folder is not there or cannot be read.
    """
    return np.load(folder / _SDR_FILE, mmap_mode="r"), np.load(folder / _HDR_FILE, mmap_mode="r")
