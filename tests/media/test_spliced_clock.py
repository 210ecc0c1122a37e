"""Recordings put together: the clock of MPEG-TS and MPEG-PS jumps, and picture and sound stay."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import pytest
from av.container import InputContainer
from av.packet import Packet
from clips import ClipRecipe, make_clip

from sdr2hdr import ConvertOptions, convert
from sdr2hdr.media.reading.frame_range import frame_fingerprint
from sdr2hdr.media.reading.probe import probe
from sdr2hdr.media.reading.reader import VideoReader
from sdr2hdr.media.reading.spliced_clock import SplicedClock
from sdr2hdr.options import EncodeOptions, ReadOptions, TimeRange

TICK = Fraction(1, 90_000)
Clock = tuple[SplicedClock, InputContainer]
FRAMES = 30
"""Of each part: 1.2 s, so that a part that starts over goes back by more than a slip."""
FAST = EncodeOptions(preset="ultrafast")


def recording(path: Path, starts_at_seconds: int, qp: int = 0) -> Path:
    """A transport stream of 1.2 s with sound, whose clock starts where it is told to."""
    plain = path.with_name(f"plain_{qp}.mkv")
    if not plain.exists():
        quality = (("qp", str(qp)), ("bf", "0"), ("g", "5"))
        make_clip(
            plain,
            ClipRecipe(pts=tuple(range(FRAMES)), codec_options=quality, audio_seconds=1.2),
        )
    options = {"output_ts_offset": str(starts_at_seconds)}
    with (
        av.open(str(plain)) as source,
        av.open(str(path), "w", format="mpegts", options=options) as target,
    ):
        streams = [target.add_stream_from_template(stream) for stream in source.streams]
        for packet in source.demux():
            if packet.size:
                packet.stream = streams[packet.stream.index]
                target.mux(packet)
    return path


def spliced(folder: Path, *starts_at_seconds: int) -> Path:
    """Recordings one behind the other, as `cat` makes them; each looks a little worse."""
    path = folder / "spliced.ts"
    parts = (
        recording(folder / "part.ts", at, qp=10 * number).read_bytes()
        for number, at in enumerate(starts_at_seconds)
    )
    path.write_bytes(b"".join(parts))
    return path


def times_of(path: Path, kind: str) -> list[Fraction]:
    with av.open(str(path)) as container:
        stream = container.streams.get({kind: 0})[0]
        packets = container.demux(stream)
        return sorted((packet.pts or 0) * packet.time_base for packet in packets if packet.size)


@pytest.mark.parametrize(
    "starts_at_seconds",
    [(0, 0), (20, 0), (0, 20), pytest.param((200, 0), id="libavformat takes it for a full turn")],
)
def test_picture_and_sound_go_on_together_behind_a_jump(tmp_path, starts_at_seconds):
    out = tmp_path / "out.mkv"
    written = convert(
        spliced(tmp_path, *starts_at_seconds), out, ConvertOptions("bt2408", encode=FAST)
    )
    assert any("clock jumps, first at 1.2" in notice.text for notice in written.notices)
    assert not any("lost" in notice.text for notice in written.notices)
    frames, sounds = times_of(out, "video"), times_of(out, "audio")
    assert len(frames) == 2 * FRAMES
    assert all(later - earlier == Fraction(1, 25) for earlier, later in pairwise(frames))
    half = len(times_of(tmp_path / "part.ts", "audio"))
    assert len(sounds) == 2 * half
    # The tenth packet, since the first ones may overlap the end of the part before.
    apart = [sounds[half * part + 10] - frames[FRAMES * part] for part in (0, 1)]
    assert abs(apart[1] - apart[0]) <= Fraction(1, 1000)


def test_a_part_behind_a_jump_is_found_by_its_joined_time(tmp_path):
    out = tmp_path / "out.mkv"
    read = ReadOptions(time_range=TimeRange(1.6, 2.0))
    convert(spliced(tmp_path, 20, 0), out, ConvertOptions("bt2408", encode=FAST, read=read))
    assert len(times_of(out, "video")) == 10
    assert 17 <= len(times_of(out, "audio")) <= 19


def frames_of(path: Path, time_range: TimeRange) -> list[str]:
    options = ReadOptions(time_range=time_range)
    with VideoReader(probe(path, options), options) as reader:
        return [frame_fingerprint(batch) for batch in reader]


def test_a_part_before_a_jump_is_not_taken_from_behind_it(tmp_path, monkeypatch):
    """Times come again behind the jump, and a search for one finds what lies in the middle."""
    monkeypatch.setattr("sdr2hdr.media.reading.decoding.FIRST_STEP_BACK_SECONDS", Fraction(1, 10))
    path = spliced(tmp_path, 0, 0, 0, 0)
    whole = frames_of(path, TimeRange())
    assert len(set(whole)) == len(whole) == 4 * FRAMES
    assert frames_of(path, TimeRange(0.8, 1.0)) == whole[20:25]


def test_a_recording_is_not_read_far_beyond_the_part(tmp_path, monkeypatch):
    path = recording(tmp_path / "whole.ts", 0)
    with av.open(str(path)) as container:
        packets = sum(1 for _ in container.demux())
    placed_packets = 0

    def counted(self: SplicedClock, packet: Packet) -> Iterator[Packet]:
        nonlocal placed_packets
        placed_packets += 1
        return place(self, packet)

    place = SplicedClock.placed
    monkeypatch.setattr(SplicedClock, "placed", counted)
    assert len(frames_of(path, TimeRange(0.2, 0.24))) == 1
    assert placed_packets < packets


@pytest.fixture
def opened(tmp_path) -> Iterator[Clock]:
    with av.open(str(recording(tmp_path / "a.ts", 0))) as container:
        yield SplicedClock(container, video_index=0), container


def placed(opened: Clock, packets: list[tuple[str, float]]) -> dict[str, list[float]]:
    """Where packets land, by kind; each lasts 40 ms."""
    clock, container = opened
    streams = {"video": container.streams.video[0], "audio": container.streams.audio[0]}
    found: dict[str, list[float]] = {"video": [], "audio": []}

    def note(moved: Iterator[Packet]) -> None:
        for packet in moved:
            found[packet.stream.type].append((packet.pts or 0) / 90_000)

    for kind, seconds in packets:
        packet = Packet(b"\0")
        packet.stream, packet.time_base = streams[kind], TICK
        packet.pts = packet.dts = round(seconds * 90_000)
        packet.duration = 3600
        note(clock.placed(packet))
    note(clock.rest())
    return found


def test_a_gap_in_the_video_alone_stays(opened):
    sounds = [("audio", second) for second in range(1, 31)]
    found = placed(opened, [("video", 0.0), ("audio", 0.0), *sounds, ("video", 30.0)])
    assert found["video"] == [0.0, 30.0]
    assert opened[0].joined_at == []


def test_sound_that_comes_first_waits_for_the_picture(opened):
    packets = [("video", 50.0), ("audio", 50.0), ("audio", 3.0), ("video", 50.04), ("video", 3.0)]
    found = placed(opened, [*packets, ("audio", 3.04)])
    assert found["video"] == pytest.approx([50.0, 50.04, 50.08])
    assert found["audio"] == pytest.approx([50.0, 50.08, 50.12])


def test_sound_of_the_old_clock_stays_where_the_new_one_is_near(opened):
    packets = [("video", 3.0), ("audio", 2.96), ("video", 0.0), ("audio", 3.0), ("video", 0.04)]
    found = placed(opened, [*packets, ("audio", 0.0), ("audio", 0.04)])
    assert found["video"] == pytest.approx([3.0, 3.04, 3.08])
    assert found["audio"] == pytest.approx([2.96, 3.0, 3.04, 3.08])
    assert len(opened[0].joined_at) == 1


def test_sound_that_outlasts_the_picture_does_not_delay_the_next_sound(opened):
    packets = [("video", 3.0), ("audio", 3.0), ("audio", 4.5), ("audio", 6.0), ("video", 0.0)]
    found = placed(opened, [*packets, ("audio", 0.0), ("video", 0.04), ("audio", 0.04)])
    assert found["video"] == pytest.approx([3.0, 3.04, 3.08])
    assert found["audio"] == pytest.approx([3.0, 4.5, 6.0, 3.04, 3.08])


@pytest.mark.parametrize("damaged", ["pts", "dts"])
@pytest.mark.parametrize("ticks", [-900_000_000, 900_000_000])
def test_one_damaged_time_is_no_new_clock(opened, damaged, ticks):
    clock, container = opened
    found: list[tuple[int | None, int | None]] = []
    for number in range(5):
        packet = Packet(b"\0")
        packet.stream, packet.time_base = container.streams.video[0], TICK
        packet.pts = packet.dts = 3600 * number
        packet.duration = 3600
        if number == 2:
            setattr(packet, damaged, ticks)
        found += [(moved.pts, moved.dts) for moved in clock.placed(packet)]
    assert found == [(3600 * number, 3600 * number) for number in range(5)]
    assert clock.joined_at == []


def test_sound_alone_goes_on_where_the_picture_has_ended(opened):
    found = placed(opened, [("video", 50.0), ("audio", 50.0), ("audio", 3.0), ("audio", 3.04)])
    assert found["audio"] == pytest.approx([50.0, 50.04, 50.08])
