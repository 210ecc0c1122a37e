"""Choosing an encoder: what is refused and how, what is passed on, and what does not change."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from coded_frames import CLOCK, RATE, SIZE, ramp_planes, write_frames
from rich_sources import VFR_PTS, Source, convert_grey, make_source, packets_of, seconds_of

from sdr2hdr.errors import OutputError, UsageError
from sdr2hdr.media.copying.stream_plan import plan_streams
from sdr2hdr.media.encoding.encoder_opening import open_encoder, require_encoder
from sdr2hdr.media.encoding.encoders import ENCODERS, choose_encoder, output_signal
from sdr2hdr.media.encoding.nvenc_encoder import NvencEncoder, with_hdr10
from sdr2hdr.media.encoding.output_video import OutputVideo
from sdr2hdr.media.mastering import BT2020_1000, P3_D65_4000, mastering_display
from sdr2hdr.media.pixel_formats import pixel_layout
from sdr2hdr.media.planes import frame_planes
from sdr2hdr.media.reading.probe import probe
from sdr2hdr.options import EncodeOptions, ReadOptions, TimeRange
from sdr2hdr.signal import HDR10_SIGNAL, ChromaSiting, Subsampling

ON_A_CPU = [name for name, spec in ENCODERS.items() if not spec.needs_gpu]
FASTEST = {"hevc": "ultrafast", "av1": "13"}
PARAMS = {
    "hevc": ("keyint=2:bframes=0", "nosuch=1", "keyint=soon"),
    # SVT-AV1 takes any text for a number.
    "av1": ("keyint=2", "nosuch=1"),
    "prores-422hq": ("mbs_per_slice=4", "nosuch=1", "mbs_per_slice=soon"),
    "prores-4444": ("mbs_per_slice=4", "nosuch=1", "mbs_per_slice=soon"),
    "dnxhr-hqx": ("nitris_compat=1", "nosuch=1", "nitris_compat=soon"),
    "dnxhr-444": ("nitris_compat=1", "nosuch=1", "nitris_compat=soon"),
    "ffv1": ("context=1", "nosuch=1", "context=soon"),
}


def options_for(name: str, **more: object) -> EncodeOptions:
    return EncodeOptions(codec=name, preset=FASTEST.get(name), threads=2, **more)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_source(tmp_path_factory.mktemp("source") / "in.mp4", Source(*SIZE[::-1]))


@pytest.mark.parametrize("extension", [".mkv", ".mp4", ".m4v", ".mov", ".MOV"])
def test_hevc_by_default(extension: str):
    spec = choose_encoder(EncodeOptions(), Path(f"out{extension}"))
    assert (spec.name, spec.libav_encoder) == ("hevc", "libx265")
    assert (spec.quality_of(EncodeOptions()), spec.preset_of(EncodeOptions())) == (16, "medium")


@pytest.mark.parametrize(
    ("name", "subsampling"),
    [
        ("hevc", Subsampling.YUV420),
        ("av1", Subsampling.YUV420),
        ("prores-422hq", Subsampling.YUV422),
        ("prores-4444", Subsampling.YUV444),
        ("dnxhr-hqx", Subsampling.YUV422),
        ("dnxhr-444", Subsampling.YUV444),
        ("ffv1", Subsampling.YUV444),
    ],
)
def test_signal(name: str, subsampling: Subsampling):
    target = Path(f"out{ENCODERS[name].extensions[0]}")
    signal = output_signal(EncodeOptions(codec=name), target)
    assert signal == replace(HDR10_SIGNAL, subsampling=subsampling)
    assert signal.siting is ChromaSiting.TOP_LEFT


def test_standard_output_is_hdr10():
    assert output_signal(EncodeOptions(), Path("-")) == HDR10_SIGNAL


@pytest.mark.parametrize(
    ("name", "extension", "instead"),
    [
        ("av1", ".mov", "prores-422hq"),
        ("prores-422hq", ".mp4", "hevc"),
        ("dnxhr-hqx", ".mkv", "ffv1"),
        ("dnxhr-444", ".mp4", ".mov"),
        ("ffv1", ".mov", "dnxhr-hqx"),
        ("ffv1", ".mp4", ".mkv"),
    ],
)
def test_codec_that_the_container_cannot_hold(
    source: Path, tmp_path: Path, name: str, extension: str, instead: str
):
    info = probe(source, ReadOptions())
    with pytest.raises(OutputError, match=f"{extension} cannot hold {name}") as caught:
        plan_streams(info, tmp_path / f"out{extension}", EncodeOptions(codec=name), TimeRange())
    assert instead in str(caught.value) and "--codec" in str(caught.value)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (EncodeOptions(codec="vp9"), "expected one of hevc, hevc-nvenc, av1"),
        (EncodeOptions(codec="hevc", quality=52), r"0 \(best\) to 51 .*found --quality 52"),
        (EncodeOptions(codec="av1", quality=0), r"1 \(best\) to 63 .*found --quality 0"),
        (EncodeOptions(codec="av1", preset="medium"), "0, 1, 2, .*found --preset medium"),
        (EncodeOptions(codec="ffv1", quality=3), "no --quality and no --preset"),
        (EncodeOptions(codec="prores-422hq", preset="fast"), "no --preset; found --preset fast"),
    ],
)
def test_impossible_choices(options: EncodeOptions, said: str):
    target = Path("out.mov" if options.codec == "prores-422hq" else "out.mkv")
    with pytest.raises(UsageError, match=said):
        choose_encoder(options, target)


@pytest.mark.parametrize("name", ["hevc-nvenc", "av1-nvenc"])
def test_nvenc_is_missed_before_the_work(name: str):
    """Where a GPU answers, the trial passes; where none does, the message says what to take."""
    try:
        require_encoder(ENCODERS[name])
    except OutputError as error:
        assert "NVIDIA" in str(error) and f"--codec {name.removesuffix('-nvenc')}" in str(error)


@pytest.mark.parametrize("name", ON_A_CPU)
def test_params(source: Path, tmp_path: Path, name: str):
    good, *bad = PARAMS[name]
    target = tmp_path / f"out{ENCODERS[name].extensions[0]}"
    write_frames(source, target, options_for(name, encoder_params=good), frames=4)
    if ENCODERS[name].codec in ("hevc", "av1"):
        with av.open(str(target)) as container:
            packets = [p for p in container.demux(video=0) if p.size]
        assert [p.is_keyframe for p in packets] == [True, False] * 2
        for packet in packets:
            assert (b"\x7f\x7f" * 2 in bytes(packet)) is packet.is_keyframe, "light levels"
    for wrong in bad:
        with pytest.raises((UsageError, OutputError), match="--encoder-params"):
            write_frames(source, tmp_path / target.name, options_for(name, encoder_params=wrong))


@pytest.mark.parametrize("name", ON_A_CPU)
def test_same_bytes_every_time(source: Path, tmp_path: Path, name: str):
    written = []
    for number in range(2):
        target = tmp_path / f"{number}{ENCODERS[name].extensions[0]}"
        write_frames(source, target, options_for(name), frames=12)
        written.append(target.read_bytes())
    assert written[0] == written[1]


@pytest.mark.parametrize("name", ["prores-422hq", "av1", "hevc"])
def test_quality_is_passed_on(source: Path, tmp_path: Path, name: str):
    sizes = []
    for quality in (4, 25):
        target = tmp_path / f"{quality}{ENCODERS[name].extensions[0]}"
        write_frames(source, target, options_for(name, quality=quality))
        sizes.append(sum(len(data) for _, _, data in packets_of(target, "video")))
    assert sizes[0] > 1.2 * sizes[1]


def coded_twice(name: str, libav: str, profile: str) -> tuple[list[bytes], list[bytes]]:
    """Packets of a frame of noise: ours, and those of libav's encoder as it is."""
    spec = ENCODERS[name]
    height, width = SIZE
    narrow = width // spec.signal.subsampling.horizontal
    random, sizes = np.random.default_rng(1), ((height, width), *((height, narrow),) * 2)
    planes = [random.integers(64, 940, size, np.uint16) for size in sizes]
    video = OutputVideo(width, height, CLOCK, RATE, signal=spec.signal)
    encoder = open_encoder(spec, video, EncodeOptions(codec=name), CLOCK)
    ours = [*encoder.encode(tuple(map(torch.from_numpy, planes)), 0), *encoder.flush()]
    encoder.close()
    plain = av.CodecContext.create(libav, "w")
    plain.width, plain.height, plain.pix_fmt = width, height, spec.pixel_format
    plain.time_base, plain.framerate, plain.options = CLOCK, RATE, {"profile": profile}
    frame = av.VideoFrame(width, height, spec.pixel_format)
    for plane, codes in zip(frame.planes, planes, strict=True):
        rows = np.frombuffer(memoryview(plane), "<u2").reshape(height, -1)
        rows[:, : codes.shape[1]] = codes
    theirs = [*plain.encode(frame), *plain.encode(None)]
    return [bytes(packet) for packet in ours], [bytes(packet) for packet in theirs]


@pytest.mark.parametrize(("name", "profile"), [("prores-422hq", "hq"), ("prores-4444", "4444")])
def test_prores_is_coded_in_the_quality_of_its_kind(name: str, profile: str):
    """Nothing in a frame names its kind: only how finely it is quantised tells."""
    ours, theirs = coded_twice(name, "prores_ks", profile)
    assert [len(data) for data in ours] == [len(data) for data in theirs]


@pytest.mark.parametrize("name", ["dnxhr-hqx", "dnxhr-444"])
def test_dnxhr_is_libav_s_but_for_the_colour_volume(name: str):
    """SMPTE ST 2019-1: CLV, two bits of byte 44, is 1 for BT.2020; CLF beside it stays."""
    (ours,), (theirs,) = coded_twice(name, "dnxhd", name.replace("-", "_"))
    assert ours[:44] + ours[45:] == theirs[:44] + theirs[45:]
    assert (theirs[44] >> 1 & 3, ours[44] >> 1 & 3) == (0, 1)
    assert ours[44] & 0b11111001 == theirs[44] & 0b11111001


@pytest.mark.parametrize(("width_px", "is_used"), [(48, False), (64, True)])
def test_x265_looks_ahead_wherever_it_can(
    source: Path, tmp_path: Path, width_px: int, is_used: bool
):
    """x265 writes its settings into the stream itself, if it is asked to."""
    options = EncodeOptions(codec="hevc", preset="medium", threads=1, encoder_params="info=1")
    write_frames(source, tmp_path / "out.mkv", options, size=(48, width_px))
    settings = (tmp_path / "out.mkv").read_bytes().split(b" ")
    assert (b"cutree" in settings, b"no-cutree" in settings) == (is_used, not is_used)
    assert b"no-open-gop" in settings


@pytest.mark.parametrize(("name", "extension"), [("av1", ".mp4"), ("av1", ".mkv")])
def test_times_and_sound_stay(tmp_path: Path, name: str, extension: str):
    source = make_source(tmp_path / "in.mp4", Source(pts=VFR_PTS, bframes=3))
    target = tmp_path / f"out{extension}"
    convert_grey(source, target, options_for(name))
    pairs = zip(seconds_of(source), seconds_of(target), strict=True)
    assert all(abs(before - after) <= Fraction(1, 2000) for before, after in pairs)
    sound = [[data for *_, data in packets_of(path, "audio")] for path in (source, target)]
    assert sound[0] == sound[1]


@pytest.mark.parametrize("frames", [1, 2])
@pytest.mark.parametrize("name", ON_A_CPU)
def test_few_frames(source: Path, tmp_path: Path, name: str, frames: int):
    target = tmp_path / f"out{ENCODERS[name].extensions[0]}"
    write_frames(source, target, options_for(name), frames=frames)
    with av.open(str(target)) as container:
        assert len(list(container.decode(video=0))) == frames


@pytest.mark.parametrize("name", ["dnxhr-hqx", "dnxhr-444", "hevc", "av1"])
def test_too_small_a_picture_is_an_error_that_says_so(source: Path, tmp_path: Path, name: str):
    least = ENCODERS[name].smallest_px
    target = tmp_path / f"out{ENCODERS[name].extensions[0]}"
    size = (least[1], least[0])
    write_frames(source, target, options_for(name), size=size)
    with pytest.raises(OutputError, match=f"at least {least[0]} by {least[1]} px"):
        write_frames(source, target, options_for(name), size=(size[0] - 2, size[1] - 2))


@pytest.mark.parametrize("name", ["hevc", "av1", "ffv1"])
def test_mastering_display_by_option(source: Path, tmp_path: Path, name: str):
    target = tmp_path / "out.mkv"
    write_frames(source, target, options_for(name, mastering="bt2020-1000"))
    with av.open(str(target)) as container:
        data = [bytes(p) for p in container.demux(video=0) if p.size]
    if name == "hevc":
        assert BT2020_1000.mdcv_payload()[:16] in data[0]
    assert b"\x55\xd1\x88" + np.array(0.708, ">f8").tobytes() in target.read_bytes()


QUIET_AV1 = """
import sys
from pathlib import Path
sys.path.insert(0, {folder!r})
from coded_frames import write_frames
from sdr2hdr.options import EncodeOptions
write_frames(Path({source!r}), Path({target!r}), EncodeOptions(codec="av1", preset="12"))
"""


def test_av1_says_nothing_of_its_own(source: Path, tmp_path: Path):
    folder = str(Path(__file__).parent)
    target = tmp_path / "out.mkv"
    code = QUIET_AV1.format(folder=folder, source=str(source), target=str(target))
    environment = {key: value for key, value in os.environ.items() if key != "SVT_LOG"}
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
    )
    assert (run.stdout, run.stderr) == ("", "")


def test_mastering_display_by_values():
    assert mastering_display("P3-D65-4000") == P3_D65_4000
    assert mastering_display(BT2020_1000.x265_text().replace(")B", ") B")) == BT2020_1000
    assert BT2020_1000.svt_text() == (
        "G(0.17,0.797)B(0.131,0.046)R(0.708,0.292)WP(0.3127,0.329)L(1000,0.0001)"
    )
    for wrong in ("p3", "G(1,1)", "G(0,0)B(0,0)R(0,0)WP(0,0)L(1,1)"):
        with pytest.raises(UsageError, match="--mastering"):
            mastering_display(wrong)


def plain_key_frame(encoder: str, **options: str) -> tuple[bytes, bytes]:
    """A key frame without any HDR10 metadata, and the description of its stream."""
    context = av.CodecContext.create(encoder, "w")
    context.width, context.height, context.pix_fmt = 256, 144, "yuv420p10le"
    context.time_base = Fraction(1, 25)
    context.options = options
    frame = av.VideoFrame(256, 144, "yuv420p10le")
    for plane in frame.planes:
        np.frombuffer(memoryview(plane), "<u2")[:] = 500
    frame.pts = 0
    packets = [*context.encode(frame), *context.encode(None)]
    return bytes(packets[0]), bytes(context.extradata or b"")


@pytest.mark.parametrize("codec", ["hevc", "av1"])
def test_inserted_metadata_is_what_a_decoder_reads(codec: str, monkeypatch: pytest.MonkeyPatch):
    """The way of the GPU's encoders, tried on those of the CPU."""
    monkeypatch.setenv("SVT_LOG", "1")
    if codec == "hevc":
        packet, _ = plain_key_frame("libx265", **{"x265-params": "log-level=none"})
        amended = with_hdr10(codec, packet, P3_D65_4000)
        assert amended.index(b"\x4e\x01\x89\x18") > packet.index(b"\x42\x01"), "behind the SPS"
    else:
        packet, _ = plain_key_frame("libsvtav1", preset="13")
        amended = with_hdr10(codec, packet, P3_D65_4000)
    for data, expected in ((packet, False), (amended, True)):
        decoder = av.CodecContext.create("libdav1d" if codec == "av1" else codec, "r")
        frame = [*decoder.decode(av.Packet(data)), *decoder.decode(None)][0]
        sides = {side.type.name: bytes(side) for side in frame.side_data}
        assert ("MASTERING_DISPLAY_METADATA" in sides) is expected
        assert ("CONTENT_LIGHT_LEVEL" in sides) is expected
    levels = np.frombuffer(sides["CONTENT_LIGHT_LEVEL"], "<u4")
    assert levels[:2].tolist() == [32639, 32639]
    rationals = np.frombuffer(sides["MASTERING_DISPLAY_METADATA"][:80], "<i4").reshape(-1, 2)
    values = rationals[:, 0] / rationals[:, 1]
    expected_values = [
        *(0.68, 0.32, 0.265, 0.69, 0.15, 0.06, 0.3127, 0.329),
        *(0.005, 4000),
    ]
    assert values == pytest.approx(expected_values, abs=4e-5)


def test_codes_lie_in_p010_as_the_reader_takes_them_apart():
    planes = [plane[0].numpy() for plane in ramp_planes(HDR10_SIGNAL, (50, 70), 0)]
    frame = av.VideoFrame(70, 50, "p010le")
    encoder = object.__new__(NvencEncoder)
    encoder._fill(frame, planes)
    found = frame_planes(frame, pixel_layout("p010le"))
    for plane, expected in zip((found.luma, found.cb, found.cr), planes, strict=True):
        assert np.array_equal(plane, expected)


@pytest.mark.cuda
@pytest.mark.parametrize("name", ["hevc-nvenc", "av1-nvenc"])
def test_nvenc_says_that_it_is_hdr10(source: Path, tmp_path: Path, name: str):
    target = tmp_path / "out.mp4"
    write_frames(source, target, EncodeOptions(codec=name), frames=12)
    with av.open(str(target)) as container:
        frames = list(container.decode(video=0))
    assert len(frames) == 12
    assert (frames[0].color_primaries, frames[0].color_trc, frames[0].colorspace) == (9, 16, 9)
    kinds = {side.type.name for side in frames[0].side_data}
    assert {"MASTERING_DISPLAY_METADATA", "CONTENT_LIGHT_LEVEL"} <= kinds


def test_wrong_signal_is_refused():
    video = OutputVideo(256, 144, CLOCK, RATE, signal=HDR10_SIGNAL)
    with pytest.raises(ValueError, match="prores-422hq takes"):
        open_encoder(ENCODERS["prores-422hq"], video, EncodeOptions(), CLOCK)
