"""Watch whether a video stays what its beginning was: shape, colour tags, shape of pixels."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from sdr2hdr.errors import AlreadyHdrError, InputError, Notice
from sdr2hdr.media.reading.spliced_clock import starts_anywhere
from sdr2hdr.media.signalling.colour_codes import WIDE_TRANSFERS, transfer_name
from sdr2hdr.media.source import SourceInfo
from sdr2hdr.options import ReadOptions

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

__all__ = ["Constancy"]


class Constancy:
    """Looks at every frame, in presentation order.

    Args:
        info: How the video was read.
        options: What was asked for.
        start_pts: Where the wanted range begins, in ticks of the stream; None is the beginning.
    """

    def __init__(self, info: SourceInfo, options: ReadOptions, start_pts: Fraction | None) -> None:
        self._info = info
        self._start_pts = start_pts
        self._may_become_hdr = options.colour.transfer is None
        self._tags: tuple[int, ...] | None = None
        self._changes: dict[str, Notice] = {}

    @property
    def notices(self) -> tuple[Notice, ...]:
        """The first change of each kind that the result does not follow."""
        return tuple(self._changes.values())

    def can_be_read(self, frame: VideoFrame) -> bool:
        """Whether a frame has the shape of the video and is SDR."""
        return self._has_shape(frame) and not self._becomes_hdr(frame)

    def check(self, frame: VideoFrame, pixel_aspect: Fraction | None) -> None:
        """Look at a frame.

        Args:
            frame: With its time.
            pixel_aspect: What the decoder says of it; None or 0 if it does not.

        Raises:
            InputError: Size or pixel format change.
            AlreadyHdrError: The video becomes HDR.
        """
        self._check_shape(frame)
        self._check_tags(frame)
        self._check_aspect(frame, pixel_aspect)

    def _has_shape(self, frame: VideoFrame) -> bool:
        video = self._info.video
        found = (frame.width, frame.height, frame.format.name)
        return found == (video.width_px, video.height_px, video.pixel_format)

    def _becomes_hdr(self, frame: VideoFrame) -> bool:
        return int(frame.color_trc) in WIDE_TRANSFERS and self._may_become_hdr

    def _check_shape(self, frame: VideoFrame) -> None:
        video = self._info.video
        if not self._has_shape(frame):
            when = "" if frame.pts is None else f" at {self._when(frame)}"
            raise InputError(
                f"The video changes{when} from {video.width_px}x{video.height_px} "
                f"{video.pixel_format} to {frame.width}x{frame.height} {frame.format.name}; "
                "expected one size and format throughout. --end can choose what comes before."
            )

    def _check_tags(self, frame: VideoFrame) -> None:
        tags = (
            int(frame.color_primaries),
            int(frame.color_trc),
            int(frame.colorspace),
            int(frame.color_range),
        )
        if self._tags is None:
            self._tags = tags
        elif tags != self._tags:
            text = f"The colour tags change at {self._when(frame)}"
            self._note("tags", f"{text}; the whole video is read as its beginning.")
        if self._becomes_hdr(frame):
            raise AlreadyHdrError(
                f"The video becomes {transfer_name(tags[1])} at {self._when(frame)}; expected SDR "
                "throughout. --transfer says how to read it, --end can choose what comes before."
            )

    def _check_aspect(self, frame: VideoFrame, found: Fraction | None) -> None:
        """Note where broadcasts go from 4:3 to 16:9; other containers say one ratio for all."""
        written = self._info.video.sample_aspect_ratio
        is_wanted = self._start_pts is None or frame.pts is None or frame.pts >= self._start_pts
        if is_wanted and found and found != written and starts_anywhere(self._info.container):
            there, here = (f"{each.numerator}:{each.denominator}" for each in (found, written))
            self._note(
                "aspect",
                f"The pixels' aspect ratio is {there} at {self._when(frame)}; the whole video is "
                f"written with {here}, that of its beginning.",
            )

    def _note(self, kind: str, text: str) -> None:
        self._changes.setdefault(kind, Notice("warning", text))

    def _when(self, frame: VideoFrame) -> str:
        start = self._info.start_seconds
        seconds = 0.0 if frame.pts is None else frame.pts * self._info.video.time_base - start
        return f"{float(seconds):.3f} s"
