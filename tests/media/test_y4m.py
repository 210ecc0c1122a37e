"""Raw frames on a pipe: what another program reads from them, and what they cannot say."""

from __future__ import annotations

import io
from dataclasses import replace
from fractions import Fraction

import av
import numpy as np
import pytest
import torch
from coded_frames import CLOCK, RATE, ramp_planes

from sdr2hdr.errors import OutputError
from sdr2hdr.frames import CodedBatch, FrameTime, Timeline
from sdr2hdr.media.encoding.output_video import OutputVideo
from sdr2hdr.media.mastering import P3_D65_1000
from sdr2hdr.media.writing.y4m import Y4mWriter, signalling_hint
from sdr2hdr.signal import HDR10_SIGNAL, Subsampling

SIZE = (50, 70)
VIDEO = OutputVideo(70, 50, CLOCK, RATE, sample_aspect_ratio=Fraction(16, 15))


def batch(pts: tuple[int, ...], size: tuple[int, int] = SIZE) -> CodedBatch:
    planes = [ramp_planes(HDR10_SIGNAL, size, number) for number in range(len(pts))]
    luma, cb, cr = (np.concatenate(together) for together in zip(*planes, strict=True))
    times = Timeline(CLOCK, tuple(FrameTime(time, 1001) for time in pts))
    return CodedBatch(*map(torch.from_numpy, (luma, cb, cr)), HDR10_SIGNAL, times)


def test_read_back():
    pipe = io.BytesIO()
    made = batch((5005, 6006, 7007))
    with Y4mWriter(pipe, VIDEO) as writer:
        writer.write(made)
        summary = writer.finish()
    assert (summary.frames, summary.size_bytes, summary.notices) == (3, len(pipe.getvalue()), ())
    assert pipe.getvalue().startswith(b"YUV4MPEG2 W70 H50 F30000:1001 Ip A16:15 C420p10 ")
    pipe.seek(0)
    with av.open(pipe, format="yuv4mpegpipe") as container:
        stream = container.streams.video[0]
        assert stream.average_rate == RATE
        assert stream.sample_aspect_ratio == Fraction(16, 15)
        frames = list(container.decode(video=0))
    assert [frame.format.name for frame in frames] == ["yuv420p10le"] * 3
    assert frames[0].color_range == 1, "limited, as the comment says"
    for number, frame in enumerate(frames):
        for plane, codes in zip(frame.planes, (made.luma, made.cb, made.cr), strict=True):
            height, width = codes.shape[1:]
            rows = np.frombuffer(memoryview(plane), "<u2").reshape(-1, plane.line_size // 2)
            assert np.array_equal(rows[:height, :width], codes[number].numpy())


def test_uneven_times_are_told():
    with Y4mWriter(io.BytesIO(), VIDEO) as writer:
        writer.write(batch((0, 1001, 5005)))
        (notice,) = writer.finish().notices
    assert notice.severity == "warning" and "0.100 s" in notice.text


@pytest.mark.parametrize(
    ("video", "found"),
    [
        (replace(VIDEO, variable_rate=True), "variable"),
        (replace(VIDEO, average_rate=None), "unknown"),
    ],
)
def test_without_one_rate_it_is_refused(video: OutputVideo, found: str):
    with pytest.raises(OutputError, match=f"frame rate is {found}.*\\.mkv"):
        Y4mWriter(io.BytesIO(), video)


def test_no_frames_is_an_error():
    pipe = io.BytesIO()
    with pytest.raises(OutputError, match="No frame"), Y4mWriter(pipe, VIDEO) as writer:
        writer.finish()
    assert pipe.getvalue() == b""


def test_wrong_pictures_are_refused():
    signal = replace(HDR10_SIGNAL, subsampling=Subsampling.YUV444)
    with pytest.raises(ValueError, match="Y4M is written as"):
        Y4mWriter(io.BytesIO(), replace(VIDEO, signal=signal))
    with pytest.raises(ValueError, match="expected 70x50"):
        Y4mWriter(io.BytesIO(), VIDEO).write(batch((0,), (48, 64)))


class ClosedPipe(io.BytesIO):
    def write(self, data: object) -> int:
        raise BrokenPipeError(32, "Broken pipe")


class Dribble(io.RawIOBase):
    """A stream without a buffer, which takes some of what it is given, and at last nothing."""

    def __init__(self, room_bytes: int) -> None:
        self.taken = bytearray()
        self._room_bytes = room_bytes

    def write(self, data: memoryview, /) -> int | None:
        part = bytes(data[: min(1000, self._room_bytes - len(self.taken))])
        self.taken += part
        return len(part) or None


def test_a_stream_that_takes_parts_is_given_the_rest():
    whole = io.BytesIO()
    for stream in (whole, dribble := Dribble(1 << 30)):
        with Y4mWriter(stream, VIDEO) as writer:
            writer.write(batch((0, 1)))
            writer.finish()
    assert dribble.taken == whole.getvalue()
    with pytest.raises(OutputError, match="temporarily unavailable"):
        Y4mWriter(Dribble(5000), VIDEO).write(batch((0,)))


def test_reader_that_goes_away():
    with pytest.raises(OutputError, match="Broken pipe"):
        Y4mWriter(ClosedPipe(), VIDEO).write(batch((0,)))


def test_what_the_stream_cannot_say():
    hint = signalling_hint(P3_D65_1000)
    for part in ("bt2020nc", "smpte2084", "--chromaloc 2", "L(10000000,1)"):
        assert part in hint
