"""Every encoder in every container it may go into: HDR10 is said in the stream and around it."""

from __future__ import annotations

import struct
from pathlib import Path

import av
import numpy as np
import pytest
from coded_frames import CLOCK, write_frames
from matroska_tracks import find_ebml
from rich_sources import Source, find_box, make_source

from sdr2hdr.media.bitstreams.bitstream import header_colour
from sdr2hdr.media.encoding.encoders import ENCODERS, UNMEASURED_LIGHT_LEVEL_CD_M2, output_signal
from sdr2hdr.options import EncodeOptions
from sdr2hdr.signal import Subsampling

PAIRS = [
    (name, extension)
    for name, spec in ENCODERS.items()
    if not spec.needs_gpu
    for extension in spec.extensions
]
FASTEST = {"hevc": "ultrafast", "av1": "13"}
SAMPLE_ENTRIES = {
    "hevc": b"hvc1",
    "av1": b"av01",
    "prores-422hq": b"apch",
    "prores-4444": b"ap4h",
    "dnxhr-hqx": b"AVdh",
    "dnxhr-444": b"AVdh",
}
P3_D65_1000_CODES = (13250, 34500, 7500, 3000, 34000, 16000, 15635, 16450, 10000000, 1)
P3_D65_1000 = (0.68, 0.32, 0.265, 0.69, 0.15, 0.06, 0.3127, 0.329, 1000, 1e-4)
LEVELS = struct.pack(">2H", 32639, 32639)
VIDEO_TRACK = (0x18538067, 0x1654AE6B, 0xAE, 0xE0)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_source(tmp_path_factory.mktemp("source") / "in.mp4", Source(audio=()))


@pytest.fixture(scope="module", params=PAIRS, ids=lambda pair: pair[0] + pair[1])
def written(request: pytest.FixtureRequest, source: Path, tmp_path_factory):
    name, extension = request.param
    target = tmp_path_factory.mktemp("out") / f"out{extension}"
    options = EncodeOptions(codec=name, preset=FASTEST.get(name), threads=1)
    planes = write_frames(source, target, options, crop_right_px=1, crop_bottom_px=1)
    return name, target, planes


def sample_entry(name: str, target: Path, box: bytes) -> bytes:
    """A box of the sample entry, which begins 78 bytes behind the entry's own header."""
    table = find_box(target.read_bytes(), b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd")[8:]
    assert table[4:8] == SAMPLE_ENTRIES[name]
    return find_box(table[86 : int.from_bytes(table[:4], "big")], box)


def test_container_says_it(written):
    name, target, _ = written
    if target.suffix == ".mkv":
        matroska_says_it(name, target)
        return
    colour = sample_entry(name, target, b"colr")
    kind = b"nclc" if target.suffix == ".mov" else b"nclx"
    assert colour[:10] == kind + struct.pack(">3H", 9, 16, 9)
    assert colour[10:] == (b"" if kind == b"nclc" else b"\0"), "limited range"
    assert sample_entry(name, target, b"mdcv") == struct.pack(">8H2I", *P3_D65_1000_CODES)
    assert sample_entry(name, target, b"clli") == LEVELS
    clap = struct.unpack(">8i", sample_entry(name, target, b"clap"))
    assert clap == (255, 1, 143, 1, -1, 2, -1, 2)


def matroska_says_it(name: str, target: Path) -> None:
    data = target.read_bytes()
    expected = {0x55B1: 9, 0x55B9: 1, 0x55BA: 16, 0x55BB: 9, 0x55BC: 32639, 0x55BD: 32639}
    if output_signal(EncodeOptions(codec=name), target).subsampling is not Subsampling.YUV444:
        expected |= {0x55B7: 1, 0x55B8: 1}
    for identifier, value in expected.items():
        content = find_ebml(data, *VIDEO_TRACK, 0x55B0, identifier)
        assert int.from_bytes(content, "big") == value, hex(identifier)
    for identifier, value in zip(range(0x55D1, 0x55DB), P3_D65_1000, strict=True):
        content = find_ebml(data, *VIDEO_TRACK, 0x55B0, 0x55D0, identifier)
        assert struct.unpack(">d", content)[0] == pytest.approx(value, abs=1e-9)
    assert find_ebml(data, *VIDEO_TRACK, 0x54DD) == find_ebml(data, *VIDEO_TRACK, 0x54AA) == b"\1"


def test_stream_says_it(written):
    name, target, _ = written
    codec = ENCODERS[name].codec
    with av.open(str(target)) as container:
        stream = container.streams.video[0]
        packets = [bytes(p) for p in container.demux(stream) if p.size]
        extradata = stream.codec_context.extradata or b""
    if codec in ("hevc", "av1"):
        header = header_colour(codec, extradata, packets[0])
        assert header is not None and header.siting == 2, "top-left, H.273's type 2"
        assert (header.primaries, header.transfer, header.matrix) == (9, 16, 9)
        assert header.is_full_range is False
    if codec == "hevc":
        # 24 bytes of mastering display, 4 of light levels; emulation prevention breaks the first.
        colours = struct.pack(">8H", *P3_D65_1000_CODES[:8])
        assert colours in packets[0] and colours in extradata
        assert b"\x90\x04" + LEVELS in packets[0] and b"\x90\x04" + LEVELS in extradata
    elif codec == "av1":
        colours = struct.pack(">8H", *(round(c * 65536) for c in P3_D65_1000[:8]))
        found = packets[0].index(b"\x02" + colours)
        high, low = struct.unpack_from(">2I", packets[0], found + 17)
        assert (high / 256, low / 16384) == (1000, pytest.approx(1e-4, abs=1 / 16384))
        assert b"\x01" + LEVELS in packets[0]
    elif codec == "prores":
        for packet in packets:
            assert packet[4:8] == b"icpf"
            assert tuple(packet[22:25]) == (9, 16, 9), "frame header"
    elif codec == "dnxhd":
        assert all((packet[0x2C] >> 1) & 3 == 1 for packet in packets), "BT.2020"


def test_decoder_says_it(written):
    name, target, planes = written
    signal = ENCODERS[name].signal
    with av.open(str(target)) as container:
        frames = list(container.decode(video=0))
    assert [frame.pts * frame.time_base for frame in frames] == pytest.approx(
        [float(1001 * n * CLOCK) for n in range(len(planes))], abs=5e-4
    )
    for frame in frames:
        found = (frame.color_primaries, frame.color_trc, frame.colorspace, frame.color_range)
        assert found == (9, 16, 9, 1)
        digits = signal.subsampling.name.removeprefix("YUV")
        assert frame.format.name in (f"yuv{digits}p10le", f"yuv{digits}p12le")
    kinds = {side.type.name for side in frames[0].side_data}
    if ENCODERS[name].codec in ("hevc", "av1"):
        assert {"MASTERING_DISPLAY_METADATA", "CONTENT_LIGHT_LEVEL"} <= kinds


def test_codes_arrive_in_their_places(written):
    """Lossy, so within a few codes; a plane in the wrong place would be hundreds away."""
    name, target, planes = written
    with av.open(str(target)) as container:
        frames = list(container.decode(video=0))
    tolerance = {"ffv1": 0, "hevc": 6, "av1": 8}.get(name, 3)
    for frame, expected in zip(frames, planes, strict=True):
        shift = 2 if "p12" in frame.format.name else 0
        for plane, codes in zip(frame.planes, expected, strict=True):
            height, width = codes.shape
            rows = np.frombuffer(memoryview(plane), "<u2").reshape(-1, plane.line_size // 2)
            # Decoders crop by the container, whose padding is one row and one column.
            shown = (min(height, plane.height), min(width, plane.width))
            decoded = rows[: shown[0], : shown[1]].astype(float) / (1 << shift)
            wanted = codes[: shown[0], : shown[1]].numpy().astype(float)
            assert np.abs(decoded - wanted).mean() <= tolerance, (name, codes.shape)


def test_light_level_mark():
    """What is patched later: every byte is 127, and PQ's 10 000 cd/m2 cannot reach it."""
    assert UNMEASURED_LIGHT_LEVEL_CD_M2 == int.from_bytes(b"\x7f\x7f", "big") > 10_000
