"""The command line: exit codes, messages, what goes to stdout, and batches."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import av
import pytest
from clips import FLOWER, ClipRecipe, Tags, make_clip

from sdr2hdr.cli import run

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
        (["--end", "9" * 401], 2, "1e+09 at most"),
        (["--max-memory", "9" * 401], 2, "64 bits"),
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


def test_batch_refuses_two_inputs_with_one_name(
    clip: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
):
    other = tmp_path / "other"
    other.mkdir()
    code, _, err = call(capfd, "convert", clip, other / "clip.mp4", "--out-dir", other, *QUICK)
    assert code == 2
    assert "would both become" in err


def test_one_path_is_a_usage_error(clip: Path, capfd: pytest.CaptureFixture[str]):
    code, _, err = call(capfd, "convert", clip)
    assert code == 2
    assert "--out-dir" in err


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


def test_a_fault_of_ours_leaves_the_traceback_in_a_file(
    clip: Path,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
):
    def broken(*arguments: object) -> None:
        raise RuntimeError("a fault made by the test")

    monkeypatch.setattr("sdr2hdr.pipeline.prepare", broken)
    log = tmp_path / "run.log"
    code, _, err = call(capfd, "convert", clip, tmp_path / "o.mkv", "--log-file", log)
    assert code == 1
    assert "Traceback" not in err and str(log) in err
    assert "Traceback" in log.read_text()


def test_module_and_script_are_one_command():
    done = subprocess.run(
        [sys.executable, "-m", "sdr2hdr.cli", "nosuch"], capture_output=True, text=True
    )
    assert done.returncode == 2
    assert "No such command" in done.stderr
