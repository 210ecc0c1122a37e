"""What goes wrong on the way: one segment, the disk, another run, the user."""

from __future__ import annotations

import dataclasses
import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from clips import FLOWER
from long_clips import (
    FRAMES,
    OPTIONS,
    SEGMENT_FRAMES,
    Ears,
    before_segment,
    use_short_segments,
)

from sdr2hdr.cli import run as run_command
from sdr2hdr.errors import (
    DiskFullError,
    InputError,
    LockedError,
    OutputError,
    PartialFailureError,
    SourceChangedError,
    StoppedError,
)
from sdr2hdr.jobs import run, segment_loop, stopping
from sdr2hdr.jobs.listener import JobListener, SegmentNews
from sdr2hdr.jobs.lock import lock_path, output_lock
from sdr2hdr.jobs.segment_loop import ATTEMPTS
from sdr2hdr.jobs.space import other_disk
from sdr2hdr.jobs.stopping import Drain, StopRequest
from sdr2hdr.jobs.work_folder import WorkFolder
from sdr2hdr.media.writing.merge_writer import MergeWriter
from sdr2hdr.media.writing.written import WrittenSummary
from sdr2hdr.pipeline import Progress, prepare

pytestmark = pytest.mark.usefixtures("short_segments")


@pytest.fixture(scope="module")
def whole(source: Path, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """What an undisturbed run gives."""
    target = tmp_path_factory.mktemp("whole") / "out.mkv"
    with pytest.MonkeyPatch.context() as patch:
        use_short_segments(patch)
        run.convert(prepare(source, target, OPTIONS))
    return target.read_bytes()


ERRORS = {
    "decoder": InputError("damaged under --strict"),
    "encoder": OutputError("x265 failed"),
    "network": OSError(errno.EIO, "Input/output error"),
}


@pytest.mark.parametrize("kind", list(ERRORS))
def test_a_failure_that_passes_is_tried_again(
    source: Path, tmp_path: Path, whole: bytes, monkeypatch: pytest.MonkeyPatch, kind: str
):
    left = {1: 1, 3: 2}

    def act(segment, conversion) -> None:
        if left.get(segment.index, 0):
            left[segment.index] -= 1
            raise ERRORS[kind]

    before_segment(monkeypatch, act)
    target, ears = tmp_path / "out.mkv", Ears()
    run.convert(prepare(source, target, OPTIONS), listener=ears)
    failed = [(news.segment.index, news.will_retry) for news in ears.news if news.error]
    assert failed == [(1, True), (3, True), (3, True)]
    assert target.read_bytes() == whole


def test_progress_takes_no_step_back(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    real, failed, told = segment_loop.perform, set[int](), list[Progress]()

    def fails_at_its_end(conversion, plan, segment, folder, on_frames, watch):
        record = real(conversion, plan, segment, folder, on_frames, watch)
        if segment.index not in failed:
            failed.add(segment.index)
            raise OutputError("x265 failed")
        return record

    class Watcher(Ears):
        def progress(self, progress: Progress) -> None:
            if progress.stage == "convert":
                told.append(progress)

    monkeypatch.setattr(segment_loop, "perform", fails_at_its_end)
    run.convert(prepare(source, tmp_path / "out.mkv", OPTIONS), listener=Watcher())
    for values in ([p.frames for p in told], [p.written_bytes for p in told]):
        assert values == sorted(values) and values[0] == 0
    assert told[-1].frames == FRAMES


def test_a_segment_that_fails_for_good_stops_no_other(
    source: Path, tmp_path: Path, whole: bytes, monkeypatch: pytest.MonkeyPatch
):
    target, ears, broken = tmp_path / "out.mkv", Ears(), {1}

    def act(segment, conversion) -> None:
        if segment.index in broken:
            raise OutputError("x265 failed")

    before_segment(monkeypatch, act)
    with pytest.raises(PartialFailureError) as told:
        run.convert(prepare(source, target, OPTIONS), listener=ears)
    assert told.value.exit_code == 8
    # 25 frames a second, 8 a segment.
    assert "segment 1, frames 8 to 15 (0.320 s to 0.640 s): x265 failed" in str(told.value)
    assert [news.will_retry for news in ears.news if news.error] == [True] * (ATTEMPTS - 1) + [
        False
    ]
    assert not target.exists()
    broken.clear()
    again = Ears()
    run.convert(prepare(source, target, OPTIONS), listener=again)
    assert [news.segment.index for news in again.news] == [1]
    assert target.read_bytes() == whole


def test_when_nothing_can_be_done_the_reason_is_the_error(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def act(segment, conversion) -> None:
        raise InputError("damaged")

    before_segment(monkeypatch, act)
    with pytest.raises(InputError, match="damaged"):
        run.convert(prepare(source, tmp_path / "out.mkv", OPTIONS))
    assert list(tmp_path.iterdir()) == []


def test_a_listener_that_has_left_is_no_failure_of_a_segment(source: Path, tmp_path: Path):
    class Deaf(Ears):
        def progress(self, progress: Progress) -> None:
            if progress.stage == "convert" and progress.frames > SEGMENT_FRAMES:
                raise BrokenPipeError(errno.EPIPE, "Broken pipe")

    target, ears = tmp_path / "out.mkv", Deaf()
    with pytest.raises(BrokenPipeError):
        run.convert(prepare(source, target, OPTIONS), listener=ears)
    assert not any(news.error for news in ears.news)
    assert WorkFolder.of(target, None).count_finished() == 1


def test_full_disk_is_told_and_gone_on_with(
    source: Path, tmp_path: Path, whole: bytes, monkeypatch: pytest.MonkeyPatch
):
    target = tmp_path / "out.mkv"
    with monkeypatch.context() as patch:

        def keep(unfinished: Path, path: Path) -> None:
            if path.name.startswith("000002"):
                raise OSError(errno.ENOSPC, "No space left on device")
            unfinished.replace(path)

        patch.setattr("sdr2hdr.jobs.work_folder.keep", keep)
        with pytest.raises(DiskFullError, match="same command") as told:
            run.convert(prepare(source, target, OPTIONS))
    assert told.value.exit_code == 5
    assert not target.exists()
    ears = Ears()
    run.convert(prepare(source, target, OPTIONS), listener=ears)
    assert ears.resumed == [2]
    assert target.read_bytes() == whole


def test_full_disk_is_told_while_segments_are_joined(
    source: Path, tmp_path: Path, whole: bytes, monkeypatch: pytest.MonkeyPatch
):
    target = tmp_path / "out.mkv"
    with monkeypatch.context() as patch:

        def patch_light_levels(path: Path, *_: object, **__: object) -> None:
            full = OSError(errno.ENOSPC, "No space left on device")
            raise OutputError(f"{path} cannot be written: {full.strerror}.") from full

        patch.setattr("sdr2hdr.jobs.merge.patch_light_levels", patch_light_levels)
        with pytest.raises(DiskFullError, match=r"merged\.mkv .* the same command again"):
            run.convert(prepare(source, target, OPTIONS))
    assert not target.exists()
    ears = Ears()
    run.convert(prepare(source, target, OPTIONS), listener=ears)
    assert ears.resumed == [5]
    assert target.read_bytes() == whole


def test_disk_is_watched_before_it_is_full(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    frees = iter([10**12, 10**12, 70 << 20, 1000])
    monkeypatch.setattr("sdr2hdr.jobs.space.free_bytes", lambda folder: next(frees))
    monkeypatch.setattr("sdr2hdr.jobs.space.RESERVE_BYTES", 69 << 20)
    ears = Ears()
    with pytest.raises(DiskFullError, match="for the next segment"):
        run.convert(prepare(source, tmp_path / "out.mkv", OPTIONS), listener=ears)
    assert WorkFolder.of(tmp_path / "out.mkv", None).count_finished() == 3


def test_warning_when_the_disk_will_probably_not_do(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("sdr2hdr.jobs.space.free_bytes", lambda folder: (64 << 20) + 4000)
    ears = Ears()
    with pytest.raises(DiskFullError):
        run.convert(prepare(source, tmp_path / "out.mkv", OPTIONS), listener=ears)
    assert "are still to be written" in ears.text


def test_the_disk_of_the_output_is_watched_too(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Where --temp-dir names another disk, the whole file is brought to the output's in the end."""
    work, out = tmp_path / "work", tmp_path / "out"
    work.mkdir()
    out.mkdir()
    free = {work: 10**12, out: 1000}
    monkeypatch.setattr("sdr2hdr.jobs.space.other_disk", lambda folder, target: out)
    monkeypatch.setattr(
        "sdr2hdr.jobs.space.free_bytes",
        lambda folder: next(left for place, left in free.items() if folder.is_relative_to(place)),
    )
    options, ears = dataclasses.replace(OPTIONS, temp_dir=work), Ears()
    with pytest.raises(DiskFullError, match=f"The disk of {out} has"):
        run.convert(prepare(source, out / "out.mkv", options), listener=ears)
    assert f"The disk of {out} has 0.00 GB left" in ears.text
    free[out] = 10**12
    again = Ears()
    run.convert(prepare(source, out / "out.mkv", options), listener=again)
    assert again.resumed == [5] and not again.text


@pytest.mark.parametrize("when", ["finished", "merging"])
def test_a_folder_that_vanishes_is_an_error_of_the_output(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, when: str
):
    """A disk that was unplugged or a share that went away, between segments and after them."""
    folder = tmp_path / "share"
    folder.mkdir()

    class Unplugs(Ears):
        def segment(self, news: SegmentNews) -> None:
            if news.segment.index == 4 and when == "finished":
                shutil.rmtree(folder)

    real = MergeWriter.finish

    def finish(writer: MergeWriter) -> WrittenSummary:
        written = real(writer)
        if when == "merging":
            shutil.rmtree(folder)
        return written

    monkeypatch.setattr(MergeWriter, "finish", finish)
    with pytest.raises(OutputError, match="No such file"):
        run.convert(prepare(source, folder / "out.mkv", OPTIONS), listener=Unplugs())


@pytest.mark.parametrize(("gone", "error"), [("work", OutputError), ("source", InputError)])
def test_what_is_gone_is_missed_once_and_not_for_every_segment(
    source: Path, tmp_path: Path, gone: str, error: type[Exception]
):
    own, folder = tmp_path / "own.mp4", tmp_path / "share"
    shutil.copyfile(source, own)
    folder.mkdir()

    class Unplugs(Ears):
        def segment(self, news: SegmentNews) -> None:
            super().segment(news)
            if news.segment.index == 1:
                shutil.rmtree(folder) if gone == "work" else own.unlink()

    ears = Unplugs()
    with pytest.raises(error) as told:
        run.convert(prepare(own, folder / "out.mkv", OPTIONS), listener=ears)
    assert not isinstance(told.value, PartialFailureError)
    assert [news.segment.index for news in ears.news] == [0, 1]


def test_other_disk_is_told_by_its_device(tmp_path: Path):
    assert other_disk(tmp_path, tmp_path / "out.mkv") is None
    shared = Path("/dev/shm")
    if shared.is_dir() and shared.stat().st_dev != tmp_path.stat().st_dev:
        assert other_disk(shared, tmp_path / "out.mkv") == tmp_path


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0 or shutil.which("mount") is None,
    reason="a small file system needs root and mount",
)
def test_a_disk_that_really_is_full(source: Path, tmp_path: Path, whole: bytes):
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=100m", "tmpfs", str(disk)], capture_output=True
    )
    if mounted.returncode:
        pytest.skip("this system mounts no tmpfs here")
    try:
        target, filler = disk / "out.mkv", disk / "filler"
        arguments = ["convert", source, target, "--model", "bt2408", "--preset", "ultrafast"]
        command = [str(argument) for argument in [*arguments, "--threads", 1]]
        # From no room even for the name of who holds the lock to room for some segments.
        for left in (0, 4096, 8192, 20_000, 60_000):
            filler.write_bytes(bytes(shutil.disk_usage(disk).free - left))
            assert run_command(command) == 5, left
            assert not target.exists()
            assert not lock_path(target).exists()
            filler.unlink()
        assert run_command(command) == 0
        assert target.read_bytes() == whole
    finally:
        subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.parametrize("name", ["out.mkv", "shot_%03d.png"])
def test_two_runs_on_one_output_exclude_each_other(source: Path, tmp_path: Path, name: str):
    target = tmp_path / name
    code = (
        "import sys, time; from pathlib import Path; from sdr2hdr.jobs.lock import output_lock\n"
        "with output_lock(Path(sys.argv[1])): print('held', flush=True); time.sleep(60)"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", code, str(target)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert other.stdout is not None and other.stdout.readline() == "held\n"
        with pytest.raises(LockedError, match=f"process {other.pid} on ") as told:
            run.convert(prepare(source, target, OPTIONS))
        assert told.value.exit_code == 10
        with pytest.raises(LockedError), output_lock(target, shared=True):
            pass
    finally:
        other.kill()
        other.communicate()
    # The file is still there; the lock went with its process.
    assert lock_path(target).exists()
    run.convert(prepare(source, target, OPTIONS))
    written = ["out.mkv"] if name == "out.mkv" else [name % (n + 1) for n in range(FRAMES)]
    assert sorted(path.name for path in tmp_path.iterdir()) == written


@pytest.mark.parametrize("name", ["shot_%03d.png", "-"])
def test_a_source_that_changes_under_pictures_or_a_pipe_is_refused(
    source: Path, tmp_path: Path, name: str
):
    """They are made in one go: nothing after them would look at the file again."""
    film, target = tmp_path / source.name, tmp_path / name if name != "-" else Path(name)
    film.write_bytes(source.read_bytes())

    class Writer(JobListener):
        def progress(self, progress: Progress) -> None:
            os.utime(film, ns=(0, 10**18))

    with pytest.raises(SourceChangedError, match="written to or replaced"):
        run.convert(prepare(film, target, OPTIONS), listener=Writer())
    assert list(tmp_path.iterdir()) == [film]


def test_shared_locks_go_together_and_keep_others_out(tmp_path: Path):
    target = tmp_path / "out.mkv"
    with output_lock(target, shared=True), output_lock(target, shared=True):
        with pytest.raises(LockedError), output_lock(target):
            pass
        assert lock_path(target).exists()
    with output_lock(target):
        pass
    assert list(tmp_path.iterdir()) == []


def test_drain_finishes_only_what_is_soon_done(monkeypatch: pytest.MonkeyPatch):
    clock = [0.0]
    monkeypatch.setattr(stopping.time, "monotonic", lambda: clock[0])
    request = StopRequest()
    soon, late = Drain(request, 20), Drain(request, 20)
    soon.check(0)
    clock[0] = 10.0
    request.ask(130)
    # 16 of 20 frames in 10 s leave 2.5 s; 8 of 20 leave 15 s.
    soon.check(16)
    with pytest.raises(StoppedError):
        late.check(8)
    # It takes longer than was thought.
    clock[0] = 20.0
    with pytest.raises(StoppedError):
        soon.check(17)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_signal_ends_in_good_order(tmp_path: Path, number: int, code: int):
    target = tmp_path / "out.mkv"
    command = [sys.executable, "-m", "sdr2hdr", "convert", FLOWER, target, "--json"]
    process = subprocess.Popen(
        [*command, "--model", "irnet2", "--preset", "ultrafast"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None and process.stderr is not None
    for line in process.stdout:
        event = json.loads(line)
        if event["event"] == "progress" and event["stage"] == "convert":
            break
    process.send_signal(number)
    out, said = process.communicate(timeout=120)
    assert process.returncode == code
    last = json.loads(out.splitlines()[-1])
    assert (last["event"], last["exit_code"]) == ("stopped", code)
    assert last["text"] in said
    assert "The same command goes on" in said
    assert "Traceback" not in said
    assert not target.exists()
    assert [path.name for path in tmp_path.iterdir()] == [".out.mkv.sdr2hdr"]
    assert not list((tmp_path / ".out.mkv.sdr2hdr").glob("*.partial"))


def test_second_signal_stops_at_once(tmp_path: Path):
    target = tmp_path / "out.mkv"
    process = subprocess.Popen(
        [sys.executable, "-m", "sdr2hdr", "convert", FLOWER, target, "--model", "irnet2"],
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    while process.poll() is None and not list(tmp_path.glob(".out*/plan.json")):
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    for line in process.stderr:
        if "Once more stops at once" in line:
            break
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=120)
    assert process.returncode == 143
    assert not target.exists()
