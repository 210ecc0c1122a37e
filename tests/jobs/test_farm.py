"""Segments converted in several places, and joined in one; what is left behind, and removed."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from clips import ClipRecipe, make_clip
from long_clips import (
    OPTIONS,
    SEGMENT_FRAMES,
    Killed,
    before_segment,
    make_source,
    spoil,
)

from sdr2hdr.cli import run as run_command
from sdr2hdr.delivery.target_file import unfinished_file
from sdr2hdr.frames import Rectangle
from sdr2hdr.jobs import run, settings
from sdr2hdr.jobs.farm import ranges
from sdr2hdr.jobs.lock import lock_path, output_lock
from sdr2hdr.jobs.option_values import from_values, to_values
from sdr2hdr.jobs.perform import perform
from sdr2hdr.jobs.plan import read_plan
from sdr2hdr.jobs.planning import make_plan
from sdr2hdr.jobs.settings import LOCAL_OPTIONS, planned_options
from sdr2hdr.jobs.work_folder import WorkFolder
from sdr2hdr.options import (
    ColourOverrides,
    ConvertOptions,
    EngineOptions,
    Look,
    ReadOptions,
    TimeRange,
)
from sdr2hdr.pipeline import prepare
from sdr2hdr.signal import ColourRange, Matrix

pytestmark = pytest.mark.usefixtures("short_segments")


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_source(tmp_path_factory.mktemp("source"), 3 * SEGMENT_FRAMES)


@pytest.fixture
def plan(source: Path, tmp_path: Path) -> Path:
    path = tmp_path / "plan.json"
    made = make_plan(prepare(source, tmp_path / "out.mkv", OPTIONS))
    path.write_text(made.to_json(), encoding="utf-8")
    return path


def call(capfd: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    code = run_command([str(argument) for argument in arguments])
    out, err = capfd.readouterr()
    return code, out, err


def test_segments_of_several_runs_make_the_same_file(
    source: Path, tmp_path: Path, plan: Path, capfd: pytest.CaptureFixture[str]
):
    target, whole = tmp_path / "out.mkv", tmp_path / "whole.mkv"
    code, _, err = call(
        capfd, "convert", source, target, "--plan", plan, "--segments", "1-2", "--threads", 2
    )
    assert (code, target.exists()) == (0, False), err
    code, _, err = call(capfd, "merge", plan, target)
    assert code == 8 and "1 of 3 segments are not finished" in err and ": 0." in err
    code, out, _ = call(
        capfd, "convert", source, target, "--plan", plan, "--segments", "0", "--json"
    )
    assert code == 0
    events = [json.loads(line) for line in out.splitlines()]
    assert events[-1] == {
        "event": "segments_done",
        "output": str(target),
        "segments": [0],
        "frames": SEGMENT_FRAMES,
    }
    code, _, err = call(capfd, "merge", plan, target)
    assert code == 0, err
    assert "frames, converted before, in " in err and "fps" not in err
    run.convert(prepare(source, whole, OPTIONS))
    assert target.read_bytes() == whole.read_bytes()
    assert not list(tmp_path.glob(".out*"))


def test_a_plan_is_followed_whole(
    source: Path, tmp_path: Path, plan: Path, capfd: pytest.CaptureFixture[str]
):
    target, whole = tmp_path / "out.mkv", tmp_path / "whole.mkv"
    code, out, err = call(capfd, "convert", source, target, "--plan", plan, "--json")
    assert code == 0, err
    events = [json.loads(line) for line in out.splitlines()]
    kinds = [event["event"] for event in events if event["event"] not in ("progress", "warning")]
    assert kinds == ["planned", "segment", "segment", "segment", "merge", "done"]
    assert {event["stage"] for event in events if event["event"] == "progress"} == {"convert"}
    run.convert(prepare(source, whole, OPTIONS))
    assert target.read_bytes() == whole.read_bytes()


def test_what_a_plan_says_is_not_said_twice(
    source: Path, tmp_path: Path, plan: Path, capfd: pytest.CaptureFixture[str]
):
    refused = {
        ("--plan", plan, "--quality", 20): (2, "--quality"),
        ("--segments", "0-1"): (2, "--plan"),
        ("--plan", plan, "--segments", "2-9"): (2, "the plan has 0 to 2"),
        ("--plan", plan, "--segments", "x"): (2, "A-B"),
        ("--plan", plan, "--segments", "9" * 5001): (2, "A-B"),
        ("--plan", tmp_path / "none.json"): (3, "none.json"),
        ("--plan", source): (3, "source.mp4"),
    }
    for arguments, (expected, word) in refused.items():
        code, _, err = call(capfd, "convert", source, tmp_path / "out.mkv", *arguments)
        assert (code, word in err) == (expected, True), (arguments, err)
    code, _, err = call(capfd, "convert", source, tmp_path / "out.mp4", "--plan", plan)
    assert code == 2 and ".mkv" in err


@pytest.mark.parametrize(
    ("place", "value", "words"),
    [
        (("computed_with", "tile_px"), -5, '"computed_with": "tile_px" is -5; expected 1 or more'),
        (("computed_with", "tile_px"), "x", '"tile_px" is "x"; expected a whole number'),
        (("computed_with", "encoder_threads"), 2.5, '"encoder_threads" is 2.5; expected a whole'),
        (("computed_with", "backend"), "x", '"backend" is "x"; expected one of torch, onnx'),
        (("computed_with",), {}, '"computed_with" has no "backend"; expected one'),
        (("made_with",), 4, '"made_with" is 4; expected an object'),
        (("options",), None, '"options" is null; expected an object'),
        (("container",), 4, '"container" is 4; expected text'),
        (("more",), 4, '"pinned" has "more" that nobody knows'),
        ((), {}, '"pinned" has no "container"; expected one'),
    ],
)
def test_what_a_plan_must_not_pin_is_named(
    source: Path, tmp_path: Path, plan: Path, capfd: pytest.CaptureFixture[str], place, value, words
):
    made = read_plan(plan)
    pinned = json.loads(json.dumps({"pinned": dict(made.pinned)}))
    part = pinned
    *way, name = ("pinned", *place)
    for step in way:
        part = part[step]
    part[name] = value
    plan.write_text(made.with_pinned(pinned["pinned"]).to_json(), encoding="utf-8")
    target = tmp_path / "out.mkv"
    for command in (("convert", source, target, "--plan", plan), ("merge", plan, target)):
        code, _, err = call(capfd, *command)
        assert (code, words in err) == (3, True), err
    assert list(tmp_path.iterdir()) == [plan]


@pytest.mark.parametrize(
    "picture",
    [
        Rectangle(0, 0, 9998, 64),
        Rectangle(-2, 0, 48, 64),
        Rectangle(8, 8, 8, 64),
        Rectangle(0, 3, 48, 64),
    ],
)
def test_a_picture_that_the_source_cannot_have_is_refused(
    source: Path, tmp_path: Path, plan: Path, capfd: pytest.CaptureFixture[str], picture: Rectangle
):
    made = dataclasses.replace(read_plan(plan), active_picture=picture)
    plan.write_text(made.to_json(), encoding="utf-8")
    code, _, err = call(capfd, "convert", source, tmp_path / "out.mkv", "--plan", plan)
    assert code == 3 and '"active_picture" is ' in err


def test_a_record_with_an_absurd_number_counts_as_damaged(
    source: Path, tmp_path: Path, plan: Path, capfd: pytest.CaptureFixture[str]
):
    target = tmp_path / "out.mkv"
    code, _, err = call(capfd, "convert", source, target, "--plan", plan, "--segments", "0-2")
    assert code == 0, err
    record = WorkFolder.of(target, None).path / "000001.json"
    text = record.read_text()
    for name, digits in (
        ("seconds", "9" * 401),
        ("super_white", "9" * 5001),
        ("super_white", "1e999"),
        ("first_frame", "9" * 401),
    ):
        harmed = re.sub(rf'"{name}": [^,]+', f'"{name}": {digits}', text, count=1)
        assert harmed != text
        record.write_text(harmed)
        code, _, err = call(capfd, "merge", plan, target)
        assert code == 8 and "1 of 3 segments are not finished" in err, (name, err)
    for rows in ("lights", "times"):
        for digits in ("9" * 401, "1e999"):
            record.write_text(re.sub(rf'"{rows}": \[\[[^,]+', f'"{rows}": [[{digits}', text))
            code, _, err = call(capfd, "merge", plan, target)
            assert code == 8, (rows, digits, err)


def test_strict_takes_no_damage_from_another_run(
    source: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
):
    own, target, plan = tmp_path / "own.mp4", tmp_path / "out.mkv", tmp_path / "plan.json"
    shutil.copyfile(source, own)
    spoil(own, SEGMENT_FRAMES + 3)
    code, _, err = call(capfd, "plan", own, "-o", plan, "--model", "bt2408")
    assert code == 0, err
    some = ("convert", own, target, "--plan", plan, "--segments")
    code, _, err = call(capfd, *some, "0-2")
    assert code == 0, err
    code, _, err = call(capfd, *some, "0-2", "--strict")
    assert code == 3 and "expected none under --strict" in err
    code, _, err = call(capfd, *some, "2", "--strict")
    assert code == 0, err
    code, _, err = call(capfd, "merge", plan, target)
    assert code == 0, err


def test_a_plan_never_replaces_the_input(
    source: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
):
    own = tmp_path / "own.mp4"
    shutil.copyfile(source, own)
    content = own.read_bytes()
    linked = tmp_path / "linked.json"
    linked.hardlink_to(own)
    for path in (own, linked):
        code, _, err = call(capfd, "plan", own, "-o", path, "--overwrite")
        assert (code, "input itself" in err) == (5, True), err
    assert own.read_bytes() == linked.read_bytes() == content
    # Nor is the input's name one that an unfinished plan might have.
    hidden = own.rename(tmp_path / ".plan.json.part")
    code, _, err = call(capfd, "plan", hidden, "-o", tmp_path / "plan.json")
    assert code == 0, err
    assert hidden.read_bytes() == content
    code, _, err = call(capfd, "plan", hidden, "-o", tmp_path / "plan.json")
    assert code == 5 and "--overwrite" in err


def test_the_light_log_is_never_the_plan(
    source: Path, tmp_path: Path, plan: Path, capfd: pytest.CaptureFixture[str]
):
    target, content = tmp_path / "out.mkv", plan.read_bytes()
    log = ("--light-log", plan, "--overwrite")
    code, _, err = call(capfd, "convert", source, target, "--plan", plan, *log)
    assert code == 5 and "the same command needs" in err
    code, _, err = call(capfd, "merge", plan, target, *log)
    assert code == 5 and "the same command needs" in err
    assert plan.read_bytes() == content
    other = tmp_path / "there.csv"
    other.write_text("precious")
    code, _, err = call(capfd, "convert", source, target, "--plan", plan, "--segments", "0-2")
    assert code == 0, err
    code, _, err = call(capfd, "merge", plan, target, "--light-log", other)
    assert code == 5 and "--overwrite" in err
    assert other.read_text() == "precious" and not target.exists()
    code, _, err = call(capfd, "merge", plan, target, "--light-log", other, "--overwrite")
    assert code == 0, err
    assert len(other.read_text().splitlines()) == 1 + 3 * SEGMENT_FRAMES


def test_dry_run_tells_what_the_plan_would_do(
    source: Path, tmp_path: Path, plan: Path, capfd: pytest.CaptureFixture[str]
):
    target = tmp_path / "out.mkv"
    before = sorted(tmp_path.iterdir())
    dry = ("convert", source, target, "--dry-run")
    code, out, err = call(capfd, *dry, "--plan", plan)
    assert code == 0, err
    assert "method: bt2408" in out
    assert f"plan: {plan}, segments 0 to 2 of 3, {3 * SEGMENT_FRAMES} frames" in out
    code, out, err = call(capfd, *dry, "--plan", plan, "--segments", "1", "--json")
    content = json.loads(out)
    assert code == 0 and content["plan"] == str(plan)
    assert (content["segments"], content["frame_count"]) == ([1], SEGMENT_FRAMES)
    refused = {
        ("--plan", tmp_path / "none.json"): (3, "none.json"),
        ("--plan", source): (3, "source.mp4"),
        ("--plan", plan, "--segments", "2-9"): (2, "the plan has 0 to 2"),
        ("--plan", plan, "--quality", 20): (2, "--quality"),
    }
    for arguments, (expected, word) in refused.items():
        code, out, err = call(capfd, *dry, *arguments)
        assert (code, word in err, out) == (expected, True, ""), (arguments, err)
    other = make_source(tmp_path, 2 * SEGMENT_FRAMES)
    code, _, err = call(capfd, "convert", other, target, "--dry-run", "--plan", plan)
    assert code == 3 and "changed" in err
    other.unlink()
    assert sorted(tmp_path.iterdir()) == before


def test_another_machine_is_refused_unless_allowed(
    source: Path,
    tmp_path: Path,
    plan: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
):
    target = tmp_path / "out.mkv"
    arguments = ("convert", source, target, "--plan", plan, "--segments", "0-2")
    with monkeypatch.context() as patch:
        patch.setattr(settings, "_processor", lambda device: "another one")
        code, _, err = call(capfd, *arguments)
        assert code == 6 and "processor was" in err and "--allow-mixed" in err
        code, _, err = call(capfd, *arguments, "--allow-mixed")
        assert code == 0, err
    code, _, err = call(capfd, "merge", plan, target)
    assert code == 6 and "unlike the plan's" in err
    code, _, err = call(capfd, "merge", plan, target, "--allow-mixed")
    assert code == 0, err


def test_flicker_is_told_for_every_shot(tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    chroma = np.full((24, 32), 128, np.uint8)
    own = make_clip(
        tmp_path / "grey.mkv",
        ClipRecipe(pts=tuple(range(8)), codec="ffv1", codec_options=()),
        [np.full((48, 64), 120, np.uint8), chroma, chroma],
    )
    target = tmp_path / "out.mkv"
    options = ("--model", "bt2408", "--preset", "ultrafast")
    code, out, _ = call(capfd, "convert", own, target, *options, "--json")
    (shot,) = json.loads(out.splitlines()[-1])["flicker"]
    assert code == 0
    assert shot["still_share"] == 1.0 and shot["ratio"] == 0.0
    code, _, err = call(capfd, "convert", own, target, "--max-flicker", "0")
    assert code == 2 and "--max-flicker" in err


def test_clean_lists_and_removes(
    source: Path,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
):
    target = tmp_path / "out.mkv"

    def act(segment, conversion) -> None:
        if segment.index == 1:
            raise Killed

    with monkeypatch.context() as patch:
        before_segment(patch, act)
        with pytest.raises(Killed):
            run.convert(prepare(source, target, OPTIONS))
    innocent = tmp_path / ".other.mkv.sdr2hdr"
    innocent.mkdir()
    folder = WorkFolder.of(target, None).path
    code, out, _ = call(capfd, "clean", tmp_path, "--dry-run")
    assert (code, folder.exists()) == (0, True)
    assert f"{folder}: for {target}, 1 of 3 segments" in out
    with output_lock(target):
        code, _, err = call(capfd, "clean", target)
        assert (code, folder.exists()) == (0, True) and "another run" in err
    code, out, _ = call(capfd, "clean", target, "--json")
    assert json.loads(out)["removed"] is True
    assert not folder.exists() and innocent.exists()


def test_clean_finds_the_work_of_an_output_elsewhere(
    source: Path,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
):
    target, temporary = tmp_path / "out.mkv", tmp_path / "temporary"
    temporary.mkdir()

    def act(segment, conversion) -> None:
        if segment.index == 1:
            raise Killed

    with monkeypatch.context() as patch:
        before_segment(patch, act)
        with pytest.raises(Killed):
            options = dataclasses.replace(OPTIONS, temp_dir=temporary)
            run.convert(prepare(source, target, options))
    folder = WorkFolder.of(target, temporary).path
    code, _, err = call(capfd, "clean", target)
    assert (code, folder.exists()) == (0, True) and "nothing" in err
    code, out, _ = call(capfd, "clean", target, "--temp-dir", temporary, "--json")
    assert (code, json.loads(out)["path"]) == (0, str(folder))
    assert not folder.exists()


KILLED_WHILE_PUBLISHING = """
import os, signal, sys
from pathlib import Path
from sdr2hdr.delivery.target_file import unfinished_file
from sdr2hdr.jobs.lock import output_lock
target = Path(sys.argv[1])
with output_lock(target), unfinished_file(target, None) as beside:
    beside.write_bytes(b"half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows cannot tell what is abandoned")
def test_clean_removes_what_a_kill_left_beside_the_target(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
):
    target = tmp_path / "a film.v2.mkv"
    subprocess.run([sys.executable, "-c", KILLED_WHILE_PUBLISHING, target], check=False)
    lock = lock_path(target)
    (partial,) = tmp_path.glob(".*.partial.mkv")
    assert lock.exists()
    strange = tmp_path / ".notes.partial.txt"
    strange.write_text("of somebody else")
    working = tmp_path / "working.mkv"
    with unfinished_file(working, None) as being_written, output_lock(working):
        code, out, _ = call(capfd, "clean", tmp_path, "--dry-run", "--json")
        found = [json.loads(line) for line in out.splitlines()]
        assert code == 0
        assert [(each["kind"], each["path"], each["output"]) for each in found] == [
            ("partial_file", str(partial), str(target)),
            ("lock", str(lock), str(target)),
        ]
        assert partial.exists() and lock.exists()
        with output_lock(target):
            code, _, err = call(capfd, "clean", target)
            assert (code, partial.exists()) == (0, True) and "another run" in err
        lock.touch()
        code, out, _ = call(capfd, "clean", tmp_path)
        assert code == 0 and "half-copied file" in out and "lock of a killed run" in out
        left = sorted(path.name for path in tmp_path.iterdir())
        assert left == sorted([strange.name, being_written.name, lock_path(working).name])
    code, _, err = call(capfd, "clean", tmp_path)
    assert code == 0 and "nothing" in err


KILLED_WHILE_WRITING_PICTURES = """
import os, signal, sys
from pathlib import Path
from sdr2hdr.jobs import run
from sdr2hdr.media.writing.image_sequence import ImageSequenceWriter
from sdr2hdr.options import ConvertOptions
from sdr2hdr.pipeline import prepare
ImageSequenceWriter.finish = lambda writer, on_whole: os.kill(os.getpid(), signal.SIGKILL)
run.convert(prepare(Path(sys.argv[1]), Path(sys.argv[2]), ConvertOptions("bt2408")))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such kill")
def test_pictures_that_a_kill_left_are_removed(
    source: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
):
    target, other = tmp_path / "shot_%03d.png", tmp_path / "shot_b_%03d.png"
    strange = tmp_path / ".notes_%d.txt.abcdefgh.partial"
    strange.mkdir()

    def kill() -> Path:
        code = [sys.executable, "-c", KILLED_WHILE_WRITING_PICTURES, source, target]
        subprocess.run(code, check=False)
        (left,) = tmp_path.glob(".shot_[%]*.partial")
        assert len(list(left.iterdir())) == 3 * SEGMENT_FRAMES
        return left

    left = kill()
    code, out, _ = call(capfd, "clean", tmp_path, "--dry-run", "--json")
    found, lock = [json.loads(line) for line in out.splitlines()]
    assert (code, found["kind"], lock["kind"]) == (0, "partial_sequence", "lock")
    assert (found["path"], found["output"]) == (str(left), str(target))
    assert found["size_bytes"] == sum(path.stat().st_size for path in left.iterdir())
    code, _, err = call(capfd, "clean", other)
    assert code == 0 and "nothing" in err and left.exists()
    with output_lock(target):
        code, _, err = call(capfd, "clean", tmp_path)
        assert (code, left.exists()) == (0, True) and "another run" in err
    code, out, _ = call(capfd, "clean", target)
    assert code == 0 and "unfinished sequence of pictures" in out
    assert list(tmp_path.iterdir()) == [strange]
    kill()
    run.convert(prepare(source, target, OPTIONS))
    written = [f"shot_{number + 1:03d}.png" for number in range(3 * SEGMENT_FRAMES)]
    assert sorted(path.name for path in tmp_path.iterdir()) == [strange.name, *written]


def test_flicker_gate_fails_and_keeps_the_segments(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    # Luma that swings by one code still counts as still, and the swing shows in the conversion.
    rows, columns = np.indices((48, 64))
    luma = (60 + rows + columns).astype(np.uint8)
    chroma = bytes([128]) * (2 * 24 * 32)
    own = tmp_path / "swinging.y4m"
    with own.open("wb") as file:
        file.write(b"YUV4MPEG2 W64 H48 F25:1 Ip A1:1 C420mpeg2\n")
        for number in range(2 * SEGMENT_FRAMES):
            file.write(b"FRAME\n" + (luma + np.uint8(number % 2)).tobytes() + chroma)
    target = tmp_path / "out.mkv"
    options = ("--model", "bt2408", "--preset", "ultrafast", "--json")
    code, _, err = call(capfd, "convert", own, target, *options, "--max-flicker", "0.001")
    assert code == 9 and "--max-flicker" in err
    assert not target.exists()
    assert WorkFolder.of(target, None).count_finished() == 2

    def act(segment, conversion) -> None:
        raise AssertionError("A segment is converted again.")

    before_segment(monkeypatch, act)
    code, out, err = call(capfd, "convert", own, target, *options, "--max-flicker", "1000")
    assert code == 0, err
    done = json.loads(out.splitlines()[-1])
    assert done["resumed_frames"] == done["frames"] == 2 * SEGMENT_FRAMES
    assert done["flicker"][0]["ratio"] > 0.001
    assert target.exists() and not WorkFolder.of(target, None).path.exists()


def test_records_survive_their_file(source: Path, tmp_path: Path):
    options = dataclasses.replace(OPTIONS, verify_roundtrip=True, max_flicker=1e9)
    conversion = prepare(source, tmp_path / "out.mkv", options)
    made = make_plan(conversion)
    folder = WorkFolder.of(conversion.target, None)
    folder.begin(made)
    record = perform(conversion, made, made.segments[1], folder)
    assert record.summary.tallies and record.summary.flicker
    assert folder.finished(made, made.segments[1]) == record


def test_options_survive_a_plan(source: Path, tmp_path: Path):
    options = ConvertOptions(
        "irnet2",
        scale=1,
        read=ReadOptions(
            colour=ColourOverrides(Matrix.BT601, ColourRange.FULL),
            time_range=TimeRange(0.04, 0.5),
            deinterlace="off",
            deband=True,
        ),
        encode=dataclasses.replace(OPTIONS.encode, quality=20.0, threads=2),
        engine=EngineOptions(device="cpu", max_memory_bytes=10**9),
        look=Look(peak_cd_m2=600.0, limit_gamut="p3-d65"),
        dither=True,
        temporal=False,
    )
    pinned = prepare(source, tmp_path / "out.mkv", options)
    values = json.loads(json.dumps(settings.pinned_settings(pinned)))
    assert planned_options(values) == options
    assert from_values(ConvertOptions, to_values(options, LOCAL_OPTIONS), "it").look == options.look


def test_ranges_are_short():
    assert ranges([0]) == "0"
    assert ranges([1, 2, 3, 7, 9, 10]) == "1-3, 7, 9-10"
