"""AAC that broadcasts wrap in LATM arrives as AAC, sample for sample."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest

from sdr2hdr import ConvertOptions, convert
from sdr2hdr.errors import OutputError
from sdr2hdr.media.bitstreams.latm import LatmReader
from sdr2hdr.media.copying.stream_plan import plan_streams
from sdr2hdr.media.reading.probe import probe
from sdr2hdr.options import EncodeOptions, ReadOptions, TimeRange

FAST = EncodeOptions(preset="ultrafast")
RATE = 48_000
FRAME = 1024
FRAMES = 70
"""Of AAC, 1.5 s; libavformat says every 20 frames how they are to be read."""
LC, SBR = 2, 5
RATE_INDEX = {48_000: 3, 24_000: 6}
"""ISO/IEC 14496-3, 1.6.3.4."""


def source(path: Path, layout: str = "stereo") -> Path:
    """Grey pictures, and noise in all channels."""
    random = np.random.default_rng(7)
    with av.open(str(path), "w", container_options={"mpegts_flags": "latm"}) as container:
        video = container.add_stream("mpeg2video", rate=25)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        sound = container.add_stream("aac", rate=RATE, layout=layout)
        pictures = iter(range(FRAMES * FRAME * 25 // RATE))
        for number in range(FRAMES):
            samples = random.uniform(-0.3, 0.3, (sound.layout.nb_channels, FRAME))
            frame = av.AudioFrame.from_ndarray(
                samples.astype(np.float32), format="fltp", layout=layout
            )
            frame.sample_rate, frame.pts, frame.time_base = RATE, number * FRAME, Fraction(1, RATE)
            if number % 2 == 0 and (index := next(pictures, None)) is not None:
                picture = av.VideoFrame.from_ndarray(
                    np.full((72, 64), 40 + 2 * index, np.uint8), format="yuv420p"
                )
                picture.pts, picture.time_base = index, Fraction(1, 25)
                container.mux(video.encode(picture))
            container.mux(sound.encode(frame))
        for stream in (video, sound):
            container.mux(stream.encode())
    return path


def samples_of(path: Path) -> np.ndarray:
    with av.open(str(path)) as container:
        return np.concatenate([f.to_ndarray() for f in container.decode(audio=0)], axis=1)


def test_the_source_is_latm(tmp_path: Path):
    with av.open(str(source(tmp_path / "in.ts"))) as container:
        assert container.streams.audio[0].codec_context.codec.canonical_name == "aac_latm"


@pytest.mark.parametrize(
    ("suffix", "layout"), [(".mkv", "stereo"), (".mp4", "5.1"), (".mov", "mono")]
)
def test_every_sample_arrives(tmp_path: Path, suffix: str, layout: str):
    path, out = source(tmp_path / "in.ts", layout), tmp_path / f"out{suffix}"
    convert(path, out, ConvertOptions("bt2408", encode=FAST))
    with av.open(str(out)) as written:
        context = written.streams.audio[0].codec_context
        assert (context.codec.canonical_name, context.layout.name) == ("aac", layout)
        times = [packet.pts * packet.time_base for packet in written.demux(audio=0) if packet.size]
    steps = {second - first for first, second in pairwise(times)}
    assert all(abs(step - Fraction(FRAME, RATE)) <= Fraction(1, 1000) for step in steps)
    np.testing.assert_array_equal(samples_of(out), samples_of(path))


def test_it_is_said_before_the_work(tmp_path: Path):
    path = source(tmp_path / "in.ts")
    plan = plan_streams(
        probe(path, ReadOptions()), tmp_path / "out.mkv", EncodeOptions(), TimeRange()
    )
    said = f"#1 aac_latm, {RATE} Hz, stereo: copied as aac"
    assert plan.lines[1] == said
    assert [notice.text for notice in plan.notices] == [f"Stream {said}."]


def test_a_time_range_knows_how_the_frames_before_it_were_said_to_be_read(tmp_path: Path):
    path, out = source(tmp_path / "in.ts"), tmp_path / "out.mkv"
    options = ConvertOptions(
        "bt2408", read=ReadOptions(time_range=TimeRange(0.2, 0.35)), encode=FAST
    )
    convert(path, out, options)
    with av.open(str(out)) as written:
        count = sum(packet.size > 0 for packet in written.demux(audio=0))
    assert count == round(0.15 * RATE / FRAME)


def test_what_comes_before_the_first_that_says_how_to_read_it_is_left_out_and_told(tmp_path: Path):
    whole, path = source(tmp_path / "whole.ts"), tmp_path / "in.ts"
    data = whole.read_bytes()
    path.write_bytes(data[188 * 40 :])
    out = tmp_path / "out.mkv"
    notices = convert(path, out, ConvertOptions("bt2408", encode=FAST)).notices
    assert any("cannot be decoded is left out" in notice.text for notice in notices)
    with av.open(str(out)) as written:
        assert sum(packet.size > 0 for packet in written.demux(audio=0)) > FRAMES // 2


def test_what_nothing_here_unwraps_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = source(tmp_path / "in.ts")
    monkeypatch.setattr(LatmReader, "adts_frame", lambda self, packet: b"")
    with pytest.raises(OutputError, match="aac_latm audio is not written into Matroska"):
        plan_streams(probe(path, ReadOptions()), tmp_path / "out.mkv", EncodeOptions(), TimeRange())


def packed(*fields: tuple[int, int]) -> bytes:
    """Values and widths in bits, put together and filled up to a byte."""
    text = "".join(f"{value:0{width}b}" for value, width in fields)
    text += "0" * (-len(text) % 8)
    return int(text, 2).to_bytes(len(text) // 8, "big")


def loas(*fields: tuple[int, int]) -> bytes:
    """An AudioSyncStream (ISO/IEC 14496-3, 1.7.2)."""
    element = packed(*fields)
    return packed((0x2B7, 11), (len(element), 13)) + element


def config(object_type: int = LC, *, frames: int = 1, short: int = 0) -> list[tuple[int, int]]:
    """A StreamMuxConfig of version 0 (1.7.3) for two channels of 48 kHz."""
    aac = [(LC, 5), (RATE_INDEX[48_000], 4), (2, 4)]
    if object_type == SBR:
        aac = [(SBR, 5), (RATE_INDEX[24_000], 4), (2, 4), (RATE_INDEX[48_000], 4), (LC, 5)]
    return [
        *((0, 1), (1, 1), (frames - 1, 6), (0, 4), (0, 3)),
        *(*aac, (short, 1), (0, 1), (0, 1)),
        *((0, 3), (0xFF, 8), (0, 1), (0, 1)),
    ]


def payload(data: bytes) -> list[tuple[int, int]]:
    length = [(255, 8)] * (len(data) // 255) + [(len(data) % 255, 8)]
    return [*length, *((byte, 8) for byte in data)]


AAC = bytes(range(1, 200))
LONG = bytes(number % 251 for number in range(510))
HEADER = bytes.fromhex("fff14c80")
"""An ADTS header's beginning for LC, 48 kHz, two channels (1.A.2.2)."""


@pytest.mark.parametrize("data", [AAC, LONG, b"\x21"])
def test_the_bytes_of_a_frame_stay(data: bytes):
    frame = LatmReader().adts_frame(loas((0, 1), *config(), *payload(data)))
    assert frame[:3] == HEADER[:3]
    assert frame[7:] == data
    assert int.from_bytes(frame[3:6], "big") >> 5 & 0x1FFF == len(data) + 7


def test_later_packets_lean_on_what_an_earlier_one_has_said():
    reader = LatmReader()
    same = loas((1, 1), *payload(AAC))
    assert reader.adts_frame(same) == b""
    assert reader.adts_frame(loas((0, 1), *config(), *payload(LONG)))
    assert reader.adts_frame(same)[7:] == AAC


def test_of_sbr_the_aac_inside_is_named():
    frame = LatmReader().adts_frame(loas((0, 1), *config(SBR), *payload(AAC)))
    bits = int.from_bytes(frame[:4], "big")
    assert (bits >> 14 & 3, bits >> 10 & 15, bits >> 6 & 7) == (LC - 1, RATE_INDEX[24_000], 2)
    assert frame[7:] == AAC


def test_the_later_version_with_other_data_and_a_checksum_is_read():
    # audioMuxVersion 1 says the length of the AAC's description, which may have more than is known.
    aac = [(LC, 5), (RATE_INDEX[48_000], 4), (2, 4), (0, 3), (0x2B7, 11), (SBR, 5)]
    mux = [
        *((1, 1), (0, 1), (0, 2), (0, 8), (1, 1), (0, 6), (0, 4), (0, 3)),
        *((0, 2), (sum(width for _, width in aac), 8), *aac),
        *((0, 3), (0xFF, 8), (1, 1), (0, 2), (16, 8), (1, 1), (0xAB, 8)),
    ]
    frame = LatmReader().adts_frame(loas((0, 1), *mux, *payload(AAC), (0x1234, 16)))
    assert frame[:3] == HEADER[:3]
    assert frame[7:] == AAC


def test_other_data_of_the_first_version_is_passed_over():
    mux = [*config()[:-2], (1, 1), (1, 1), (1, 8), (0, 1), (8, 8), (0, 1)]
    frame = LatmReader().adts_frame(loas((0, 1), *mux, *payload(AAC)))
    assert frame[7:] == AAC


@pytest.mark.parametrize(
    "packet",
    [
        pytest.param(loas((0, 1), *config(frames=2), *payload(AAC)), id="two frames"),
        pytest.param(loas((0, 1), *config(short=1), *payload(AAC)), id="960 samples"),
        pytest.param(loas((0, 1), *config(), *payload(AAC))[:100], id="cut short"),
        pytest.param(loas((0, 1), *config(), (200, 8), (0, 8)), id="a length beyond its end"),
        pytest.param(loas((0, 1), *config(), (0, 8)), id="no AAC inside"),
        pytest.param(bytes(100), id="no LOAS"),
        pytest.param(b"", id="nothing"),
    ],
)
def test_what_cannot_be_unwrapped_gives_nothing(packet: bytes):
    assert LatmReader().adts_frame(packet) == b""


def test_after_a_damaged_description_nothing_is_guessed():
    reader = LatmReader()
    reader.adts_frame(loas((0, 1), *config(), *payload(AAC)))
    reader.adts_frame(loas((0, 1), *config(frames=2), *payload(AAC)))
    assert reader.adts_frame(loas((1, 1), *payload(AAC))) == b""
