"""Recordings that take up streams on the way: they are read to the end, and the streams named."""

from __future__ import annotations

import re
from collections.abc import Mapping
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import pytest
from clips import ClipRecipe, make_clip

from sdr2hdr import ConvertOptions, convert
from sdr2hdr.media.reading.packet_scan import scan_packets
from sdr2hdr.media.reading.probe import probe
from sdr2hdr.options import EncodeOptions, ReadOptions

FRAMES = 75
FAST = EncodeOptions(preset="ultrafast")
PADDING = {
    ".ts": (b"\x47\x1f\xff\x10" + bytes(184)) * 32_000,
    ".mpg": (b"\0\0\1\xbe\xff\xf0" + b"\xff" * 0xFFF0) * 92,
}
"""6 MB, more than libavformat looks at when it opens a file. Null packets (Rec. ITU-T H.222.0,
2.4.3.3), and packets of padding_stream (2.4.3.7)."""
OTHER_CHANNEL = {"mpegts_start_pid": "700", "mpegts_pmt_start_pid": "4500"}
FULL_PACKETS = {"max_delay": "700000"}
"""Microseconds for which sound waits for more to share a PES packet, as with ffmpeg."""


def recording(
    folder: Path,
    suffix: str,
    sounds: int = 1,
    at_seconds: int = 0,
    options: Mapping[str, str] | None = None,
) -> bytes:
    """3 s of picture and some sounds as a transport or program stream."""
    muxer = {"output_ts_offset": str(at_seconds), **(options or {})}
    plain, path = folder / "plain.mkv", folder / f"part{suffix}"
    codec, audio_codec = ("libx264", "aac") if suffix == ".ts" else ("mpeg2video", "mp2")
    recipe = ClipRecipe(
        codec=codec,
        codec_options=(("bf", "0"),),
        pts=tuple(range(FRAMES)),
        audio_codec=audio_codec,
        audio_seconds=3.0,
    )
    make_clip(plain, recipe)
    with av.open(str(plain)) as source, av.open(str(path), "w", options=muxer) as target:
        copies = (1, sounds)
        targets = [
            [target.add_stream_from_template(stream) for _ in range(copies[stream.index])]
            for stream in source.streams
        ]
        for packet in source.demux():
            if not packet.size:
                continue
            data, pts, dts = bytes(packet), packet.pts, packet.dts
            for stream in targets[packet.stream.index]:
                copy = av.Packet(data)
                copy.pts, copy.dts, copy.time_base = pts, dts, packet.time_base
                copy.duration, copy.is_keyframe = packet.duration, packet.is_keyframe
                copy.stream = stream
                target.mux(copy)
    return path.read_bytes()


def texts(path: Path) -> str:
    return "\n".join(notice.text for notice in probe(path, ReadOptions()).notices)


def starts_of_sounds(path: Path) -> list[float]:
    with av.open(str(path)) as container:
        starts: dict[int, float] = {}
        for packet in container.demux(*container.streams.audio):
            if packet.pts is not None:
                starts.setdefault(packet.stream.index, float(packet.pts * packet.time_base))
        return [starts[stream.index] for stream in container.streams.audio]


def test_recordings_of_two_channels_are_converted_as_far_as_the_first_goes(tmp_path):
    path, out = tmp_path / "two.ts", tmp_path / "out.mkv"
    second = recording(tmp_path, ".ts", at_seconds=3, options=OTHER_CHANNEL)
    path.write_bytes(recording(tmp_path, ".ts") + PADDING[".ts"] + second)
    told = texts(path)
    assert "streams that it does not begin with (video h264, 64x48, yuv420p, 25 fps; audio" in told
    assert "they are neither converted nor copied" in told
    convert(path, out, ConvertOptions("bt2408", encode=FAST))
    assert len(scan_packets(out).video_times) == FRAMES


@pytest.mark.parametrize("suffix", [".ts", ".mpg"])
def test_a_sound_that_begins_late_is_named_and_the_rest_arrives(tmp_path, suffix):
    path, out = tmp_path / f"late{suffix}", tmp_path / "out.mkv"
    parts = [
        recording(tmp_path, suffix, sounds=2 if at == 9 else 1, at_seconds=at)
        for at in range(0, 15, 3)
    ]
    path.write_bytes(PADDING[suffix].join([b"".join(parts[:3]), *parts[3:]]))
    told = texts(path)
    assert re.search(r"Behind 5\d % of the file it has a stream that it does not begin", told)
    assert "48000 Hz, stereo): it is neither converted nor copied" in told
    convert(path, out, ConvertOptions("bt2408", encode=FAST))
    content = scan_packets(out)
    assert len(content.video_times) == 5 * FRAMES
    assert [stream.kind for stream in content.streams] == ["video", "audio"]


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_a_sound_that_is_there_at_the_end_alone_arrives_in_its_place(tmp_path, suffix):
    """libavformat has met its number at the end of the file, and none of its packets."""
    path, out = tmp_path / "late.ts", tmp_path / f"out{suffix}"
    second = recording(tmp_path, ".ts", sounds=2, at_seconds=3)
    path.write_bytes(recording(tmp_path, ".ts") + second)
    assert [stream.summary for stream in probe(path, ReadOptions()).streams[1:]] == [
        "aac, 48000 Hz, stereo",
        "aac",
    ]
    convert(path, out, ConvertOptions("bt2408", encode=FAST))
    with av.open(str(out)) as container:
        assert [stream.sample_rate for stream in container.streams.audio] == [48000, 48000]
    apart = [late - first for first, late in (starts_of_sounds(path), starts_of_sounds(out))]
    assert apart[0] > 2.9
    assert apart[1] == pytest.approx(apart[0], abs=0.001)


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_a_sound_that_is_there_at_the_end_alone_runs_on_evenly(tmp_path, suffix):
    """Of several frames in a PES packet the first alone has a time (Rec. ITU-T H.222.0, 2.4.3.7),
    and libavformat knows neither rate nor length of such a stream's frames."""
    path, out = tmp_path / "late.ts", tmp_path / f"out{suffix}"
    second = recording(tmp_path, ".ts", sounds=2, at_seconds=3, options=FULL_PACKETS)
    path.write_bytes(recording(tmp_path, ".ts") + second)
    convert(path, out, ConvertOptions("bt2408", encode=FAST))
    with av.open(str(path)) as container:
        packets = [each for each in container.demux(audio=1) if each.size]
    assert not any(each.duration for each in packets)
    assert any(each.pts is None for each in packets)
    with av.open(str(out)) as container:
        found = [each for each in container.demux(audio=1) if each.size]
    times = [float(each.pts * each.time_base) for each in found]
    assert len(times) == len(packets)
    steps = [later - earlier for earlier, later in pairwise(times)]
    assert steps == pytest.approx([1024 / 48_000] * len(steps), abs=0.0011)
    if suffix == ".mp4":
        assert found[-1].duration * found[-1].time_base == Fraction(1024, 48_000)


def test_a_recording_with_the_same_streams_throughout_is_not_worth_a_word(tmp_path):
    for suffix in (".ts", ".mpg"):
        path = tmp_path / f"whole{suffix}"
        path.write_bytes(2 * recording(tmp_path, suffix, sounds=2))
        assert "begin with" not in texts(path)
