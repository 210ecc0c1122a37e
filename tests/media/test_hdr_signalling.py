"""What a file says in its three places is read, and silence is told from a statement."""

from __future__ import annotations

import struct
import tracemalloc
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from sdr2hdr.errors import InputError
from sdr2hdr.media.hdr10.hdr_facts import HdrFacts, StoredMastering
from sdr2hdr.media.hdr10.hdr_signalling import Signalling, read_signalling
from sdr2hdr.media.hdr10.stream_facts import read_stream_facts

MASTER = "G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,50)"
P3 = StoredMastering((0.68, 0.32), (0.265, 0.69), (0.15, 0.06), (0.3127, 0.329), 1000.0, 0.005)


def coded(path: Path, codec: str, pixel_format: str, tags: bool, **options: str) -> Signalling:
    with av.open(str(path), "w") as container:
        video = container.add_stream(codec, rate=Fraction(25), options=options)
        assert isinstance(video, av.VideoStream)
        video.width, video.height, video.pix_fmt = 64, 64, pixel_format
        if tags:
            context = video.codec_context
            context.color_primaries, context.color_trc, context.colorspace = 9, 16, 9
            context.color_range = 1
        for number in range(3):
            frame = av.VideoFrame(64, 64, pixel_format)
            if tags:
                # What ProRes writes into its frame headers.
                frame.color_primaries, frame.color_trc, frame.colorspace = 9, 16, 9
            for plane in frame.planes:
                plane.update(np.full(plane.buffer_size // 2, 400, "<u2").tobytes())
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
    return read_signalling(path)


def test_x265_with_everything(tmp_path: Path):
    params = f"log-level=error:chromaloc=2:hdr10=1:max-cll=987,321:master-display={MASTER}"
    said = coded(tmp_path / "a.mkv", "libx265", "yuv420p10le", True, **{"x265-params": params})
    for facts in (said.stream.facts, said.decoder):
        assert (facts.primaries, facts.transfer, facts.matrix) == (9, 16, 9)
        assert facts.is_full_range is False
        assert (facts.max_cll, facts.max_fall) == (987, 321)
        assert facts.mastering is not None and facts.mastering.is_close_to(P3)
    assert said.stream.facts.siting == 2
    assert said.stream.levels == [(987, 321)]
    assert (said.codec, said.profile, said.bit_depth) == ("hevc", "Main 10", 10)
    assert said.subsampling == (2, 2)


def test_x265_without_anything(tmp_path: Path):
    params = {"x265-params": "log-level=error"}
    said = coded(tmp_path / "a.mp4", "libx265", "yuv420p10le", False, **params)
    for facts in (said.stream.facts, said.container.facts, said.decoder):
        assert (facts.primaries, facts.transfer, facts.matrix) == (None, None, None)
        assert (facts.mastering, facts.max_cll, facts.siting) == (None, None, None)
    assert said.container.sample_entry == "hev1"


def test_av1_obus(tmp_path: Path):
    params = (
        "mastering-display=G(0.265,0.690)B(0.150,0.060)R(0.680,0.320)WP(0.3127,0.3290)"
        "L(1000,0.005):content-light=987,321:chroma-sample-position=topleft:lp=1"
    )
    options = {"preset": "13", "svtav1-params": params}
    said = coded(tmp_path / "a.mp4", "libsvtav1", "yuv420p10le", True, **options)
    facts = said.stream.facts
    assert (facts.primaries, facts.transfer, facts.matrix, facts.siting) == (9, 16, 9, 2)
    assert (facts.max_cll, facts.max_fall) == (987, 321)
    assert facts.mastering is not None and facts.mastering.is_close_to(P3)


def test_prores_header(tmp_path: Path):
    said = coded(tmp_path / "a.mov", "prores_ks", "yuv422p10le", True)
    facts = said.stream.facts
    assert (facts.primaries, facts.transfer, facts.matrix) == (9, 16, 9)
    assert said.container.facts.transfer == 16
    assert not said.stream.can_say
    assert said.subsampling == (2, 1)


def test_sei_of_any_size_and_emulation_prevention():
    """A long message before, and levels whose zeros need a byte of protection."""
    user_data = bytes([5, 255, 45]) + bytes(range(1, 101)) * 3
    light = bytes([144, 4]) + struct.pack(">2H", 1, 0)
    unit = b"\x4e\x01" + user_data + light.replace(b"\0\1\0\0", b"\0\1\0\0\3") + b"\x80"
    found = read_stream_facts("hevc", b"", [b"\0\0\0\1" + unit])
    assert found.levels == [(1, 0)]


def test_only_prefix_sei_says_levels():
    """A slice whose coded samples look like a message, then the message (H.265, Table 7-1)."""
    message = bytes([144, 4]) + struct.pack(">2H", 1000, 203) + b"\x80"
    packet = b"\0\0\0\1\x26\x01" + message
    assert read_stream_facts("hevc", b"", [packet]).levels == []
    packet += b"\0\0\0\1\x4e\x01" + message
    assert read_stream_facts("hevc", b"", [packet]).levels == [(1000, 203)]


@pytest.mark.parametrize(("missing", "displays"), [(0, 1), (1, 0)])
def test_a_display_that_is_cut_short_is_not_read(missing: int, displays: int):
    display = struct.pack(">8H2I", *range(100, 108), 256_000, 2)[: 24 - missing]
    message = b"\0\0\1\x4e\x01" + bytes([137, len(display)]) + display + b"\x80"
    # Without trailing bits, which would pass for a byte of the display.
    unit = bytes([5 << 3 | 2, 1 + len(display), 2]) + display
    for codec, packet in (("hevc", message), ("av1", unit)):
        assert len(read_stream_facts(codec, b"", [packet]).masterings) == displays


@pytest.mark.parametrize("cut", [1, 3, 10, 30])
def test_of_damaged_headers_nothing_is_made_up(cut: int):
    record = bytes([1]) + bytes(21) + bytes([3, 39, 0, 9, 0, 200]) + b"\x4e\x01\x89\x18" * 10
    damaged = (
        read_stream_facts("hevc", record[: 22 + cut], [b"\0\0\0\x40\x4e\x01\x90\xff"]),
        read_stream_facts("av1", b"\x81\0\0\0\x2a" + bytes(cut), [b"\x2a\x7f\x02"]),
        read_stream_facts("prores", b"", [bytes(cut)]),
    )
    for found in damaged:
        assert (found.facts, found.levels, found.masterings) == (HdrFacts(), [], [])


def test_key_frames_are_not_held(tmp_path: Path):
    """Every frame of FFV1 is a key frame, and a film has no end of them."""
    noise = np.random.default_rng(1).integers(0, 256, (20, 512, 512), np.uint8)
    with av.open(str(tmp_path / "a.mkv"), "w") as container:
        video = container.add_stream("ffv1", rate=Fraction(25))
        video.width, video.height, video.pix_fmt = 512, 512, "gray"
        for number, samples in enumerate(noise):
            frame = av.VideoFrame.from_ndarray(samples, format="gray")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
    size_bytes = (tmp_path / "a.mkv").stat().st_size
    tracemalloc.start()
    try:
        read_signalling(tmp_path / "a.mkv", all_key_frames=True)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_bytes < size_bytes / 5


def test_not_a_video(tmp_path: Path):
    with pytest.raises(InputError):
        read_signalling(tmp_path / "none.mkv")
