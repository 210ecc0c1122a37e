"""`verify_output`: a file as promised gives no finding; each broken promise gives its own."""

from __future__ import annotations

import struct
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import pytest
from clips import ClipRecipe, make_clip
from hdr_outputs import MODEL, patched, patched_at

from sdr2hdr.delivery import verify
from sdr2hdr.delivery.findings import has_error
from sdr2hdr.delivery.verify import (
    Expectation,
    ExpectedStream,
    expected_streams,
    verify_output,
)
from sdr2hdr.jobs.run import convert
from sdr2hdr.media.mastering import BT2020_1000, P3_D65_1000
from sdr2hdr.options import ConvertOptions, EncodeOptions
from sdr2hdr.pipeline import prepare
from sdr2hdr.quality.light_levels import FrameLight
from sdr2hdr.signal import ChromaSiting

# 24000/1001 in ticks of a millisecond's foreign clock, unsteady on purpose.
PTS = (0, 1001, 2002, 4004, 5005, 6006)
CLOCK = Fraction(1, 24000)
CODECS = {"hevc": ("hevc", "ultrafast"), "av1": ("av1", "13"), "prores-422hq": ("prores", None)}


def packets_of(path: Path, kind: str) -> int:
    with av.open(str(path)) as container:
        stream = next(s for s in container.streams if s.type == kind)
        return sum(packet.size > 0 for packet in container.demux(stream))


def make(folder: Path, name: str, codec: str) -> tuple[Path, Expectation]:
    recipe = ClipRecipe(width_px=64, height_px=48, time_base=CLOCK, pts=PTS, audio_seconds=0.25)
    source = make_clip(folder / "source.mov", recipe)
    encode = EncodeOptions(codec=codec, preset=CODECS[codec][1], threads=1)
    options = ConvertOptions(model=MODEL, encode=encode, overwrite=True)
    conversion = prepare(source, folder / name, options)
    summary = convert(conversion)
    assert conversion.streams is not None
    counts = {
        stream.index: packets_of(source, stream.kind)
        for stream in conversion.source.streams
        if stream.kind == "audio"
    }
    return folder / name, Expectation(
        signal=conversion.signal,
        codec=CODECS[codec][0],
        width_px=conversion.width_px,
        height_px=conversion.height_px,
        mastering=P3_D65_1000,
        max_cll=summary.light.max_cll,
        max_fall=summary.light.max_fall,
        frame_count=len(PTS),
        frame_times=[pts * CLOCK for pts in PTS],
        streams=expected_streams(conversion.streams, counts),
        chapters=0,
    )


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, Expectation]]:
    folder = tmp_path_factory.mktemp("verify")
    return {
        "mp4": make(folder, "out.mp4", "hevc"),
        "mkv": make(folder, "out.mkv", "hevc"),
        "av1": make(folder, "av1.mp4", "av1"),
        "mov": make(folder, "out.mov", "prores-422hq"),
    }


def errors(path: Path, expectation: Expectation) -> set[str]:
    return {f.rule for f in verify_output(path, expectation) if f.severity == "error"}


@pytest.mark.parametrize("name", ["mp4", "mkv", "av1", "mov"])
def test_what_was_promised_is_there(name: str, files):
    path, expectation = files[name]
    assert expectation.streams is not None and len(expectation.streams) == 1
    assert [f for f in verify_output(path, expectation) if f.severity == "error"] == []


def later(times) -> list[Fraction]:
    return [*times[:-1], times[-1] + Fraction(1, 1500)]


BROKEN_PROMISES = {
    "frame-count": lambda e: replace(e, frame_count=7),
    "timestamps": lambda e: replace(e, frame_times=later(e.frame_times)),
    "max-cll": lambda e: replace(e, max_cll=e.max_cll + 1),
    "max-fall": lambda e: replace(e, max_fall=e.max_fall + 1),
    "mastering": lambda e: replace(e, mastering=BT2020_1000),
    "chapters": lambda e: replace(e, chapters=2),
    "stream": lambda e: replace(e, streams=(*e.streams, ExpectedStream("subtitle", "subrip"))),
    "packets": lambda e: replace(e, streams=(replace(e.streams[0], packets=99),)),
    "language": lambda e: replace(e, streams=(replace(e.streams[0], language="fre"),)),
    "codec": lambda e: replace(e, codec="ffv1"),
    "size": lambda e: replace(e, width_px=66),
    "bit-depth": lambda e: replace(e, signal=replace(e.signal, bit_depth=8)),
    "siting": lambda e: replace(e, signal=replace(e.signal, siting=ChromaSiting.LEFT)),
}


@pytest.mark.parametrize("rule", list(BROKEN_PROMISES))
def test_a_broken_promise_is_an_error(rule: str, files):
    path, expectation = files["mkv"]
    assert rule in errors(path, BROKEN_PROMISES[rule](expectation))


def test_another_stream_does_not_stand_for_the_promised_one(files):
    path, expectation = files["mkv"]
    (sound,) = expectation.streams
    for wanted in (ExpectedStream("subtitle", "subrip"), replace(sound, codec="flac")):
        assert "stream" in errors(path, replace(expectation, streams=(wanted,)))


def test_fewer_bits_than_promised_are_an_error_in_prores_too(files):
    path, expectation = files["mov"]
    deeper = replace(expectation, signal=replace(expectation.signal, bit_depth=12))
    assert "bit-depth" in errors(path, deeper)


def test_times_are_exact_in_mp4_and_within_half_a_millisecond_in_matroska(files):
    path, expectation = files["mp4"]
    tick = [*expectation.frame_times[:-1], expectation.frame_times[-1] + Fraction(1, 24000)]
    assert "timestamps" in errors(path, replace(expectation, frame_times=tick))
    path, expectation = files["mkv"]
    near = [*expectation.frame_times[:-1], expectation.frame_times[-1] + Fraction(1, 24000)]
    assert "timestamps" not in errors(path, replace(expectation, frame_times=near))


@pytest.mark.parametrize(
    ("old", "new", "rule"),
    [
        (b"nclx\0\x09\0\x10", b"nclx\0\x09\0\x12", "transfer"),
        (b"mdcv", b"free", "mastering"),
        (b"clli", b"free", "max-cll"),
        (b"hvc1\0\0", b"hev1\0\0", "sample-entry"),
    ],
)
def test_a_broken_container_is_an_error(old, new, rule, files, tmp_path: Path):
    path, expectation = files["mp4"]
    assert rule in errors(patched(path, tmp_path / "broken.mp4", old, new), expectation)


def test_levels_of_later_key_frames_count(files, tmp_path: Path):
    path, expectation = files["mp4"]
    sei = b"\x90\x04" + struct.pack(">2H", expectation.max_cll, expectation.max_fall)
    data = bytearray(path.read_bytes())
    place = data.rindex(sei)
    data[place + 2 : place + 6] = struct.pack(">2H", 32639, 32639)
    broken = tmp_path / "late.mp4"
    broken.write_bytes(bytes(data))
    assert data.count(sei) >= 1, "the first place is untouched"
    assert "light" in errors(broken, expectation)


def test_prores_frame_header_is_read(files, tmp_path: Path):
    path, expectation = files["mov"]
    # Colour lies 18 bytes behind the frame's mark, which also names the sample entry's maker.
    broken = patched_at(path, tmp_path / "b.mov", b"icpf", 18, b"\x01\x01\x01")
    findings = verify_output(broken, expectation)
    assert {"primaries", "transfer", "matrix"} <= {
        f.rule for f in findings if f.place == "stream" and f.severity == "error"
    }


def test_levels_of_decoded_frames_are_a_warning(files):
    path, expectation = files["mkv"]
    stored = replace(expectation, max_cll=10, max_fall=5)
    found = [f for f in verify_output(path, stored) if f.rule == "decoded-levels"]
    assert len(found) == 2
    assert not has_error(found)
    # Coding may add a tenth.
    (decoded,) = {f.found for f in found if "MaxCLL" in str(f.found)}
    light = int(str(decoded).split("(robust ")[1].split(")")[0])
    for stored, warns in ((light / 1.09, False), (light / 1.12, True)):
        near = replace(expectation, max_cll=int(stored), max_fall=expectation.max_cll)
        rules = [f.rule for f in verify_output(path, near)]
        assert ("decoded-levels" in rules) is warns


@pytest.mark.parametrize(("robust_cd_m2", "warns"), [(1000.0, False), (1109.0, True)])
def test_a_few_samples_that_ring_are_no_warning(files, monkeypatch, robust_cd_m2, warns):
    path, expectation = files["mkv"]
    rings = FrameLight(2345.0, 40.0, robust_cd_m2, 40.0)
    monkeypatch.setattr(verify, "measure_inside_bars", lambda batch, picture: [rings])
    stored = replace(expectation, max_cll=1004, max_fall=40)
    rules = [finding.rule for finding in verify_output(path, stored)]
    assert ("decoded-levels" in rules) is warns


def test_a_cut_file_is_an_error(files, tmp_path: Path):
    path, expectation = files["mp4"]
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(path.read_bytes()[:-2000])
    assert errors(cut, expectation)
