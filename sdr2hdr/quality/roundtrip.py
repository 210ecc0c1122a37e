"""Round trip: HDR taken back to SDR, against the SDR that it was made from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch

from sdr2hdr.colour.channels import apply_matrix
from sdr2hdr.colour.primaries import rgb_to_rgb_matrix
from sdr2hdr.colour.transfer import bt1886_eotf
from sdr2hdr.errors import UsageError
from sdr2hdr.frames import RgbBatch
from sdr2hdr.quality.delta_e_itp import delta_e_itp
from sdr2hdr.signal import BT709_DISPLAY, HDR_DISPLAY, SDR_WHITE_CD_M2

__all__ = [
    "IMPERCEPTIBLE_MEAN",
    "IMPERCEPTIBLE_P99",
    "RoundtripMeter",
    "RoundtripScore",
    "RoundtripTally",
    "ShotRoundtrip",
    "ShotRoundtrips",
    "ShotTally",
    "joined_tallies",
]

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


@dataclass(frozen=True)
class RoundtripTally:
    """What a score is made of; tallies of the parts of a shot can be added.

    Attributes:
        frames: How many frames this is about.
        error_sum: Of Delta E ITP, over all pixels.
        maximum: The worst pixel.
        histogram: How many pixels lie in each bin of 0.01 that is not empty: bin, count.
    """

    frames: int
    error_sum: float
    maximum: float
    histogram: tuple[tuple[int, int], ...]

    def __add__(self, other: RoundtripTally) -> RoundtripTally:
        counts = Counter(dict(self.histogram))
        counts.update(dict(other.histogram))
        return RoundtripTally(
            self.frames + other.frames,
            self.error_sum + other.error_sum,
            max(self.maximum, other.maximum),
            tuple(sorted(counts.items())),
        )

    def score(self) -> RoundtripScore:
        """The figures.

        Raises:
            ValueError: Nothing has been measured.
        """
        pixels = sum(count for _, count in self.histogram)
        if not pixels:
            raise ValueError("No frame was measured; expected at least one.")
        counted = 0
        p99 = self.maximum
        for place, count in self.histogram:
            counted += count
            if counted >= 0.99 * pixels:
                p99 = (place + 1) * _BIN
                break
        return RoundtripScore(
            mean=self.error_sum / pixels,
            p99=min(p99, self.maximum),
            maximum=self.maximum,
            frames=self.frames,
        )


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

    def tally(self) -> RoundtripTally:
        """All that was measured so far."""
        places = self._histogram.nonzero().flatten().tolist()
        counts = self._histogram[places].tolist()
        histogram = tuple(zip(places, counts, strict=True))
        return RoundtripTally(self._frames, self._sum, self._maximum, histogram)


@dataclass(frozen=True)
class ShotTally:
    """What was measured of one shot, or of a part of it.

    Attributes:
        first_frame: With which the shot begins, from 0 in the whole conversion; that of the shot
            for its parts too.
    """

    first_frame: int
    tally: RoundtripTally


@dataclass(frozen=True)
class ShotRoundtrip:
    """The round trip of one shot, which begins at a frame counted from 0."""

    first_frame: int
    score: RoundtripScore


class ShotRoundtrips:
    """Measures frames as they pass, each shot for itself."""

    def __init__(self, down_conversion: Callable[[torch.Tensor], torch.Tensor]) -> None:
        self._down_conversion = down_conversion
        self._meters: list[tuple[int, RoundtripMeter]] = []

    def begin_shot(self, first_frame: int) -> None:
        """Say that the frames to come are of the shot that begins with this one."""
        self._meters.append((first_frame, RoundtripMeter(self._down_conversion)))

    def add(self, sdr: RgbBatch, hdr: RgbBatch) -> None:
        """Measure frames of the shot; arguments and errors are those of `RoundtripMeter.add`."""
        self._meters[-1][1].add(sdr, hdr)

    def tallies(self) -> tuple[ShotTally, ...]:
        """The shots so far."""
        return tuple(ShotTally(first, meter.tally()) for first, meter in self._meters)


def joined_tallies(tallies: Iterable[ShotTally]) -> tuple[ShotTally, ...]:
    """Add the parts of each shot, in order."""
    shots: dict[int, RoundtripTally] = {}
    for part in tallies:
        known = shots.get(part.first_frame)
        shots[part.first_frame] = part.tally if known is None else known + part.tally
    return tuple(ShotTally(first, tally) for first, tally in shots.items())


def _light_cd_m2(sdr: torch.Tensor) -> torch.Tensor:
    matrix = rgb_to_rgb_matrix(BT709_DISPLAY.primaries, HDR_DISPLAY.primaries)
    return SDR_WHITE_CD_M2 * apply_matrix(matrix, bt1886_eotf(sdr))
