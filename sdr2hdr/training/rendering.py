"""One graded scene shown twice: as SDR by a down-conversion, and as the HDR anchored to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch.nn import functional

from sdr2hdr.colour.channels import apply_matrix, weighted_sum
from sdr2hdr.colour.primaries import luminance_coefficients, rgb_to_rgb_matrix
from sdr2hdr.colour.transfer import bt1886_eotf, bt1886_inverse_eotf, pq_inverse_eotf
from sdr2hdr.signal import Primaries
from sdr2hdr.training.anchor import Look, RollOff, signal_table, target_table
from sdr2hdr.training.grade import bt2020_luminance
from sdr2hdr.training.randomness import chance, uniform
from sdr2hdr.training.tables import LogTable, luminance_grid
from sdr2hdr.training.tone_curves import ToneCurve, draw_curve

__all__ = ["DownConversion", "draw_down_conversion", "draw_phone_conversion", "render"]

_DARKEST = 1e-7
_FADE_SIGNALS = (0.6, 0.75)
_PHONE_CURVES = ("reinhard_extended", "filmic", "hable", "bt709_camera")


@dataclass(frozen=True)
class DownConversion:
    """How SDR is made.

    Attributes:
        curve: Scene luminance to SDR light.
        norm: What the curve is applied to: luminance or the largest channel, both of which keep
            the channels' ratios, or each channel by itself.
        gamut: What becomes of colours outside BT.709: cut off, or drawn towards grey.
        detail: Factor of local contrast, around a base smoothed over `detail_radius` of the
            picture's longer side; None for a purely global curve.
        is_followed: HDR shows the SDR's local contrast too, as that of a phone does, which is
            stored as gains over the SDR; else it shows the scene's own.
    """

    curve: ToneCurve
    norm: Literal["luminance", "maximum", "channels"] = "luminance"
    gamut: Literal["clip", "soft"] = "clip"
    detail: float | None = None
    detail_radius: float = 0.05
    is_followed: bool = False


def draw_down_conversion(operator: str, rng: np.random.Generator) -> DownConversion:
    """A down-conversion with random parameters; `operator` is one of `tone_curves.OPERATORS`."""
    curve = draw_curve(operator, rng)
    gamut = "clip" if chance(rng, 0.5) else "soft"
    if operator == "local_contrast":
        return DownConversion(
            curve, "luminance", gamut, uniform(rng, (0.9, 1.6)), uniform(rng, (0.02, 0.1))
        )
    pick = rng.random()
    norm = "luminance" if pick < 0.45 else "channels" if pick < 0.85 else "maximum"
    return DownConversion(curve, norm, gamut)


def draw_phone_conversion(rng: np.random.Generator) -> DownConversion:
    """How phones develop: a compressed range with strong local contrast, in SDR and HDR alike."""
    return DownConversion(
        draw_curve(_PHONE_CURVES[int(rng.integers(len(_PHONE_CURVES)))], rng),
        "luminance",
        "clip",
        uniform(rng, (1.1, 1.9)),
        uniform(rng, (0.04, 0.2)),
        is_followed=True,
    )


def render(
    light: torch.Tensor, down: DownConversion, look: Look, roll_off: RollOff
) -> tuple[torch.Tensor, torch.Tensor]:
    """Show a graded scene as SDR and as HDR.

    Below the anchor's end the HDR luminance is the look's answer to the SDR luminance before gamut
    mapping (with local contrast: to its global part). Colours keep the scene's ratios; where the
    curve works on each channel, the ratios are raised to the curve's slope in the mid-tones, which
    is the saturation that this grade shows.

    Args:
        light: (1, 3, H, W), float32, graded, linear BT.2020, mid-grey 0.18.
        down: How SDR is made.
        look: What the target answers to a signal.
        roll_off: End of the target's highlights.

    Returns:
        SDR R'G'B' (BT.709, gamma 2.4) and HDR R'G'B' (BT.2020, PQ), (1, 3, H, W), [0, 1], neither
        quantised.
    """
    signal = signal_table(down.curve)
    target = target_table(signal, look, roll_off)
    luminance = bt2020_luminance(light)
    sdr_linear = _sdr_light(light, luminance, down, signal)
    target_luminance = target(luminance)
    colour_exponent = 1.0
    if down.norm != "luminance" or down.is_followed:
        shown = bt1886_inverse_eotf(_bt709_luminance(sdr_linear).clamp(0.0, 1.0))
        target_luminance = _follow(target_luminance, shown, signal(luminance), look)
        target_luminance = target_luminance.clamp(max=roll_off.peak_cd_m2)
        if down.norm == "channels":
            colour_exponent = _mid_slope(signal)
    hdr = _coloured(light, luminance, target_luminance, colour_exponent, roll_off.peak_cd_m2)
    sdr = bt1886_inverse_eotf(_into_gamut(sdr_linear, down.gamut))
    return sdr, pq_inverse_eotf(hdr)


def _sdr_light(
    light: torch.Tensor, luminance: torch.Tensor, down: DownConversion, signal: LogTable
) -> torch.Tensor:
    """Linear BT.709 light, (1, 3, H, W); may lie outside [0, 1]."""
    matrix = rgb_to_rgb_matrix(Primaries.BT2020, Primaries.BT709)
    if down.norm == "channels":
        channels = apply_matrix(matrix, light)
        # Strong colours outside BT.709 would lose all they have of a channel, so they come closer
        # to grey before the curve, as a camera's matrix leaves them.
        channels = _into_gamut(channels, down.gamut, highest=None)
        return bt1886_eotf(signal(channels))
    if down.norm == "maximum":
        norm = light.amax(dim=1, keepdim=True)
        shown = bt1886_eotf(signal(norm))
    elif down.detail is not None:
        norm = luminance.clamp(min=_DARKEST)
        octaves = torch.log2(norm)
        base = _smoothed(octaves, down.detail_radius)
        detail = torch.exp2((octaves - base) * down.detail)
        shown = (bt1886_eotf(signal(torch.exp2(base))) * detail).clamp(max=1.5)
    else:
        norm = luminance
        shown = bt1886_eotf(signal(norm))
    return apply_matrix(matrix, light * (shown / norm.clamp(min=_DARKEST)))


def _into_gamut(
    light: torch.Tensor, how: Literal["clip", "soft"], highest: float | None = 1.0
) -> torch.Tensor:
    """Bring linear BT.709 light into [0, highest]."""
    if how == "soft":
        luminance = _bt709_luminance(light).clamp(min=0.0)
        if highest is not None:
            luminance = luminance.clamp(max=highest)
        lowest = light.amin(dim=1, keepdim=True)
        keep = luminance / (luminance - lowest).clamp(min=_DARKEST)
        if highest is not None:
            most = light.amax(dim=1, keepdim=True)
            room = (highest - luminance) / (most - luminance).clamp(min=_DARKEST)
            keep = torch.minimum(keep, torch.where(most > highest, room, torch.ones_like(room)))
        keep = torch.where(lowest < 0.0, keep, keep.clamp(min=0.0)).clamp(0.0, 1.0)
        light = luminance + keep * (light - luminance)
    return light.clamp(0.0, highest)


def _bt709_luminance(light: torch.Tensor) -> torch.Tensor:
    return weighted_sum(light, luminance_coefficients(Primaries.BT709))


def _follow(
    target_cd_m2: torch.Tensor, shown: torch.Tensor, expected: torch.Tensor, look: Look
) -> torch.Tensor:
    """Correct the target where a curve that is not on luminance shows another signal than T(Y).

    The correction is whole up to a signal of 0.6 and gone at 0.75, where the shoulder would blow
    up small differences.
    """
    samples = torch.linspace(0.0, 1.0, 2048, dtype=torch.float64)
    light = look.light_cd_m2(samples).clamp(min=1e-4).log2().to(torch.float32)

    def answer(signal: torch.Tensor) -> torch.Tensor:
        position = signal * 2047.0
        index = position.to(torch.int64).clamp(0, 2046)
        return light[index] + (position - index) * (light[index + 1] - light[index])

    start, end = _FADE_SIGNALS
    weight = ((end - shown) / (end - start)).clamp(0.0, 1.0)
    return target_cd_m2 * torch.exp2(weight * (answer(shown) - answer(expected)))


def _mid_slope(signal: LogTable) -> float:
    """Slope of log SDR light over log luminance between signals of 0.25 and 0.6, [0.6, 1.4]."""
    octaves = torch.log2(luminance_grid())
    low = int((signal.values <= 0.25).sum())
    high = int((signal.values <= 0.6).sum())
    low, high = min(low, len(octaves) - 2), min(high, len(octaves) - 1)
    if high <= low:
        return 1.0
    rise = 2.4 * torch.log2(signal.values[high] / signal.values[low].clamp(min=1e-6))
    return float(np.clip(float(rise) / float(octaves[high] - octaves[low]), 0.6, 1.4))


def _coloured(
    light: torch.Tensor,
    luminance: torch.Tensor,
    target_cd_m2: torch.Tensor,
    exponent: float,
    peak_cd_m2: float,
) -> torch.Tensor:
    """Give target luminance the scene's ratios; what exceeds the peak is drawn towards grey."""
    ratios = light / luminance.clamp(min=_DARKEST)
    if exponent != 1.0:
        ratios = ratios.clamp(min=1e-6) ** exponent
        ratios = ratios / bt2020_luminance(ratios).clamp(min=_DARKEST)
    hdr = ratios * target_cd_m2
    most = hdr.amax(dim=1, keepdim=True)
    keep = (peak_cd_m2 - target_cd_m2) / (most - target_cd_m2).clamp(min=_DARKEST)
    keep = torch.where(most > peak_cd_m2, keep, torch.ones_like(keep)).clamp(0.0, 1.0)
    return (target_cd_m2 + keep * (hdr - target_cd_m2)).clamp(0.0, peak_cd_m2)


def _smoothed(octaves: torch.Tensor, radius: float) -> torch.Tensor:
    """Smooth log luminance but not across strong edges: a self-guided filter.

    Source: He et al., "Guided image filtering", IEEE TPAMI 35(6), 2013, equations 4 to 6.
    """
    side = 2 * max(1, round(radius * max(octaves.shape[2:]))) + 1
    epsilon_octaves_squared = 1.0

    def mean(picture: torch.Tensor) -> torch.Tensor:
        half = side // 2
        padded = functional.pad(picture, (half, half, half, half), mode="replicate")
        rows = functional.avg_pool2d(padded, (1, side), stride=1)
        return functional.avg_pool2d(rows, (side, 1), stride=1)

    average = mean(octaves)
    variance = (mean(octaves.square()) - average.square()).clamp(min=0.0)
    slope = variance / (variance + epsilon_octaves_squared)
    return mean(slope) * octaves + mean(average - slope * average)
