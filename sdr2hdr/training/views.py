"""Look at a scene as a camera would: perspective views of panoramas, crops of photographs.

Global statistics belong to whole frames, so most views hold a whole scene at a small size; the
others are crops of many scales.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional

from sdr2hdr.training.randomness import chance, log_uniform, uniform

__all__ = ["Light", "look", "look_straight", "prepare"]

# Between samples light is interpolated as its fourth root: a cubic in linear light would swing far
# below zero beside the sun.
_ROOT = 0.25

_WHOLE_VIEW_SHARE = 0.65
_WHOLE_FOV_DEGREES = (50.0, 105.0)
_NARROW_FOV_DEGREES = (15.0, 50.0)
_PITCH_DEGREES = 14.0
_HIGHEST_PITCH_DEGREES = 45.0
_ROLL_DEGREES = 3.0


@dataclass(frozen=True)
class Light:
    """A scene ready to be looked at.

    Attributes:
        root: (1, 3, H, W), float32, fourth root of BT.2020 light; a panorama's first and last
            columns are repeated on the other side (`margin_px`).
        margin_px: 0 for flat pictures.
    """

    root: torch.Tensor
    is_panorama: bool
    margin_px: int


def prepare(light: torch.Tensor, is_panorama: bool | None) -> Light:
    """Get a scene ready.

    Args:
        light: (1, 3, H, W), float32, linear, 0 or more.
        is_panorama: None means: if it is twice as wide as high.
    """
    height, width = light.shape[2:]
    panorama = width == 2 * height if is_panorama is None else is_panorama
    root = light.clamp(min=0.0) ** _ROOT
    margin = 4 if panorama else 0
    if margin:
        root = torch.cat((root[..., -margin:], root, root[..., :margin]), dim=-1)
    return Light(root.contiguous(), panorama, margin)


def look(scene: Light, height: int, width: int, rng: np.random.Generator) -> torch.Tensor:
    """Take one random picture of a scene.

    Args:
        scene: From `prepare`.
        height: Rows, px.
        width: Columns, px.
        rng: Decides where and how wide.

    Returns:
        (1, 3, height, width), float32, linear BT.2020 light in the scene's own units.
    """
    whole = chance(rng, _WHOLE_VIEW_SHARE)
    if scene.is_panorama:
        fov = uniform(rng, _WHOLE_FOV_DEGREES) if whole else log_uniform(rng, _NARROW_FOV_DEGREES)
        pitch = float(np.clip(rng.normal(0, _PITCH_DEGREES), -45.0, _HIGHEST_PITCH_DEGREES))
        view = _perspective(
            scene,
            height,
            width,
            fov,
            uniform(rng, (0.0, 360.0)),
            pitch,
            rng.normal(0, _ROLL_DEGREES),
        )
    else:
        view = _crop(scene, height, width, 1.0 if whole else None, rng)
    return view.flip(3) if chance(rng, 0.5) else view


def look_straight(scene: Light, height: int, width: int, yaw_degrees: float) -> torch.Tensor:
    """Take the same picture of a scene every time: for validation."""
    if scene.is_panorama:
        return _perspective(scene, height, width, 85.0, yaw_degrees, 0.0, 0.0)
    return _resized(_centred(scene.root, height, width), height, width)


def _perspective(
    scene: Light,
    height: int,
    width: int,
    fov_degrees: float,
    yaw_degrees: float,
    pitch_degrees: float,
    roll_degrees: float,
) -> torch.Tensor:
    """Rectilinear projection; `fov_degrees` is across the longer side."""
    panorama_width = scene.root.shape[3] - 2 * scene.margin_px
    # Supersample where the view is coarser than the panorama.
    finest = panorama_width / 360.0 * fov_degrees / max(height, width)
    factor = 2 if finest > 0.75 else 1
    rows, columns = height * factor, width * factor
    half = math.tan(math.radians(fov_degrees) / 2.0)
    step = 2.0 * half / max(rows, columns)
    x = (torch.arange(columns, dtype=torch.float32) - (columns - 1) / 2.0) * step
    y = (torch.arange(rows, dtype=torch.float32) - (rows - 1) / 2.0) * step
    down, right = torch.meshgrid(y, x, indexing="ij")
    roll, pitch = math.radians(float(roll_degrees)), math.radians(pitch_degrees)
    right, down = (
        right * math.cos(roll) - down * math.sin(roll),
        right * math.sin(roll) + down * math.cos(roll),
    )
    up = -down * math.cos(pitch) + math.sin(pitch)
    ahead = down * math.sin(pitch) + math.cos(pitch)
    longitude = torch.atan2(right, ahead) + math.radians(yaw_degrees)
    latitude = torch.atan2(up, torch.hypot(right, ahead))
    turn = torch.remainder(longitude / (2.0 * math.pi), 1.0)
    padded_width = scene.root.shape[3]
    column = (turn * panorama_width + scene.margin_px) / padded_width
    grid = torch.stack((2.0 * column - 1.0, -2.0 * latitude / math.pi), dim=-1)[None]
    root = functional.grid_sample(
        scene.root, grid, mode="bicubic", padding_mode="border", align_corners=False
    )
    return functional.avg_pool2d(_raised(root), factor)


def _crop(
    scene: Light, height: int, width: int, share: float | None, rng: np.random.Generator
) -> torch.Tensor:
    """Cut a part of the view's proportions out of a flat picture.

    Args:
        scene: A flat picture.
        height: Rows, px.
        width: Columns, px.
        share: Size of the part relative to the largest that fits (varied a little); None for any
            size down to native resolution.
        rng: Decides where.
    """
    rows, columns = scene.root.shape[2:]
    largest = min(rows / height, columns / width)
    if share is None:
        zoom = log_uniform(rng, (min(0.7, largest), largest))
    else:
        zoom = largest * share * uniform(rng, (0.75, 1.0))
    # Of a picture of 1 px there are not two.
    cut_rows = min(rows, max(2, int(height * zoom)))
    cut_columns = min(columns, max(2, int(width * zoom)))
    top = int(rng.integers(0, rows - cut_rows + 1))
    left = int(rng.integers(0, columns - cut_columns + 1))
    return _resized(
        scene.root[:, :, top : top + cut_rows, left : left + cut_columns], height, width
    )


def _centred(root: torch.Tensor, height: int, width: int) -> torch.Tensor:
    rows, columns = root.shape[2:]
    zoom = min(rows / height, columns / width)
    cut_rows, cut_columns = max(1, int(height * zoom)), max(1, int(width * zoom))
    top, left = (rows - cut_rows) // 2, (columns - cut_columns) // 2
    return root[:, :, top : top + cut_rows, left : left + cut_columns]


def _resized(root: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """Average linear light where the picture gets smaller, interpolate where it gets larger."""
    if root.shape[2] >= height:
        light = functional.interpolate(
            _raised(root), size=(height, width), mode="bilinear", antialias=True
        )
        return light.clamp_(min=0.0)
    return _raised(functional.interpolate(root, size=(height, width), mode="bicubic"))


def _raised(root: torch.Tensor) -> torch.Tensor:
    return root.clamp(min=0.0).square().square()
