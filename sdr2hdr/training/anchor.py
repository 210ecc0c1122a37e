"""The anchor: which HDR light belongs to a scene luminance, given the SDR signal it became.

What a random grade and a random down-conversion make unknowable is not left to the network. Up to
a signal of 0.7 the target is what graders do with that signal (BT.2446 method A); above, the scene
goes on along the slope reached there, in log-log, to a roll-off below the peak.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch

from sdr2hdr.colour.transfer import bt1886_inverse_eotf, pq_eotf, pq_inverse_eotf
from sdr2hdr.curves.bt2446a import bt2446a
from sdr2hdr.signal import REFERENCE_WHITE_CD_M2
from sdr2hdr.training.randomness import uniform
from sdr2hdr.training.tables import LogTable, luminance_grid
from sdr2hdr.training.tone_curves import ToneCurve

__all__ = [
    "ANCHOR_SIGNAL",
    "BT2446A_LOOK",
    "AnchorKind",
    "Look",
    "RollOff",
    "draw_look",
    "draw_roll_off",
    "signal_table",
    "target_table",
]

ANCHOR_SIGNAL = 0.7
"""SDR signal up to which the target is the look's answer."""

AnchorKind = Literal["bt2446a", "camera"]

_SLOPES = (0.8, 1.3)
_SLOPE_OCTAVES = 0.5
_DARKEST_CD_M2 = 1e-6


@dataclass(frozen=True)
class Look:
    """Light for an SDR signal: from BT.2408 (weight 0) to BT.2446-A (weight 1), or beyond.

    Attributes:
        shadow_weight: At a signal of 0.
        highlight_weight: At a signal of 1; in between the weight goes linearly with the signal.
    """

    shadow_weight: float = 1.0
    highlight_weight: float = 1.0

    def light_cd_m2(self, signal: torch.Tensor) -> torch.Tensor:
        """Luminance for a neutral SDR signal.

        Args:
            signal: (N,), floating, [0, 1].

        Returns:
            (N,), cd/m2; rises with the signal.
        """
        grey = signal.reshape(1, 1, 1, -1).expand(1, 3, 1, -1)
        graded = pq_eotf(bt2446a(grey))[0, 0, 0]
        if self.shadow_weight == 1.0 and self.highlight_weight == 1.0:
            return graded
        plain = REFERENCE_WHITE_CD_M2 * signal**2.4
        weight = self.shadow_weight + (self.highlight_weight - self.shadow_weight) * signal
        blended = torch.exp(
            torch.log(plain.clamp(min=_DARKEST_CD_M2)) * (1.0 - weight)
            + torch.log(graded.clamp(min=_DARKEST_CD_M2)) * weight
        )
        return torch.where(signal > 0.0, blended, torch.zeros_like(signal))


BT2446A_LOOK = Look()
"""Graded film, as measured; the default."""


@dataclass(frozen=True)
class RollOff:
    """How highlights end.

    Attributes:
        peak_cd_m2: Never exceeded.
        knee: Where between the anchor's end (0) and the peak (1), in PQ, compression begins.
    """

    peak_cd_m2: float = 1000.0
    knee: float = 0.6


def draw_look(kind: AnchorKind, rng: np.random.Generator) -> Look:
    """A look of a kind.

    "camera" keeps shadows near BT.2408 and meets BT.2446-A at the top, as phones' own SDR/HDR
    pairs do; how strongly differs from scene to scene.
    """
    if kind == "bt2446a":
        return BT2446A_LOOK
    return Look(uniform(rng, (0.0, 0.6)), uniform(rng, (0.6, 1.2)))


def draw_roll_off(rng: np.random.Generator) -> RollOff:
    """A peak of 600 to 1000 cd/m2, mostly 1000, and a random knee."""
    peak_cd_m2 = 1000.0 if rng.random() < 0.6 else uniform(rng, (600.0, 1000.0))
    return RollOff(peak_cd_m2, uniform(rng, (0.3, 0.9)))


def signal_table(curve: ToneCurve) -> LogTable:
    """SDR signal (gamma 2.4, [0, 1]) of each scene luminance under a tone curve."""
    return LogTable(bt1886_inverse_eotf(curve(luminance_grid())).to(torch.float32))


def target_table(signal: LogTable, look: Look, roll_off: RollOff) -> LogTable:
    """HDR light, cd/m2, of each scene luminance.

    Args:
        signal: From `signal_table`; never falls.
        look: Answer up to the anchor's end.
        roll_off: End of the highlights above.

    Returns:
        Values in [0, peak], never falling.
    """
    values = signal.values.to(torch.float64)
    light = look.light_cd_m2(values)
    anchored = int((values <= ANCHOR_SIGNAL).sum())
    if 0 < anchored < len(values):
        end = anchored - 1
        octaves = torch.log2(luminance_grid())
        step = float(octaves[1] - octaves[0])
        start = max(0, end - round(_SLOPE_OCTAVES / step))
        rise = torch.log2(light[end] / light[start].clamp(min=_DARKEST_CD_M2))
        slope = float(np.clip(float(rise) / ((end - start) * step or step), *_SLOPES))
        above = light[end] * torch.exp2(slope * (octaves[anchored:] - octaves[end]))
        light = torch.cat((light[:anchored], above))
    return LogTable(_rolled_off(light, look, roll_off).to(torch.float32))


def _rolled_off(light_cd_m2: torch.Tensor, look: Look, roll_off: RollOff) -> torch.Tensor:
    """Compress in PQ: slope 1 at the knee, then an exponential approach to the peak."""
    fixed = look.light_cd_m2(torch.tensor([ANCHOR_SIGNAL], dtype=torch.float64))
    peak = pq_inverse_eotf(torch.tensor([roll_off.peak_cd_m2], dtype=torch.float64))
    lowest = pq_inverse_eotf(fixed)
    knee = lowest + (peak - lowest) * roll_off.knee
    room = peak - knee
    signal = pq_inverse_eotf(light_cd_m2.clamp(max=10_000.0))
    rolled = knee - room * torch.expm1(-(signal - knee).clamp(min=0.0) / room)
    return torch.where(signal > knee, pq_eotf(rolled), light_cd_m2).clamp(max=roll_off.peak_cd_m2)
