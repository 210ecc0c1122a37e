"""What is known of a finished segment, as it is kept beside it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, astuple, dataclass
from pathlib import Path
from typing import Any

from sdr2hdr.errors import InputError, Notice
from sdr2hdr.frames import FrameTime
from sdr2hdr.media.reading.damage import Damage
from sdr2hdr.quality.flicker import FlickerTally
from sdr2hdr.quality.light_levels import FrameLight
from sdr2hdr.quality.roundtrip import RoundtripTally, ShotTally
from sdr2hdr.range_summary import RangeSummary
from sdr2hdr.strict_json import JsonObject, read_object

__all__ = ["FinishedSegment", "SegmentRecord", "read_record"]

FORMAT = "sdr2hdr segment"
FORMAT_VERSION = 1


@dataclass(frozen=True)
class FinishedSegment:
    """What a run keeps in mind of a segment's record: nothing that grows with its frames.

    Attributes:
        index: Of the segment in the plan.
        frame_count: How many frames it has.
        file_name: As in the record; likewise `size_bytes`, `sha256` and `made_with`.
    """

    index: int
    frame_count: int
    file_name: str
    size_bytes: int
    sha256: str
    made_with: dict[str, Any]


@dataclass(frozen=True)
class SegmentRecord:
    """A segment that was converted and whose file is whole.

    Attributes:
        key: Of the plan it belongs to.
        index: Of the segment in the plan.
        file_name: In the folder of the record.
        size_bytes: Of the file.
        sha256: Of the file, hexadecimal.
        seconds: That the work took.
        made_with: Versions and processor, as the plan's settings name them.
        summary: What was found and measured in its frames.
    """

    key: str
    index: int
    file_name: str
    size_bytes: int
    sha256: str
    seconds: float
    made_with: dict[str, Any]
    summary: RangeSummary

    @property
    def finished(self) -> FinishedSegment:
        """The record without what it says of single frames."""
        return FinishedSegment(
            self.index,
            self.summary.frame_count,
            self.file_name,
            self.size_bytes,
            self.sha256,
            self.made_with,
        )

    def to_json(self) -> str:
        """The record as text."""
        return json.dumps(
            {
                "format": FORMAT,
                "version": FORMAT_VERSION,
                "key": self.key,
                "index": self.index,
                "file_name": self.file_name,
                "size_bytes": self.size_bytes,
                "sha256": self.sha256,
                "seconds": self.seconds,
                "made_with": self.made_with,
                "summary": _content(self.summary),
            }
        )


def read_record(path: Path) -> SegmentRecord:
    """Read a file of what `SegmentRecord.to_json` gave.

    Raises:
        InputError: It cannot be read, is no record, one of another version, or damaged.
    """
    given = read_object(path)
    if given.take("format", str) != FORMAT or given.take("version", int) != FORMAT_VERSION:
        raise given.fault("this is no record of a segment of this version.")
    record = SegmentRecord(
        key=given.take("key", str),
        index=given.take("index", int),
        file_name=given.take("file_name", str),
        size_bytes=given.take("size_bytes", int),
        sha256=given.take("sha256", str),
        seconds=given.take("seconds", float),
        made_with=dict(given.take_mapping("made_with")),
        summary=_summary(given.take_object("summary"), str(path)),
    )
    given.finish()
    if Path(record.file_name).name != record.file_name:
        raise given.fault(f'"file_name" is {record.file_name!r}; expected a name alone.')
    return record


def _content(summary: RangeSummary) -> dict[str, object]:
    return {
        "first_frame": summary.first_frame,
        "times": [astuple(time) for time in summary.times],
        "lights": [astuple(light) for light in summary.lights],
        "super_white": summary.super_white,
        "damage": asdict(summary.damage),
        "tallies": [
            [part.first_frame, *astuple(part.tally)[:3], list(part.tally.histogram)]
            for part in summary.tallies
        ],
        "flicker": [asdict(tally) for tally in summary.flicker],
        "notices": [[notice.severity, notice.text] for notice in summary.notices],
    }


def _summary(given: JsonObject, what: str) -> RangeSummary:
    try:
        summary = RangeSummary(
            first_frame=given.take("first_frame", int),
            times=tuple(FrameTime(*_numbers(row, 2, int)) for row in given.take_list("times")),
            lights=tuple(FrameLight(*_numbers(row, 4, float)) for row in given.take_list("lights")),
            super_white=given.take("super_white", float),
            damage=_damage(given.take_object("damage")),
            tallies=tuple(_tally(row) for row in given.take_list("tallies")),
            flicker=tuple(_flicker(part) for part in given.take_objects("flicker")),
            notices=tuple(_notice(row) for row in given.take_list("notices")),
        )
    except (TypeError, ValueError, OverflowError) as error:
        raise InputError(f"{what}: the summary is damaged: {error}.") from error
    given.finish()
    return summary


def _damage(given: JsonObject) -> Damage:
    damage = Damage(
        packets_failed=given.take("packets_failed", int),
        frames_corrupt=given.take("frames_corrupt", int),
        frames_lost=given.take("frames_lost", int),
        first_time_seconds=given.take_optional("first_time_seconds", float),
    )
    given.finish()
    return damage


def _tally(row: Sequence[Any]) -> ShotTally:
    first_frame, frames, error_sum, maximum, histogram = row
    bins = tuple((int(place), int(count)) for place, count in histogram)
    return ShotTally(
        int(first_frame), RoundtripTally(int(frames), float(error_sum), float(maximum), bins)
    )


def _flicker(given: JsonObject) -> FlickerTally:
    tally = FlickerTally(
        first_frame=given.take("first_frame", int),
        pairs=given.take("pairs", int),
        blocks=given.take("blocks", int),
        all_blocks=given.take("all_blocks", int),
        source_squares=given.take("source_squares", float),
        converted_squares=given.take("converted_squares", float),
        worst=given.take("worst", float),
        worst_frame=given.take("worst_frame", int),
    )
    given.finish()
    return tally


def _notice(row: Sequence[Any]) -> Notice:
    severity, text = row
    if severity not in ("notice", "warning"):
        raise ValueError(f"a notice is {severity!r}")
    return Notice(severity, str(text))


def _numbers(row: Sequence[Any], count: int, kind: type[Any]) -> list[Any]:
    if len(row) != count:
        raise ValueError(f"{len(row)} numbers; expected {count}")
    return [kind(value) for value in row]
