"""Flicker: how much a converted picture moves where its source stands still.

The frame is cut into blocks; for each, the mean of the luminance in PQ is followed from frame to
frame, in the source (as a display of 100 cd/m2 shows it) and in the conversion. Only blocks count
in which the source hardly changes, so that motion is no flicker. A method with no memory and no
view of the whole frame, a curve, amplifies the source's own noise by its slope and no more; what a
network adds to that by following whole-frame statistics shows as a higher ratio.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

import torch
from torch.nn import functional

from sdr2hdr.colour.channels import weighted_sum
from sdr2hdr.colour.primaries import luminance_coefficients
from sdr2hdr.colour.transfer import bt1886_eotf, pq_eotf, pq_inverse_eotf
from sdr2hdr.errors import GateError
from sdr2hdr.frames import RgbBatch
from sdr2hdr.signal import BT709_DISPLAY, HDR10_CODES, HDR_DISPLAY, SDR_WHITE_CD_M2

__all__ = [
    "FlickerMeter",
    "FlickerTally",
    "ShotFlicker",
    "check_flicker",
    "joined_flicker",
    "shot_flicker",
]

CELLS = (36, 64)
"""Rows and columns of the cells; a block is 2 x 2 of them, 60 px a side in 1080p."""

SAMPLES_A_CELL = 8
"""Samples along each side that a cell's mean is taken from, where there are more: grain of 5 codes
is left with less than one."""

STILL = 2.0 / 219.0
"""A block is still if neither its cells nor those around it change by more, in SDR signal: 2 codes
of 8 bits. A network sees some pixels around each, so what it does right beside a moving edge is
part of the motion."""

LEAST_SOURCE_CODES = 0.1
"""The source's own flicker counts as at least this: a tenth of a 10-bit code is nothing to see, and
without it the ratio over a perfectly still source would be infinite."""


@dataclass(frozen=True)
class FlickerTally:
    """What was measured of one shot, or of a part of it; plain numbers that can be stored.

    Attributes:
        first_frame: With which the shot begins, from 0 in the whole conversion; that of the shot
            for its parts too.
        pairs: Pairs of consecutive frames.
        blocks: Still blocks in all of them.
        all_blocks: Blocks in all of them.
        source_squares: Sum over the still blocks of the squared change, PQ.
        converted_squares: The same of the conversion.
        worst: Greatest root mean square change of the conversion in one pair, PQ.
        worst_frame: The later frame of that pair, from 0 in the whole conversion; -1 for none.
    """

    first_frame: int
    pairs: int = 0
    blocks: int = 0
    all_blocks: int = 0
    source_squares: float = 0.0
    converted_squares: float = 0.0
    worst: float = 0.0
    worst_frame: int = -1

    def __add__(self, other: FlickerTally) -> FlickerTally:
        """Both parts of one shot together."""
        # Of equal ones that with a frame: in a conversion that never moves both are 0.
        worst = max((self, other), key=lambda part: (part.worst, part.blocks > 0))
        return FlickerTally(
            self.first_frame,
            self.pairs + other.pairs,
            self.blocks + other.blocks,
            self.all_blocks + other.all_blocks,
            self.source_squares + other.source_squares,
            self.converted_squares + other.converted_squares,
            worst.worst,
            worst.worst_frame,
        )


@dataclass(frozen=True)
class ShotFlicker:
    """The flicker of one shot.

    Attributes:
        first_frame: With which the shot begins, from 0.
        frames: How many of it were compared with the one before.
        still_share: Share of the blocks that were still.
        source_codes: Root mean square change from frame to frame of still blocks of the source, in
            10-bit PQ codes; None if nothing was still.
        converted_codes: The same of the conversion.
        ratio: The second over the first, where the first counts as at least 0.1 codes.
        worst_codes: Root mean square change of the conversion in its worst frame.
        worst_frame: That frame, None if nothing was still.
    """

    first_frame: int
    frames: int
    still_share: float
    source_codes: float | None
    converted_codes: float | None
    ratio: float | None
    worst_codes: float | None
    worst_frame: int | None


@dataclass(frozen=True)
class _Cells:
    """Means of the cells of a frame.

    Attributes:
        signal: Of the source's luma signal, (36, 64), [0, 1].
        source: Of the source's luminance in PQ.
        converted: Of the conversion's.
    """

    signal: torch.Tensor
    source: torch.Tensor
    converted: torch.Tensor


class FlickerMeter:
    """Measures frames as they pass, each shot for itself; remembers one frame, at small size."""

    def __init__(self) -> None:
        self._last: _Cells | None = None
        self._next_frame = 0
        self._tallies: list[FlickerTally] = []

    def begin_shot(self, first_frame: int, at_frame: int | None = None) -> None:
        """Say that the frames to come are of the shot that begins with this one.

        Args:
            first_frame: Of the shot.
            at_frame: The next frame to come, if that is in the middle of the shot.
        """
        self._last = None
        self._next_frame = first_frame if at_frame is None else at_frame
        self._tallies.append(FlickerTally(first_frame))

    def add(self, sdr: RgbBatch, converted: RgbBatch, *, is_preroll: bool = False) -> None:
        """Measure frames of one shot.

        Args:
            sdr: The source, `BT709_DISPLAY`.
            converted: What becomes of it, `HDR_DISPLAY`, of any size.
            is_preroll: Only remember them, for the frame that follows.

        Raises:
            ValueError: A signal is another, or the numbers of frames differ.
        """
        if sdr.signal != BT709_DISPLAY or converted.signal != HDR_DISPLAY:
            raise ValueError(
                f"The frames are {sdr.signal} and {converted.signal}; "
                f"expected {BT709_DISPLAY} and {HDR_DISPLAY}."
            )
        if len(sdr.timeline) != len(converted.timeline):
            raise ValueError(
                f"{len(sdr.timeline)} frames of the source came with {len(converted.timeline)} of "
                "the conversion; expected as many."
            )
        if not self._tallies:
            self.begin_shot(0)
        for number in range(len(sdr.timeline)):
            here = _cells(sdr.pixels[number], converted.pixels[number])
            if self._last is not None and not is_preroll:
                self._tallies[-1] += self._pair(self._last, here)
            self._last = here
            self._next_frame += 1

    def tallies(self) -> tuple[FlickerTally, ...]:
        """The shots so far."""
        return tuple(self._tallies)

    def _pair(self, last: _Cells, here: _Cells) -> FlickerTally:
        change = (here.signal - last.signal).abs()
        around = functional.max_pool2d(change[None, None], kernel_size=4, stride=2, padding=1)
        still = around[0, 0] <= STILL
        source = _block_change(last.source, here.source)[still].square()
        converted = _block_change(last.converted, here.converted)[still].square()
        blocks = int(still.sum())
        pair = FlickerTally(
            self._tallies[-1].first_frame, pairs=1, blocks=blocks, all_blocks=still.numel()
        )
        if not blocks:
            return pair
        squares = float(converted.sum(dtype=torch.float64))
        return replace(
            pair,
            source_squares=float(source.sum(dtype=torch.float64)),
            converted_squares=squares,
            worst=math.sqrt(squares / blocks),
            worst_frame=self._next_frame,
        )


def joined_flicker(tallies: Iterable[FlickerTally]) -> tuple[FlickerTally, ...]:
    """Add the parts of each shot, in order."""
    shots: dict[int, FlickerTally] = {}
    for part in tallies:
        known = shots.get(part.first_frame)
        shots[part.first_frame] = part if known is None else known + part
    return tuple(shots.values())


def shot_flicker(tally: FlickerTally) -> ShotFlicker:
    """The figures of a whole shot."""
    share = tally.blocks / tally.all_blocks if tally.all_blocks else 0.0
    if not tally.blocks:
        nothing = (None, None, None, None, None)
        return ShotFlicker(tally.first_frame, tally.pairs, share, *nothing)
    source_codes = HDR10_CODES * math.sqrt(tally.source_squares / tally.blocks)
    converted_codes = HDR10_CODES * math.sqrt(tally.converted_squares / tally.blocks)
    return ShotFlicker(
        first_frame=tally.first_frame,
        frames=tally.pairs,
        still_share=share,
        source_codes=source_codes,
        converted_codes=converted_codes,
        ratio=converted_codes / max(source_codes, LEAST_SOURCE_CODES),
        worst_codes=HDR10_CODES * tally.worst,
        worst_frame=tally.worst_frame,
    )


def check_flicker(shots: Iterable[ShotFlicker], max_flicker: float) -> None:
    """Hold every shot to a bound.

    Args:
        shots: The figures.
        max_flicker: Greatest ratio that is allowed.

    Raises:
        GateError: A shot flickers more; the worst one is named.
    """
    measured = [(shot.ratio, shot) for shot in shots if shot.ratio is not None]
    ratio, worst = max(measured, key=lambda pair: pair[0], default=(0.0, None))
    if worst is None or ratio <= max_flicker:
        return
    raise GateError(
        f"The shot from frame {worst.first_frame} on flickers {ratio:.2f} times as much as its "
        f"source ({worst.converted_codes:.2f} and {worst.source_codes:.2f} codes, most at frame "
        f"{worst.worst_frame}); expected at most {max_flicker:g} times (--max-flicker)."
    )


def _cells(sdr: torch.Tensor, converted: torch.Tensor) -> _Cells:
    sampled = _sampled(sdr)
    light_cd_m2 = SDR_WHITE_CD_M2 * bt1886_eotf(sampled)
    weights = luminance_coefficients(BT709_DISPLAY.primaries)
    hdr_weights = luminance_coefficients(HDR_DISPLAY.primaries)
    hdr_light_cd_m2 = pq_eotf(_sampled(converted))
    return _Cells(
        signal=_means(weighted_sum(sampled, weights)),
        source=_means(pq_inverse_eotf(weighted_sum(light_cd_m2, weights))),
        converted=_means(pq_inverse_eotf(weighted_sum(hdr_light_cd_m2, hdr_weights))),
    )


def _sampled(pixels: torch.Tensor) -> torch.Tensor:
    """Every few pixels of a frame, (3, H, W), as (1, 3, h, w)."""
    steps = [
        max(1, size // (cells * SAMPLES_A_CELL))
        for size, cells in zip(pixels.shape[1:], CELLS, strict=True)
    ]
    return pixels[None, :, :: steps[0], :: steps[1]]


def _means(values: torch.Tensor) -> torch.Tensor:
    return functional.adaptive_avg_pool2d(values, CELLS).reshape(CELLS)


def _block_change(last: torch.Tensor, here: torch.Tensor) -> torch.Tensor:
    return functional.avg_pool2d((here - last)[None, None], 2)[0, 0]
