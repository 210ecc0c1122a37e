"""The look in nits: exposure, reference white, peak and gamut, after the method.

Every pixel's linear light is multiplied by one number, the gain of exposure and reference white
followed by a roll-off read at the brightest channel, so neutral stays neutral and black black. As
ICtCp's hue of one chromaticity drifts with its luminance, the hue from before is then put back:
intensity and chroma are those of the multiplied light, the direction in the Ct, Cp plane is the
source's. What lands outside the gamut or above the peak is desaturated at constant intensity and
hue until it is inside. By default only what a network gives above the peak is changed: a file that
names a mastering display must not hold light which that could not show.
"""

from __future__ import annotations

import dataclasses

import torch

from sdr2hdr.colour.channels import apply_matrix
from sdr2hdr.colour.ictcp import ictcp_to_rgb, rgb_to_ictcp
from sdr2hdr.colour.primaries import rgb_to_rgb_matrix
from sdr2hdr.colour.transfer import pq_eotf, pq_inverse_eotf
from sdr2hdr.frames import RgbBatch
from sdr2hdr.options import Look
from sdr2hdr.signal import HDR_DISPLAY, Primaries

__all__ = ["NETWORK_WHITE_CD_M2", "apply_look"]

NETWORK_WHITE_CD_M2 = 1000.0
"""Give this as a network's white: networks have none of their own, but are trained around
BT.2446-A, which puts SDR white at 1000 cd/m2."""

_STRIP_PIXELS = 1 << 16
"""Pixels worked on at once on a CPU: what keeps the intermediate planes in its caches."""
_BISECTIONS = 12
_NEUTRAL_CHROMA = 1e-6
"""Below this chroma, a hundredth of a 12-bit code, float32 knows no direction."""
_OVERSHOOT = 1e-4
"""Light this small a part of the pixel's own outside the gamut, or of the peak above it, is
rounding: clipped, or left alone."""


def apply_look(
    batch: RgbBatch,
    look: Look,
    method_white_cd_m2: float,
    nominal_white_cd_m2: float | None = None,
) -> RgbBatch:
    """Apply a look to what a method gave.

    Args:
        batch: Frames in `HDR_DISPLAY`.
        look: What to do.
        method_white_cd_m2: Where the method puts SDR white: `Curve.white_cd_m2`, above which a
            curve gives nothing, or `NETWORK_WHITE_CD_M2` for a network.
        nominal_white_cd_m2: Where it puts the source's nominal white, which a reference white is
            about; None where that is the same: it is less if super-white was scaled in.

    Returns:
        Frames whose channels are all at most the look's peak, with hue in ICtCp as before; exact
        black stays exact black. A look that asks for nothing changes only the pixels above the
        peak, to which a network may go here and there; if there are none it gives the batch.

    Raises:
        ValueError: The batch is not `HDR_DISPLAY`.

    Source:
        Roll-off: Rep. ITU-R BT.2390-10, section 5.4.1 (EETF), with a black of 0, on max(R, G, B)
        as Rep. ITU-R BT.2408-8, Annex 5, describes. Its source peak is that of the method times
        the gain; without excess there it is the identity up to the peak.
    """
    if batch.signal != HDR_DISPLAY:
        raise ValueError(f"The frames are {batch.signal}; expected {HDR_DISPLAY}.")
    pixels = batch.pixels
    gain = look.gain(method_white_cd_m2 if nominal_white_cd_m2 is None else nominal_white_cd_m2)
    asks_nothing = (
        gain == 1.0 and look.limit_gamut is None and look.peak_cd_m2 >= method_white_cd_m2
    )
    if asks_nothing and not bool(_above_peak(pixels, look).any()):
        return batch
    of_strip = _limited if asks_nothing else _look_of
    frames, _, height, width = pixels.shape
    rows = max(1, _STRIP_PIXELS // width) if pixels.device.type == "cpu" else height
    result = torch.empty_like(pixels)
    for frame in range(frames):
        for top in range(0, height, rows):
            strip = (slice(frame, frame + 1), slice(None), slice(top, top + rows))
            result[strip] = of_strip(pixels[strip], look, gain, method_white_cd_m2)
    return dataclasses.replace(batch, pixels=result)


def _above_peak(pixels: torch.Tensor, look: Look) -> torch.Tensor:
    """Which pixels have a channel above the look's peak, (N, H, W)."""
    return pixels.amax(dim=1) > _signal_of(look.peak_cd_m2 * (1.0 + _OVERSHOOT))


def _limited(
    pixels: torch.Tensor, look: Look, gain: float, method_white_cd_m2: float
) -> torch.Tensor:
    """Change the pixels of one frame's strip that are above the peak, and no others."""
    chosen = _above_peak(pixels, look)[0]
    result = pixels.clone()
    above = pixels[0].movedim(0, -1)[chosen].T[None, :, None]
    if above.numel():
        light_cd_m2, ictcp = _multiplied(pq_eotf(above), look, gain, method_white_cd_m2)
        limited = pq_inverse_eotf(_fit(light_cd_m2, ictcp, look))
        result[0].movedim(0, -1)[chosen] = limited[0, :, 0].T
    return result


def _look_of(
    pixels: torch.Tensor, look: Look, gain: float, method_white_cd_m2: float
) -> torch.Tensor:
    light_cd_m2, ictcp = pq_eotf(pixels), None
    if gain != 1.0 or method_white_cd_m2 * gain > look.peak_cd_m2:
        light_cd_m2, ictcp = _multiplied(light_cd_m2, look, gain, method_white_cd_m2)
    return pq_inverse_eotf(_fit(light_cd_m2, ictcp, look))


def _multiplied(
    light_cd_m2: torch.Tensor, look: Look, gain: float, method_white_cd_m2: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Apply gain and roll-off and put the hue back; the light, and the same in ICtCp."""
    brightest = light_cd_m2.amax(dim=1, keepdim=True)
    wanted = _roll_off(brightest * gain, method_white_cd_m2 * gain, look.peak_cd_m2)
    factor = wanted / torch.where(brightest > 0.0, brightest, 1.0)
    scaled_cd_m2 = light_cd_m2 * factor
    ictcp = _with_hue_of(rgb_to_ictcp(light_cd_m2), rgb_to_ictcp(scaled_cd_m2))
    # Light that was not changed need not take the way there and back.
    return torch.where(factor == 1.0, light_cd_m2, ictcp_to_rgb(ictcp)), ictcp


def _roll_off(
    light_cd_m2: torch.Tensor, source_peak_cd_m2: float, peak_cd_m2: float
) -> torch.Tensor:
    """BT.2390 EETF with a black of 0; light above the source's peak becomes the peak."""
    if source_peak_cd_m2 <= peak_cd_m2:
        return light_cd_m2.clamp(max=peak_cd_m2)
    source_signal, target_signal = _signal_of(source_peak_cd_m2), _signal_of(peak_cd_m2)
    highest = target_signal / source_signal
    if highest >= 1.0:
        return light_cd_m2.clamp(max=peak_cd_m2)
    knee = 1.5 * highest - 0.5
    signal = (pq_inverse_eotf(light_cd_m2) / source_signal).clamp(max=1.0)
    t = (signal - knee) / (1.0 - knee)
    rolled = (
        (2.0 * t - 3.0) * t * t * (knee - highest) + knee + ((t - 2.0) * t + 1.0) * t * (1.0 - knee)
    )
    compressed = pq_eotf(rolled * source_signal).clamp(max=peak_cd_m2)
    return torch.where(signal <= knee, light_cd_m2, compressed)


def _signal_of(light_cd_m2: float) -> float:
    return float(pq_inverse_eotf(torch.tensor(light_cd_m2, dtype=torch.float64)))


def _with_hue_of(before: torch.Tensor, after: torch.Tensor) -> torch.Tensor:
    """ICtCp with the intensity and chroma of `after` and the hue of `before`."""
    chroma_before = torch.hypot(before[:, 1:2], before[:, 2:3])
    chroma_after = torch.hypot(after[:, 1:2], after[:, 2:3])
    ratio = chroma_after / chroma_before.clamp(min=_NEUTRAL_CHROMA)
    coloured = chroma_before > _NEUTRAL_CHROMA
    turned = torch.where(coloured, before[:, 1:] * ratio, after[:, 1:])
    return torch.cat([after[:, :1], turned], dim=1)


def _fit(light_cd_m2: torch.Tensor, ictcp: torch.Tensor | None, look: Look) -> torch.Tensor:
    """Desaturate, at constant intensity and hue, the pixels outside the gamut or above the peak."""
    primaries = Primaries.P3_D65 if look.limit_gamut == "p3-d65" else Primaries.BT2020
    outside = ~_inside(light_cd_m2, primaries, look.peak_cd_m2)
    if bool(outside.any()):
        chosen = outside[:, 0]
        pick = light_cd_m2.movedim(1, -1)[chosen].T[None, :, None]
        if ictcp is None:
            polar = rgb_to_ictcp(pick)
        else:
            polar = ictcp.movedim(1, -1)[chosen].T[None, :, None]
        fitted = _desaturated(polar, primaries, look.peak_cd_m2)
        light_cd_m2.movedim(1, -1)[chosen] = fitted[0, :, 0].T
    return light_cd_m2.clamp_(0.0, look.peak_cd_m2)


def _desaturated(ictcp: torch.Tensor, primaries: Primaries, peak_cd_m2: float) -> torch.Tensor:
    """Find, by bisection, the most chroma that fits; no chroma is the fallback."""
    intensity, colour = ictcp[:, :1].clamp(max=_signal_of(peak_cd_m2)), ictcp[:, 1:]
    low = torch.zeros_like(intensity)
    step = torch.full_like(intensity, 0.5)
    for _ in range(_BISECTIONS):
        light = ictcp_to_rgb(torch.cat([intensity, colour * (low + step)], dim=1))
        low = torch.where(_inside(light, primaries, peak_cd_m2), low + step, low)
        step = step * 0.5
    return ictcp_to_rgb(torch.cat([intensity, colour * low], dim=1))


def _inside(light_cd_m2: torch.Tensor, primaries: Primaries, peak_cd_m2: float) -> torch.Tensor:
    """Which pixels are inside, (N, 1, H, W)."""
    brightest = light_cd_m2.amax(dim=1, keepdim=True)
    native = light_cd_m2
    if primaries is not Primaries.BT2020:
        native = apply_matrix(rgb_to_rgb_matrix(Primaries.BT2020, primaries), light_cd_m2)
    darkest = native.amin(dim=1, keepdim=True)
    return (darkest >= -_OVERSHOOT * brightest) & (brightest <= peak_cd_m2 * (1.0 + _OVERSHOOT))
