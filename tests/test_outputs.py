"""What is written besides a plain conversion: light levels, other codecs, other targets."""

from __future__ import annotations

import csv
import dataclasses
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from types import ModuleType

import av
import numpy as np
import pytest
from clips import FLOWER, ClipRecipe, make_clip, read_planes

import sdr2hdr
from sdr2hdr.delivery.light_patch import PatchSummary
from sdr2hdr.errors import OutputError, VerificationError
from sdr2hdr.options import ConvertOptions, EncodeOptions, Look, ReadOptions, TimeRange
from sdr2hdr.pipeline import prepare
from sdr2hdr.quality.light_levels import LightLevels

SHORT = ReadOptions(time_range=TimeRange(None, 0.1))
FAST = EncodeOptions(preset="ultrafast")


def patch_clip(folder: Path) -> Path:
    """Letterbox bars of 20 px; a mid-grey picture, in its middle 16x16 px of white.

    BT.2408 shows white at 203 cd/m2 and grey, code 126, at 203 x (110/219)^2.4.
    """
    luma = np.full((104, 128), 16, np.uint8)
    luma[20:84] = 126
    luma[40:56, 48:64] = 235
    chroma = np.full((52, 64), 128, np.uint8)
    recipe = ClipRecipe(width_px=128, height_px=104, pts=tuple(range(8)))
    return make_clip(folder / "patch.mkv", recipe, [luma, chroma, chroma])


WHITE_SHARE = 16 * 16 / (64 * 128)


def coded_light_cd_m2(colour: ModuleType, light_cd_m2: float) -> float:
    """Light of the nearest 10-bit limited-range PQ code, by colour-science."""
    code = round(876 * float(colour.models.eotf_inverse_ST2084(light_cd_m2)) + 64)
    return float(colour.models.eotf_ST2084((code - 64) / 876))


@pytest.mark.parametrize("container", ["mkv", "mp4"])
def test_light_levels_are_those_of_the_picture_inside_the_bars(
    tmp_path: Path, colour_science: ModuleType, container: str
):
    white_cd_m2 = coded_light_cd_m2(colour_science, 203)
    grey_cd_m2 = coded_light_cd_m2(colour_science, 203 * (110 / 219) ** 2.4)
    mean_cd_m2 = WHITE_SHARE * white_cd_m2 + (1 - WHITE_SHARE) * grey_cd_m2
    source = patch_clip(tmp_path)
    target = tmp_path / f"out.{container}"
    log = tmp_path / "light.csv"
    options = ConvertOptions("bt2408", encode=FAST, light_log=log)
    summary = sdr2hdr.convert(source, target, options)
    assert summary.light.max_cll == round(white_cd_m2)
    assert summary.light.max_fall == round(mean_cd_m2)
    with log.open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 8
    for row in rows:
        assert float(row["max_cd_m2"]) == pytest.approx(white_cd_m2, abs=1e-3)
        assert float(row["mean_max_rgb_cd_m2"]) == pytest.approx(mean_cd_m2, abs=1e-3)
    assert b"\x7f\x7f\x7f\x7f" not in target.read_bytes()
    levels = summary.light.max_cll.to_bytes(2, "big") + summary.light.max_fall.to_bytes(2, "big")
    # CTA-861.3 levels as an SEI message of type 144 and 4 bytes (H.265 D.2.35).
    assert b"\x90\x04" + levels in target.read_bytes()


CODECS = {
    "hevc": ("out.mov", "hevc", "yuv420p10le"),
    "av1": ("out.mp4", "av1", "yuv420p10le"),
    "prores-422hq": ("out.mov", "prores", "yuv422p10le"),
    "ffv1": ("out.mkv", "ffv1", "yuv444p10le"),
}


@pytest.mark.parametrize("codec", list(CODECS))
def test_codecs_give_their_own_files(tmp_path: Path, codec: str):
    name, stream_codec, pixel_format = CODECS[codec]
    target = tmp_path / name
    options = ConvertOptions("bt2446a", read=SHORT, encode=EncodeOptions(codec=codec))
    sdr2hdr.convert(FLOWER, target, options)
    with av.open(str(target)) as container:
        context = container.streams.video[0].codec_context
        assert context.codec.canonical_name == stream_codec
        assert context.pix_fmt == pixel_format
        assert len(container.streams.audio) == 1
    frames, _, _ = read_planes(target)
    assert len(frames) == 3
    assert frames[0][0].max() > 600


def test_codec_that_the_container_cannot_hold(tmp_path: Path):
    options = ConvertOptions("bt2446a", read=SHORT, encode=EncodeOptions(codec="ffv1"))
    with pytest.raises(OutputError, match="ffv1"):
        sdr2hdr.convert(FLOWER, tmp_path / "out.mp4", options)
    assert list(tmp_path.iterdir()) == []


def test_sequence_of_pictures_agrees_with_the_video(tmp_path: Path):
    lossless = EncodeOptions(codec="ffv1")
    sdr2hdr.convert(
        FLOWER, tmp_path / "out.mkv", ConvertOptions("bt2446a", read=SHORT, encode=lossless)
    )
    summary = sdr2hdr.convert(
        FLOWER, tmp_path / "shot_%03d.png", ConvertOptions("bt2446a", read=SHORT)
    )
    pictures = sorted(tmp_path.glob("shot_*.png"))
    assert [path.name for path in pictures] == ["shot_001.png", "shot_002.png", "shot_003.png"]
    assert summary.frames == 3
    with av.open(str(pictures[0])) as container:
        frame = next(container.decode(video=0))
        rgb = frame.to_ndarray(format="rgb48le").astype(float) / 65535
    luma = 64 + 876 * (rgb @ np.array([0.2627, 0.6780, 0.0593]))
    frames, _, _ = read_planes(tmp_path / "out.mkv")
    assert np.abs(luma - frames[0][0]).max() <= 0.51


def test_what_pictures_leave_out_is_told(tmp_path: Path):
    source = make_clip(tmp_path / "in.mkv", ClipRecipe(audio_seconds=0.2))
    options = ConvertOptions("bt2446a", dither=True)
    told = [notice.text for notice in prepare(source, tmp_path / "a_%03d.png", options).notices]
    assert any("1 other stream is" in text for text in told)
    assert any("--dither" in text for text in told)
    told = [notice.text for notice in prepare(source, tmp_path / "a.mkv", options).notices]
    assert not any("--dither" in text or "left out" in text for text in told)


def test_a_turn_and_pixels_that_are_not_square_are_told_where_they_are_lost(tmp_path: Path):
    source = tmp_path / "in.mp4"
    with av.open(str(source), "w") as container:
        video = container.add_stream("libx264", rate=25)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        video.codec_context.sample_aspect_ratio = Fraction(16, 11)
        video.set_display_rotation(90, hflip=True)
        container.mux([*video.encode(av.VideoFrame(64, 48, "yuv420p")), *video.encode(None)])
    options = ConvertOptions(model="bt2408")
    words = ("90 degrees", "swap left and right", "16:11")
    for target, lost in (
        # Pictures are turned and mirrored themselves.
        (tmp_path / "a_%d.png", ("16:11",)),
        (tmp_path / "a_%d.tif", ()),
        (tmp_path / "a_%d.exr", ()),
        (Path("-"), ("90 degrees", "swap left and right")),
        (tmp_path / "out.mkv", ()),
    ):
        told = " ".join(notice.text for notice in prepare(source, target, options).notices)
        assert tuple(word for word in words if word in told) == lost


def test_pictures_keep_an_odd_size(tmp_path: Path):
    recipe = ClipRecipe(width_px=33, height_px=21, pts=(0,), codec="ffv1", codec_options=())
    source = make_clip(tmp_path / "in.mkv", recipe)
    target = tmp_path / "shot_%d.png"
    told = [n.text for n in prepare(source, target, ConvertOptions(model="bt2408")).notices]
    assert not any("padded" in text for text in told)
    sdr2hdr.convert(source, target, ConvertOptions(model="bt2408"))
    with av.open(str(tmp_path / "shot_1.png")) as picture:
        context = picture.streams.video[0].codec_context
        assert (context.width, context.height) == (33, 21)


def test_pipe_gives_y4m(tmp_path: Path):
    done = subprocess.run(
        [sys.executable, "-m", "sdr2hdr", "convert", FLOWER, "-", "--end", "0.1"],
        capture_output=True,
        check=True,
    )
    assert done.stdout.startswith(b"YUV4MPEG2 W960 H540 F30000:1001")
    assert done.stdout.count(b"FRAME\n") == 3
    header = done.stdout.index(b"\n") + 1
    assert len(done.stdout) == header + 3 * (len(b"FRAME\n") + 960 * 540 * 2 * 3 // 2)
    assert b"--transfer smpte2084" in done.stderr
    assert b"left out" in done.stderr


def test_round_trip_is_told_for_every_shot(tmp_path: Path):
    options = ConvertOptions("bt2446a", read=SHORT, encode=FAST, verify_roundtrip=True)
    summary = sdr2hdr.convert(FLOWER, tmp_path / "out.mkv", options)
    (shot,) = summary.roundtrips
    assert (shot.first_frame, shot.score.frames) == (0, 3)
    assert shot.score.imperceptible
    louder = dataclasses.replace(options, model="irnet2", overwrite=True)
    (changed,) = sdr2hdr.convert(FLOWER, tmp_path / "out.mkv", louder).roundtrips
    assert changed.score.mean > shot.score.mean


def test_a_file_that_is_not_as_promised_is_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def without_levels(path: Path, levels: LightLevels, *, robust: bool) -> PatchSummary:
        return PatchSummary(levels.max_cll, levels.max_fall, {})

    monkeypatch.setattr("sdr2hdr.jobs.merge.patch_light_levels", without_levels)
    target = tmp_path / "out.mkv"
    options = ConvertOptions("bt2446a", read=SHORT, encode=FAST)
    with pytest.raises(VerificationError, match="32639"):
        sdr2hdr.convert(FLOWER, target, options)
    assert [path.name for path in tmp_path.iterdir()] == [".out.mkv.sdr2hdr"]
    sdr2hdr.convert(FLOWER, target, dataclasses.replace(options, verify=False))
    assert list(tmp_path.iterdir()) == [target]


def test_look_lowers_the_peak(tmp_path: Path):
    options = ConvertOptions("bt2446a", read=SHORT, encode=FAST, look=Look(peak_cd_m2=300))
    summary = sdr2hdr.convert(FLOWER, tmp_path / "out.mkv", options)
    # The code nearest to 300 cd/m2 lies at most half a code, 0.5 %, above it.
    assert 250 < summary.light.max_cll <= 302


@pytest.mark.parametrize("model", ["bt2408", "bt2446a"])
def test_reference_white_is_nominal_white_when_super_white_is_scaled(
    tmp_path: Path, colour_science: ModuleType, model: str
):
    flat = [np.full(shape, code, np.uint8) for shape, code in (((64, 64), 235), ((32, 32), 128))]
    recipe = ClipRecipe(width_px=64, height_px=64, pts=tuple(range(2)))
    source = make_clip(tmp_path / "white.mkv", recipe, [flat[0], flat[1], flat[1]])
    options = ConvertOptions(
        model, super_white="scale", encode=FAST, look=Look(reference_white_cd_m2=203.0)
    )
    summary = sdr2hdr.convert(source, tmp_path / "out.mkv", options)
    assert summary.light.max_cll == round(coded_light_cd_m2(colour_science, 203))


def test_a_peak_above_the_mastering_display_is_told(tmp_path: Path):
    target = tmp_path / "out.mkv"
    bright = ConvertOptions("bt2446a", look=Look(peak_cd_m2=4000.0, exposure_stops=2.0))
    said = [notice.text for notice in prepare(FLOWER, target, bright).notices]
    assert any("4000 cd/m2" in text and "ends at 1000" in text for text in said)
    for options in (
        dataclasses.replace(bright, encode=EncodeOptions(mastering="p3-d65-4000")),
        ConvertOptions("bt2408"),
    ):
        said = [notice.text for notice in prepare(FLOWER, target, options).notices]
        assert not any("mastering display" in text or "changes nothing" in text for text in said)


@pytest.mark.parametrize("name", ["out.mkv", "shot_%03d.png"])
def test_a_peak_above_all_light_is_told_to_change_nothing(tmp_path: Path, name: str):
    """BT.2408 puts white at 203 cd/m2; two stops make 812 of it."""
    for stops, brightest in ((0.0, 203), (2.0, 812)):
        look = Look(peak_cd_m2=4000.0, exposure_stops=stops)
        prepared = prepare(FLOWER, tmp_path / name, ConvertOptions("bt2408", look=look))
        said = [notice.text for notice in prepared.notices]
        assert any(f"none above {brightest} cd/m2" in text for text in said)
        assert not any("mastering display" in text for text in said)


def test_a_peak_that_is_needed_for_raised_light_is_not_told_to_change_nothing(tmp_path: Path):
    """The usual peak of 1000 cd/m2 would cut off what the exposure makes."""
    look = Look(peak_cd_m2=4000.0, exposure_stops=1.0)
    prepared = prepare(FLOWER, tmp_path / "out.mkv", ConvertOptions("bt2446a", look=look))
    assert not any("changes nothing" in notice.text for notice in prepared.notices)


def test_a_peak_for_a_network_is_not_told_to_change_nothing(tmp_path: Path):
    look = Look(peak_cd_m2=4000.0)
    prepared = prepare(FLOWER, tmp_path / "out.mkv", ConvertOptions("irnet1", look=look))
    said = [notice.text for notice in prepared.notices]
    assert not any("changes nothing" in text for text in said)
    assert any("mastering display" in text for text in said)
