"""Interlaced video to progressive, with bwdif, keeping every frame's time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction

import av.error
from av.filter import Graph
from av.video.frame import VideoFrame

from sdr2hdr.errors import InputError, Notice
from sdr2hdr.media.pixel_formats import Arrangement, pixel_layout
from sdr2hdr.media.source import VideoInfo
from sdr2hdr.options import DeinterlaceMode

__all__ = ["TimedFrame", "deinterlace_notice", "deinterlaced", "deinterlaced_timing", "is_woven"]

FLAGGING_CODECS = frozenset(
    {
        "dnxhd",
        "dvvideo",
        "ffv1",
        "h264",
        "hevc",
        "mjpeg",
        "mpeg2video",
        "mpeg4",
        "prores",
        "vc1",
        "wmv3",
    }
)
"""Codecs that say of every frame whether it is interlaced; for others the container's word
stands for all frames."""


@dataclass(frozen=True)
class TimedFrame:
    """A decoded frame with its final time, in ticks of the time base of where it comes from.

    Attributes:
        user_data: As `frame_user_data` gives it.
    """

    frame: VideoFrame
    pts: int
    duration: int
    user_data: tuple[bytes, ...] = ()


def is_woven(video: VideoInfo) -> bool:
    """Whether frames of the stream hold two fields of different times."""
    return video.field_order in ("top", "bottom")


def deinterlaced_timing(
    video: VideoInfo, mode: DeinterlaceMode
) -> tuple[Fraction, Fraction | None]:
    """Time base and average rate of what `deinterlaced` gives."""
    if mode != "field" or not is_woven(video):
        return video.time_base, video.average_rate
    rate = video.average_rate
    # The second field's time lies half way to the next frame: half a tick may be needed.
    return video.time_base / 2, None if rate is None else 2 * rate


def deinterlace_notice(video: VideoInfo, mode: DeinterlaceMode) -> Notice | None:
    """What the user should know about an interlaced source, None for others."""
    if not is_woven(video):
        return None
    found = f"Interlaced ({video.field_order} field first)"
    if mode == "off":
        return Notice("warning", f"{found}: left as it is, combing included (--deinterlace off).")
    rate = "one frame a field" if mode == "field" else "one frame a frame"
    return Notice(
        "notice", f"{found}: deinterlaced with bwdif, {rate}. --deinterlace off changes this."
    )


def deinterlaced(
    frames: Iterator[TimedFrame], video: VideoInfo, mode: DeinterlaceMode
) -> Iterator[TimedFrame]:
    """Deinterlace a stream; frames that are flagged as progressive pass unchanged.

    Args:
        frames: In presentation order, times strictly increasing, in ticks of `video.time_base`.
        video: An interlaced stream (`is_woven`).
        mode: "frame" or "field"; "off" passes everything on.

    Yields:
        Frames of the same size and format, times in ticks of `deinterlaced_timing`.

    Raises:
        InputError: The pixel format cannot be deinterlaced.
    """
    if mode == "off" or not is_woven(video):
        yield from frames
        return
    given: dict[int, TimedFrame] = {}
    end = 0
    waiting: TimedFrame | None = None
    for half_ticks, frame in _filtered(frames, video, mode, given):
        if mode == "frame":
            yield replace(given.pop(half_ticks // 2), frame=frame)
            continue
        user_data: tuple[bytes, ...] = ()
        if half_ticks % 2 == 0 and half_ticks // 2 in given:
            woven = given.pop(half_ticks // 2)
            end, user_data = 2 * (woven.pts + woven.duration), woven.user_data
        if waiting is not None:
            # The filter knows no second time for the fields of a stream of one frame.
            if half_ticks <= waiting.pts:
                half_ticks = max(waiting.pts + 1, (waiting.pts + end) // 2)
            yield replace(waiting, duration=half_ticks - waiting.pts)
        waiting = TimedFrame(frame, half_ticks, 0, user_data)
    if waiting is not None:
        yield replace(waiting, duration=max(1, end - waiting.pts))


def _filtered(
    frames: Iterator[TimedFrame],
    video: VideoInfo,
    mode: DeinterlaceMode,
    given: dict[int, TimedFrame],
) -> Iterator[tuple[int, VideoFrame]]:
    """Run bwdif; gives each frame with its time in half ticks, as the filter counts.

    Every input frame goes into `given`, by its time.
    """
    # bwdif takes planes. Pairs are taken apart and put together again outside of the graph: there
    # it changes no sample, but within it the frames' tags would make a conversion of colour of it.
    is_packed = pixel_layout(video.pixel_format).arrangement is Arrangement.PACKED_PAIRS
    inside = "yuv422p" if is_packed else video.pixel_format
    graph: Graph | None = None
    for timed in frames:
        frame = timed.frame.reformat(format=inside)
        if graph is None:
            graph = _graph(frame, video, mode)
        given[timed.pts] = timed
        frame.pts = timed.pts
        graph.vpush(frame)
        yield from _ready(graph, inside, video.pixel_format)
    if graph is not None:
        graph.vpush(None)
        yield from _ready(graph, inside, video.pixel_format)


def _graph(frame: VideoFrame, video: VideoInfo, mode: DeinterlaceMode) -> Graph:
    graph = Graph()
    source = graph.add_buffer(
        width=frame.width, height=frame.height, format=frame.format, time_base=video.time_base
    )
    is_flagged = video.codec in FLAGGING_CODECS
    fields = {"top": "tff", "bottom": "bff"}[video.field_order]
    bwdif = graph.add(
        "bwdif",
        mode="send_field" if mode == "field" else "send_frame",
        parity="auto" if is_flagged else fields,
        deint="interlaced" if is_flagged else "all",
    )
    graph.link_nodes(source, bwdif, graph.add("buffersink"))
    graph.configure()
    return graph


def _ready(graph: Graph, inside: str, pixel_format: str) -> Iterator[tuple[int, VideoFrame]]:
    while True:
        try:
            frame = graph.vpull()
        except (av.error.BlockingIOError, av.error.EOFError):
            return
        if frame.format.name != inside:
            raise InputError(
                f"Interlaced video in pixel format {pixel_format} cannot be deinterlaced; "
                "--deinterlace off leaves it as it is."
            )
        if frame.pts is None:
            raise InputError("The deinterlacer gave a frame without a time.")
        yield frame.pts, frame.reformat(format=pixel_format)
