"""What has the name of a work folder, a lock or a log and is not ours stays as it is."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from threading import Timer

import pytest
from clips import ClipRecipe, make_clip

from sdr2hdr.cli import run as run_command
from sdr2hdr.errors import LockedError
from sdr2hdr.jobs.lock import lock_path, output_lock
from sdr2hdr.jobs.work_folder import WorkFolder

QUICK = ("--model", "bt2408", "--preset", "ultrafast")


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_clip(tmp_path_factory.mktemp("clips") / "clip.mkv", ClipRecipe())


def call(capfd: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str]:
    code = run_command([str(argument) for argument in arguments])
    return code, capfd.readouterr().err


def precious(folder: Path, says: bytes | None = None) -> Path:
    """Somebody's folder, with a file like that in which a work folder says whose it is."""
    (folder / "sub").mkdir(parents=True)
    (folder / "sub" / "precious.txt").write_text("precious")
    if says is not None:
        (folder / "output.txt").write_bytes(says)
    return folder / "sub" / "precious.txt"


@pytest.mark.parametrize("says", [None, b"some notes\n", b"/else/where.mkv"])
def test_a_folder_of_that_name_that_is_not_ours_is_refused(
    says: bytes | None, source: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
):
    target = tmp_path / "out.mkv"
    kept = precious(WorkFolder.of(target, None).path, says)
    code, err = call(capfd, "convert", source, target, *QUICK)
    assert code == 5 and "no output.txt of ours" in err
    assert call(capfd, "clean", tmp_path)[0] == call(capfd, "clean", target)[0] == 0
    assert kept.read_text() == "precious"
    assert not target.exists()


def test_a_link_of_that_name_is_refused(
    source: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
):
    target = tmp_path / "out.mkv"
    kept = precious(tmp_path / "scratch", bytes(target))
    WorkFolder.of(target, None).path.symlink_to("scratch")
    code, err = call(capfd, "convert", source, target, *QUICK)
    assert code == 5 and "is a link" in err
    assert call(capfd, "clean", tmp_path)[0] == call(capfd, "clean", target)[0] == 0
    assert kept.read_text() == "precious"


def test_a_lock_is_not_made_where_a_link_leads(
    source: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
):
    target, kept = tmp_path / "out.mkv", tmp_path / "precious.txt"
    kept.write_text("precious")
    lock_path(target).symlink_to(kept)
    code, err = call(capfd, "convert", source, target, *QUICK)
    assert code == 5 and str(lock_path(target)) in err
    assert call(capfd, "clean", tmp_path)[0] == 0
    assert kept.read_text() == "precious"


def test_a_lock_that_is_held_for_a_moment_is_waited_for(tmp_path: Path):
    """As of a run that ends, and looks whether it is the last."""
    target = tmp_path / "out.mkv"
    ending = output_lock(target)
    ending.__enter__()
    timer = Timer(0.2, ending.__exit__, (None, None, None))
    timer.start()
    with output_lock(target, shared=True), output_lock(target, shared=True):
        assert not timer.is_alive() or timer.finished.is_set()
        with pytest.raises(LockedError), output_lock(target):
            pass


def test_the_log_of_a_merge_is_never_the_source(
    source: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
):
    own, plan, target = tmp_path / "own.mkv", tmp_path / "plan.json", tmp_path / "out.mkv"
    shutil.copyfile(source, own)
    assert call(capfd, "plan", own, "-o", plan, "--model", "bt2408")[0] == 0
    assert call(capfd, "convert", own, target, "--plan", plan, "--segments", 0)[0] == 0
    code, err = call(capfd, "merge", plan, target, "--log-file", own)
    assert code == 5 and "--log-file names another" in err
    assert own.read_bytes() == source.read_bytes()
    assert call(capfd, "merge", plan, target)[0] == 0


def test_the_log_of_a_batch_is_none_of_its_outputs(
    source: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
):
    log = tmp_path / "clip_hdr.mkv"
    code, err = call(capfd, "convert", source, "--out-dir", tmp_path, *QUICK, "--log-file", log)
    assert code == 5 and "--log-file names another" in err


def test_segments_of_another_plan_are_not_said_to_be_damaged(
    source: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
):
    first, second, target = tmp_path / "1.json", tmp_path / "2.json", tmp_path / "out.mkv"
    assert call(capfd, "plan", source, "-o", first, "--model", "bt2408")[0] == 0
    assert call(capfd, "plan", source, "-o", second, "--model", "bt2408", "--quality", 30)[0] == 0
    assert call(capfd, "convert", source, target, "--plan", first, "--segments", 0)[0] == 0
    code, err = call(capfd, "merge", second, target)
    assert code == 5 and "another plan" in err and "damaged" not in err
    assert json.loads(first.read_text())["key"][:12] not in err


@pytest.mark.parametrize("command", ["clean", "convert --out-dir", "convert --temp-dir"])
def test_an_empty_name_is_not_the_working_folder(
    command: str,
    source: Path,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
):
    """As that of a variable which a script has not set."""
    monkeypatch.chdir(tmp_path)
    folder = WorkFolder.of(tmp_path / "out.mkv", None)
    folder.make()
    name, *option = command.split()
    rest = () if name == "clean" else (source, *QUICK)
    code, err = call(capfd, name, *option, "", *rest)
    assert code == 2 and "the path is empty" in err
    assert list(tmp_path.iterdir()) == [folder.path]


def test_a_plan_can_be_made_whatever_lies_beside_it(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
):
    (tmp_path / "clip_hdr.mkv").mkdir()
    clip = make_clip(tmp_path / "clip.mkv", ClipRecipe())
    longest = shutil.copyfile(clip, tmp_path / f"{'x' * 248}.mkv")
    for source in (clip, longest):
        plan = source.with_suffix(".json")
        assert call(capfd, "plan", source, "-o", plan, "--model", "bt2408") == (0, "")
        assert plan.is_file()


def test_the_longest_names_of_a_log_and_a_plan(
    source: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
):
    log, plan = tmp_path / f"{'x' * 251}.csv", tmp_path / f"{'ü' * 125}.json"
    code, err = call(capfd, "convert", source, tmp_path / "o.mkv", *QUICK, "--light-log", log)
    assert (code, log.is_file()) == (0, True), err
    code, err = call(capfd, "plan", source, "-o", plan, "--model", "bt2408")
    assert (code, plan.is_file()) == (0, True), err


def test_a_link_to_nothing_is_no_output_of_an_earlier_run(
    source: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
):
    (tmp_path / "clip_hdr.mkv").symlink_to("nowhere")
    batch = ("convert", source, "--out-dir", tmp_path, "--skip-existing", *QUICK)
    code, err = call(capfd, *batch)
    assert code == 8 and "exists already" in err
