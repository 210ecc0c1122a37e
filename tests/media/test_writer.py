"""The converted stream: frames at the source's times, the same bytes each time, plain errors."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from rich_sources import FAST, VFR_PTS, Source, convert_grey, make_source, seconds_of
from whole_film import write_film

from sdr2hdr.errors import OutputError, UsageError
from sdr2hdr.frames import CodedBatch, FrameTime, Timeline
from sdr2hdr.media.copying.stream_copy import StreamCopier
from sdr2hdr.media.copying.stream_plan import plan_streams
from sdr2hdr.media.encoding.output_video import OutputVideo
from sdr2hdr.media.reading.probe import probe
from sdr2hdr.media.writing.merge_writer import MergeWriter
from sdr2hdr.media.writing.output_clock import OutputClock, output_time_base
from sdr2hdr.media.writing.segment_file import SegmentWriter
from sdr2hdr.options import EncodeOptions, ReadOptions, TimeRange
from sdr2hdr.signal import HDR10_SIGNAL

HALF_MILLISECOND = Fraction(1, 2000)


def batch(size: tuple[int, int], pts: int, luma: torch.Tensor | None = None) -> CodedBatch:
    height, width = size
    if luma is None:
        luma = torch.full((1, height, width), 500, dtype=torch.uint16)
    chroma = torch.full((1, height // 2, width // 2), 512, dtype=torch.uint16)
    timeline = Timeline(Fraction(1, 30000), (FrameTime(pts, 1001),))
    return CodedBatch(luma, chroma, chroma, HDR10_SIGNAL, timeline)


VIDEO = OutputVideo(64, 48, Fraction(1, 30000), Fraction(30000, 1001))


def open_writer(source: Path, target: Path, options: EncodeOptions = FAST) -> SegmentWriter:
    plan = plan_streams(probe(source, ReadOptions()), target, options, TimeRange())
    return SegmentWriter(target, VIDEO, options, plan)


def open_merge(source: Path, target: Path) -> MergeWriter:
    info = probe(source, ReadOptions())
    plan = plan_streams(info, target, FAST, TimeRange())
    return MergeWriter(target, info, plan, FAST, VIDEO, [FrameTime(0, 1001)])


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_source(tmp_path_factory.mktemp("source") / "in.mp4", Source())


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
@pytest.mark.parametrize("bframes", [0, 3])
def test_vfr_times(tmp_path: Path, suffix: str, bframes: int):
    source = make_source(tmp_path / "in.mp4", Source(pts=VFR_PTS, bframes=bframes))
    assert seconds_of(source) == [Fraction(pts, 30000) for pts in VFR_PTS]
    target = tmp_path / f"out{suffix}"
    convert_grey(source, target)
    if suffix != ".mkv":
        assert seconds_of(target) == seconds_of(source)
        with av.open(str(source)) as before, av.open(str(target)) as after:
            durations = [
                c.streams.video[0].duration * c.streams.video[0].time_base for c in (before, after)
            ]
        assert durations[0] == durations[1], "the last frame lasts as long as it did"
    else:
        pairs = zip(seconds_of(source), seconds_of(target), strict=True)
        assert all(abs(before - after) <= HALF_MILLISECOND for before, after in pairs)


def test_matroska_does_not_accumulate(tmp_path: Path):
    source = make_source(
        tmp_path / "in.mp4", Source(pts=tuple(1001 * n for n in range(900)), audio=())
    )
    target = tmp_path / "out.mkv"
    convert_grey(source, target)
    pairs = zip(seconds_of(source), seconds_of(target), strict=True)
    assert max(abs(before - after) for before, after in pairs) <= HALF_MILLISECOND


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_first_frame_may_come_late(tmp_path: Path, suffix: str):
    source = make_source(tmp_path / "in.mkv", Source(pts=tuple(15015 + 1001 * n for n in range(9))))
    assert seconds_of(source)[0] > Fraction(2, 5)
    target = tmp_path / f"out{suffix}"
    convert_grey(source, target)
    assert seconds_of(target) == seconds_of(source)


@pytest.mark.parametrize("frames", [1, 2])
@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_few_frames_and_small_pictures(tmp_path: Path, frames: int, suffix: str):
    tiny = Source(16, 16, pts=tuple(1001 * n for n in range(frames)), audio=())
    source = make_source(tmp_path / "in.mp4", tiny)
    target = tmp_path / f"out{suffix}"
    summary, _ = convert_grey(source, target)
    assert summary.frames == frames
    with av.open(str(target)) as container:
        decoded = list(container.decode(video=0))
    assert [(f.width, f.height, f.format.name) for f in decoded] == [
        (16, 16, "yuv420p10le")
    ] * frames


def test_pixels_arrive(tmp_path: Path, source: Path):
    """Lossless, so that a plane in the wrong place or with the wrong stride shows."""
    target = tmp_path / "out.mkv"
    options = replace(FAST, encoder_params="lossless=1")
    codes = torch.arange(50 * 70).reshape(1, 50, 70).remainder(877).add(64).to(torch.uint16)
    info = probe(source, ReadOptions())
    plan = plan_streams(info, target, options, TimeRange())
    cb = torch.arange(25 * 35).reshape(1, 25, 35).remainder(400).add(100).to(torch.uint16)
    cr = cb.flip(1)
    times = Timeline(Fraction(1, 30000), (FrameTime(0, 1001),))
    video = OutputVideo(70, 50, Fraction(1, 30000), Fraction(30000, 1001))
    film = [CodedBatch(codes, cb, cr, HDR10_SIGNAL, times)]
    write_film(target, info, plan, options, video, film)
    with av.open(str(target)) as container:
        frame = next(container.decode(video=0))
    for plane, expected in zip(frame.planes, (codes, cb, cr), strict=True):
        height, width = expected.shape[1:]
        rows = np.frombuffer(memoryview(plane), "<u2").reshape(-1, plane.line_size // 2)
        assert np.array_equal(rows[:height, :width], expected[0].numpy())


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".mov"])
def test_same_bytes_every_time(tmp_path: Path, suffix: str):
    rich = Source(subtitle="mov_text", chapters=True, tags={"title": "x"})
    source = make_source(tmp_path / "in.mp4", rich)
    written = []
    for name in ("a", "b"):
        convert_grey(source, tmp_path / f"{name}{suffix}")
        written.append((tmp_path / f"{name}{suffix}").read_bytes())
    assert written[0] == written[1]


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
def test_timecode(tmp_path: Path, suffix: str):
    tagged = Source(video_tags={"timecode": "01:02:03:04"})
    source = make_source(tmp_path / "in.mov", tagged)
    target = tmp_path / f"out{suffix}"
    convert_grey(source, target, time_range=TimeRange(start_seconds=1.0))
    with av.open(str(target)) as container:
        tags = {k.lower(): v for k, v in container.streams.video[0].metadata.items()}
    assert tags["timecode"] == "01:02:04:04"


def test_reel_of_the_timecode_track(tmp_path: Path):
    tagged = Source(video_tags={"timecode": "01:02:03:04", "reel_name": "A001C002"})
    source, target = make_source(tmp_path / "in.mov", tagged), tmp_path / "out.mov"
    _, plan = convert_grey(source, target)
    with StreamCopier(source, plan) as copier:
        said = [copier.stream_metadata(index).get("reel_name") for index in (0, 1)]
        assert said == ["A001C002", None], "the picture's, not the sound's"
    for path in (source, target):
        with av.open(str(path)) as container:
            assert "reel_name" not in container.streams.video[0].metadata
            assert container.streams.data[0].metadata["reel_name"] == "A001C002"


@pytest.mark.parametrize("params", ["no-such-thing=1", "keyint=soon"])
def test_unknown_encoder_params_are_refused(tmp_path: Path, source: Path, params: str):
    target = tmp_path / "out.mp4"
    for _ in range(2):
        with pytest.raises(UsageError, match="--encoder-params"):
            open_writer(source, target, replace(FAST, encoder_params=params))
    assert not target.exists()


@pytest.mark.parametrize(
    "options",
    [
        replace(FAST, quality=99),
        replace(FAST, preset="hasty"),
        replace(FAST, encoder_params="ctu=7"),
    ],
)
def test_impossible_encoder_options_are_refused(
    tmp_path: Path, source: Path, options: EncodeOptions
):
    with pytest.raises((OutputError, UsageError), match="--preset"):
        open_writer(source, tmp_path / "out.mp4", options)
    assert not (tmp_path / "out.mp4").exists()


def test_frames_of_unknown_duration_are_not_lost(tmp_path: Path, source: Path):
    target = tmp_path / "out.mp4"
    info = probe(source, ReadOptions())
    film = [
        replace(batch((48, 64), pts), timeline=Timeline(Fraction(1, 30000), (FrameTime(pts, 0),)))
        for pts in (0, 1001, 3003)
    ]
    write_film(target, info, plan_streams(info, target, FAST, TimeRange()), FAST, VIDEO, film)
    assert seconds_of(target) == [Fraction(pts, 30000) for pts in (0, 1001, 3003)]
    with av.open(str(target)) as container:
        assert len(list(container.decode(video=0))) == 3


def test_user_params_win(tmp_path: Path, source: Path):
    target = tmp_path / "out.mp4"
    options = replace(FAST, encoder_params="keyint=3:min-keyint=1:bframes=0")
    convert_grey(source, target, options)
    with av.open(str(target)) as container:
        packets = [p for p in container.demux(container.streams.video[0]) if p.size]
    assert [p.is_keyframe for p in packets[:7]] == [True, False, False] * 2 + [True]
    assert all(p.pts == p.dts for p in packets)


@pytest.mark.parametrize("opened", [open_writer, open_merge])
def test_folder_that_is_not_there(tmp_path: Path, source: Path, opened):
    with pytest.raises(OutputError, match="No such file or directory"):
        opened(source, tmp_path / "missing" / "out.mp4")


def test_abandoned_segment_is_removed(tmp_path: Path, source: Path):
    target = tmp_path / "out.mp4"
    with pytest.raises(RuntimeError), open_writer(source, target) as writer:
        writer.write(batch((48, 64), 0))
        assert target.exists()
        raise RuntimeError
    assert not target.exists()


def test_abandoned_merge_is_removed(tmp_path: Path, source: Path):
    segment, target = tmp_path / "segment.mp4", tmp_path / "out.mp4"
    with open_writer(source, segment) as writer:
        writer.write(batch((48, 64), 0))
        writer.finish()
    with pytest.raises(RuntimeError), open_merge(source, target) as merge:
        merge.add_segment(segment)
        assert target.exists()
        raise RuntimeError
    assert segment.exists() and not target.exists()


@pytest.mark.parametrize("opened", [open_writer, open_merge])
def test_no_frames_is_an_error(tmp_path: Path, source: Path, opened):
    target = tmp_path / "out.mp4"
    with pytest.raises(OutputError, match="No frame"), opened(source, target) as writer:
        writer.finish()
    assert not target.exists()


def test_wrong_batches_are_refused(tmp_path: Path, source: Path):
    with open_writer(source, tmp_path / "out.mp4") as writer:
        with pytest.raises(ValueError, match="expected 64x48"):
            writer.write(batch((50, 64), 0))
        writer.write(batch((48, 64), 1001))
        with pytest.raises(ValueError, match="do not increase"):
            writer.write(batch((48, 64), 1001))


FULL_DISK = """
import resource, signal, sys
from pathlib import Path
sys.path.insert(0, {folder!r})
from rich_sources import convert_grey
from sdr2hdr.errors import OutputError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000))
try:
    convert_grey(Path({source!r}), Path({target!r}))
except OutputError as error:
    print(error)
    sys.exit(error.exit_code)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="limits of file sizes are POSIX")
@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_full_disk(tmp_path: Path, suffix: str):
    source = make_source(tmp_path / "in.mkv", Source(audio=("pcm_s16le",)))
    target = tmp_path / f"out{suffix}"
    folder = str(Path(__file__).parent)
    code = FULL_DISK.format(folder=folder, source=str(source), target=str(target))
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert run.returncode == 5, run.stderr
    assert "cannot be written" in run.stdout
    assert not target.exists()


@pytest.mark.parametrize(
    ("time_base", "shift", "expected"),
    [
        (Fraction(1, 90000), Fraction(0), Fraction(1, 90000)),
        (Fraction(1001, 30000), Fraction(0), Fraction(1, 30000)),
        (Fraction(1, 25), Fraction(0), Fraction(1, 25)),
        (Fraction(1, 25), Fraction(1, 3), Fraction(1, 10000)),
        (Fraction(1, 19001), Fraction(1, 7), Fraction(1, 19001)),
        (Fraction(1, 10**9), Fraction(0), Fraction(1, 10**6)),
    ],
)
def test_output_time_base(time_base: Fraction, shift: Fraction, expected: Fraction):
    assert output_time_base(time_base, shift) == expected


def test_times_of_a_clock_too_fine_are_rounded_to_the_nearest_microsecond():
    clock = OutputClock.of(Fraction(1, 10**9), Fraction(1, 2))
    placed = clock.placed(FrameTime(500_001_501, 41_666_667))
    assert placed == FrameTime(2, 41_667)


def test_output_clock_is_the_finished_files(tmp_path: Path):
    source = make_source(tmp_path / "in.mp4", Source(pts=VFR_PTS, bframes=3))
    target = tmp_path / "out.mp4"
    _, plan = convert_grey(source, target, time_range=TimeRange(start_seconds=0.3))
    clock = OutputClock.of(Fraction(1, 30000), plan.shift_seconds)
    kept = tuple(FrameTime(pts, 0) for pts in VFR_PTS if pts >= 9000)
    shown = clock.timeline(Timeline(Fraction(1, 30000), kept))
    assert [time.pts * shown.time_base for time in shown.frames] == seconds_of(target)
    with pytest.raises(ValueError, match="expected 1/30000"):
        clock.timeline(Timeline(Fraction(1, 25), kept))


@pytest.mark.parametrize(
    "wrong",
    [
        {"width_px": 63},
        {"height_px": 0},
        {"rotation_degrees": 45},
        {"crop_right_px": 64},
        {"sample_aspect_ratio": Fraction(0)},
    ],
)
def test_impossible_output_video(wrong: dict[str, object]):
    right = {"width_px": 64, "height_px": 48, "time_base": Fraction(1, 25), "average_rate": None}
    with pytest.raises(ValueError, match=r"expected|positive|Crop"):
        OutputVideo(**{**right, **wrong})  # type: ignore[arg-type]
