"""`retag`: levels measured exactly, said everywhere, and no coded picture touched."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import struct
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
from click.testing import CliRunner
from matroska_tracks import add_siting, track_languages, with_full_languages
from pq_clips import (
    PQ_BT2020,
    PqClip,
    decoded_levels,
    flat_frames,
    grey,
    make_pq,
    packets,
    pq_light,
    slices,
)

from sdr2hdr.cli import run
from sdr2hdr.cli.console import Console
from sdr2hdr.cli.retag import command
from sdr2hdr.delivery.retag import RetagOptions, retag
from sdr2hdr.errors import InputError, LockedError, OutputError, UsageError
from sdr2hdr.jobs.lock import output_lock
from sdr2hdr.media.hdr10.container_facts import read_container_facts
from sdr2hdr.media.hdr10.hdr_source import probe_hdr
from sdr2hdr.media.mastering import BT2020_1000, P3_D65_1000

SUFFIXES = pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
LEVELS = [200, 300, 509, 400, 723, 250, 64, 333]


def stored(light_cd_m2: float) -> int:
    return int(light_cd_m2 + 0.5)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """x265 as another tool may use it: no colour, no metadata, with sound."""
    folder = tmp_path_factory.mktemp("plain")
    clip = PqClip(audio=True)
    return {
        suffix: make_pq(folder / f"plain{suffix}", clip, flat_frames(clip, LEVELS))
        for suffix in (".mp4", ".mkv", ".ts")
    }


def retagged(source: Path, target: Path, **options) -> Path:
    retag(source, target, RetagOptions(assume_pq=True, mastering=P3_D65_1000, **options))
    return target


@SUFFIXES
@pytest.mark.parametrize("origin", [".mp4", ".mkv", ".ts"])
def test_coded_slices_times_and_sound_are_those_of_the_source(
    plain: dict[str, Path], tmp_path: Path, origin: str, suffix: str
):
    target = retagged(plain[origin], tmp_path / f"out{suffix}")
    before, after = packets(plain[origin]), packets(target)
    framing = 0 if origin == ".ts" else 4

    def digests(found, length_size: int) -> list[str]:
        return [
            hashlib.sha256(unit).hexdigest()
            for _, _, data in found
            for unit in slices(data, length_size)
        ]

    assert len(digests(before, framing)) >= len(LEVELS)
    assert digests(after, 4) == digests(before, framing)
    assert [key for _, key, _ in after] == [key for _, key, _ in before]
    first = before[0][0] or 0
    shift = first if origin == ".ts" else 0
    assert [float(time) for time, _, _ in after] == pytest.approx(
        [float(time - shift) for time, _, _ in before], abs=0.0011
    )
    if origin != ".ts":
        sound = [data for _, _, data in packets(plain[origin], "audio")]
        assert [data for _, _, data in packets(target, "audio")] == sound


@SUFFIXES
def test_metadata_is_said_in_stream_and_container(
    plain: dict[str, Path], tmp_path: Path, suffix: str
):
    target = retagged(plain[".mp4"], tmp_path / f"out{suffix}")
    levels = (stored(pq_light(723)), stored(pq_light(723)))
    assert decoded_levels(target) == {levels}
    found = probe_hdr(target)
    assert found.mastering == P3_D65_1000.mdcv_payload()
    assert found.header is not None
    header = found.header
    assert (header.primaries, header.transfer, header.matrix) == PQ_BT2020
    assert header.siting is None, "where chroma lies is not ours to say"
    data = target.read_bytes()
    light = struct.pack(">2H", *levels)
    sei = b"\x4e\x01\x90\x04" + light + b"\x80"
    assert data.count(sei) == 1 + len(LEVELS) // 4, "the header and each key frame"
    if suffix == ".mkv":
        assert b"\x55\xbc\x82" + light[:2] in data
        assert b"\x55\xbd\x82" + light[2:] in data
    else:
        assert b"clli" + light in data
        assert b"mdcv" + P3_D65_1000.mdcv_payload() in data
        assert b"hvc1" in data
        colour = b"colrnclc" if suffix == ".mov" else b"colrnclx"
        assert colour + struct.pack(">3H", *PQ_BT2020) in data


def test_frames_stay_evenly_spaced_where_matroska_left_out_decoding_times(
    plain: dict[str, Path], tmp_path: Path
):
    target = retagged(plain[".mkv"], tmp_path / "out.mp4")
    with av.open(str(target)) as container:
        video = container.streams.video[0]
        assert video.average_rate == 25
        times = [p.dts * p.time_base for p in container.demux(video) if p.dts is not None]
    assert {later - earlier for earlier, later in pairwise(times)} == {Fraction(1, 25)}


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_av1(tmp_path: Path, suffix: str):
    clip = PqClip(codec="libsvtav1")
    source = make_pq(tmp_path / "in.mkv", clip, flat_frames(clip, [509] * 8))
    options = RetagOptions(assume_pq=True, mastering=P3_D65_1000)
    target = tmp_path / f"out{suffix}"
    assert retag(source, target, options).colour_added
    assert not retag(target, tmp_path / f"again{suffix}").colour_added
    (levels,) = decoded_levels(target)
    assert levels is not None
    assert levels[0] == pytest.approx(pq_light(509), abs=1.5)
    found = probe_hdr(target)
    assert found.mastering == P3_D65_1000.mdcv_payload()
    assert found.header is not None
    assert (found.header.primaries, found.header.transfer, found.header.matrix) == PQ_BT2020
    for (_, is_key, old), (_, _, new) in zip(packets(source), packets(target), strict=True):
        if is_key:
            assert new.endswith(old[old.index(b"\x32") :]), "the frame itself"
        else:
            assert new == old


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_vp9(tmp_path: Path, suffix: str):
    source = tmp_path / "in.webm"
    with av.open(str(source), "w") as container:
        video = container.add_stream("libvpx-vp9", rate=25, options={"cpu-used": "8"})
        video.width, video.height, video.pix_fmt = 128, 96, "yuv420p"
        context = video.codec_context
        context.color_primaries, context.color_trc, context.colorspace = PQ_BT2020
        for number in range(3):
            frame = av.VideoFrame(128, 96, "yuv420p")
            for plane in frame.planes:
                np.frombuffer(memoryview(plane), np.uint8)[:] = 128
            frame.pts = number
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
    target = retagged(source, tmp_path / f"out{suffix}")
    assert [data for _, _, data in packets(target)] == [data for _, _, data in packets(source)]
    assert probe_hdr(target).mastering == P3_D65_1000.mdcv_payload()
    assert decoded_levels(target) == {(stored(pq_light(512)),) * 2}


def make_intra(path: Path, codec: str, **options: str) -> Path:
    """Three untagged grey frames of 4:2:2."""
    with av.open(str(path), "w") as container:
        video = container.add_stream(codec, rate=25, options=options)
        video.width, video.height, video.pix_fmt = 256, 128, "yuv422p10le"
        for number in range(3):
            frame = av.VideoFrame(256, 128, "yuv422p10le")
            for plane, code in zip(frame.planes, (509, 512, 512), strict=True):
                np.frombuffer(memoryview(plane), "<u2")[:] = code
            frame.pts = number
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
    return path


def test_ffv1_is_said_in_the_container(tmp_path: Path):
    source = make_intra(tmp_path / "in.mkv", "ffv1", level="3")
    target = tmp_path / "out.mkv"
    summary = retag(source, target, RetagOptions(assume_pq=True, mastering=P3_D65_1000))
    assert any("ffv1 stream has no place" in notice.text for notice in summary.notices)
    assert [data for _, _, data in packets(target)] == [data for _, _, data in packets(source)]
    level = stored(pq_light(509)).to_bytes(1, "big")
    data = target.read_bytes()
    for element in (b"\x55\xbc\x81", b"\x55\xbd\x81"):
        assert data.count(element + level) == 1
    found = probe_hdr(target)
    assert found.mastering == P3_D65_1000.mdcv_payload()
    assert decoded_levels(target) == {(stored(pq_light(509)),) * 2}


def test_a_container_that_cannot_hold_the_video_is_refused_before_measuring(tmp_path: Path):
    source = make_intra(tmp_path / "in.mov", "dnxhd", profile="dnxhr_hqx")
    measured: list[int] = []
    options = RetagOptions(assume_pq=True)
    with pytest.raises(OutputError, match=r"\.mkv cannot hold dnxhd"):
        retag(source, tmp_path / "out.mkv", options, measured.append)
    assert not measured
    target = retag(source, tmp_path / "out.mov", options).target
    assert [data for _, _, data in packets(target)] == [data for _, _, data in packets(source)]
    assert b"clli" + struct.pack(">2H", *(stored(pq_light(509)),) * 2) in target.read_bytes()


def test_prores_is_said_in_the_container_and_frame_header(tmp_path: Path):
    source = make_intra(tmp_path / "in.mov", "prores_ks")
    target = retagged(source, tmp_path / "out.mov")
    before, after = packets(source), packets(target)
    assert [data[25:] for _, _, data in after] == [data[25:] for _, _, data in before]
    assert {data[22:25] for _, _, data in after} == {bytes(PQ_BT2020)}
    assert b"clli" + struct.pack(">2H", *(stored(pq_light(509)),) * 2) in target.read_bytes()


@pytest.mark.parametrize("codec", ["libx265", "libsvtav1"])
def test_where_only_matroska_says_that_chroma_lies_it_still_does(tmp_path: Path, codec: str):
    """HEVC became left, its own rule, and AV1 unsaid."""
    clip = PqClip(codec=codec, tags=PQ_BT2020)
    source = make_pq(tmp_path / "in.mkv", clip, flat_frames(clip, [509] * 4))
    add_siting(source, 1, 1)
    found = probe_hdr(source)
    assert found.header is not None and found.header.siting is None
    target = retagged(source, tmp_path / "out.mkv")
    assert read_container_facts(target, "matroska", 0).facts.siting == 2


@pytest.mark.parametrize("siting", ["topleft", "left", "unspecified"])
def test_where_the_chroma_of_prores_lies_in_matroska_is_kept(tmp_path: Path, siting: str):
    source = make_intra(tmp_path / "in.mkv", "prores_ks", chroma_sample_location=siting)
    code = {"topleft": 2, "left": 0, "unspecified": None}[siting]
    for target in (source, retagged(source, tmp_path / "out.mkv")):
        assert read_container_facts(target, "matroska", 0).facts.siting == code
    facts = read_container_facts(target, "matroska", 0).facts
    assert (facts.max_cll, facts.max_fall) == (stored(pq_light(509)),) * 2
    movie = retagged(source, tmp_path / "out.mov")
    assert facts.mastering == read_container_facts(movie, "mov", 1).facts.mastering


@pytest.mark.parametrize(
    ("codec", "profile", "tag"),
    [("prores_ks", "proxy", "apco"), ("prores_ks", "hq", "apch"), ("dnxhd", "dnxhr_hqx", "AVdh")],
)
def test_the_kind_of_an_intermediate_stays(tmp_path: Path, codec: str, profile: str, tag: str):
    source = make_intra(tmp_path / "in.mov", codec, profile=profile)
    with av.open(str(retagged(source, tmp_path / "out.mov"))) as container:
        assert container.streams.video[0].codec_context.codec_tag == tag


def test_levels_of_a_letterboxed_film_with_one_bright_pixel(tmp_path: Path):
    clip = PqClip(width_px=160, height_px=128)
    frames = []
    for number in range(12):
        luma = np.full((128, 160), 64)
        luma[16:112] = 400 + 10 * number
        frames.append(grey(clip, luma))
    frames[5][0][50, 33] = 900
    source = make_pq(tmp_path / "in.mp4", clip, frames)
    log = tmp_path / "light.json"
    target = tmp_path / "out.mp4"
    summary = retag(source, target, RetagOptions(assume_pq=True, light_log=log))
    picture = summary.active_picture
    assert picture is not None
    assert (picture.top, picture.bottom, picture.left, picture.right) == (16, 112, 0, 160)
    pixels = 160 * 96
    assert summary.levels.max_cll == stored(pq_light(900))
    assert summary.levels.max_fall == stored(pq_light(510))
    assert summary.levels.robust_max_cll == stored(pq_light(510))
    assert summary.stored == (summary.levels.max_cll, summary.levels.max_fall)
    assert decoded_levels(target) == {summary.stored}
    rows = json.loads(log.read_text(encoding="utf-8"))["frames"]
    mean = (pq_light(450) * (pixels - 1) + pq_light(900)) / pixels
    assert rows[5]["mean_max_rgb_cd_m2"] == pytest.approx(mean, abs=1e-3)
    assert rows[5]["max_cd_m2"] == pytest.approx(pq_light(900), abs=1e-3)
    assert rows[5]["pts_seconds"] == pytest.approx(0.2)
    assert any("Letterbox" in notice.text for notice in summary.notices)


def test_coloured_light_is_measured_by_its_brightest_channel(tmp_path: Path):
    clip = PqClip()
    luma, cb, cr = 400, 480, 700
    planes = (
        np.full((96, 128), luma, np.uint16),
        np.full((48, 64), cb, np.uint16),
        np.full((48, 64), cr, np.uint16),
    )
    source = make_pq(tmp_path / "in.mp4", clip, [planes] * 4)
    red = (luma - 64) / 876 + 1.4746 * (cr - 512) / 896
    expected = stored(pq_light(int(np.floor(red * 876 + 64.5))))
    summary = retag(source, tmp_path / "out.mkv", RetagOptions(assume_pq=True))
    assert summary.stored == (expected, expected)


def test_robust_levels_and_display_replace_what_is_there(tmp_path: Path):
    clip = PqClip(
        tags=PQ_BT2020,
        params="max-cll=9,8:master-display=" + P3_D65_1000.x265_text() + ":chromaloc=2",
    )
    luma = np.full((96, 128), 509)
    luma[3, 5] = 900
    source = make_pq(tmp_path / "in.mp4", clip, [grey(clip, luma)] * 8)
    assert decoded_levels(source) == {(9, 8)}
    robust = retag(source, tmp_path / "robust.mp4", RetagOptions(robust=True))
    assert robust.stored == (robust.levels.robust_max_cll, robust.levels.robust_max_fall)
    assert robust.levels.robust_max_cll == stored(pq_light(509))
    assert robust.levels.max_cll == stored(pq_light(900))
    assert not robust.colour_added
    assert decoded_levels(robust.target) == {robust.stored}
    assert probe_hdr(robust.target).mastering == P3_D65_1000.mdcv_payload()
    other = retag(source, tmp_path / "other.mkv", RetagOptions(mastering=BT2020_1000))
    found = probe_hdr(other.target)
    assert found.mastering == BT2020_1000.mdcv_payload()
    assert found.header is not None
    assert found.header.siting == 2
    assert other.target.read_bytes().count(b"\x4e\x01\x90") == 3, "none twice"


def test_no_mastering_display_is_made_up(plain: dict[str, Path], tmp_path: Path):
    summary = retag(plain[".mp4"], tmp_path / "out.mp4", RetagOptions(assume_pq=True))
    assert probe_hdr(summary.target).mastering is None
    assert any("--mastering" in notice.text for notice in summary.notices)


def test_primaries_that_are_not_bt2020_stay_and_are_told(tmp_path: Path):
    clip = PqClip(tags=(12, 16, 9))
    source = make_pq(tmp_path / "in.mp4", clip, flat_frames(clip, [300] * 4))
    summary = retag(source, tmp_path / "out.mp4")
    assert any("not BT.2020" in notice.text for notice in summary.notices)
    header = probe_hdr(summary.target).header
    assert header is not None and header.primaries == 12


def test_rotation_stays(tmp_path: Path):
    clip = PqClip(tags=PQ_BT2020)
    made = make_pq(tmp_path / "made.mp4", clip, flat_frames(clip, [300] * 4))
    source = tmp_path / "in.mp4"
    with av.open(str(made)) as reader, av.open(str(source), "w") as writer:
        stream = writer.add_stream_from_template(reader.streams.video[0], opaque=True)
        stream.set_display_rotation(90)
        for packet in reader.demux(video=0):
            if packet.size:
                packet.stream = stream
                writer.mux(packet)
    for suffix in (".mp4", ".mkv"):
        summary = retag(source, tmp_path / f"out{suffix}")
        turns = []
        for path in (source, summary.target):
            with av.open(str(path)) as container:
                turns.append(next(container.decode(video=0)).rotation % 360)
        assert turns == [90, 90]


def test_refusals_leave_nothing_behind(plain: dict[str, Path], tmp_path: Path):
    target = tmp_path / "out.mp4"
    with pytest.raises(InputError, match="--assume-pq"):
        retag(plain[".mp4"], target)
    sdr = PqClip(tags=(1, 1, 1))
    source = make_pq(tmp_path / "sdr.mp4", sdr, flat_frames(sdr, [300] * 4))
    with pytest.raises(InputError, match="expected HDR in PQ"):
        retag(source, target)
    with pytest.raises(UsageError, match="light log"):
        retag(plain[".mp4"], target, RetagOptions(assume_pq=True, light_log=tmp_path / "log.txt"))
    own = tmp_path / "own.csv"
    own.hardlink_to(plain[".mp4"])
    with pytest.raises(OutputError, match="the same command needs"):
        retag(plain[".mp4"], target, RetagOptions(assume_pq=True, light_log=own, overwrite=True))
    own.unlink()
    own.write_text("precious")
    with pytest.raises(OutputError, match="--overwrite"):
        retag(plain[".mp4"], target, RetagOptions(assume_pq=True, light_log=own))
    assert own.read_text() == "precious"
    own.unlink()
    with pytest.raises(OutputError, match="extension"):
        retag(plain[".mp4"], tmp_path / "out.avi", RetagOptions(assume_pq=True))
    with pytest.raises(OutputError, match="the input itself"):
        retag(source, source, RetagOptions(overwrite=True))
    with pytest.raises(OutputError, match="--temp-dir"):
        retag(plain[".mp4"], target, RetagOptions(assume_pq=True, temp_dir=tmp_path / "none"))
    arguments = [str(plain[".mp4"]), str(target), "--assume-pq", "--temp-dir", f"{tmp_path}/none"]
    result = CliRunner().invoke(command, arguments, obj=Console())
    assert isinstance(result.exception, OutputError)
    target.write_bytes(b"mine")
    with pytest.raises(OutputError, match="--overwrite"):
        retag(plain[".mp4"], target, RetagOptions(assume_pq=True))
    assert target.read_bytes() == b"mine"
    assert {path.name for path in tmp_path.iterdir()} == {"out.mp4", "sdr.mp4"}


def test_command(plain: dict[str, Path], tmp_path: Path):
    target, log = tmp_path / "out.mp4", tmp_path / "light.csv"
    arguments = [str(plain[".mp4"]), str(target), "--assume-pq", "--mastering", "p3-d65-1000"]
    result = CliRunner().invoke(
        command, [*arguments, "--light-log", str(log), "--json"], obj=Console()
    )
    assert result.exit_code == 0, result.output
    events = [json.loads(line) for line in result.stdout.splitlines()]
    (event,) = [event for event in events if event["event"] == "retagged"]
    assert event["frames"] == len(LEVELS)
    assert event["max_cll_cd_m2"] == event["levels"]["max_cll"] == stored(pq_light(723))
    assert event["colour_added"] is True
    assert len(log.read_text(encoding="utf-8").splitlines()) == 1 + len(LEVELS)
    result = CliRunner().invoke(command, [*arguments, "--overwrite", "--robust"], obj=Console())
    assert result.exit_code == 0, result.output
    assert "MaxCLL" in result.stderr


def test_an_output_whose_log_finds_no_room_gets_no_name(
    plain: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    target, log = tmp_path / "out.mp4", tmp_path / "light.csv"
    options = RetagOptions(assume_pq=True, light_log=log)

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch, pytest.raises(OutputError, match="No space left"):
        patch.setattr("csv.DictWriter.writeheader", full)
        retag(plain[".mp4"], target, options)
    assert not list(tmp_path.iterdir())
    retag(plain[".mp4"], target, options)
    assert {path.name for path in tmp_path.iterdir()} == {"out.mp4", "light.csv"}


def test_a_bare_stream_is_refused_before_measuring(tmp_path: Path):
    clip = PqClip(tags=PQ_BT2020)
    source = make_pq(tmp_path / "in.hevc", clip, flat_frames(clip, [509]))
    measured: list[int] = []
    with pytest.raises(InputError, match="bare hevc stream, whose frames have no times"):
        retag(source, tmp_path / "out.mkv", None, measured.append)
    assert not measured


def test_two_runs_on_one_output_exclude_each_other(
    plain: dict[str, Path], tmp_path: Path, capfd: pytest.CaptureFixture[str]
):
    target = tmp_path / "out.mp4"
    arguments = ["retag", str(plain[".mp4"]), str(target), "--assume-pq"]
    with output_lock(target):
        assert run(arguments) == LockedError.exit_code
        assert "is being written by another run" in capfd.readouterr().err
    assert run(arguments) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["out.mp4"]


@pytest.mark.parametrize("origin", [".mp4", ".mkv"])
def test_a_file_cut_short_is_refused(plain: dict[str, Path], tmp_path: Path, origin: str):
    """Its demuxer would end early without a word, and the copy be a shorter film."""
    source = plain[origin]
    if origin == ".mp4":
        source = copy_packets(source, tmp_path / "index_first.mp4")
    whole = source.read_bytes()
    cut = tmp_path / f"cut{origin}"
    cut.write_bytes(whole[: -len(whole) // 4])
    with pytest.raises(InputError, match="cut short"):
        retagged(cut, tmp_path / "out.mkv")
    assert not (tmp_path / "out.mkv").exists()


def test_matroska_that_cannot_be_read_to_its_end_is_refused(tmp_path: Path):
    clip = PqClip()
    noise = np.random.default_rng(1).integers(64, 940, (40, clip.height_px, clip.width_px))
    whole = make_pq(tmp_path / "whole.mkv", clip, [grey(clip, luma) for luma in noise])
    retagged(whole, tmp_path / "fine.mkv")
    data = bytearray(whole.read_bytes())
    # What a download that was never finished leaves in a file of its full length.
    data[len(data) // 3 :] = bytes(len(data) - len(data) // 3)
    (tmp_path / "spoiled.mkv").write_bytes(data)
    with pytest.raises(InputError, match="damaged"):
        retagged(tmp_path / "spoiled.mkv", tmp_path / "out.mkv")
    assert not (tmp_path / "out.mkv").exists()


def test_a_last_picture_that_stays_long_is_no_damage(tmp_path: Path):
    """Without a frame rate, its block has no duration: the file's own is all that tells of it."""
    clip = PqClip()
    source = make_pq(tmp_path / "plain.mkv", clip, flat_frames(clip, LEVELS))
    slides = tmp_path / "slides.mkv"
    with av.open(str(source)) as given, av.open(str(slides), "w") as output:
        stream = output.add_stream_from_template(given.streams.video[0])
        stream.codec_context.framerate = Fraction(0, 1)
        found = [packet for packet in given.demux(video=0) if packet.size]
        last = max(packet.pts or 0 for packet in found)
        for packet in found:
            if packet.pts == last:
                packet.duration = round(3 / packet.time_base)
            packet.stream = stream
            output.mux(packet)
    assert len(packets(retagged(slides, tmp_path / "out.mkv"))) == len(LEVELS)


def test_recordings_put_together_are_joined_and_told(tmp_path: Path):
    clip = PqClip(audio=True)
    part = make_pq(tmp_path / "part.ts", clip, flat_frames(clip, LEVELS * 5))
    spliced = tmp_path / "spliced.ts"
    spliced.write_bytes(2 * part.read_bytes())
    options = RetagOptions(assume_pq=True, mastering=P3_D65_1000)
    summary = retag(spliced, tmp_path / "out.mkv", options)
    assert any("clock jumps, first at 1.6" in notice.text for notice in summary.notices)
    found = sorted(pts for pts, _, _ in packets(tmp_path / "out.mkv"))
    steps = [later - earlier for earlier, later in pairwise(found)]
    assert steps == [pytest.approx(Fraction(1, 25), abs=0.0011)] * (2 * 5 * len(LEVELS) - 1)


@SUFFIXES
def test_sound_that_begins_before_the_picture_is_kept(
    plain: dict[str, Path], tmp_path: Path, suffix: str
):
    """An MPEG-TS may begin with sound; nothing of it comes before 0, where players drop it."""
    source = copy_packets(plain[".ts"], tmp_path / "late.ts", late_seconds=Fraction(1, 4))
    target = retagged(source, tmp_path / f"out{suffix}")
    before, after = (
        [packets(path, kind)[0][0] for kind in ("video", "audio")] for path in (source, target)
    )
    assert float(after[1]) == pytest.approx(0, abs=0.0011)
    assert float(after[0] - after[1]) == pytest.approx(float(before[0] - before[1]), abs=0.0011)
    assert len(packets(target, "audio")) == len(packets(source, "audio"))


def copy_packets(source: Path, target: Path, *, late_seconds: Fraction = Fraction(0)) -> Path:
    """The same packets in a file with its index in front, the video perhaps later."""
    options = {"movflags": "faststart"} if target.suffix == ".mp4" else {}
    with av.open(str(source)) as old, av.open(str(target), "w", container_options=options) as new:
        streams = {s.index: new.add_stream_from_template(s, opaque=True) for s in old.streams}
        for packet in old.demux():
            if packet.size:
                if packet.stream.type == "video" and late_seconds:
                    packet.pts += round(late_seconds / packet.time_base)
                    packet.dts += round(late_seconds / packet.time_base)
                packet.stream = streams[packet.stream.index]
                new.mux(packet)
    return target


def test_full_language_tags_stay_in_matroska(plain: dict[str, Path], tmp_path: Path):
    said = [("fre", "fr-CA"), ("spa", "es-419")]
    source = with_full_languages(plain[".mkv"], tmp_path / "in.mkv", said)
    assert track_languages(retagged(source, tmp_path / "out.mkv")) == said
