"""The plan of a conversion: what was found in the source, and the segments it is done in.

A plan holds whatever several processes or machines must agree on. It is a value: equal plans have
equal keys, and a segment converted under a key fits every other segment of that key.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from fractions import Fraction
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any, get_args

from sdr2hdr.frames import Rectangle
from sdr2hdr.jobs.source_identity import SourceIdentity
from sdr2hdr.quality.fades import FadeKind
from sdr2hdr.quality.shots import Transition
from sdr2hdr.strict_json import JsonObject, read_object

__all__ = ["Fade", "Plan", "Segment", "Shot", "read_plan"]

FORMAT = "sdr2hdr plan"
FORMAT_VERSION = 4


@dataclass(frozen=True)
class Shot:
    """Frames that one camera saw without interruption; whatever is kept in time ends with it.

    Attributes:
        first_frame: From 0, in presentation order within the planned range.
        frame_count: At least 1.
        transition: How it begins: the range starts, a cut, or the first frame after a fade to
            black or white.
    """

    first_frame: int
    frame_count: int
    transition: Transition


@dataclass(frozen=True)
class Fade:
    """Frames over which the picture comes from, or goes to, black or white."""

    first_frame: int
    frame_count: int
    kind: FadeKind


@dataclass(frozen=True)
class Segment:
    """The unit of work: frames that are converted and encoded into a file of their own.

    Attributes:
        index: From 0, in order.
        first_frame: The first one that is written.
        frame_count: How many are written.
        start_pts: Of `first_frame`, in the plan's time base.
        end_pts: Of the first frame of the next segment; None for the last one, which goes on to
            the end of the planned range.
        preroll_frames: How many frames before `first_frame` are decoded and computed, but not
            written, so that what is kept in time is as if the segment were not the first. They
            are of the same shot.
        fingerprint: `frame_fingerprint` of the first frame decoded, the pre-roll's if there is
            one: hexadecimal.
    """

    index: int
    first_frame: int
    frame_count: int
    start_pts: int
    end_pts: int | None
    preroll_frames: int
    fingerprint: str

    @property
    def first_decoded_frame(self) -> int:
        """The first frame of the pre-roll, or `first_frame` without one."""
        return self.first_frame - self.preroll_frames

    @property
    def end_frame(self) -> int:
        """The frame after the last."""
        return self.first_frame + self.frame_count


@dataclass(frozen=True)
class Plan:
    """Everything that is decided before the first segment is converted.

    Attributes:
        source_path: Where the source lies; not part of the key.
        source: What it is recognised by.
        time_base: Seconds a tick of every `pts` here: the reader's, not always the stream's.
        frame_pts: When each frame of the planned range is shown, strictly increasing.
        shots: In order, covering all frames.
        fades: In order, not overlapping.
        active_picture: The picture inside constant black bars, in source px; None without bars.
        segments: In order, covering all frames.
        pinned: Everything else that may change a byte of the result: options, weights, versions;
            values that JSON holds.
        has_repaired_times: Whether frame times of the source had to be repaired, so that they are
            only had by decoding from the beginning.
        has_joined_clocks: Whether the clock of the source jumps, so that no place in it is found by
            its time.
        in_one_thread: Whether the source is decoded so, being damaged: with several threads what
            libavcodec makes up for what is missing depends on which of them comes first.
    """

    source_path: Path
    source: SourceIdentity
    time_base: Fraction
    frame_pts: tuple[int, ...]
    shots: tuple[Shot, ...]
    fades: tuple[Fade, ...]
    active_picture: Rectangle | None
    segments: tuple[Segment, ...]
    pinned: Mapping[str, Any] = field(default_factory=dict)
    has_repaired_times: bool = False
    has_joined_clocks: bool = False
    in_one_thread: bool = False

    def __post_init__(self) -> None:
        """Refuse what does not fit together.

        Raises:
            ValueError: Frames are missing, doubled or out of order.
        """
        if not self.frame_pts:
            raise ValueError("There are no frames; expected at least one.")
        if any(later <= earlier for earlier, later in pairwise(self.frame_pts)):
            raise ValueError("The times of frames do not increase; expected them to.")
        _check_cover("shots", self.shots, len(self.frame_pts))
        _check_cover("segments", self.segments, len(self.frame_pts))
        for number, segment in enumerate(self.segments):
            self._check_segment(number, segment)

    @property
    def frame_count(self) -> int:
        """Frames in the planned range."""
        return len(self.frame_pts)

    @cached_property
    def key(self) -> str:
        """Hash of the whole plan but for where the source lies, hexadecimal."""
        content = self._content()
        del content["source_path"]
        text = json.dumps(content, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    def with_pinned(self, pinned: Mapping[str, Any]) -> Plan:
        """The same plan under these settings."""
        return replace(self, pinned=pinned)

    def to_json(self) -> str:
        """The plan as text, one line a field."""
        fields: dict[str, object] = {"format": FORMAT, "version": FORMAT_VERSION, "key": self.key}
        fields |= self._content()
        lines = [f"{json.dumps(name)}: {json.dumps(value)}" for name, value in fields.items()]
        return "{\n" + ",\n".join(lines) + "\n}\n"

    def _content(self) -> dict[str, object]:
        return {
            "source_path": str(self.source_path),
            "source": asdict(self.source),
            "time_base": str(self.time_base),
            "has_repaired_times": self.has_repaired_times,
            "has_joined_clocks": self.has_joined_clocks,
            "in_one_thread": self.in_one_thread,
            "shots": [asdict(shot) for shot in self.shots],
            "fades": [asdict(fade) for fade in self.fades],
            "active_picture": None if self.active_picture is None else asdict(self.active_picture),
            "segments": [asdict(segment) for segment in self.segments],
            "pinned": dict(self.pinned),
            "frame_pts": list(self.frame_pts),
        }

    def _check_segment(self, number: int, segment: Segment) -> None:
        is_last = number == len(self.segments) - 1
        end_pts = None if is_last else self.frame_pts[segment.end_frame]
        expected = (number, self.frame_pts[segment.first_frame], end_pts)
        if (segment.index, segment.start_pts, segment.end_pts) != expected:
            raise ValueError(
                f"Segment {number} says index {segment.index}, start {segment.start_pts} and end "
                f"{segment.end_pts}; its frames say {expected[0]}, {expected[1]}, {expected[2]}."
            )
        if not 0 <= segment.preroll_frames <= segment.first_frame:
            raise ValueError(
                f"Segment {number} has {segment.preroll_frames} frames of pre-roll; expected 0 to "
                f"{segment.first_frame}."
            )


def read_plan(path: Path) -> Plan:
    """Read a file of what `Plan.to_json` gave.

    Raises:
        InputError: It cannot be read, is no plan, one of another version, damaged, or edited.
    """
    given = read_object(path)
    if given.take("format", str) != FORMAT:
        raise given.fault("this is no plan; expected what `sdr2hdr plan` writes.")
    version = given.take("version", int)
    if version != FORMAT_VERSION:
        raise given.fault(
            f"the plan has version {version}; expected {FORMAT_VERSION}. Make it anew with "
            "`sdr2hdr plan`."
        )
    key = given.take("key", str)
    try:
        plan = Plan(
            source_path=Path(given.take("source_path", str)),
            source=_source(given.take_object("source")),
            time_base=_time_base(given),
            has_repaired_times=given.take("has_repaired_times", bool),
            has_joined_clocks=given.take("has_joined_clocks", bool),
            in_one_thread=given.take("in_one_thread", bool),
            shots=tuple(_shot(item) for item in given.take_objects("shots")),
            fades=tuple(_fade(item) for item in given.take_objects("fades")),
            active_picture=_active_picture(given),
            segments=tuple(_segment(item) for item in given.take_objects("segments")),
            pinned=given.take_mapping("pinned"),
            frame_pts=tuple(given.take_integers("frame_pts")),
        )
    except ValueError as error:
        raise given.fault(str(error)) from error
    given.finish()
    if plan.key != key:
        raise given.fault(
            "the key does not fit the content, so something was edited or lost; expected the plan "
            "as it was written. Make it anew with `sdr2hdr plan`."
        )
    return plan


def _time_base(given: JsonObject) -> Fraction:
    text = given.take("time_base", str)
    # As it is written. `Fraction` takes exponents too, and reckons on 1e999999999 for ever.
    match = re.fullmatch(r"([0-9]{1,19})(?:/([0-9]{1,19}))?", text)
    counter, divisor = (int(match[1]), int(match[2] or 1)) if match else (0, 1)
    if counter == 0 or divisor == 0:
        raise given.fault(f'"time_base" is {text!r}; expected a fraction of a second above 0.')
    return Fraction(counter, divisor)


def _source(given: JsonObject) -> SourceIdentity:
    source = SourceIdentity(
        size_bytes=given.take("size_bytes", int),
        samples_sha256=given.take("samples_sha256", str),
        duration_seconds=given.take_optional("duration_seconds", float),
    )
    given.finish()
    return source


def _shot(given: JsonObject) -> Shot:
    shot = Shot(
        first_frame=given.take("first_frame", int),
        frame_count=given.take("frame_count", int),
        transition=given.take_choice("transition", get_args(Transition)),
    )
    given.finish()
    return shot


def _fade(given: JsonObject) -> Fade:
    fade = Fade(
        first_frame=given.take("first_frame", int),
        frame_count=given.take("frame_count", int),
        kind=given.take_choice("kind", get_args(FadeKind)),
    )
    given.finish()
    return fade


def _active_picture(given: JsonObject) -> Rectangle | None:
    name = "active_picture"
    if given.take_null(name):
        return None
    part = given.take_object(name)
    rectangle = Rectangle(
        top=part.take("top", int),
        left=part.take("left", int),
        bottom=part.take("bottom", int),
        right=part.take("right", int),
    )
    part.finish()
    return rectangle


def _segment(given: JsonObject) -> Segment:
    segment = Segment(
        index=given.take("index", int),
        first_frame=given.take("first_frame", int),
        frame_count=given.take("frame_count", int),
        start_pts=given.take("start_pts", int),
        end_pts=given.take_optional("end_pts", int),
        preroll_frames=given.take("preroll_frames", int),
        fingerprint=given.take("fingerprint", str),
    )
    given.finish()
    return segment


def _check_cover(name: str, parts: tuple[Shot, ...] | tuple[Segment, ...], frames: int) -> None:
    """Refuse parts that leave out a frame, or hold one twice.

    Raises:
        ValueError: They do.
    """
    expected = 0
    for part in parts:
        if part.first_frame != expected or part.frame_count < 1:
            raise ValueError(
                f"The {name} give {part.frame_count} frames from {part.first_frame} on where frame "
                f"{expected} is next; expected each frame once."
            )
        expected += part.frame_count
    if expected != frames:
        raise ValueError(f"The {name} hold {expected} frames of {frames}; expected all.")
