from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from source_clips import Clip, write_clip

from sdr2hdr.media.bitstreams.bits import BitReader, EndOfBitsError, HeaderColour, without_emulation
from sdr2hdr.media.bitstreams.bitstream import header_colour
from sdr2hdr.media.reading.probe import probe
from sdr2hdr.options import ReadOptions
from sdr2hdr.signal import ChromaSiting

H264 = Clip(codec="libx264", pts=range(3), width_px=64, height_px=64)
HEVC = replace(H264, codec="libx265")
AV1 = replace(H264, codec="libsvtav1")
TAGS = (6, 1, 5)


@pytest.fixture(autouse=True, scope="module")
def quiet_svt():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SVT_LOG", "0")
        yield


def with_params(clip: Clip, params: str) -> Clip:
    name = {"libx264": "x264-params", "libx265": "x265-params", "libsvtav1": "svtav1-params"}
    quiet = "log-level=none:" if clip.codec == "libx265" else ""
    return replace(clip, options={name[clip.codec]: quiet + params})


def header(path: Path) -> HeaderColour | None:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        packet = next(container.demux(stream))
        codec = stream.codec_context.codec.canonical_name
        return header_colour(codec, stream.codec_context.extradata, bytes(packet))


def first_packet(path: Path) -> bytes:
    with av.open(str(path)) as container:
        return bytes(next(container.demux(container.streams.video[0])))


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts"])
@pytest.mark.parametrize("clip", [H264, HEVC], ids=["h264", "hevc"])
@pytest.mark.parametrize("siting", range(6))
def test_chroma_location_is_found(tmp_path, clip, suffix, siting):
    path = write_clip(tmp_path / f"a.{suffix}", with_params(clip, f"chromaloc={siting}"))
    found = header(path)
    assert found is not None
    # Both encoders leave out type 0, which is the default where nothing is said.
    assert (found.siting or 0) == siting


@pytest.mark.parametrize(
    ("position", "siting"), [("left", ChromaSiting.LEFT), ("topleft", ChromaSiting.TOP_LEFT)]
)
def test_av1_chroma_position_is_found(tmp_path, position, siting):
    path = write_clip(
        tmp_path / "a.mkv", with_params(AV1, f"chroma-sample-position={position}:lp=1")
    )
    found = header(path)
    assert found is not None
    assert found.siting == siting.value
    colour = probe(path, ReadOptions()).video.colour
    assert colour.signal.siting is siting
    assert colour.origins["siting"] == "stream"


@pytest.mark.parametrize("clip", [H264, HEVC, AV1], ids=["h264", "hevc", "av1"])
@pytest.mark.parametrize("colour_range", [1, 2])
def test_colour_description_is_found(tmp_path, clip, colour_range):
    tagged = with_params(replace(clip, tags=TAGS, colour_range=colour_range), "keyint=1")
    found = header(write_clip(tmp_path / "a.mkv", tagged))
    assert found is not None
    assert (found.primaries, found.transfer, found.matrix) == TAGS
    assert found.is_full_range is (colour_range == 2)


@pytest.mark.parametrize("clip", [H264, HEVC], ids=["h264", "hevc"])
def test_silence_is_none(tmp_path, clip):
    untagged = with_params(replace(clip, tags=(2, 2, 2), colour_range=0), "keyint=2")
    found = header(write_clip(tmp_path / "a.mkv", untagged))
    assert found is not None
    assert (found.primaries, found.transfer, found.matrix, found.siting) == (None,) * 4


@pytest.mark.parametrize(
    "params",
    [
        "scaling-list=default:chromaloc=2",
        "bframes=4:b-pyramid=1:ref=5:chromaloc=2",
        "chromaloc=2:interlace=tff",
        "sar=2:chromaloc=2",
        "temporal-layers=3:chromaloc=2",
    ],
)
def test_hevc_headers_with_more_in_them(tmp_path, params):
    clip = replace(with_params(HEVC, params), pts=range(12))
    found = header(write_clip(tmp_path / "a.mkv", clip))
    assert found is not None
    assert found.siting == 2


def test_extended_aspect_ratio_is_passed_over(tmp_path):
    def set_aspect(stream: av.VideoStream) -> None:
        stream.codec_context.sample_aspect_ratio = Fraction(37, 31)

    for clip in (H264, HEVC):
        wide = replace(with_params(clip, "chromaloc=2"), set_up=set_aspect)
        path = write_clip(tmp_path / f"{clip.codec}.mkv", wide)
        found = header(path)
        assert found is not None
        assert found.siting == 2
        assert probe(path, ReadOptions()).video.sample_aspect_ratio == Fraction(37, 31)


@pytest.mark.parametrize(
    "params", ["cqm=jvt:chromaloc=3", "interlaced=1:chromaloc=3", "nal-hrd=cbr:chromaloc=3:sar=4/3"]
)
@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuv444p"])
def test_h264_headers_with_more_in_them(tmp_path, params, pixel_format):
    more = "vbv-maxrate=500:vbv-bufsize=500:bitrate=500:" if "hrd" in params else ""
    clip = replace(with_params(H264, more + params), pixel_format=pixel_format)
    found = header(write_clip(tmp_path / "a.mkv", clip))
    assert found is not None
    assert (found.primaries, found.transfer, found.matrix) == (1, 1, 1)
    if pixel_format == "yuv420p":
        assert found.siting == 3


@pytest.mark.parametrize("clip", [H264, HEVC, AV1], ids=["h264", "hevc", "av1"])
def test_nonsense_is_none_or_harmless(tmp_path, clip):
    path = write_clip(tmp_path / "a.mp4", with_params(clip, "keyint=1"))
    with av.open(str(path)) as container:
        context = container.streams.video[0].codec_context
        codec, extradata = context.codec.canonical_name, context.extradata
    packet = first_packet(path)
    assert extradata is not None
    for length in range(len(extradata)):
        header_colour(codec, extradata[:length], packet[:length])
    random = np.random.default_rng(7)
    for _ in range(400):
        data = bytearray(extradata)
        for place in random.integers(0, len(data), 6):
            data[place] = random.integers(0, 256)
        header_colour(codec, bytes(data), bytes(random.integers(0, 256, 200, dtype=np.uint8)))
    assert header_colour(codec, None, None) is None
    assert header_colour("prores", extradata, packet) is None


def test_exp_golomb_codes():
    # Rec. ITU-T H.264, Table 9-2: 1, 010, 011, 00100, 00101.
    bits = BitReader(int("1010011001000010100000000", 2).to_bytes(4, "big") + bytes(8))
    bits.skip(7)
    assert [bits.exp_golomb() for _ in range(5)] == [0, 1, 2, 3, 4]
    signed = BitReader(int("1010011001000010100000000", 2).to_bytes(4, "big"))
    signed.skip(7)
    assert [signed.signed_exp_golomb() for _ in range(5)] == [0, 1, -1, 2, -2]
    with pytest.raises(EndOfBitsError):
        bits.exp_golomb()


def test_emulation_prevention_is_undone():
    assert without_emulation(bytes([0, 0, 3, 1, 0, 0, 3, 0, 0, 3])) == bytes([0, 0, 1, 0, 0, 0, 0])
