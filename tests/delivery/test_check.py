"""`check`: good files pass, every way to break one is found, other tools' files are judged."""

from __future__ import annotations

import json
import re
import struct
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import click
import numpy as np
import pytest
from hdr_outputs import make_output, patched, patched_at
from pq_clips import PQ_BT2020, PqClip, flat_frames, grey, make_pq, pq_light

import sdr2hdr.cli
from sdr2hdr.cli.check import command
from sdr2hdr.delivery.check import CheckReport, check_file
from sdr2hdr.delivery.profiles import PROFILES, profile_named
from sdr2hdr.delivery.signalling_rules import signalling_findings
from sdr2hdr.errors import InputError, UsageError
from sdr2hdr.media.hdr10.hdr_signalling import StreamStart, read_signalling

HDR10_PARAMS = (
    "hdr10=1:chromaloc=2:range=limited:max-cll={},{}"
    ":master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,1)"
)


def rules(report: CheckReport, *severities: str) -> set[str]:
    return {f.rule for f in report.findings if f.severity in (severities or ("error", "warning"))}


def checked(path: Path, profile: str = "hdr10", **options) -> CheckReport:
    return check_file(path, profile_named(profile), **options)


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("good")
    return {
        "mp4": make_output(folder, "good.mp4", "hevc", "ultrafast")[0],
        "mkv": make_output(folder, "good.mkv", "hevc", "ultrafast")[0],
        "av1": make_output(folder, "good_av1.mkv", "av1", "13")[0],
        "prores": make_output(folder, "good.mov", "prores-422hq")[0],
        "ffv1": make_output(folder, "good_ffv1.mkv", "ffv1")[0],
    }


@pytest.mark.parametrize(
    ("name", "profile"),
    [
        ("mp4", "hdr10"),
        ("mkv", "hdr10"),
        ("av1", "hdr10"),
        ("mp4", "youtube"),
        ("prores", "youtube"),
        ("prores", "prores-hdr"),
        ("ffv1", "archive"),
    ],
)
def test_our_own_files_pass(good, name: str, profile: str):
    report = checked(good[name], profile, frames="all")
    # The clip's chroma changes from pixel to pixel, which lossy coding and 4:2:0 do not keep.
    assert rules(report) <= {"light-measured", "start-offset"}, report.findings
    assert report.passed and report.frames_measured == 6


@pytest.mark.parametrize("frames", ["sample", "all"])
def test_a_file_whose_end_cannot_be_read_fails(tmp_path: Path, frames):
    """The demuxer ends at the damage without a word, and all that it gave is sound."""
    clip = PqClip(tags=PQ_BT2020)
    path = make_pq(tmp_path / "film.mkv", clip, flat_frames(clip, [300] * 40))
    assert "container-damaged" not in rules(checked(path, frames=frames))
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2] + bytes(len(data) - len(data) // 2))
    assert "container-damaged" in rules(checked(path, frames=frames), "error")


BROKEN = {
    "colr says SDR": ("mp4", b"nclx\0\x09\0\x10", b"nclx\0\x09\0\x01", "agreement"),
    "colr says full range": ("mp4", b"\0\x10\0\x09\0", b"\0\x10\0\x09\x80", "agreement"),
    "hev1": ("mp4", b"hvc1\0\0", b"hev1\0\0", "sample-entry"),
    "no mdcv": ("mp4", b"mdcv", b"free", "mastering-in-container"),
    "no clli": ("mp4", b"clli", b"free", "light-in-container"),
    "no colr": ("mp4", b"colr", b"free", "container-silent"),
    "Matroska full range": ("mkv", b"\x55\xb9\x81\x01", b"\x55\xb9\x81\x02", "range"),
    "Matroska siting": ("mkv", b"\x55\xb8\x81\x01", b"\x55\xb8\x81\x02", "agreement"),
    "Matroska primaries": ("mkv", b"\x55\xbb\x81\x09", b"\x55\xbb\x81\x01", "primaries"),
}


@pytest.mark.parametrize("name", list(BROKEN))
def test_broken_tags_are_found(name: str, good, tmp_path: Path):
    source, old, new, rule = BROKEN[name]
    broken = patched(good[source], tmp_path / good[source].name, old, new)
    assert rule not in rules(checked(good[source]))
    assert rule in rules(checked(broken))


@pytest.mark.parametrize(
    ("mark", "offset", "new", "rule"),
    [
        (b"clli", 4, struct.pack(">2H", 900, 901), "light-plausible"),
        (b"clli", 4, struct.pack(">2H", 999, 1), "light-agreement"),
        (b"clli", 4, struct.pack(">2H", 32639, 32639), "light-plausible"),
        (b"clli", 4, struct.pack(">2H", 0, 0), "light-unknown"),
        (b"clli", 4, struct.pack(">2H", 4000, 100), "light-above-mastering"),
        (b"mdcv", 20, struct.pack(">I", 4_9999), "mastering-plausible"),
        (b"mdcv", 20, struct.pack(">I", 4000_0000), "mastering-agreement"),
        (b"mdcv", 4, struct.pack(">2H", 0, 0), "mastering-plausible"),
    ],
)
def test_broken_levels_are_found(mark, offset, new, rule, good, tmp_path: Path):
    broken = patched_at(good["mp4"], tmp_path / "broken.mp4", mark, offset, new)
    assert rule in rules(checked(broken))


@pytest.mark.parametrize("kind", ["mkv", "mp4", "prores"])
def test_a_file_cut_short_is_found(kind: str, good, tmp_path: Path):
    whole = good[kind].read_bytes()
    cut = tmp_path / f"cut{good[kind].suffix}"
    cut.write_bytes(whole[: len(whole) - len(whole) // 4])
    assert "container-damaged" in rules(checked(cut), "error")


def test_a_placeholder_left_in_the_stream_is_found(good, tmp_path: Path):
    levels = checked(good["mp4"]).signalling.stream.levels
    assert len(levels) == 1
    sei = b"\x90\x04" + struct.pack(">2H", *levels[0])
    left = b"\x90\x04" + struct.pack(">2H", 32639, 32639)
    broken = patched(good["mp4"], tmp_path / "left.mp4", sei, left, every=True)
    assert {"light-plausible", "light-agreement"} <= rules(checked(broken), "error")


def test_plain_x265_without_tags(tmp_path: Path):
    clip = PqClip()
    path = make_pq(tmp_path / "plain.mp4", clip, flat_frames(clip, [64, 500, 700]))
    report = checked(path)
    expected = {"primaries", "transfer", "matrix", "mastering-present", "light-present"}
    assert expected <= rules(report, "error")
    assert {"siting", "sample-entry"} <= rules(report, "warning")
    assert report.measured is not None
    on_disc = {"mastering-present", "light-present", "siting", "size"}
    assert rules(checked(path, "uhd-bd"), "error") == expected | on_disc


def test_prores_whose_frames_say_no_colour(good, tmp_path: Path):
    data = good["prores"].read_bytes()
    head = data[(place := data.index(b"icpf")) : place + 18]
    old, new = head + bytes(PQ_BT2020), head + b"\2\2\2"
    silent = patched(good["prores"], tmp_path / "silent.mov", old, new, every=True)
    assert rules(checked(silent, "prores-hdr"), "error") == {"stream-silent"}


@pytest.mark.parametrize(("late_seconds", "is_told"), [("0.05", False), ("-0.051", True)])
def test_sound_that_begins_apart_from_the_picture(good, late_seconds: str, is_told: bool):
    said = read_signalling(good["mp4"])
    begins = Fraction(1)
    starts = (
        StreamStart(0, "video", begins),
        StreamStart(1, "audio", begins + Fraction(late_seconds)),
    )
    found = signalling_findings(replace(said, starts=starts), profile_named("hdr10"))
    assert [each.place for each in found if each.rule == "start-offset"] == ["stream 1"] * is_told


def test_chroma_between_the_lines_is_found_where_it_is_said(good):
    """Type 1, as JPEG has it (H.273): HDR10 is sited at the top left."""
    said = read_signalling(good["mp4"])
    stream = replace(said.stream, facts=replace(said.stream.facts, siting=1))
    found = signalling_findings(replace(said, stream=stream), profile_named("hdr10"))
    assert [each.place for each in found if each.rule == "siting"] == ["stream"]


def test_eight_bits_and_sdr(tmp_path: Path):
    from clips import ClipRecipe, make_clip

    report = checked(make_clip(tmp_path / "sdr.mp4", ClipRecipe()))
    assert {"codec", "bit-depth", "transfer", "primaries"} <= rules(report, "error")
    (unmeasured,) = [f for f in report.findings if f.rule == "not-measured"]
    assert unmeasured.severity == "info"
    assert str(unmeasured).count("expected") == 1


def test_pictures_that_cannot_be_decoded_are_an_error(good, tmp_path: Path):
    data = bytearray(good["prores"].read_bytes())
    # Every frame of ProRes is a packet by itself, and begins with its size and this mark.
    mark = data.index(b"icpf", data.index(b"icpf") + 4)
    data[mark : mark + 4] = bytes(4)
    (tmp_path / "broken.mov").write_bytes(data)
    report = checked(tmp_path / "broken.mov", "prores-hdr", frames="all")
    assert "pictures-damaged" in rules(report, "error")
    assert 0 < report.frames_measured < 6


def pq_file(tmp_path: Path, planes, levels: tuple[int, int]) -> Path:
    clip = PqClip(tags=PQ_BT2020, params=HDR10_PARAMS.format(*levels))
    return make_pq(tmp_path / "pq.mkv", clip, planes)


def test_levels_are_held_against_the_pictures(tmp_path: Path):
    planes = flat_frames(PqClip(), [64, 400, 600])
    light = checked(pq_file(tmp_path, planes, (1000, 400))).measured
    assert light is not None and light[0] == light[1], "one grey a frame"
    right = pq_file(tmp_path, planes, light)
    assert "light-measured" not in rules(checked(right, frames="all"))
    low = pq_file(tmp_path, planes, (light[0] // 2, light[1] // 2))
    assert "light-measured" in rules(checked(low))
    high = pq_file(tmp_path, planes, (light[0] * 2, light[1] * 2))
    assert "light-measured" in rules(checked(high, frames="all"))
    assert "light-measured" not in rules(checked(high)), "a sample may have missed them"


def test_all_frames_are_every_one(tmp_path: Path, capfd):
    """One bright frame of 40 that a sample, two frames at each of eight places, passes over."""
    codes = [300] * 40
    codes[3] = 700
    file = pq_file(tmp_path, flat_frames(PqClip(), codes), (20, 20))
    sample, every = checked(file), checked(file, frames="all")
    assert (sample.frames_measured, every.frames_measured) == (16, 40)
    assert "light-measured" not in rules(sample)
    assert "light-measured" in rules(every)
    assert every.measured == (round(pq_light(700)), round(pq_light(700)))
    for options, frames in (([], 16), (["--all-frames"], 40)):
        sdr2hdr.cli.run(["check", str(file), *options])
        assert f"in {frames} decoded frames" in capfd.readouterr().out


def test_codes_of_the_pictures(tmp_path: Path):
    clip = PqClip()
    luma = np.full((clip.height_px, clip.width_px), 500)
    luma[:8] = 1022
    report = checked(pq_file(tmp_path, [grey(clip, luma)] * 3, (1000, 400)))
    assert {"forbidden-codes"} <= rules(report, "error")
    assert {"outside-range"} <= rules(report, "warning")
    assert {"black-lift"} <= rules(report, "info")


def test_colours_outside_p3(tmp_path: Path):
    clip = PqClip()
    # Pure BT.2020 green at half signal: Y' = 0.678 x 0.5, Cb and Cr by BT.2100's equations.
    y, cb, cr = 0.339, -0.339 / 1.8814, -0.339 / 1.4746
    luma = np.full((clip.height_px, clip.width_px), round(64 + 876 * y), np.uint16)
    chroma = (clip.height_px // 2, clip.width_px // 2)
    planes = (
        luma,
        np.full(chroma, round(512 + 896 * cb), np.uint16),
        np.full(chroma, round(512 + 896 * cr), np.uint16),
    )
    assert "outside-p3" in rules(checked(pq_file(tmp_path, [planes] * 2, (1000, 400))), "info")


def test_uhd_bd_wants_its_sizes_and_rates(good):
    report = checked(good["mkv"], "uhd-bd")
    assert {"size"} == rules(report, "error")
    odd = replace(profile_named("uhd-bd"), rates=())
    assert "frame-rate" not in rules(check_file(good["mkv"], odd))
    no_25 = replace(odd, rates=tuple(r for r in PROFILES["uhd-bd"].rates if r != 25))
    assert "frame-rate" in rules(check_file(good["mkv"], no_25), "error")


def test_every_finding_names_its_source(good):
    findings = checked(good["mkv"], "prores-hdr").findings
    assert findings
    assert all(each.source and each.found and each.expected for each in findings)


def test_unknown_profile_and_unreadable_file(tmp_path: Path):
    with pytest.raises(UsageError, match=r"uhd-bd \(video of an Ultra HD Blu-ray disc\)"):
        profile_named("dvd")
    with pytest.raises(InputError):
        checked(tmp_path / "none.mkv")


def test_help_names_every_profile():
    (option,) = [each for each in command.params if each.name == "profile"]
    assert isinstance(option, click.Option)
    named = re.split(r", | or ", (option.help or "").removesuffix("."))
    assert named == list(PROFILES)


def test_command(good, tmp_path: Path, capfd, monkeypatch):
    monkeypatch.setitem(sdr2hdr.cli.COMMANDS, "check", "")
    broken = patched(good["mp4"], tmp_path / "b.mp4", b"nclx\0\x09\0\x10", b"nclx\0\x09\0\x01")
    assert sdr2hdr.cli.run(["check", str(good["mp4"])]) == 0
    assert "passed hdr10" in capfd.readouterr().out
    assert sdr2hdr.cli.run(["check", str(good["mp4"]), str(broken), "--json"]) == 7
    events = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    assert [event["passed"] for event in events if event["event"] == "checked"] == [True, False]
    assert sdr2hdr.cli.run(["check", str(broken)]) == 7
    assert "error: agreement" in capfd.readouterr().out
    assert sdr2hdr.cli.run(["check", str(tmp_path / "none.mkv")]) == 3
    assert sdr2hdr.cli.run(["check", str(good["mp4"]), str(tmp_path / "none.mkv")]) == 8
    assert sdr2hdr.cli.run(["check", str(good["mp4"]), "--profile", "dvd"]) == 2


@pytest.mark.parametrize("suffix", [".ts", ".hevc"])
def test_pictures_are_measured_where_seeking_leads_to_none(tmp_path: Path, suffix: str):
    """The only key frame of a short MPEG-TS is its first; a bare stream cannot be sought in."""
    clip = PqClip(tags=PQ_BT2020, params=f"{HDR10_PARAMS.format(1000, 400)}:keyint=250")
    path = make_pq(tmp_path / f"pq{suffix}", clip, flat_frames(clip, [64, 1022, 500]))
    report = checked(path)
    assert report.measured is not None
    assert "not-measured" not in rules(report, "info")
    assert "forbidden-codes" in rules(report, "error")
