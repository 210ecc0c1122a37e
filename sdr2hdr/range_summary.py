"""What is known of a converted range of frames: plain values that can be stored and joined."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from sdr2hdr.errors import Notice
from sdr2hdr.frames import FrameTime
from sdr2hdr.media.damage import Damage
from sdr2hdr.quality.flicker import FlickerTally, joined_flicker
from sdr2hdr.quality.light_levels import FrameLight
from sdr2hdr.quality.roundtrip import ShotTally, joined_tallies

__all__ = ["RangeSummary", "joined"]


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


def joined(summaries: Iterable[RangeSummary]) -> RangeSummary:
    """Join the summaries of ranges that follow one another.

    Args:
        summaries: One or more, in order, without gaps.

    Raises:
        ValueError: There is none, or one does not begin where the one before ends.
    """
    parts = list(summaries)
    if not parts:
        raise ValueError("There is no range to join; expected at least one.")
    _check_order(parts)
    return RangeSummary(
        first_frame=parts[0].first_frame,
        times=tuple(time for part in parts for time in part.times),
        lights=tuple(light for part in parts for light in part.lights),
        super_white=sum(part.super_white for part in parts),
        damage=_joined_damage(part.damage for part in parts),
        tallies=joined_tallies(tally for part in parts for tally in part.tallies),
        flicker=joined_flicker(tally for part in parts for tally in part.flicker),
        notices=tuple(dict.fromkeys(notice for part in parts for notice in part.notices)),
    )


def _check_order(parts: Sequence[RangeSummary]) -> None:
    expected = parts[0].first_frame
    for part in parts:
        if part.first_frame != expected:
            raise ValueError(
                f"A range begins with frame {part.first_frame}; expected frame {expected}, which "
                "follows the range before."
            )
        expected += part.frame_count


def _joined_damage(parts: Iterable[Damage]) -> Damage:
    whole = Damage()
    for part in parts:
        first, other = whole.first_time_seconds, part.first_time_seconds
        whole = replace(
            whole,
            packets_failed=whole.packets_failed + part.packets_failed,
            frames_corrupt=whole.frames_corrupt + part.frames_corrupt,
            frames_lost=whole.frames_lost + part.frames_lost,
            first_time_seconds=other if first is None else first,
        )
    return whole
