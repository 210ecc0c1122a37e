"""Round trip: HDR taken back to SDR, against the SDR that it was made from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch

from sdr2hdr.colour.channels import apply_matrix
from sdr2hdr.colour.primaries import rgb_to_rgb_matrix
from sdr2hdr.colour.transfer import bt1886_eotf
from sdr2hdr.errors import UsageError
from sdr2hdr.frames import RgbBatch, Timeline
from sdr2hdr.quality.delta_e_itp import delta_e_itp
from sdr2hdr.quality.shots import CutDetector
from sdr2hdr.signal import BT709_DISPLAY, HDR_DISPLAY

__all__ = [
    "IMPERCEPTIBLE_MEAN",
    "IMPERCEPTIBLE_P99",
    "RoundtripMeter",
    "RoundtripScore",
    "ShotRoundtrip",
    "ShotRoundtrips",
    "roundtrip",
]

SDR_WHITE_CD_M2 = 100.0
"""The reference SDR display (Rec. ITU-R BT.2035)."""

IMPERCEPTIBLE_MEAN = 1.0
IMPERCEPTIBLE_P99 = 3.0
"""Delta E ITP: 1 is just noticeable, side by side, to the most critically adapted eye."""

_BIN = 0.01
_BINS = 20_000


@dataclass(frozen=True)
class RoundtripScore:
    """Delta E ITP of all pixels of all frames measured, on a display of 100 cd/m2.

    Attributes:
        mean: Average.
        p99: 99% of the pixels are at most here, to 0.01.
        maximum: The worst pixel.
        frames: How many frames this is about.
    """

    mean: float
    p99: float
    maximum: float
    frames: int

    @property
    def imperceptible(self) -> bool:
        """Whether mean and 99th percentile are below what an eye notices."""
        return self.mean < IMPERCEPTIBLE_MEAN and self.p99 < IMPERCEPTIBLE_P99


class RoundtripMeter:
    """Measures a shot batch by batch, in bounded memory; make a new one for each shot."""

    def __init__(self, down_conversion: Callable[[torch.Tensor], torch.Tensor]) -> None:
        self._down_conversion = down_conversion
        self._histogram = torch.zeros(_BINS, dtype=torch.int64)
        self._sum = 0.0
        self._maximum = 0.0
        self._frames = 0

    def add(self, sdr: RgbBatch, hdr: RgbBatch) -> None:
        """Measure frames.

        Args:
            sdr: What the method was given, `BT709_DISPLAY`.
            hdr: What the method gave, `HDR_DISPLAY`, before any look, of the same size.

        Raises:
            ValueError: A signal is another.
            UsageError: The sizes differ, as after upscaling.
        """
        if sdr.signal != BT709_DISPLAY or hdr.signal != HDR_DISPLAY:
            raise ValueError(
                f"The frames are {sdr.signal} and {hdr.signal}; "
                f"expected {BT709_DISPLAY} and {HDR_DISPLAY}."
            )
        if sdr.pixels.shape != hdr.pixels.shape:
            raise UsageError(
                f"SDR is {tuple(sdr.pixels.shape)} and HDR {tuple(hdr.pixels.shape)}; a round trip "
                "compares equal sizes. Leave out --verify-roundtrip when upscaling."
            )
        for frame in range(len(sdr.timeline)):
            one = slice(frame, frame + 1)
            back = self._down_conversion(hdr.pixels[one])
            self._add(delta_e_itp(_light_cd_m2(sdr.pixels[one]), _light_cd_m2(back)))

    def _add(self, error: torch.Tensor) -> None:
        bins = (error / _BIN).long().clamp_(0, _BINS - 1).flatten()
        self._histogram += torch.bincount(bins, minlength=_BINS).cpu()
        self._sum += float(error.sum(dtype=torch.float64))
        self._maximum = max(self._maximum, float(error.max()))
        self._frames += 1

    def score(self) -> RoundtripScore:
        """The figures so far.

        Raises:
            ValueError: Nothing has been measured.
        """
        pixels = int(self._histogram.sum())
        if not pixels:
            raise ValueError("No frame was measured; expected at least one.")
        reached = self._histogram.cumsum(dim=0) >= 0.99 * pixels
        p99 = (int(reached.to(torch.int8).argmax()) + 1) * _BIN
        return RoundtripScore(
            mean=self._sum / pixels,
            p99=min(p99, self._maximum),
            maximum=self._maximum,
            frames=self._frames,
        )


@dataclass(frozen=True)
class ShotRoundtrip:
    """The round trip of one shot, which begins at a frame counted from 0."""

    first_frame: int
    score: RoundtripScore


class ShotRoundtrips:
    """Measures frames as they pass, each shot for itself."""

    def __init__(self, down_conversion: Callable[[torch.Tensor], torch.Tensor]) -> None:
        self._down_conversion = down_conversion
        self._cuts = CutDetector()
        self._frames = 0
        self._meters: list[tuple[int, RoundtripMeter]] = []

    def add(self, sdr: RgbBatch, hdr: RgbBatch) -> None:
        """Measure frames; arguments and errors are those of `RoundtripMeter.add`."""
        for number, frame_time in enumerate(sdr.timeline.frames):
            one = slice(number, number + 1)
            timeline = Timeline(sdr.timeline.time_base, (frame_time,))
            if self._cuts.is_cut(sdr.pixels[number]) or not self._meters:
                self._meters.append((self._frames, RoundtripMeter(self._down_conversion)))
            self._meters[-1][1].add(
                replace(sdr, pixels=sdr.pixels[one], timeline=timeline),
                replace(hdr, pixels=hdr.pixels[one], timeline=timeline),
            )
            self._frames += 1

    def shots(self) -> tuple[ShotRoundtrip, ...]:
        """The shots so far."""
        return tuple(ShotRoundtrip(first, meter.score()) for first, meter in self._meters)


def roundtrip(
    sdr: RgbBatch, hdr: RgbBatch, down_conversion: Callable[[torch.Tensor], torch.Tensor]
) -> RoundtripScore:
    """Measure one batch; see `RoundtripMeter`."""
    meter = RoundtripMeter(down_conversion)
    meter.add(sdr, hdr)
    return meter.score()


def _light_cd_m2(sdr: torch.Tensor) -> torch.Tensor:
    matrix = rgb_to_rgb_matrix(BT709_DISPLAY.primaries, HDR_DISPLAY.primaries)
    return SDR_WHITE_CD_M2 * apply_matrix(matrix, bt1886_eotf(sdr))
