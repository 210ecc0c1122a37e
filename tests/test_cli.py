"""The command line: exit codes, messages, what goes to stdout, and batches."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import av
import pytest
from clips import FLOWER, ClipRecipe, Tags, make_clip

from sdr2hdr.cli import run
from sdr2hdr.cli.console import Console
from sdr2hdr.cli.job_news import ConsoleListener
from sdr2hdr.pipeline import Progress

QUICK = ["--model", "bt2408", "--preset", "ultrafast"]


def call(capfd: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    """Run a command in this process; exit code, stdout, stderr."""
    code = run([str(argument) for argument in arguments])
    out, err = capfd.readouterr()
    return code, out, err


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return make_clip(tmp_path / "clip.mp4", ClipRecipe(pts=(0, 1, 2), audio_seconds=0.1))


def hdr_clip(path: Path, tags: Tags) -> Path:
    recipe = ClipRecipe(
        pixel_format="yuv420p10le",
        tags=tags,
        pts=(),
        codec="libx265",
        codec_options=(("preset", "ultrafast"), ("x265-params", "log-level=none")),
    )
    import numpy as np

    shapes = [(48, 64), (24, 32), (24, 32)]
    planes = [np.full(shape, 512, np.uint16) for shape in shapes]
    return make_clip(path, ClipRecipe(**{**vars(recipe), "pts": (0, 1)}), planes)


def audio_only(path: Path) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=48000)
        from clips import mux_tone

        mux_tone(container, stream, 0.2)
    return path


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


BAD_INPUTS = {
    "missing": (lambda folder: folder / "none.mp4", 3, "does not exist"),
    "directory": (lambda folder: folder, 3, "folder"),
    "empty": (lambda folder: written(folder / "empty.mp4", b""), 3, "empty"),
    "text": (lambda folder: written(folder / "a.mp4", b"hello, world\n" * 99), 3, "video"),
    "audio only": (lambda folder: audio_only(folder / "tone.m4a"), 3, "holds only audio"),
    "truncated header": (
        lambda folder: written(folder / "cut.mp4", FLOWER.read_bytes()[:5000]),
        3,
        "",
    ),
    "PQ": (lambda folder: hdr_clip(folder / "pq.mkv", Tags(9, 16, 9)), 4, "HDR"),
    "HLG": (lambda folder: hdr_clip(folder / "hlg.mkv", Tags(9, 18, 9)), 4, "HDR"),
    "BT.2020": (lambda folder: hdr_clip(folder / "wide.mkv", Tags(9, 14, 9)), 4, "BT.2020"),
}


@pytest.mark.parametrize("kind", list(BAD_INPUTS))
def test_bad_input_gets_its_code_one_sentence_and_no_file(
    kind: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
):
    make, expected_code, word = BAD_INPUTS[kind]
    source = make(tmp_path)
    before = sorted(tmp_path.iterdir())
    code, out, err = call(capfd, "convert", source, tmp_path / "out.mkv", *QUICK)
    assert code == expected_code
    assert out == ""
    errors = [line for line in err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert word.lower() in errors[0].lower()
    assert "Traceback" not in err
    assert sorted(tmp_path.iterdir()) == before


LONG = "n" * 300


@pytest.mark.parametrize(
    ("arguments", "expected_code"),
    [
        (["clean", LONG], 3),
        (["clean", f"{LONG}/out.mkv"], 3),
        (["clean", "--temp-dir", LONG], 3),
        (["models", "--weights-dir", LONG], 6),
        (["train", "irnet1", "--data", LONG, "--out", "run"], 3),
        (["train", "irnet1", "--pairs", LONG, LONG, "--out", "run"], 3),
        (["exam", "--set", LONG], 3),
    ],
)
def test_names_that_no_file_system_takes(
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    expected_code: int,
):
    monkeypatch.chdir(tmp_path)
    code, _, err = call(capfd, *arguments)
    assert code == expected_code
    assert LONG in err and "too long" in err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "expected_code", "word"),
    [
        (["--model", "nosuch"], 6, "irnet2"),
        (["--model", "irnet2", "--weights-dir", "{empty}"], 6, "weights"),
        (["--model", "irnet2", "--weights-dir", "{corrupted}"], 6, "corrupted"),
        (["--model", "irnet2", "--device", "cuda:9"], 6, "cuda"),
        (["--model", "irnet2", "--precision", "fp16"], 6, "fp16"),
        (["--start", "9:00", "--end", "1:00"], 2, "--end"),
        (["--start", "9" * 28], 2, "1e+09 at most"),
        (["--threads", "9" * 20], 2, "1024"),
        (["--end", "9" * 401], 2, "1e+09 at most"),
        (["--max-memory", "9" * 401], 2, "64 bits"),
        (["--max-memory", "0"], 2, "a byte or more"),
        (["--temp-dir", "n" * 300], 5, "--temp-dir"),
        (["--temp-dir", "{empty}/none"], 5, "--temp-dir"),
        (["--encoder-params", "nosuch=1"], 2, "nosuch"),
        (["--encoder-params", "nosuch"], 2, "key=value"),
        (["--encoder-params", "keyint=5:nosuch"], 2, "key=value"),
        (["--encoder-params", "nosuch", "--codec", "av1"], 2, "key=value"),
    ],
)
def test_bad_options_get_their_code(
    clip: Path,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    arguments: list[str],
    expected_code: int,
    word: str,
):
    from sdr2hdr.networks.weights import weights_folder

    (tmp_path / "empty").mkdir()
    corrupted = tmp_path / "corrupted"
    shutil.copytree(weights_folder(None), corrupted)
    file = corrupted / "irnet2.safetensors"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    filled = [text.format(empty=tmp_path / "empty", corrupted=corrupted) for text in arguments]
    target = tmp_path / "out.mkv"
    code, _, err = call(capfd, "convert", clip, target, *filled)
    assert code == expected_code
    assert word in err
    assert "Traceback" not in err
    assert not target.exists()


def test_upscale_without_weights_says_so(
    clip: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
):
    target, weights = tmp_path / "out.mkv", tmp_path / "weights"
    weights.mkdir()
    asked = ["--scale", "2", "--model", "irnet5", "--weights-dir", weights]
    code, _, err = call(capfd, "upscale", clip, target, *asked)
    assert code == 6
    assert "irnet5-x2 has no weights" in err
    assert not target.exists()


def test_upscale_by_the_default_model(clip: Path, tmp_path: Path):
    target = tmp_path / "out.mkv"
    assert run(["upscale", str(clip), str(target), "--scale", "4", "--preset", "ultrafast"]) == 0
    with av.open(clip) as source, av.open(target) as made:
        small, large = source.streams.video[0], made.streams.video[0]
        assert (large.width, large.height) == (4 * small.width, 4 * small.height)


def test_scale_that_a_model_lacks(clip: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    code, _, err = call(capfd, "upscale", clip, tmp_path / "out.mkv", "--model", "irnet2")
    assert code == 6
    assert "irnet2" in err and "x1 only" in err


def test_outputs_that_are_refused(clip: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    existing = written(tmp_path / "there.mkv", b"precious")
    targets = {
        tmp_path / "no" / "folder.mkv": "does not exist",
        clip: "input itself",
        existing: "--overwrite",
        tmp_path / "out.webm": "WebM",
        tmp_path / "out.xyz": "xyz",
        tmp_path: "folder",
        tmp_path / f"{'n' * 296}.mkv": "name another",
        tmp_path / ("n" * 300) / "out.mkv": "name another",
    }
    for target, word in targets.items():
        code, _, err = call(capfd, "convert", clip, target, *QUICK)
        assert (code, word in err) == (5, True), (target, err)
    assert existing.read_bytes() == b"precious"
    code, _, err = call(capfd, "export", "bt2446a", tmp_path / f"{'n' * 295}.onnx")
    assert (code, "name another" in err) == (5, True), err


def test_no_file_takes_the_place_of_a_device_or_a_pipe(
    clip: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
):
    """As of `/dev/null`, which whoever is the system's owner, in a container, could replace."""
    output = tmp_path / "out.mkv"
    commands = {
        "pipe.mkv": ("convert", clip, "{}", *QUICK),
        "pipe.json": ("plan", clip, "-o", "{}"),
        "pipe.csv": ("convert", clip, output, *QUICK, "--light-log", "{}"),
        "pipe.mp4": ("retag", clip, "{}"),
        "pipe.onnx": ("export", "bt2446a", "{}"),
        "pipe.md": ("exam", "--markdown", "{}"),
    }
    for name, command in commands.items():
        pipe = tmp_path / name
        os.mkfifo(pipe)
        filled = [pipe if part == "{}" else part for part in command]
        code, _, err = call(capfd, *filled, "--overwrite")
        assert (code, "a device or a pipe" in err) == (5, True), (name, err)
        assert pipe.is_fifo()
    assert not output.exists()
    # Where standard output is a file, its name leads to one.
    link = tmp_path / "stdout"
    link.symlink_to(f"/proc/self/fd/{os.open(clip, os.O_RDONLY)}")
    code, _, err = call(capfd, "plan", clip, "-o", link, "--overwrite")
    assert (code, link.is_symlink()) == (5, True), err


def test_overwrite_replaces_only_with_a_whole_file(
    clip: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
):
    existing = written(tmp_path / "there.mkv", b"precious")
    bad = written(tmp_path / "bad.mp4", b"no video")
    code, _, _ = call(capfd, "convert", bad, existing, *QUICK, "--overwrite")
    assert code == 3
    assert existing.read_bytes() == b"precious"
    code, _, _ = call(capfd, "convert", clip, existing, *QUICK, "--overwrite")
    assert code == 0
    assert existing.stat().st_size > 1000


def test_input_is_never_overwritten(clip: Path, capfd: pytest.CaptureFixture[str]):
    content = clip.read_bytes()
    code, _, _ = call(capfd, "convert", clip, clip, *QUICK, "--overwrite")
    assert code == 5
    assert clip.read_bytes() == content


def test_light_logs_that_are_refused(
    clip: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    def work(*arguments: object) -> None:
        raise AssertionError("The film is looked through.")

    existing = written(tmp_path / "there.csv", b"precious")
    linked = tmp_path / "linked.json"
    linked.hardlink_to(clip)
    content = clip.read_bytes()
    refused = {
        (existing,): (5, "--overwrite"),
        (linked, "--overwrite"): (5, "the same command needs"),
        (tmp_path / "no" / "log.csv",): (5, "does not exist"),
        (tmp_path / f"{'n' * 300}.csv",): (5, "--light-log names another"),
        (tmp_path / "log.txt",): (2, ".csv"),
    }
    with monkeypatch.context() as patch:
        patch.setattr("sdr2hdr.jobs.run.make_plan", work)
        patch.setattr("sdr2hdr.jobs.run.convert_directly", work)
        for arguments, (expected, word) in refused.items():
            for more in ("out.mkv", "p_%02d.png"):
                given = (clip, tmp_path / more, *QUICK, "--light-log", *arguments)
                code, _, err = call(capfd, "convert", *given)
                assert (code, word in err) == (expected, True), (given, err)
                code, _, err = call(capfd, "convert", *given, "--dry-run")
                assert (code, word in err) == (expected, True), (given, err)
        several = (clip, linked, "--out-dir", tmp_path, *QUICK, "--light-log", tmp_path / "a.csv")
        code, _, err = call(capfd, "convert", *several)
        assert code == 2 and "2 inputs" in err and "--light-log" in err
    assert (existing.read_bytes(), clip.read_bytes()) == (b"precious", content)
    one = (clip, "--out-dir", tmp_path, *QUICK, "--light-log", existing, "--overwrite")
    code, _, err = call(capfd, "convert", *one)
    assert code == 0, err
    assert existing.read_text().startswith("frame,")
    assert not list(tmp_path.glob(".*"))


def test_dry_run_tells_and_writes_nothing(
    clip: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
):
    before = sorted(tmp_path.iterdir())
    code, out, _ = call(capfd, "convert", clip, tmp_path / "o.mkv", *QUICK, "--dry-run")
    assert code == 0
    assert "matrix: bt709 (stream)" in out
    assert sorted(tmp_path.iterdir()) == before
    code, out, _ = call(capfd, "convert", clip, tmp_path / "o.mkv", *QUICK, "--dry-run", "--json")
    plan = json.loads(out.splitlines()[0])
    assert plan["event"] == "plan"
    assert plan["input"]["video"]["colour"]["matrix"] == {"value": "bt709", "origin": "stream"}


def test_json_is_lines_of_objects(clip: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    code, out, _ = call(capfd, "convert", clip, tmp_path / "o.mkv", *QUICK, "--json")
    events = [json.loads(line) for line in out.splitlines()]
    assert code == 0
    assert events[-1]["event"] == "done"
    assert events[-1]["frames"] == 3


def test_batch_goes_on_after_a_failure(
    clip: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
):
    bad = written(tmp_path / "bad.mp4", b"no video")
    folder = tmp_path / "out"
    folder.mkdir()
    code, _, err = call(capfd, "convert", bad, clip, "--out-dir", folder, *QUICK)
    assert code == 8
    assert "1 succeeded, 1 failed." in err
    assert [path.name for path in folder.iterdir()] == ["clip_hdr.mp4"]


def test_a_missing_folder_of_a_batch_is_said_once(
    clip: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
):
    folder = tmp_path / "out"
    code, _, err = call(capfd, "convert", clip, tmp_path / "b.mp4", "--out-dir", folder, *QUICK)
    assert code == 5
    assert err.splitlines() == [
        f"error: There is no folder {folder}; create it, or name another with --out-dir."
    ]


def test_batch_goes_on_after_a_fault_of_ours(
    clip: Path,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
):
    from sdr2hdr.jobs import published
    from sdr2hdr.options import ConvertOptions

    odd, folder = shutil.copyfile(clip, tmp_path / "odd.mp4"), tmp_path / "out"
    folder.mkdir()
    real = published.prepare

    def prepare(source: Path, target: Path, options: ConvertOptions, tile_px: int | None = None):
        if source == odd:
            raise RuntimeError("a fault made by the test")
        return real(source, target, options, tile_px)

    monkeypatch.setattr(published, "prepare", prepare)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    batch = ("convert", odd, clip, "--out-dir", folder, *QUICK, "--json")
    code, out, err = call(capfd, *batch)
    assert code == 8
    assert "1 succeeded, 1 failed." in err and f"error: {odd}: This is a fault of sdr2hdr" in err
    assert (folder / f"{clip.stem}_hdr.mp4").exists()
    fault = next(e for e in map(json.loads, out.splitlines()) if e["event"] == "error")
    assert (fault["input"], fault["exit_code"]) == (str(odd), 1)
    assert "a fault made by the test" in Path(fault["log"]).read_text()


def test_an_interrupted_batch_goes_on_with_what_is_missing(
    clip: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
):
    other, folder = shutil.copyfile(clip, tmp_path / "other.mp4"), tmp_path / "out"
    folder.mkdir()
    there = written(folder / f"{clip.stem}_hdr.mp4", b"an earlier result")
    batch = ("convert", clip, other, "--out-dir", folder, *QUICK)
    code, out, err = call(capfd, *batch, "--skip-existing", "--json")
    assert code == 0
    assert "1 succeeded, 1 skipped, 0 failed." in err
    events = [json.loads(line) for line in out.splitlines()]
    assert events[0] == {"event": "skipped", "input": str(clip), "output": str(there)}
    assert [e["input"] for e in events if e["event"] == "done"] == [str(other)]
    assert there.read_bytes() == b"an earlier result"
    assert (folder / "other_hdr.mp4").exists()
    alone = call(capfd, "convert", clip, there, *QUICK, "--skip-existing")
    assert (alone[0], alone[1]) == (0, "")
    assert "skipped" in alone[2]
    assert call(capfd, *batch, "--skip-existing", "--overwrite")[0] == 2
    assert there.read_bytes() == b"an earlier result"


def test_a_stop_ends_the_batch(
    clip: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    other, folder = shutil.copyfile(clip, tmp_path / "other.mp4"), tmp_path / "out"
    folder.mkdir()
    monkeypatch.setattr(ConsoleListener, "planned", lambda *_: signal.raise_signal(signal.SIGTERM))
    monkeypatch.setattr("sdr2hdr.jobs.stopping.DRAIN_SECONDS", -1.0)
    code, out, err = call(capfd, "convert", clip, other, "--out-dir", folder, *QUICK, "--json")
    assert code == 143
    assert "fault" not in err
    events = [json.loads(line) for line in out.splitlines()]
    assert {event["input"] for event in events if "input" in event} == {str(clip)}
    assert (events[-1]["event"], events[-1]["exit_code"]) == ("stopped", 143)


def test_a_stop_that_comes_too_late_for_one_file_ends_the_batch_behind_it(
    clip: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    other, folder = shutil.copyfile(clip, tmp_path / "other.mp4"), tmp_path / "out"
    folder.mkdir()
    monkeypatch.setattr(
        ConsoleListener, "published", lambda *_: signal.raise_signal(signal.SIGTERM)
    )
    batch = ("convert", clip, other, "--out-dir", folder, *QUICK)
    code, _, err = call(capfd, *batch)
    assert code == 143
    assert f"Stopped before {other}" in err and "--skip-existing" in err
    assert [path.name for path in folder.iterdir()] == ["clip_hdr.mp4"]
    code, _, _ = call(capfd, "convert", clip, tmp_path / "alone.mp4", *QUICK)
    assert code == 0, "it is whole"


def test_batch_refuses_two_inputs_with_one_name(
    clip: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
):
    other = tmp_path / "other"
    other.mkdir()
    code, _, err = call(capfd, "convert", clip, other / "clip.mp4", "--out-dir", other, *QUICK)
    assert code == 2
    assert "would both become" in err


@pytest.mark.parametrize("is_link", [False, True])
def test_batch_overwrites_none_of_its_inputs(
    clip: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], is_link: bool
):
    folder = tmp_path / "folder"
    folder.mkdir()
    second = written(folder / f"{clip.stem}_hdr.mp4", clip.read_bytes())
    given = second
    if is_link:
        given = tmp_path / "second.mp4"
        given.symlink_to(second)
    batch = ("convert", clip, given, "--out-dir", folder, *QUICK)
    code, _, err = call(capfd, *batch, "--overwrite")
    assert code == 2 and "which is an input too" in err and str(second) in err
    assert second.read_bytes() == clip.read_bytes()
    assert list(folder.iterdir()) == [second]
    # What is skipped overwrites nothing.
    assert (
        call(capfd, "convert", clip, second, "--out-dir", folder, *QUICK, "--skip-existing")[0] == 0
    )


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (("info", "{clip}"), 0),
        (("check", "{clip}"), 7),
        (("convert", "--dry-run", "--out-dir", "{folder}", "{clip}", *QUICK), 0),
        (("plan", "{clip}", "-o", "{folder}/plan.json", "--model", "bt2408"), 0),
        (("retag", "{clip}", "{folder}/out.mkv"), 3),
        (("evaluate", "{clip}", "{clip}"), 3),
        (("merge", "{clip}", "{folder}/out.mkv"), 3),
        (("merge", "{folder}", "{folder}/out.mkv"), 3),
    ],
)
def test_a_file_that_may_not_be_read_is_no_usage_error(
    clip: Path,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    command: tuple[str, ...],
    expected: int,
):
    # The system is asked when the file is opened, so that a batch goes on with the others; nothing
    # keeps root, who may run this, from reading.
    access = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.R_OK and access(path, mode))
    places = {"clip": clip, "folder": tmp_path}
    code, _, err = call(capfd, *(part.format(**places) for part in command))
    assert code == expected, err


def test_one_path_is_a_usage_error(clip: Path, capfd: pytest.CaptureFixture[str]):
    code, _, err = call(capfd, "convert", clip)
    assert code == 2
    assert "--out-dir" in err


@pytest.mark.parametrize(
    "wrong", [["--threads", "0"], ["--nonsense"], ["more.mkv"], ["--container", "mkv"]]
)
def test_usage_errors_are_events_too(
    clip: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], wrong: list[str]
):
    code, out, err = call(capfd, "convert", clip, tmp_path / "o.mkv", "--json", *wrong)
    (event,) = [json.loads(line) for line in out.splitlines()]
    assert code == 2
    assert event == {"event": "error", "text": event["text"], "exit_code": 2}
    assert event["text"] in err
    code, out, _ = call(capfd, "convert", clip, tmp_path / "o.mkv", *wrong)
    assert (code, out) == (2, "")
    code, out, _ = call(capfd, "--json", *wrong)
    assert (code, json.loads(out)["event"]) == (2, "error")


def test_quiet_says_nothing_and_log_file_everything(
    clip: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
):
    log = tmp_path / "run.log"
    code, out, err = call(
        capfd, "convert", clip, tmp_path / "o.mkv", *QUICK, "-q", "--log-file", log
    )
    assert (code, out, err) == (0, "", "")
    assert "o.mkv: 3 frames" in log.read_text()


def test_models_lists_every_method(capfd: pytest.CaptureFixture[str]):
    code, out, _ = call(capfd, "models", "--json")
    methods = {method["name"]: method for method in map(json.loads, out.splitlines())}
    assert code == 0
    assert {"irnet1", "irnet2", "irnet5-x2", "irnet5-x4", "gpgmnet-x2", "gpgmnet-x4"} <= set(
        methods
    )
    assert {"bt2408", "bt2446a", "bt2446c"} <= set(methods)
    fields = {"name", "kind", "scale", "params", "macs_per_pixel", "weights", "licence"}
    assert all(fields <= set(method) for method in methods.values())
    assert methods["irnet2"]["params"] == 134731
    networks = [method for method in methods.values() if method["kind"] == "network"]
    assert all(method["weights"] in ("pilot", "release") for method in networks)


def test_models_says_which_networks_have_no_weights(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
):
    code, out, _ = call(capfd, "models", "--json", "--weights-dir", tmp_path)
    methods = {method["name"]: method for method in map(json.loads, out.splitlines())}
    assert code == 0
    assert methods["irnet5-x2"]["weights"] is None


def test_info_reads_the_clip_in_the_repository(capfd: pytest.CaptureFixture[str]):
    code, out, _ = call(capfd, "info", FLOWER, "--json")
    info = json.loads(out)
    assert code == 0
    assert info["video"]["frame_count"] == 32
    assert info["video"]["colour"]["matrix"]["value"] == "bt601"


def test_export_writes_a_graph_and_refuses_to_replace_it(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
):
    target = tmp_path / "curve.onnx"
    code, _, _ = call(capfd, "export", "bt2446a", target)
    assert code == 0
    size = target.stat().st_size
    code, _, err = call(capfd, "export", "bt2446a", target)
    assert code == 5
    assert "--overwrite" in err
    assert target.stat().st_size == size
    link = tmp_path / "link.onnx"
    link.symlink_to("elsewhere.onnx")
    code, _, err = call(capfd, "export", "bt2446a", link)
    assert (code, link.is_symlink()) == (5, True)
    assert "--overwrite" in err


def test_the_log_is_no_file_of_the_command(
    clip: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
):
    own, linked, target = tmp_path / "own.mp4", tmp_path / "linked.log", tmp_path / "out.mkv"
    shutil.copyfile(clip, own)
    linked.hardlink_to(own)
    for log in (own, linked, target):
        code, _, err = call(capfd, "convert", own, target, *QUICK, "--log-file", log)
        assert code == 5 and "--log-file names another" in err
    assert own.read_bytes() == clip.read_bytes()
    assert not target.exists()


def test_a_fault_of_ours_leaves_the_traceback_in_a_file(
    clip: Path,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
):
    def broken(*arguments: object) -> None:
        raise RuntimeError("a fault made by the test")

    monkeypatch.setattr("sdr2hdr.jobs.published.prepare", broken)
    log = tmp_path / "run.log"
    code, _, err = call(capfd, "convert", clip, tmp_path / "o.mkv", "--log-file", log)
    assert code == 1
    assert "Traceback" not in err and str(log) in err
    assert "Traceback" in log.read_text()


ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
UTF8 = {"LC_ALL": "C.UTF-8", "PYTHONUTF8": "1"}


@pytest.mark.skipif(sys.platform != "linux", reason="a name is any bytes on Linux alone")
@pytest.mark.parametrize(
    ("locale", "name"), [(UTF8, b"nu\xff"), (ASCII, b"nu\xff"), (ASCII, "é".encode())]
)
def test_names_that_are_no_text_are_names(
    clip: Path, tmp_path: Path, locale: dict[str, str], name: bytes
):
    folder = os.fsencode(tmp_path)
    source, target = folder + b"/in " + name + b".mp4", folder + b"/" + name + b".mkv"
    shutil.copyfile(clip, source)
    log = tmp_path / "run.log"

    def done(*arguments: bytes | str | Path) -> subprocess.CompletedProcess[bytes]:
        command = [sys.executable, "-m", "sdr2hdr", *arguments]
        done = subprocess.run(command, capture_output=True, env=os.environ | locale)
        assert done.returncode == 0, done.stderr
        return done

    said = done("convert", source, target, *QUICK, "--json", "-v", "--log-file", log).stdout
    last = json.loads(said.decode("utf-8").splitlines()[-1])
    assert (os.fsencode(last["input"]), os.fsencode(last["output"])) == (source, target)
    assert Path(os.fsdecode(target)).is_file()
    assert ".mkv: 3 frames" in log.read_text(encoding="utf-8")
    assert not list(tmp_path.glob(".*"))
    assert done("info", source).stdout.isascii()


@pytest.mark.skipif(sys.platform != "linux", reason="a name is any bytes on Linux alone")
def test_work_folder_knows_a_target_that_is_no_text(tmp_path: Path):
    from sdr2hdr.jobs.work_folder import WorkFolder

    target = tmp_path / os.fsdecode(b"nu\xff.mkv")
    folder = WorkFolder.of(target, None)
    folder.make()
    assert WorkFolder.target_of(folder.path) == target


@pytest.mark.skipif(sys.platform == "win32", reason="needs a shell that closes streams")
@pytest.mark.parametrize(
    ("closed", "target", "options", "code", "lines_of_stdout"),
    [
        ("2>&-", "o.mkv", ["-v"], 0, 0),
        ("2>&-", "-", [], 0, None),
        (">&-", "o.mkv", ["--json"], 0, 0),
        (">&-", "-", [], 5, 0),
        ("<&- >&- 2>&-", "o.mkv", ["--workers", "1"], 0, 0),
    ],
)
def test_closed_streams_end_no_command(
    clip: Path,
    tmp_path: Path,
    closed: str,
    target: str,
    options: list[str],
    code: int,
    lines_of_stdout: int | None,
):
    command = [sys.executable, "-m", "sdr2hdr", "convert", clip, target, *QUICK, *options]
    shell = ["sh", "-c", f'exec "$@" {closed}', "sh"]
    done = subprocess.run([*shell, *command], capture_output=True, cwd=tmp_path)
    assert done.returncode == code, done.stderr
    if lines_of_stdout is not None:
        assert len(done.stdout.splitlines()) == lines_of_stdout
    if target == "-" and code == 0:
        assert done.stdout.startswith(b"YUV4MPEG2")
        assert len(done.stdout) == done.stdout.index(b"\n") + 1 + 3 * (6 + 64 * 48 * 3)
    if target == "-" and code == 5:
        assert b"Standard output is closed" in done.stderr
    assert (tmp_path / "o.mkv").is_file() == (target == "o.mkv" and code == 0)


@pytest.mark.parametrize("arguments", [["--json"], ["--json", "-q"], ["--dry-run"]])
def test_reader_that_leaves_is_an_error_of_the_output(
    clip: Path, tmp_path: Path, arguments: list[str]
):
    command = [sys.executable, "-m", "sdr2hdr", "convert", clip, tmp_path / "o.mkv", *QUICK]
    reading, writing = os.pipe()
    os.close(reading)
    try:
        left = subprocess.run(
            [*command, *arguments], stdout=writing, stderr=subprocess.PIPE, text=True
        )
        deaf = subprocess.run([*command, *arguments], stdout=writing, stderr=writing)
    finally:
        os.close(writing)
    (line,) = left.stderr.splitlines()
    assert line.startswith("error: Standard output was closed") and "same command" in line
    assert (left.returncode, deaf.returncode) == (5, 5)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["clip.mp4"]
    assert subprocess.run([*command, *arguments], capture_output=True).returncode == 0


FULL = Path("/dev/full")
needs_full = pytest.mark.skipif(not FULL.exists(), reason="there is no /dev/full here")
"""What every writer is told of a full disk by, on Linux."""


@needs_full
@pytest.mark.parametrize("arguments", [["--json"], ["--dry-run"], ["--json", "--strict"]])
def test_results_that_a_full_disk_does_not_take_are_an_error_of_the_output(
    clip: Path, tmp_path: Path, arguments: list[str]
):
    source = tmp_path / "nosuch.mp4" if "--strict" in arguments else clip
    command = [sys.executable, "-m", "sdr2hdr", "convert", source, tmp_path / "o.mkv", *QUICK]
    with FULL.open("w") as full:
        done = subprocess.run(
            [*command, *arguments], stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert done.returncode == 5
    said = done.stderr.splitlines()[-1]
    assert said.startswith("error: Standard output cannot be written: No space left on device")
    assert "Traceback" not in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["clip.mp4"]


@needs_full
@pytest.mark.parametrize("arguments", [["--help"], ["models"], ["convert", "--nope"]])
def test_what_others_write_for_us_is_treated_alike_where_a_disk_is_full(arguments: list[str]):
    command = [sys.executable, "-m", "sdr2hdr", *arguments]
    with FULL.open("w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True)
        deaf = subprocess.run(command, stdout=full, stderr=full)
    expected = 2 if "--nope" in arguments else 5
    assert (done.returncode, deaf.returncode) == (expected, expected)
    assert "fault" not in done.stderr


def test_a_table_whose_reader_has_left_is_an_error_of_the_output():
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-m", "sdr2hdr", "models"], stdout=writing, stderr=subprocess.PIPE
    )
    os.close(writing)
    assert done.returncode == 5
    assert done.stderr.startswith(b"error: Standard output was closed")


@needs_full
def test_results_that_are_not_taken_are_not_laid_on_the_disk_of_the_job():
    program = """if True:
        from sdr2hdr.cli.console import Console
        from sdr2hdr.cli.standard_streams import prepare_standard_streams
        from sdr2hdr.jobs.disk import full_disk_told

        prepare_standard_streams()
        with full_disk_told():
            Console(json=True).event("progress", {})
        """
    with FULL.open("w") as full:
        done = subprocess.run(
            [sys.executable, "-c", program], stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert "FullOutputError" in done.stderr and "DiskFullError" not in done.stderr


@needs_full
def test_messages_that_a_full_disk_does_not_take_end_no_work(clip: Path, tmp_path: Path):
    command = [sys.executable, "-m", "sdr2hdr", "convert", clip, tmp_path / "o.mkv", *QUICK]
    with FULL.open("w") as full:
        code = subprocess.run([*command, "--json"], stdout=subprocess.DEVNULL, stderr=full)
        again = subprocess.run([*command, "--json"], stdout=subprocess.PIPE, stderr=full, text=True)
    assert (code.returncode, again.returncode) == (0, 5)
    assert json.loads(again.stdout)["exit_code"] == 5
    assert (tmp_path / "o.mkv").is_file()


@needs_full
def test_a_log_that_a_full_disk_does_not_take_is_given_up(
    clip: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    log = tmp_path / "run.log"
    log.symlink_to(FULL)
    code, _, err = call(capfd, "convert", clip, tmp_path / "o.mkv", *QUICK, "--log-file", log)
    assert code == 0
    assert err.count(f"warning: The log file {log} takes no more: No space left on device") == 1
    assert "o.mkv: 3 frames" in err

    def fault(*_: object) -> None:
        raise RuntimeError("a fault")

    monkeypatch.setattr("sdr2hdr.cli.convert.run_jobs", fault)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    code, _, err = call(capfd, "convert", clip, tmp_path / "p.mkv", "--log-file", log)
    assert code == 1
    (trace,) = tmp_path.glob("sdr2hdr-*.log")
    assert f"The details are in {trace}." in err


def test_progress_of_a_stage_that_begins_anew_is_told(capfd: pytest.CaptureFixture[str]):
    show = Console(json=True).json_progress(Path("in.mp4"))
    for elapsed_seconds in (0.0, 0.5, 3600.0, 0.1, 0.6, 1.2):
        show(Progress(1, 2, elapsed_seconds, 0))
    told = [json.loads(line)["elapsed_seconds"] for line in capfd.readouterr().out.splitlines()]
    assert told == [0.0, 3600.0, 0.1, 1.2]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows keeps a folder that is in use")
def test_a_working_folder_that_is_gone_is_said(
    clip: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    code, _, err = call(capfd, "convert", clip, tmp_path / "o.mkv", *QUICK)
    monkeypatch.chdir(tmp_path)
    assert code == 2
    assert "The working folder cannot be found" in err and "(cd)" in err
    assert not (tmp_path / "o.mkv").exists()


def test_module_and_script_are_one_command():
    done = subprocess.run(
        [sys.executable, "-m", "sdr2hdr", "nosuch"], capture_output=True, text=True
    )
    assert done.returncode == 2
    assert "No such command" in done.stderr
