"""Down-conversions: how scene luminance becomes SDR light, named after their standards or authors.

Every curve maps graded scene luminance (mid-grey 0.18, 1.0 about a white sheet) to light of the
SDR display, [0, 1]; it is continuous, never falls, and maps 0 to 0. For the curves that start from
an HDR display's light, luminance 1.0 is HDR reference white, 203 cd/m2.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from sdr2hdr.colour.transfer import pq_eotf, pq_inverse_eotf
from sdr2hdr.curves.bt2446a_forward import compress_luma
from sdr2hdr.curves.bt2446c_forward import compress_luminance
from sdr2hdr.signal import REFERENCE_WHITE_CD_M2
from sdr2hdr.training.randomness import Interval, log_uniform, uniform

__all__ = [
    "OPERATORS",
    "ToneCurve",
    "bt709_camera",
    "bt2390_eetf",
    "bt2446a",
    "bt2446c",
    "draw_curve",
    "filmic",
    "hable",
    "hard_clip",
    "linear_shoulder",
    "mixture",
    "reinhard_extended",
]

ToneCurve = Callable[[torch.Tensor], torch.Tensor]


def bt2446a(luminance: torch.Tensor, peak_cd_m2: float = 1000.0) -> torch.Tensor:
    """BT.2446 method A, HDR to SDR.

    Args:
        luminance: Any shape, floating, 0 or more.
        peak_cd_m2: Light of the HDR signal's peak; what is above it is clipped.

    Returns:
        SDR light, same shape, [0, 1].

    Source:
        Rep. ITU-R BT.2446-1, section 4.1 (tone mapping of luma, gamma 2.4).
    """
    hdr_luma = (luminance * (REFERENCE_WHITE_CD_M2 / peak_cd_m2)).clamp(0.0, 1.0) ** (1.0 / 2.4)
    return compress_luma(hdr_luma, peak_cd_m2).clamp(0.0, 1.0) ** 2.4


def bt2446c(luminance: torch.Tensor, gain: float = 1.0) -> torch.Tensor:
    """BT.2446 method C, HDR to SDR: linear up to skin tones, logarithmic above, clipped at white.

    Args:
        luminance: Any shape, floating, 0 or more.
        gain: Exposure before the curve.

    Source:
        Rep. ITU-R BT.2446-1, section 6.1.4.
    """
    percent = compress_luminance(luminance * (REFERENCE_WHITE_CD_M2 * gain))
    return (percent / 100.0).clamp(0.0, 1.0)


def bt2390_eetf(
    luminance: torch.Tensor,
    source_peak_cd_m2: float = 4000.0,
    target_peak_cd_m2: float = REFERENCE_WHITE_CD_M2,
) -> torch.Tensor:
    """BT.2390 EETF: a Hermite roll-off in PQ, shown with the target's peak as SDR white.

    Source:
        Rep. ITU-R BT.2390-10, section 5.4.1, with a black of 0.
    """
    source_peak = torch.tensor([source_peak_cd_m2, target_peak_cd_m2], dtype=luminance.dtype)
    source_signal, target_signal = pq_inverse_eotf(source_peak).tolist()
    maximum = target_signal / source_signal
    knee = 1.5 * maximum - 0.5
    signal = pq_inverse_eotf(luminance * REFERENCE_WHITE_CD_M2) / source_signal
    signal = signal.clamp(max=1.0)
    t = ((signal - knee) / (1.0 - knee)).clamp(min=0.0)
    rolled = (
        (2.0 * t**3 - 3.0 * t**2 + 1.0) * knee
        + (t**3 - 2.0 * t**2 + t) * (1.0 - knee)
        + (-2.0 * t**3 + 3.0 * t**2) * maximum
    )
    signal = torch.where(signal < knee, signal, rolled)
    return (pq_eotf(signal * source_signal) / target_peak_cd_m2).clamp(0.0, 1.0)


def reinhard_extended(
    luminance: torch.Tensor, gain: float = 1.0, white: float = 4.0
) -> torch.Tensor:
    """Reinhard's operator with a white point: `white` is the luminance that burns out.

    Source:
        Reinhard et al., "Photographic tone reproduction for digital images", 2002, equation 4.
    """
    scaled, burnt = luminance * gain, white * gain
    return (scaled * (1.0 + scaled / burnt**2) / (1.0 + scaled)).clamp(0.0, 1.0)


def hable(luminance: torch.Tensor, gain: float = 2.0, white: float = 11.2) -> torch.Tensor:
    """Hable's filmic curve.

    Source:
        J. Hable, "Uncharted 2: HDR lighting", Game Developers Conference 2010.
    """

    def curve(x: torch.Tensor) -> torch.Tensor:
        a, b, c, d, e, f = 0.15, 0.50, 0.10, 0.20, 0.02, 0.30
        return (x * (a * x + c * b) + d * e) / (x * (a * x + b) + d * f) - e / f

    top = curve(torch.tensor(white, dtype=luminance.dtype))
    return (curve((luminance * gain).clamp(max=white)) / top).clamp(0.0, 1.0)


def filmic(
    luminance: torch.Tensor, contrast: float = 1.4, grey: float = 0.10, white: float = 12.0
) -> torch.Tensor:
    """A film-like S-curve as ACES output transforms have: toe, slope over 1, long shoulder.

    Naka and Rushton's response y = Y^n / (Y^n + s^n), scaled so that 0.18 becomes `grey` (ACES
    shows 18 % at 10 cd/m2 of 100) and `white` becomes 1.

    Args:
        luminance: Any shape, floating, 0 or more.
        contrast: n.
        grey: SDR light of mid-grey.
        white: Luminance of SDR white.
    """
    middle = 0.18**contrast
    top = white**contrast
    # s^n, from middle / (middle + s^n) x (top + s^n) / top = grey.
    half = middle * top * (1.0 - grey) / (grey * top - middle)
    power = luminance.clamp(max=white) ** contrast
    return (power / (power + half) * ((top + half) / top)).clamp(0.0, 1.0)


def linear_shoulder(luminance: torch.Tensor, gain: float = 0.8, knee: float = 0.7) -> torch.Tensor:
    """A straight line, then from `knee` (SDR light) an exponential approach to white."""
    light = luminance * gain
    room = 1.0 - knee
    rolled = knee - room * torch.expm1(-(light - knee).clamp(min=0.0) / room)
    return torch.where(light < knee, light, rolled).clamp(0.0, 1.0)


def hard_clip(luminance: torch.Tensor, white: float = 1.0) -> torch.Tensor:
    """A straight line to white, cut there."""
    return (luminance / white).clamp(0.0, 1.0)


def bt709_camera(
    luminance: torch.Tensor, white: float = 1.0, knee: float = 1.0, knee_slope: float = 0.1
) -> torch.Tensor:
    """A video camera: BT.709's OETF, seen on the BT.1886 display (system gamma about 1.2).

    Args:
        luminance: Any shape, floating, 0 or more.
        white: Luminance of 100 % signal without the knee.
        knee: Signal from which the camera compresses; 1.0 clips.
        knee_slope: Slope of the signal above the knee, which ends at white.

    Source:
        Rec. ITU-R BT.709-6, item 1.2.
    """
    light = luminance / white
    signal = torch.where(light < 0.018, 4.5 * light, 1.099 * light.clamp(min=0.018) ** 0.45 - 0.099)
    signal = torch.where(signal > knee, knee + (signal - knee) * knee_slope, signal)
    return signal.clamp(0.0, 1.0) ** 2.4


def mixture(first: ToneCurve, second: ToneCurve, share: float) -> ToneCurve:
    """A curve between two others: their signals (gamma 2.4) mixed."""

    def curve(luminance: torch.Tensor) -> torch.Tensor:
        a = first(luminance) ** (1.0 / 2.4)
        b = second(luminance) ** (1.0 / 2.4)
        return ((1.0 - share) * a + share * b) ** 2.4

    return curve


def _curve(function: Callable[..., torch.Tensor], **parameters: float) -> ToneCurve:
    return lambda luminance: function(luminance, **parameters)


_GAIN: Interval = (0.6, 1.6)

_DRAWN: dict[str, Callable[[np.random.Generator], ToneCurve]] = {
    "bt2446a": lambda rng: _curve(bt2446a, peak_cd_m2=log_uniform(rng, (600.0, 3000.0))),
    "bt2446c": lambda rng: _curve(bt2446c, gain=log_uniform(rng, (0.5, 1.2))),
    "bt2390_eetf": lambda rng: _curve(
        bt2390_eetf,
        source_peak_cd_m2=log_uniform(rng, (800.0, 6000.0)),
        target_peak_cd_m2=log_uniform(rng, (120.0, 320.0)),
    ),
    "reinhard_extended": lambda rng: _curve(
        reinhard_extended, gain=log_uniform(rng, _GAIN), white=log_uniform(rng, (1.5, 12.0))
    ),
    "hable": lambda rng: _curve(
        hable, gain=log_uniform(rng, (1.5, 4.0)), white=log_uniform(rng, (5.0, 16.0))
    ),
    "filmic": lambda rng: _curve(
        filmic,
        contrast=uniform(rng, (1.1, 1.6)),
        grey=log_uniform(rng, (0.08, 0.15)),
        white=log_uniform(rng, (3.0, 16.0)),
    ),
    "linear_shoulder": lambda rng: _curve(
        linear_shoulder, gain=log_uniform(rng, (0.5, 1.3)), knee=uniform(rng, (0.4, 0.85))
    ),
    "hard_clip": lambda rng: _curve(hard_clip, white=log_uniform(rng, (0.6, 3.0))),
    "bt709_camera": lambda rng: _curve(
        bt709_camera,
        white=log_uniform(rng, (0.5, 1.5)),
        knee=uniform(rng, (0.75, 1.0)),
        knee_slope=uniform(rng, (0.05, 0.4)),
    ),
}

OPERATORS = (*_DRAWN, "mixture", "local_contrast")
"""Names of the down-conversions. "mixture" mixes two others; "local_contrast" is any of them on a
smoothed picture, to which the detail is given back."""


def draw_curve(operator: str, rng: np.random.Generator) -> ToneCurve:
    """A down-conversion's curve with random parameters.

    Args:
        operator: One of `OPERATORS`; the curve of "local_contrast" is its global part.
        rng: Decides the parameters.
    """
    if operator in _DRAWN:
        return _DRAWN[operator](rng)
    if operator not in OPERATORS:
        raise ValueError(f'Operator "{operator}"; expected one of {", ".join(OPERATORS)}.')
    names = list(_DRAWN)
    if operator == "local_contrast":
        return _DRAWN[names[int(rng.integers(len(names)))]](rng)
    first, second = rng.choice(len(names), 2, replace=False)
    return mixture(
        _DRAWN[names[int(first)]](rng), _DRAWN[names[int(second)]](rng), uniform(rng, (0.2, 0.8))
    )
