"""What is known of a converted range of frames: plain values that can be stored and added up."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sdr2hdr.errors import Notice
from sdr2hdr.frames import FrameTime
from sdr2hdr.media.reading.damage import Damage
from sdr2hdr.quality.flicker import FlickerTally, joined_flicker
from sdr2hdr.quality.light_levels import FrameLight, LightLevels, LightMeter
from sdr2hdr.quality.roundtrip import ShotTally, joined_tallies

__all__ = ["RangeSummary", "RangeTotals", "added_up"]


@dataclass(frozen=True)
class RangeSummary:
    """What was done with consecutive frames of a source.

    Attributes:
        first_frame: Number of the first one, from 0 in the whole conversion.
        times: Of every frame, in ticks of the reader's time base.
        lights: Of every frame's active picture, in cd/m2, measured from the pixels to be coded.
        super_white: Sum over the frames of the share of luma samples above nominal white.
        damage: What was found broken while they were decoded.
        tallies: Of the round trip, shot by shot; empty unless asked for.
        flicker: Shot by shot.
        notices: What happened on the way that the user should know, damage left out.
    """

    first_frame: int
    times: tuple[FrameTime, ...]
    lights: tuple[FrameLight, ...]
    super_white: float
    damage: Damage
    tallies: tuple[ShotTally, ...]
    flicker: tuple[FlickerTally, ...]
    notices: tuple[Notice, ...]

    @property
    def frame_count(self) -> int:
        """How many frames were converted."""
        return len(self.times)


@dataclass(frozen=True)
class RangeTotals:
    """What is left of consecutive frames once added up: a few figures a shot, none a frame.

    Attributes:
        frame_count: How many were converted.
        light: Of the brightest of them, as files store it.
        super_white: As in `RangeSummary`; likewise `damage`, and shot by shot `tallies` and
            `flicker`.
        notices: Each once.
    """

    frame_count: int
    light: LightLevels
    super_white: float
    damage: Damage
    tallies: tuple[ShotTally, ...]
    flicker: tuple[FlickerTally, ...]
    notices: tuple[Notice, ...]


def added_up(summaries: Iterable[RangeSummary]) -> RangeTotals:
    """Add up ranges that follow one another; each is looked at once and let go.

    Args:
        summaries: One or more, in order, without gaps.

    Raises:
        ValueError: There is none, or one does not begin where the one before ends.
    """
    next_frame: int | None = None
    meter = LightMeter()
    super_white = 0.0
    damage = Damage()
    tallies: list[ShotTally] = []
    flicker: list[FlickerTally] = []
    notices: dict[Notice, None] = {}
    for part in summaries:
        if next_frame is not None and part.first_frame != next_frame:
            raise ValueError(
                f"A range begins with frame {part.first_frame}; expected frame {next_frame}, which "
                "follows the range before."
            )
        next_frame = part.first_frame + part.frame_count
        meter.add(part.lights)
        super_white += part.super_white
        damage = _with_more(damage, part.damage)
        # Only the last shot so far can go on in the next range.
        tallies[-1:] = joined_tallies((*tallies[-1:], *part.tallies))
        flicker[-1:] = joined_flicker((*flicker[-1:], *part.flicker))
        notices |= dict.fromkeys(part.notices)
    if next_frame is None:
        raise ValueError("There is no range to add up; expected at least one.")
    return RangeTotals(
        frame_count=meter.frames,
        light=meter.levels(),
        super_white=super_white,
        damage=damage,
        tallies=tuple(tallies),
        flicker=tuple(flicker),
        notices=tuple(notices),
    )


def _with_more(damage: Damage, more: Damage) -> Damage:
    first_time_seconds = damage.first_time_seconds
    return Damage(
        packets_failed=damage.packets_failed + more.packets_failed,
        frames_corrupt=damage.frames_corrupt + more.frames_corrupt,
        frames_lost=damage.frames_lost + more.frames_lost,
        first_time_seconds=(
            more.first_time_seconds if first_time_seconds is None else first_time_seconds
        ),
    )
