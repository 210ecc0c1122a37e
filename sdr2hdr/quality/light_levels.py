"""Static light levels of HDR10: MaxCLL and MaxFALL, measured from every pixel of every frame.

The light of a pixel is max(R, G, B) in cd/m2, not its luminance. MaxCLL is the greatest light of
any pixel of the programme; MaxFALL is the greatest of the frames' average light. Black bars are no
picture: they are left out, or MaxFALL would be too small. (CTA-861.3-A, Annex P.)

R'G'B' is first rounded to the 10-bit limited-range codes 64 to 940 (Rec. ITU-R BT.2100-2, Table 9),
so that a frame's light is wholly described by how many pixels have each code: a histogram gives the
maximum, the mean and any percentile exactly.

Both levels are stored as whole cd/m2. The standard names no rounding; here it is to the nearest,
halves up, but never to 0, which means "unknown".

Beside the exact figures stand two that a few odd pixels cannot move. That such figures are wanted
is the point of Smith and Zink, "On the Calculation and Usage of HDR Static Content Metadata" (SMPTE
Motion Imaging Journal 130(7), 2021); the definition is our own: in each frame the brightest 0.01%
of the pixels count as no brighter than the rest. A frame of fewer than 10 000 pixels has none to
spare.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import torch

from sdr2hdr.colour.active_picture import crop
from sdr2hdr.colour.strips import row_strips
from sdr2hdr.colour.transfer import pq_eotf
from sdr2hdr.frames import CodedBatch, Rectangle
from sdr2hdr.quality.pq_picture import pq_rgb
from sdr2hdr.signal import HDR10_CODES, HDR10_SIGNAL, Primaries

__all__ = ["FrameLight", "LightLevels", "LightMeter", "measure", "measure_coded", "stored_level"]

CODES = 1 << HDR10_SIGNAL.bit_depth
BLACK_CODE = HDR10_SIGNAL.black_code
SPARED_PIXELS = 10_000
"""One pixel in so many is left out of the robust figures."""
HIGHEST_STORED = 0xFFFF


@dataclass(frozen=True)
class FrameLight:
    """Light of one frame's active picture, cd/m2.

    Attributes:
        max_cd_m2: Of its brightest pixel.
        mean_max_rgb_cd_m2: Average over its pixels.
        robust_max_cd_m2: 99.99% of the pixels are no brighter.
        robust_mean_max_rgb_cd_m2: Average when none counts as brighter than that.
    """

    max_cd_m2: float
    mean_max_rgb_cd_m2: float
    robust_max_cd_m2: float
    robust_mean_max_rgb_cd_m2: float


@dataclass(frozen=True)
class LightLevels:
    """Levels of a programme as files store them: whole cd/m2, 1 to 65535.

    Attributes:
        max_cll: Exact, as CTA-861.3 defines it; likewise `max_fall`.
        robust_max_cll: From the robust maxima; likewise `robust_max_fall`.
    """

    max_cll: int
    max_fall: int
    robust_max_cll: int
    robust_max_fall: int

    def chosen(self, *, robust: bool) -> tuple[int, int]:
        """MaxCLL and MaxFALL to store."""
        if robust:
            return self.robust_max_cll, self.robust_max_fall
        return self.max_cll, self.max_fall


@dataclass
class LightMeter:
    """Collects frames, in any order.

    Attributes:
        frames: How many were added.
        light: The greatest of each figure so far.
    """

    frames: int = 0
    light: FrameLight = FrameLight(0.0, 0.0, 0.0, 0.0)

    def add(self, lights: Iterable[FrameLight]) -> None:
        """Take frames into account."""
        for light in lights:
            self.frames += 1
            self._raise_to(light)

    def levels(self) -> LightLevels:
        """The programme's levels.

        Raises:
            ValueError: No frame was added.
        """
        if not self.frames:
            raise ValueError("No frame was measured; expected at least one.")
        return LightLevels(
            max_cll=stored_level(self.light.max_cd_m2),
            max_fall=stored_level(self.light.mean_max_rgb_cd_m2),
            robust_max_cll=stored_level(self.light.robust_max_cd_m2),
            robust_max_fall=stored_level(self.light.robust_mean_max_rgb_cd_m2),
        )

    def _raise_to(self, light: FrameLight) -> None:
        mine = self.light
        self.light = FrameLight(
            max(mine.max_cd_m2, light.max_cd_m2),
            max(mine.mean_max_rgb_cd_m2, light.mean_max_rgb_cd_m2),
            max(mine.robust_max_cd_m2, light.robust_max_cd_m2),
            max(mine.robust_mean_max_rgb_cd_m2, light.robust_mean_max_rgb_cd_m2),
        )


def stored_level(light_cd_m2: float) -> int:
    """A level as files store it.

    >>> stored_level(0.2), stored_level(999.5), stored_level(1004.2)
    (1, 1000, 1004)
    """
    return min(max(1, math.floor(light_cd_m2 + 0.5)), HIGHEST_STORED)


def measure(pixels: torch.Tensor, area: Rectangle | None = None) -> list[FrameLight]:
    """Measure frames.

    Args:
        pixels: (N, 3, H, W), floating, R'G'B' in PQ, [0, 1]; values outside are clipped.
        area: The active picture; None is the whole frame.

    Returns:
        One a frame.
    """
    if area is not None:
        pixels = pixels[:, :, area.top : area.bottom, area.left : area.right]
    return [_frame_light(_histogram(frame)) for frame in pixels]


def measure_coded(batch: CodedBatch, area: Rectangle | None = None) -> list[FrameLight]:
    """Measure frames of which only the coded planes are left.

    Subsampled chroma is interpolated with the Catmull-Rom cubic at its true siting (see
    `sdr2hdr.colour.chroma`), which can overshoot at hard edges of colour: the figures are those of
    a careful player, not exactly those of the picture before it was coded.

    Args:
        batch: PQ frames of any matrix, range, siting, subsampling and bit depth. R, G and B are
            those of the file's own primaries.
        area: The active picture, luma px, its edges on whole chroma samples; None is the whole
            frame.

    Raises:
        ValueError: The planes are not PQ, or an edge falls between chroma samples.
    """
    if area is not None:
        batch = crop(batch, area)
    own_primaries = replace(batch.signal, primaries=Primaries.BT2020)
    return measure(pq_rgb(replace(batch, signal=own_primaries)).pixels)


def _histogram(frame: torch.Tensor) -> torch.Tensor:
    """How many pixels of a frame, (3, H, W), have each code."""
    counts = torch.zeros(CODES, dtype=torch.int64, device=frame.device)
    for top, bottom in row_strips(frame.shape[1], frame.shape[2], frame.device):
        # Rounding keeps the order, so the greatest signal has the greatest code.
        signal = frame[:, top:bottom].amax(dim=0).clamp_(0.0, 1.0)
        codes = signal.mul_(float(HDR10_CODES)).add_(BLACK_CODE + 0.5).to(torch.int32)
        counts += torch.bincount(codes.flatten(), minlength=CODES)
    return counts


def _frame_light(histogram: torch.Tensor) -> FrameLight:
    counts = histogram.cpu().numpy()
    light_cd_m2 = _light_of_codes()
    total = int(counts.sum())
    highest = int(np.flatnonzero(counts)[-1])
    rank = total - total // SPARED_PIXELS
    bound = int(np.searchsorted(counts.cumsum(), rank))
    limited_cd_m2 = np.minimum(light_cd_m2, light_cd_m2[bound])
    return FrameLight(
        max_cd_m2=float(light_cd_m2[highest]),
        mean_max_rgb_cd_m2=float(counts @ light_cd_m2) / total,
        robust_max_cd_m2=float(light_cd_m2[bound]),
        robust_mean_max_rgb_cd_m2=float(counts @ limited_cd_m2) / total,
    )


@cache
def _light_of_codes() -> np.ndarray:
    """Light of each 10-bit limited-range code, (1024,) float64, cd/m2."""
    codes = torch.arange(CODES, dtype=torch.float64)
    return pq_eotf((codes - BLACK_CODE) / HDR10_CODES).numpy()
