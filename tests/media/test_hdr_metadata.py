"""HDR10 is said where a player or an editing program looks: in the stream and in the container."""

from __future__ import annotations

import struct
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import pytest
from matroska_tracks import find_ebml
from rich_sources import FAST, Source, convert_grey, find_box, make_source

from sdr2hdr.delivery.retag import retag
from sdr2hdr.media.mastering import BT2020_1000, MASTERING_DISPLAYS, P3_D65_1000, MasteringDisplay
from sdr2hdr.media.reading.first_frames import DisplayTurn, display_turn

SAMPLE_ENTRY = (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd", b"hvc1")
VIDEO = (0x18538067, 0x1654AE6B, 0xAE, 0xE0)
COLOUR, MASTERING = 0x55B0, 0x55D0
P3_D65_1000_CODES = (13250, 34500, 7500, 3000, 34000, 16000, 15635, 16450, 10000000, 1)
"""As printed in x265's manual for this display."""


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_source(tmp_path_factory.mktemp("source") / "in.mp4", Source(audio=()))


def element(path: Path, *identifiers: int) -> bytes:
    return find_ebml(path.read_bytes(), *VIDEO, *identifiers)


def test_default_mastering_display_in_st2086_units():
    text = "G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,1)"
    assert P3_D65_1000.x265_text() == text
    assert P3_D65_1000.mdcv_payload() == struct.pack(">8H2I", *P3_D65_1000_CODES)
    assert BT2020_1000.coded()[:6] == (8500, 39850, 6550, 2300, 35400, 14600)
    assert set(MASTERING_DISPLAYS) == {"p3-d65-1000", "bt2020-1000", "p3-d65-4000"}


@pytest.mark.parametrize(("low", "high"), [(1.0, 1.0), (-1.0, 100.0), (5.0, 1.0), (0.0, 1e6)])
def test_mastering_display_refuses_an_empty_range(low: float, high: float):
    with pytest.raises(ValueError, match="luminance"):
        MasteringDisplay((0.68, 0.32), (0.265, 0.69), (0.15, 0.06), (0.3127, 0.329), high, low)


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".m4v"])
def test_mp4_boxes(tmp_path: Path, source: Path, suffix: str):
    target = tmp_path / f"out{suffix}"
    convert_grey(source, target)
    data = target.read_bytes()
    assert find_box(data, *SAMPLE_ENTRY, b"mdcv") == struct.pack(">8H2I", *P3_D65_1000_CODES)
    colour = find_box(data, *SAMPLE_ENTRY, b"colr")
    assert colour[:10] == (b"nclc" if suffix == ".mov" else b"nclx") + struct.pack(">3H", 9, 16, 9)
    if suffix != ".mov":
        assert colour[10] == 0, "limited range"
    assert data.index(b"moov") < data.index(b"mdat"), "the index comes first"


def test_matroska_elements(tmp_path: Path, source: Path):
    target = tmp_path / "out.mkv"
    convert_grey(source, target)
    for identifier, expected in (
        (0x55B1, 9),  # MatrixCoefficients
        (0x55B9, 1),  # Range: limited
        (0x55BA, 16),  # TransferCharacteristics
        (0x55BB, 9),  # Primaries
        (0x55B7, 1),  # ChromaSitingHorz: left
        (0x55B8, 1),  # ChromaSitingVert: top
    ):
        assert int.from_bytes(element(target, COLOUR, identifier), "big") == expected
    chromaticities = (0.68, 0.32, 0.265, 0.69, 0.15, 0.06, 0.3127, 0.329)
    for identifier, expected in zip(
        range(0x55D1, 0x55DB), (*chromaticities, 1000, 1e-4), strict=True
    ):
        content = element(target, COLOUR, MASTERING, identifier)
        value = struct.unpack(">f" if len(content) == 4 else ">d", content)[0]
        assert value == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_stream_says_hdr10(tmp_path: Path, source: Path, suffix: str):
    target = tmp_path / f"out{suffix}"
    convert_grey(source, target, mastering=BT2020_1000)
    with av.open(str(target)) as container:
        video = container.streams.video[0]
        context = video.codec_context
        assert (context.name, context.profile, context.pix_fmt) == (
            "hevc",
            "Main 10",
            "yuv420p10le",
        )
        assert (context.color_primaries, context.color_trc, context.colorspace) == (9, 16, 9)
        assert context.color_range == 1
        if suffix == ".mp4":
            assert context.codec_tag == "hvc1"
        packet = next(packet for packet in container.demux(video) if packet.size)
    sei = b"\x89\x18" + struct.pack(">8H2I", *BT2020_1000.coded())
    assert sei in bytes(packet).replace(b"\0\0\3", b"\0\0"), "mastering display SEI (137, 24 bytes)"


def test_each_key_frame_carries_the_mastering_display(tmp_path: Path, source: Path):
    target = tmp_path / "out.mp4"
    convert_grey(source, target, replace(FAST, encoder_params="keyint=10:min-keyint=10:scenecut=0"))
    with av.open(str(target)) as container:
        keys = [p for p in container.demux(container.streams.video[0]) if p.size and p.is_keyframe]
        assert len(keys) == 5
        sei = struct.pack(">8H", *P3_D65_1000_CODES[:8])
        assert all(sei in bytes(packet) for packet in keys)


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
@pytest.mark.parametrize(
    ("rotation", "is_mirrored"),
    [(90, False), (180, False), (270, False), (0, True), (90, True), (180, True), (270, True)],
)
def test_rotation(tmp_path: Path, source: Path, suffix: str, rotation: int, is_mirrored: bool):
    target = tmp_path / f"out{suffix}"
    convert_grey(source, target, rotation_degrees=rotation, is_mirrored=is_mirrored)
    with av.open(str(target)) as container:
        turn = display_turn(next(container.decode(video=0)))
        assert turn == DisplayTurn(rotation, is_mirrored)


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
def test_odd_size_is_cropped_by_the_container(tmp_path: Path, source: Path, suffix: str):
    target = tmp_path / f"out{suffix}"
    convert_grey(source, target, crop_right_px=1, crop_bottom_px=1)
    if suffix == ".mkv":
        assert element(target, 0x54DD) == b"\1", "PixelCropRight"
        assert element(target, 0x54AA) == b"\1", "PixelCropBottom"
    else:
        clap = find_box(target.read_bytes(), *SAMPLE_ENTRY, b"clap")
        assert struct.unpack(">8i", clap) == (63, 1, 47, 1, -1, 2, -1, 2)


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
def test_sample_aspect_ratio(tmp_path: Path, suffix: str):
    source = make_source(
        tmp_path / "in.mp4", Source(audio=(), sample_aspect_ratio=Fraction(16, 15))
    )
    target = tmp_path / f"out{suffix}"
    convert_grey(source, target)
    with av.open(str(target)) as container:
        assert container.streams.video[0].sample_aspect_ratio == Fraction(16, 15)
    if suffix == ".mkv":
        width, height = element(target, 0x54B0), element(target, 0x54BA)
        assert (int.from_bytes(width, "big"), int.from_bytes(height, "big")) == (64, 45)
    else:
        pasp = find_box(target.read_bytes(), *SAMPLE_ENTRY, b"pasp")
        assert struct.unpack(">2I", pasp) == (16, 15)


def test_retag_shows_a_cropped_picture_of_non_square_pixels_as_it_was(tmp_path: Path):
    """Matroska's displayed size is that of what the crop leaves (RFC 9559, 11.1)."""
    aspect = Fraction(3, 2)
    source = make_source(tmp_path / "in.mp4", Source(audio=(), sample_aspect_ratio=aspect))
    converted, retagged = tmp_path / "out.mkv", tmp_path / "again.mkv"
    convert_grey(source, converted, crop_bottom_px=16)
    retag(converted, retagged)
    for target in (converted, retagged):
        assert element(target, 0x54AA) == b"\x10", "PixelCropBottom"
        width, height = element(target, 0x54B0), element(target, 0x54BA)
        assert (int.from_bytes(width), int.from_bytes(height)) == (96, 32), target.name
