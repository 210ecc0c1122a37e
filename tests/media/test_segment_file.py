"""Segments hold what the encoder made; a merge does not show where the film was cut."""

from __future__ import annotations

import struct
import sys
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from coded_frames import CLOCK, RATE, SIZE, ramp_planes
from rich_sources import Source, make_source
from whole_film import merge_segments, write_segment

from sdr2hdr.errors import OutputError, VerificationError
from sdr2hdr.frames import CodedBatch, FrameTime, Timeline
from sdr2hdr.media.bitstreams.hdr10_sei import split_units
from sdr2hdr.media.copying.stream_plan import StreamPlan, plan_streams
from sdr2hdr.media.encoding.encoder_opening import open_encoder
from sdr2hdr.media.encoding.encoders import ENCODERS
from sdr2hdr.media.encoding.output_video import OutputVideo
from sdr2hdr.media.reading.probe import probe
from sdr2hdr.media.writing.segment_file import SegmentReader, segment_suffix
from sdr2hdr.options import EncodeOptions, ReadOptions, TimeRange

ON_A_CPU = [name for name, spec in ENCODERS.items() if not spec.needs_gpu]
PRESETS = {"hevc": "veryfast", "av1": "12"}
OBU_TEMPORAL_DELIMITER = b"\x12\x00"
FRAMES = 24
TIMES = tuple(
    FrameTime(30030 + 1001 * n + (333 if n in (5, 17) else 0), 1001) for n in range(FRAMES)
)
TIMES = tuple(
    FrameTime(time.pts, (TIMES[n + 1].pts - time.pts) if n + 1 < FRAMES else 777)
    for n, time in enumerate(TIMES)
)


def options_for(name: str, **more: object) -> EncodeOptions:
    return EncodeOptions(codec=name, preset=PRESETS.get(name), **{"threads": 2, **more})  # type: ignore[arg-type]


def video_for(name: str) -> OutputVideo:
    return OutputVideo(SIZE[1], SIZE[0], CLOCK, RATE, True, ENCODERS[name].signal)


def target_for(folder: Path, name: str) -> Path:
    return folder / f"out{ENCODERS[name].extensions[0]}"


def batches(name: str, numbers: range) -> list[CodedBatch]:
    signal = ENCODERS[name].signal
    return [
        CodedBatch(*ramp_planes(signal, SIZE, n), signal, Timeline(CLOCK, (TIMES[n],)))
        for n in numbers
    ]


def units_of(name: str, data: bytes) -> object:
    """A packet without how it is packed into the file."""
    if name == "hevc":
        parameter_sets = (32, 33, 34)
        return [u for u in split_units(data, 0) if u[0] >> 1 & 0x3F not in parameter_sets]
    return data.removeprefix(OBU_TEMPORAL_DELIMITER)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_source(tmp_path_factory.mktemp("source") / "in.mp4", Source(*SIZE[::-1]))


@pytest.fixture(autouse=True)
def _quiet_svt_av1(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SVT_LOG", "1")


def plan_for(source: Path, target: Path, name: str) -> StreamPlan:
    return plan_streams(probe(source, ReadOptions()), target, options_for(name), TimeRange())


@pytest.mark.parametrize("first", [0, 9])
@pytest.mark.parametrize("frames", [1, 2, 3, 15])
@pytest.mark.parametrize("name", ON_A_CPU)
def test_packets_come_back_as_they_were_made(
    source: Path, tmp_path: Path, name: str, frames: int, first: int
):
    numbers = range(first, first + frames)
    encoder = open_encoder(ENCODERS[name], video_for(name), options_for(name), CLOCK)
    made = []
    for number in numbers:
        (luma, cb, cr) = (p[0] for p in ramp_planes(ENCODERS[name].signal, SIZE, number))
        made += encoder.encode((luma, cb, cr), TIMES[number].pts)
    made += encoder.flush()
    plan = plan_for(source, target_for(tmp_path, name), name)
    path = tmp_path / f"segment{segment_suffix(options_for(name), plan.target)}"
    summary, _ = write_segment(
        path, plan, options_for(name), video_for(name), batches(name, numbers)
    )
    with SegmentReader(path) as segment:
        read = [(p.pts, p.is_keyframe, bytes(p)) for p in segment]
        sets = [segment.parameter_sets, encoder.parameter_sets]
        if name == "hevc":
            # Start codes have three bytes or four.
            sets = [split_units(headers, 0) for headers in sets]
        assert sets[0] == sets[1]
        assert (segment.time_base, segment.first_pts) == (CLOCK, TIMES[first].pts)
    encoder.close()
    assert [p[:2] for p in read] == [(p.pts, p.is_keyframe) for p in made]
    assert read[0][1] is True
    assert [units_of(name, p[2]) for p in read] == [units_of(name, bytes(p)) for p in made]
    last = TIMES[numbers[-1]]
    assert (summary.frames, summary.first_pts) == (frames, TIMES[first].pts)
    assert summary.end_pts == last.pts + last.duration
    assert summary.size_bytes == path.stat().st_size


@pytest.mark.parametrize("name", ["hevc", "av1", "prores-422hq", "dnxhr-hqx", "ffv1"])
def test_other_tools_see_the_same_times(source: Path, tmp_path: Path, name: str):
    plan = plan_for(source, target_for(tmp_path, name), name)
    path = tmp_path / f"segment{segment_suffix(options_for(name), plan.target)}"
    write_segment(path, plan, options_for(name), video_for(name), batches(name, range(4, 20)))
    with av.open(str(path)) as container:
        assert len(container.streams) == 1
        stream = container.streams.video[0]
        frames = [frame.pts * stream.time_base for frame in container.decode(stream)]
        whole = stream.duration * stream.time_base
    assert frames == [(TIMES[n].pts - TIMES[4].pts) * CLOCK for n in range(4, 20)]
    if ENCODERS[name].codec != "hevc":
        # With reordering the track's length is that of its decoding times.
        assert whole == (TIMES[20].pts - TIMES[4].pts) * CLOCK


def cut_film(
    source: Path, target: Path, name: str, cuts: tuple[int, ...], options: EncodeOptions
) -> bytes:
    plan = plan_for(source, target, name)
    bounds = (0, *cuts, FRAMES)
    segments = []
    for first, last in pairwise(bounds):
        segments.append(target.parent / f"{first}-{last}.segment")
        part = batches(name, range(first, last))
        write_segment(segments[-1], plan, options, video_for(name), part)
    info = probe(source, ReadOptions())
    merge_segments(target, info, plan, options, video_for(name), segments, TIMES)
    return target.read_bytes()


@pytest.mark.parametrize("extension", [".mkv", ".mp4", ".mov"])
@pytest.mark.parametrize("cuts", [(1,), (1, 2, 4, 6), (2,), (23,), (11, 13)])
def test_times_do_not_show_the_cuts(
    source: Path, tmp_path: Path, extension: str, cuts: tuple[int, ...]
):
    target = tmp_path / f"out{extension}"
    options = options_for("hevc")
    whole = cut_film(source, target, "hevc", (), options)
    times = []
    for data in (whole, cut_film(source, target, "hevc", cuts, options)):
        target.write_bytes(data)
        with av.open(str(target)) as container:
            stream = container.streams.video[0]
            packets = [p for p in container.demux(stream) if p.size]
            container.seek(0)
            frames = [frame.pts for frame in container.decode(stream)]
        times.append(([p.dts for p in packets], frames, stream.duration))
        keys = [n for n, p in enumerate(packets) if p.is_keyframe]
    assert times[0] == times[1]
    assert keys == [0, *cuts]
    assert len(frames) == FRAMES
    tick = Fraction(1, 1000) if extension == ".mkv" else CLOCK
    assert [round(time.pts * CLOCK / tick) for time in TIMES] == frames


@pytest.mark.parametrize("name", ["prores-422hq", "dnxhr-hqx", "ffv1"])
def test_film_of_key_frames_is_the_same_however_it_is_cut(source: Path, tmp_path: Path, name: str):
    options, target = options_for(name), target_for(tmp_path, name)
    whole = cut_film(source, target, name, (), options)
    assert cut_film(source, target, name, (1, 2, 9), options) == whole


@pytest.mark.parametrize("name", ON_A_CPU)
def test_threads_do_not_change_a_byte(source: Path, tmp_path: Path, name: str):
    """4 is where x265 would change its lookahead, 16 where it would encode more frames at once."""
    height, width = 180, 320
    random = np.random.default_rng(5)
    signal = ENCODERS[name].signal
    texture = torch.from_numpy(random.integers(64, 900, (height, 2 * width)).astype(np.int32))
    video = replace(video_for(name), width_px=width, height_px=height)
    options = options_for(name)
    if name == "hevc":
        # The default, whose choice of frame types is the one that looks at the threads.
        options = replace(options, preset="medium")
    found = []
    for threads in (1, 2, 4, 16):
        encoder = open_encoder(ENCODERS[name], video, replace(options, threads=threads), CLOCK)
        packets = []
        for number in range(30):
            luma = texture[:, 5 * number : 5 * number + width].to(torch.uint16).contiguous()
            _, cb, cr = (p[0] for p in ramp_planes(signal, (height, width), number))
            packets += encoder.encode((luma, cb, cr), 1001 * number)
        packets += encoder.flush()
        found.append([(p.pts, p.is_keyframe, bytes(p)) for p in packets])
        encoder.close()
    assert len(found[0]) == 30
    assert all(other == found[0] for other in found[1:])


class TestRefusals:
    @pytest.fixture
    def parts(self, source: Path, tmp_path: Path) -> list[Path]:
        plan = plan_for(source, tmp_path / "out.mkv", "ffv1")
        paths = []
        for first in range(0, FRAMES, 8):
            paths.append(tmp_path / f"{first}.segment")
            part = batches("ffv1", range(first, first + 8))
            write_segment(paths[-1], plan, options_for("ffv1"), video_for("ffv1"), part)
        return paths

    def merge(self, source: Path, folder: Path, parts: list[Path], name: str = "ffv1") -> None:
        target = target_for(folder, name)
        plan = plan_for(source, target, name)
        try:
            info = probe(source, ReadOptions())
            merge_segments(target, info, plan, options_for(name), video_for(name), parts, TIMES)
        finally:
            assert target.exists() is (sys.exc_info()[0] is None)

    def test_all_in_order_are_taken(self, source: Path, tmp_path: Path, parts: list[Path]):
        self.merge(source, tmp_path, parts)

    @pytest.mark.parametrize("order", [(0, 2), (1, 0, 2), (0, 1, 1, 2), (0, 1), (1, 2)])
    def test_missing_and_doubled(
        self, source: Path, tmp_path: Path, parts: list[Path], order: tuple[int, ...]
    ):
        with pytest.raises(VerificationError, match="frame"):
            self.merge(source, tmp_path, [parts[n] for n in order])

    def test_frames_missing_inside(self, source: Path, tmp_path: Path, parts: list[Path]):
        plan = plan_for(source, tmp_path / "out.mkv", "ffv1")
        part = batches("ffv1", range(8, 16))
        del part[3]
        write_segment(parts[1], plan, options_for("ffv1"), video_for("ffv1"), part)
        with pytest.raises(VerificationError, match="missing"):
            self.merge(source, tmp_path, parts)

    def test_another_codec(self, source: Path, tmp_path: Path, parts: list[Path]):
        with pytest.raises(VerificationError, match="holds ffv1"):
            self.merge(source, tmp_path, parts, "hevc")

    def test_other_parameter_sets(self, source: Path, tmp_path: Path):
        plan = plan_for(source, tmp_path / "out.mkv", "hevc")
        parts = []
        for first, params in ((0, ""), (12, "bframes=0")):
            parts.append(tmp_path / f"{first}.segment")
            options = options_for("hevc", encoder_params=params)
            part = batches("hevc", range(first, first + 12))
            write_segment(parts[-1], plan, options, video_for("hevc"), part)
        with pytest.raises(VerificationError, match="parameter sets"):
            self.merge(source, tmp_path, parts, "hevc")

    def test_a_beginning_that_is_no_key_frame(self, source: Path, tmp_path: Path):
        """Of a segment's only key frame, its `stss` box says here that it is the second frame."""
        plan = plan_for(source, tmp_path / "out.mkv", "hevc")
        parts = []
        for first in (0, 12):
            parts.append(tmp_path / f"{first}.segment")
            part = batches("hevc", range(first, first + 12))
            write_segment(parts[-1], plan, options_for("hevc"), video_for("hevc"), part)
        first_is_key = b"stss" + struct.pack(">3I", 0, 1, 1)
        data = parts[1].read_bytes()
        assert data.count(first_is_key) == 1
        parts[1].write_bytes(data.replace(first_is_key, b"stss" + struct.pack(">3I", 0, 1, 2)))
        with pytest.raises(VerificationError, match="begins without a key frame"):
            self.merge(source, tmp_path, parts, "hevc")

    def test_damaged_segment(self, source: Path, tmp_path: Path, parts: list[Path]):
        data = parts[1].read_bytes()
        parts[1].write_bytes(data[: len(data) // 2])
        with pytest.raises(OutputError, match="cannot be read"):
            self.merge(source, tmp_path, parts)

    def test_what_is_no_segment(self, source: Path, tmp_path: Path, parts: list[Path]):
        with pytest.raises(OutputError, match="cannot be read"):
            self.merge(source, tmp_path, [source])
