"""What the command line refuses: its exit codes, its messages, and what it leaves alone."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import av
import pytest
from clips import FLOWER, ClipRecipe, Tags, make_clip
from commands import QUICK, call, written

from sdr2hdr.cli import run


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
        (["convert", "--out-dir", LONG, "one.mp4", "two.mp4"], 5),
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


def test_a_name_that_only_the_output_itself_fits_is_refused_with_what_to_do(
    clip: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
):
    """The lock's name is longer, and it was told alone."""
    code, _, err = call(capfd, "convert", clip, tmp_path / f"{'a' * 245}.mkv")
    assert code == 5
    assert "too long; name another output" in err


@pytest.mark.parametrize("more", [(), ("--dry-run",)])
def test_names_of_pictures_that_are_refused(
    clip: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], more: tuple[str, ...]
):
    """A dry run had nothing to say against them."""
    there = written(tmp_path / "out_0007.png", b"precious")
    for name, word in (("out.png", "no single place"), ("out_%04d.png", "exists already")):
        code, out, err = call(capfd, "convert", clip, tmp_path / name, *QUICK, *more)
        assert (code, out, word in err) == (5, "", True), err
    assert sorted(tmp_path.iterdir()) == [clip, there]
    if more:
        overwriting = (tmp_path / "out_%04d.png", *QUICK, *more, "--overwrite")
        assert call(capfd, "convert", clip, *overwriting)[0] == 0
    assert there.read_bytes() == b"precious"


@pytest.mark.parametrize("output", ["out.mkv", "out_%04d.png", "-"])
def test_a_part_without_a_frame_is_an_input_error(
    clip: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], output: str
):
    """Of pictures and pipes it was told as a fault of the program."""
    target = output if output == "-" else tmp_path / output
    code, _, err = call(capfd, "convert", clip, target, "--start", "99")
    assert (code, "no frame in the part" in err) == (3, True), err
    assert list(tmp_path.iterdir()) == [clip]


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
        (["--max-flicker", "inf"], 2, "--max-flicker"),
        (["--max-flicker", "0"], 2, "--max-flicker"),
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


def test_a_graph_is_not_written_where_there_is_a_folder(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
):
    """Said before the graph is made; --overwrite replaces files alone."""
    folder = tmp_path / "graph.onnx"
    folder.mkdir()
    code, _, err = call(capfd, "export", "bt2446a", folder, "--overwrite")
    assert (code, "it is a folder; name another output" in err) == (5, True), err


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
        assert (code, "it is a device or a pipe, which no file" in err) == (5, True), (name, err)
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
