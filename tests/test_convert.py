"""Whole conversions: what is decoded from the output is what the source and the standards say."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from types import ModuleType

import av
import numpy as np
import pytest
from clips import FLOWER, ClipRecipe, Tags, make_clip, read_planes

import sdr2hdr
from sdr2hdr.errors import InputError, OutputError, UsageError
from sdr2hdr.options import (
    ColourOverrides,
    EncodeOptions,
    EngineOptions,
    ReadOptions,
    TimeRange,
)

LOSSLESS = EncodeOptions(preset="ultrafast", encoder_params="lossless=1")
FAST = EncodeOptions(preset="ultrafast", quality=30)
FFV1 = sdr2hdr.ConvertOptions(model="bt2446a", encode=EncodeOptions(codec="ffv1"))

BARS = np.array(
    [
        [0.75, 0.75, 0.75],
        [0.75, 0.75, 0.0],
        [0.0, 0.75, 0.75],
        [0.0, 0.75, 0.0],
        [0.75, 0.0, 0.75],
        [0.75, 0.0, 0.0],
        [0.0, 0.0, 0.75],
        [0.0, 0.0, 0.0],
    ]
)
"""75% colour bars, R'G'B' (Rec. ITU-R BT.471)."""

SYSTEMS = {
    "709": (Tags(1, 1, 1), "ITU-R BT.709", "ITU-R BT.709"),
    "601-525": (Tags(6, 6, 6), "ITU-R BT.601", "SMPTE C"),
    "601-625": (Tags(5, 6, 5), "ITU-R BT.601", "EBU Tech. 3213-E"),
}


def bars_planes(colour: ModuleType, weights: str, full_range: bool) -> list[np.ndarray]:
    """The bars as 8-bit Y'CbCr planes, 16 px wide each, 4:2:0."""
    codes = colour.RGB_to_YCbCr(
        BARS, K=colour.WEIGHTS_YCBCR[weights], out_bits=8, out_legal=not full_range, out_int=True
    ).astype(np.uint8)
    row = np.repeat(codes, 16, axis=0)
    luma = np.tile(row[:, 0], (32, 1))
    return [luma, np.tile(row[::2, 1], (16, 1)), np.tile(row[::2, 2], (16, 1))]


def expected_bars(
    colour: ModuleType, planes: list[np.ndarray], weights: str, space: str, full: bool
) -> np.ndarray:
    """HDR10 codes of the bars after BT.2408's display-referred mapping, by colour-science alone."""
    centres = [(16, 8 + 16 * bar) for bar in range(8)]
    codes = np.array(
        [
            [planes[0][y, x], planes[1][y // 2, x // 2], planes[2][y // 2, x // 2]]
            for y, x in centres
        ]
    )
    signal = colour.YCbCr_to_RGB(
        codes, K=colour.WEIGHTS_YCBCR[weights], in_bits=8, in_legal=not full, in_int=True
    )
    linear = np.clip(signal, 0, 1) ** 2.4
    spaces = colour.RGB_COLOURSPACES
    to_709 = colour.matrix_RGB_to_RGB(spaces[space], spaces["ITU-R BT.709"], None)
    linear = np.clip(linear @ to_709.T, 0, 1)
    to_2020 = colour.matrix_RGB_to_RGB(spaces["ITU-R BT.709"], spaces["ITU-R BT.2020"], None)
    pq = colour.models.eotf_inverse_ST2084(np.clip(203 * linear @ to_2020.T, 0, None))
    return colour.RGB_to_YCbCr(
        pq, K=colour.WEIGHTS_YCBCR["ITU-R BT.2020"], out_bits=10, out_legal=True, out_int=True
    )


@pytest.mark.parametrize("full_range", [False, True], ids=["limited", "full"])
@pytest.mark.parametrize("system", list(SYSTEMS))
def test_colour_bars_are_what_the_standards_say(
    tmp_path: Path, colour_science: ModuleType, system: str, full_range: bool
):
    tags, weights, space = SYSTEMS[system]
    tags = Tags(tags.primaries, tags.transfer, tags.matrix, 2 if full_range else 1)
    planes = bars_planes(colour_science, weights, full_range)
    recipe = ClipRecipe(width_px=128, height_px=32, tags=tags, pts=(0, 1))
    source = make_clip(tmp_path / "bars.mkv", recipe, planes)
    target = tmp_path / "bars_hdr.mkv"
    sdr2hdr.convert(source, target, sdr2hdr.ConvertOptions(model="bt2408", encode=LOSSLESS))
    frames, _, _ = read_planes(target)
    assert len(frames) == 2
    expected = expected_bars(colour_science, planes, weights, space, full_range)
    for bar in range(8):
        y, x = 16, 8 + 16 * bar
        got = [frames[0][0][y, x], frames[0][1][y // 2, x // 2], frames[0][2][y // 2, x // 2]]
        assert np.abs(np.array(got, float) - expected[bar]).max() <= 1, (bar, got, expected[bar])


def test_network_converts_real_footage_and_keeps_the_sound(tmp_path: Path):
    target = tmp_path / "flower.mkv"
    options = sdr2hdr.ConvertOptions(
        model="irnet2", encode=LOSSLESS, read=ReadOptions(time_range=TimeRange(None, 0.1))
    )
    summary = sdr2hdr.convert(FLOWER, target, options)
    assert summary.frames == 3
    with av.open(str(target)) as container:
        video = container.streams.video[0]
        assert (video.codec_context.name, video.profile, video.pix_fmt) == (
            "hevc",
            "Main 10",
            "yuv420p10le",
        )
        context = video.codec_context
        assert (context.color_primaries, context.color_trc, context.colorspace) == (9, 16, 9)
        assert context.color_range == 1
        assert container.streams.audio[0].codec_context.name == "aac"
    frames, _, _ = read_planes(target)
    luma = frames[0][0]
    assert 400 < luma.max() <= 940
    assert luma.min() >= 64


@pytest.mark.parametrize("container", ["mp4", "mov", "mkv"])
def test_the_sound_of_a_broadcast_goes_along(tmp_path: Path, container: str):
    """MP4 has one name for all layers of MPEG-1 audio; that is no broken promise."""
    recipe = ClipRecipe(codec="mpeg2video", codec_options=(), audio_seconds=0.2, audio_codec="mp2")
    source = make_clip(tmp_path / "in.ts", recipe)
    target = tmp_path / f"out.{container}"
    sdr2hdr.convert(source, target, sdr2hdr.ConvertOptions(model="bt2408", encode=LOSSLESS))
    assert audio_packets(target) == audio_packets(source)


@pytest.mark.parametrize("container", ["mp4", "mov", "mkv"])
def test_a_range_behind_the_end_of_the_sound_is_converted(tmp_path: Path, container: str):
    recipe = ClipRecipe(pts=tuple(range(25)), audio_seconds=0.2)
    source = make_clip(tmp_path / "in.mkv", recipe)
    target = tmp_path / f"out.{container}"
    read = ReadOptions(time_range=TimeRange(0.6))
    options = sdr2hdr.ConvertOptions(model="bt2408", read=read, encode=FAST)
    result = sdr2hdr.convert(source, target, options)
    with av.open(str(target)) as output:
        kinds = [stream.type for stream in output.streams]
    is_told = any("#1 aac" in each.text and "left out" in each.text for each in result.notices)
    assert (kinds, is_told) == (
        (["video", "audio"], False) if container == "mkv" else (["video"], True)
    )


VFR_PTS = (0, 7, 9, 24, 25, 61, 100, 101)


@pytest.mark.parametrize("container", ["mp4", "mov", "mkv"])
def test_every_frame_keeps_its_time(tmp_path: Path, container: str):
    recipe = ClipRecipe(time_base=Fraction(1, 600), pts=VFR_PTS, audio_seconds=0.3)
    source = make_clip(tmp_path / "vfr.mp4", recipe)
    target = tmp_path / f"vfr_hdr.{container}"
    sdr2hdr.convert(source, target, sdr2hdr.ConvertOptions(model="bt2446a", encode=FAST))
    _, pts_in, base_in = read_planes(source)
    _, pts_out, base_out = read_planes(target)
    assert len(pts_in) == len(pts_out) == len(VFR_PTS)
    times_in = [pts * base_in for pts in pts_in]
    times_out = [pts * base_out for pts in pts_out]
    if container == "mkv":
        assert max(abs(a - b) for a, b in zip(times_in, times_out, strict=True)) <= 0.0005
    else:
        assert times_in == times_out
    assert audio_packets(source) == audio_packets(target)


DEFAULT_DURATION = bytes([0x23, 0xE3, 0x83])
"""ID of Matroska's element for the usual duration of a frame (RFC 9559)."""


@pytest.mark.parametrize("frames", [1, 2, 300])
def test_matroska_names_a_constant_rate_however_many_frames(tmp_path: Path, frames: int):
    """The first packets tell nothing if they are fewer than three, or not all."""
    recipe = ClipRecipe(width_px=32, height_px=16, pts=range(frames))
    target = tmp_path / "out.mkv"
    sdr2hdr.convert(make_clip(tmp_path / "in.mkv", recipe), target, FFV1)
    assert DEFAULT_DURATION in target.read_bytes()
    with av.open(str(target)) as container:
        assert container.streams.video[0].average_rate == 25


def test_matroska_names_no_rate_that_does_not_last(tmp_path: Path):
    recipe = ClipRecipe(width_px=32, height_px=16, pts=(*range(280), 300, 303))
    target = tmp_path / "out.mkv"
    sdr2hdr.convert(make_clip(tmp_path / "in.mkv", recipe), target, FFV1)
    assert DEFAULT_DURATION not in target.read_bytes()


def audio_packets(path: Path) -> list[bytes]:
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        return [bytes(packet) for packet in container.demux(stream) if packet.size]


@pytest.mark.parametrize(("width", "height"), [(63, 47), (16, 16), (130, 33)])
def test_any_size_works(tmp_path: Path, width: int, height: int):
    recipe = ClipRecipe(width_px=width, height_px=height, pts=(0,), codec="ffv1", codec_options=())
    source = make_clip(tmp_path / "odd.mkv", recipe)
    target = tmp_path / "odd_hdr.mkv"
    summary = sdr2hdr.convert(source, target, sdr2hdr.ConvertOptions("irnet2", encode=LOSSLESS))
    assert summary.frames == 1
    frames, _, _ = read_planes(target)
    even = (height + height % 2, width + width % 2)
    assert frames[0][0].shape in {even, (height, width)}


@pytest.mark.parametrize(("width", "height"), [(34, 22), (48, 34)])
def test_narrow_pictures_do_not_destroy_the_heap(tmp_path: Path, width: int, height: int):
    """x265 wrote past the end of its rows; in a process of its own, since that was aborted."""
    source = make_clip(tmp_path / "in.mkv", ClipRecipe(width_px=width, height_px=height))
    target = tmp_path / "out.mp4"
    command = [sys.executable, "-m", "sdr2hdr", "convert", str(source), str(target)]
    done = subprocess.run([*command, "--model", "bt2408"], check=False, capture_output=True)
    assert done.returncode == 0, done.stderr
    assert len(read_planes(target)[0]) == 6


def test_upscaling_curve_gives_the_larger_picture(tmp_path: Path):
    source = make_clip(tmp_path / "small.mkv", ClipRecipe(pts=(0,)))
    target = tmp_path / "large.mkv"
    options = sdr2hdr.ConvertOptions("bt2446a", scale=4, encode=FAST)
    sdr2hdr.convert(source, target, options)
    frames, _, _ = read_planes(target)
    assert frames[0][0].shape == (192, 256)


def test_letterbox_bars_stay_exactly_black(tmp_path: Path):
    luma = np.full((96, 128), 16, np.uint8)
    luma[20:76] = np.linspace(30, 230, 128).astype(np.uint8)
    chroma = np.full((48, 64), 128, np.uint8)
    recipe = ClipRecipe(width_px=128, height_px=96, pts=tuple(range(6)))
    source = make_clip(tmp_path / "bars.mkv", recipe, [luma, chroma, chroma])
    target = tmp_path / "bars_hdr.mkv"
    summary = sdr2hdr.convert(source, target, sdr2hdr.ConvertOptions("irnet2", encode=LOSSLESS))
    frames, _, _ = read_planes(target)
    assert summary.frames == 6
    for planes in frames:
        assert (planes[0][:20] == 64).all() and (planes[0][76:] == 64).all()
        assert all((plane[:10] == 512).all() and (plane[38:] == 512).all() for plane in planes[1:])
        assert planes[0][48].max() > 500


def test_bars_of_an_upscaled_picture_grow_with_it(tmp_path: Path):
    """Inside them is to the bit what the picture gives without bars."""
    picture = np.random.default_rng(6).integers(40, 230, (56, 112)).astype(np.uint8)
    neutral = np.full((28, 56), 128, np.uint8)
    alone = [picture, neutral, neutral]
    boxed = [
        np.pad(plane, [(20 // step,), (8 // step,)], constant_values=black)
        for plane, black, step in zip(alone, (16, 128, 128), (1, 2, 2), strict=True)
    ]
    options = sdr2hdr.ConvertOptions("bt2446a", scale=2, encode=LOSSLESS)

    def upscaled(name: str, planes: list[np.ndarray]) -> list[np.ndarray]:
        height_px, width_px = planes[0].shape
        recipe = ClipRecipe(width_px=width_px, height_px=height_px)
        source = make_clip(tmp_path / f"{name}.mkv", recipe, planes)
        target = tmp_path / f"{name}_hdr.mkv"
        sdr2hdr.convert(source, target, options)
        return read_planes(target)[0][-1]

    found, inside = upscaled("boxed", boxed), upscaled("alone", alone)
    for plane, part, black, step in zip(found, inside, (64, 512, 512), (1, 2, 2), strict=True):
        expected = np.pad(part, [(40 // step,), (16 // step,)], constant_values=black)
        np.testing.assert_array_equal(plane, expected)


def test_bars_do_not_hide_codes_above_white(tmp_path: Path):
    """A thousandth of the samples is worth a warning: of the picture, not of the frame."""
    luma = np.full((96, 128), 16, np.uint8)
    luma[20:76] = np.linspace(30, 230, 128).astype(np.uint8)
    luma[40, 60:68] = 250
    share = 8 / (56 * 128)
    assert 8 / luma.size < 0.001 < share
    chroma = np.full((48, 64), 128, np.uint8)
    recipe = ClipRecipe(width_px=128, height_px=96)
    source = make_clip(tmp_path / "bars.mkv", recipe, [luma, chroma, chroma])
    options = sdr2hdr.ConvertOptions("bt2408", encode=FAST)
    summary = sdr2hdr.convert(source, tmp_path / "bars_hdr.mkv", options)
    assert any(f"{share:.2%}" in notice.text for notice in summary.notices), summary.notices


def test_names_may_be_text(tmp_path: Path):
    source = make_clip(tmp_path / "clip.mkv", ClipRecipe(pts=(0,)))
    summary = sdr2hdr.convert(str(source), str(tmp_path / "out.mkv"), FFV1)
    assert summary.target == tmp_path / "out.mkv"


@pytest.mark.parametrize(
    ("make", "option"),
    [
        (lambda: sdr2hdr.ConvertOptions(model="bt2446a", super_white="keep"), "--super-white"),
        (lambda: ReadOptions(deinterlace="fields"), "--deinterlace"),
        (lambda: ReadOptions(video_stream=-1), "--video-stream"),
        (lambda: EngineOptions(backend="tensorrt"), "--backend"),
        (lambda: EngineOptions(precision="int8"), "--precision"),
        (lambda: EngineOptions(threads=0), "0 threads .*--threads"),
        (lambda: EncodeOptions(threads=-1), "-1 threads .*--threads"),
        (lambda: ReadOptions(threads=-1), "-1 threads .*--threads"),
        (lambda: ReadOptions(batch_frames=0), "0 frames; expected 1 or more"),
        (lambda: sdr2hdr.ConvertOptions("bt2446a", scale=2.0), "scale is 2.0; expected int"),
        (
            lambda: sdr2hdr.ConvertOptions("bt2446a", temp_dir="/tmp"),
            r"temp_dir is '/tmp'; expected Path \| None",
        ),
        (lambda: EncodeOptions(quality="16"), r"quality is '16'; expected float \| None"),
        (lambda: TimeRange("1:30"), r"start_seconds is '1:30'; expected float \| None"),
        (
            lambda: ColourOverrides(transfer="bt1886"),
            r"transfer is 'bt1886'; expected Transfer \| None",
        ),
        (lambda: ReadOptions(time_range=(0, 1)), r"time_range is \(0, 1\); expected TimeRange"),
    ],
)
def test_a_script_is_told_of_options_that_there_are_not(make: Callable[[], object], option: str):
    with pytest.raises(UsageError, match=option):
        make()


@pytest.mark.parametrize("suffix", [".mkv", ".mp4", ".mov"])
def test_sound_that_nothing_decodes_is_told_and_can_be_left_out(tmp_path: Path, suffix: str):
    """As the spatial sound beside the stereo of an iPhone; it was a fault of ours."""
    recipe = ClipRecipe(width_px=64, height_px=48, pts=(0, 1), audio_seconds=0.2)
    source = make_clip(tmp_path / "phone.mp4", recipe)
    content = source.read_bytes()
    assert content.count(b"mp4a") == content.count(b"esds") == 1
    source.write_bytes(content.replace(b"mp4a", b"apac").replace(b"esds", b"free"))
    target = tmp_path / f"hdr{suffix}"
    encode = EncodeOptions(preset="ultrafast")
    with pytest.raises(OutputError, match="#1 audio, unknown"):
        sdr2hdr.convert(source, target, sdr2hdr.ConvertOptions("bt2408", encode=encode))
    encode = replace(encode, drop_unsupported=True)
    sdr2hdr.convert(source, target, sdr2hdr.ConvertOptions("bt2408", encode=encode))
    with av.open(str(target)) as made:
        assert [stream.type for stream in made.streams] == ["video"]


@pytest.mark.skipif(sys.platform == "win32", reason="there are no forks")
def test_a_fork_of_a_process_that_has_converted_is_refused(tmp_path: Path):
    """It would wait for threads that it does not have, for ever."""
    source = make_clip(tmp_path / "clip.mkv", ClipRecipe(pts=(0,)))
    program = f"""if True:
        import multiprocessing, sys
        from pathlib import Path
        import sdr2hdr
        from sdr2hdr.options import EncodeOptions

        def convert(name):
            options = sdr2hdr.ConvertOptions("bt2408", encode=EncodeOptions(preset="ultrafast"))
            try:
                sdr2hdr.convert(Path({str(source)!r}), Path({str(tmp_path)!r}) / name, options)
            except sdr2hdr.errors.UsageError as error:
                return str(error)

        if __name__ == "__main__":
            import sdr2hdr.errors
            print(convert("before.mkv"))
            with multiprocessing.get_context("fork").Pool(1) as pool:
                print(pool.apply(convert, ("after.mkv",)))
        """
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=100
    )
    first, second = done.stdout.splitlines()
    assert first == "None" and "forked" in second, done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["before.mkv", "clip.mkv"]


def test_damaged_frames_are_counted_or_refused(tmp_path: Path):
    recipe = ClipRecipe(
        width_px=320, height_px=240, pts=tuple(range(20)), codec_options=(("g", "5"), ("bf", "0"))
    )
    source = make_clip(tmp_path / "whole.mkv", recipe)
    content = bytearray(source.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 600] = bytes(600)
    damaged = tmp_path / "damaged.mkv"
    damaged.write_bytes(content)
    target = tmp_path / "out.mkv"
    options = sdr2hdr.ConvertOptions("bt2408", encode=FAST)
    summary = sdr2hdr.convert(damaged, target, options)
    assert summary.damage
    said = [notice.text for notice in summary.notices if "is damaged" in notice.text]
    assert said == [f"The video is damaged: {summary.damage}."]
    assert summary.frames > 10
    target.unlink()
    strict = sdr2hdr.ConvertOptions("bt2408", encode=FAST, read=ReadOptions(strict=True))
    with pytest.raises(InputError, match="--strict"):
        sdr2hdr.convert(damaged, target, strict)
    assert not target.exists()


def test_killed_run_leaves_no_output_name(tmp_path: Path):
    target = tmp_path / "out.mkv"
    run = subprocess.Popen(
        [sys.executable, "-m", "sdr2hdr", "convert", FLOWER, target, "--model", "irnet2"],
        stderr=subprocess.DEVNULL,
    )
    while run.poll() is None and not list(tmp_path.iterdir()):
        time.sleep(0.05)
    assert not target.exists()
    run.terminate()
    assert run.wait() == 143
    # What spares work may stay, hidden.
    assert [path for path in tmp_path.iterdir() if path.name != ".out.mkv.sdr2hdr"] == []
