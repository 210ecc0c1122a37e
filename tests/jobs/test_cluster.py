"""Segments converted by the workers of a Dask cluster: same bytes, whatever befalls the workers."""

from __future__ import annotations

import dataclasses
import json
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import pytest
from long_clips import OPTIONS, Ears, use_short_segments

from sdr2hdr.cli import run as run_command
from sdr2hdr.errors import (
    BackendUnavailableError,
    DiskFullError,
    FrameMemoryError,
    StoppedError,
    UsageError,
)
from sdr2hdr.jobs import cluster, run, settings
from sdr2hdr.jobs.cluster_client import cluster_client
from sdr2hdr.jobs.listener import SegmentNews
from sdr2hdr.jobs.records import SegmentRecord
from sdr2hdr.jobs.stopping import StopRequest
from sdr2hdr.jobs.work_folder import WorkFolder
from sdr2hdr.options import JobOptions
from sdr2hdr.pipeline import Progress, prepare

pytestmark = pytest.mark.usefixtures("short_segments")

SEGMENTS = 5

# Two threads in the plan, one on each of two workers: the bytes must not depend on it.
TWO_THREADS = dataclasses.replace(
    OPTIONS, encode=dataclasses.replace(OPTIONS.encode, threads=2), overwrite=True
)


@pytest.fixture(scope="module")
def whole(source: Path, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """What one process gives."""
    target = tmp_path_factory.mktemp("whole") / "out.mkv"
    with pytest.MonkeyPatch.context() as patch:
        use_short_segments(patch)
        run.convert(prepare(source, target, TWO_THREADS))
    return target.read_bytes()


@pytest.fixture(scope="module")
def scheduler() -> Iterator[str]:
    """A cluster of two workers that is there already, as one on other machines is."""
    import cloudpickle
    from distributed import LocalCluster

    # Workers cannot import a test's file: what is run there is sent whole.
    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    with LocalCluster(
        n_workers=2,
        threads_per_worker=1,
        memory_limit=0,
        dashboard_address="127.0.0.1:0",
        scheduler_kwargs={"dashboard": False},
    ) as cluster:
        yield cluster.scheduler_address


def slow_down(seconds: float) -> None:
    """Let the worker that runs this wait before each segment."""
    from sdr2hdr.jobs import cluster_worker
    from sdr2hdr.jobs.perform import perform

    def perform_later(*arguments: Any) -> SegmentRecord:
        time.sleep(seconds)
        return perform(*arguments)

    cluster_worker.perform = perform_later


class Observer(Ears):
    """Keeps progress too."""

    def __init__(self) -> None:
        super().__init__()
        self.frames: list[int] = []

    def progress(self, progress: Progress) -> None:
        if progress.stage == "convert":
            self.frames.append(progress.frames)


def test_local_workers_give_the_bytes_of_one_process(
    source: Path, whole: bytes, tmp_path: Path, capfd: pytest.CaptureFixture[str]
):
    target = tmp_path / "out.mkv"
    code = run_command(
        [
            *("convert", str(source), str(target), "--model", OPTIONS.model),
            *("--preset", "ultrafast", "--workers", "2", "--threads", "2", "--json"),
        ]
    )
    out, err = capfd.readouterr()
    assert code == 0, err
    states = [event["state"] for event in map(json.loads, out.splitlines()) if "state" in event]
    assert states == ["finished"] * SEGMENTS
    assert target.read_bytes() == whole
    assert "Traceback" not in err


def test_an_existing_cluster_gives_the_bytes_of_one_process(
    source: Path, whole: bytes, tmp_path: Path, scheduler: str
):
    target, ears = tmp_path / "out.mkv", Observer()
    job = JobOptions(cluster=scheduler)
    run.convert(prepare(source, target, TWO_THREADS), job, ears)
    assert target.read_bytes() == whole
    assert sorted(news.segment.index for news in ears.news) == list(range(SEGMENTS))
    assert ears.frames[-1] == 8 * SEGMENTS


@pytest.mark.slow
def test_segments_of_a_lost_worker_are_done_by_another(
    source: Path, whole: bytes, tmp_path: Path, scheduler: str
):
    from distributed import Client

    with Client(scheduler, set_as_default=False) as client:
        pids = client.run(os.getpid)
        victim, other = pids
        client.run(slow_down, 60.0, workers=[victim])
        client.run(slow_down, 1.0, workers=[other])

        class Killer(Observer):
            """Kills the slow worker as soon as it has a segment in hand."""

            has_killed = False

            def segment(self, news: SegmentNews) -> None:
                super().segment(news)
                tasks = client.processing().get(victim, ())
                if not self.has_killed and any("convert_segment" in str(key) for key in tasks):
                    os.kill(pids[victim], signal.SIGKILL)
                    self.has_killed = True

        target, ears = tmp_path / "out.mkv", Killer()
        run.convert(prepare(source, target, TWO_THREADS), JobOptions(cluster=scheduler), ears)
        client.run(slow_down, 0.0)
    assert ears.has_killed
    lost = [news for news in ears.news if news.error]
    assert [news.will_retry for news in lost] == [True]
    assert f"Worker {victim} was lost" in lost[0].error
    assert target.read_bytes() == whole


def test_a_worker_that_would_give_other_bytes_is_refused(
    source: Path, whole: bytes, tmp_path: Path, scheduler: str, monkeypatch: pytest.MonkeyPatch
):
    target, ears = tmp_path / "out.mkv", Ears()
    monkeypatch.setattr(settings, "_processor", lambda device: "another one")
    conversion = prepare(source, target, TWO_THREADS)
    with pytest.raises(BackendUnavailableError) as refused:
        run.convert(conversion, JobOptions(cluster=scheduler), ears)
    assert "processor was another one, is " in str(refused.value)
    assert "Worker tcp://127.0.0.1:" in str(refused.value)
    assert "--allow-mixed" in str(refused.value)
    assert not target.exists()
    run.convert(conversion, JobOptions(cluster=scheduler, allow_mixed=True))
    assert target.read_bytes() == whole


def test_a_stop_keeps_what_is_finished(source: Path, whole: bytes, tmp_path: Path, scheduler: str):
    stop = StopRequest()

    class Stopper(Ears):
        def segment(self, news: SegmentNews) -> None:
            super().segment(news)
            stop.ask(130)

    target = tmp_path / "out.mkv"
    job, conversion = JobOptions(cluster=scheduler), prepare(source, target, TWO_THREADS)
    with pytest.raises(StoppedError) as stopped:
        run.convert(conversion, job, Stopper(), stop)
    assert stopped.value.exit_code == 130
    finished = WorkFolder.of(target, None).count_finished()
    assert 1 <= finished < SEGMENTS
    ears = Ears()
    run.convert(conversion, job, ears)
    assert ears.resumed == [finished]
    assert target.read_bytes() == whole


def test_the_end_is_waited_for_without_looking_all_the_time(monkeypatch: pytest.MonkeyPatch):
    """A worker that was met just before had ended its check, which ended every wait at once."""
    stop = StopRequest()
    fit, working, late = (MagicMock(status="finished") for _ in range(3))
    fit.done.return_value, working.done.return_value = True, False
    fit.result.return_value = ""
    late.done.side_effect = lambda: stop.exit_code is not None
    waits = []

    def wait(futures: list[MagicMock], timeout: float, return_when: str) -> None:
        waits.append(futures)
        if not any(future.done() for future in futures):
            time.sleep(timeout)
            raise TimeoutError

    monkeypatch.setattr("distributed.wait", wait)
    monkeypatch.setattr(cluster, "STOP_SECONDS", 0.2)
    monkeypatch.setattr(cluster, "POLL_SECONDS", 0.1)
    client = MagicMock()
    client.nthreads.return_value = {"first": 1, "second": 1}
    client.submit.side_effect = [fit, late, working]
    executor = cluster.ClusterExecutor(client, MagicMock(), Ears(), stop, is_local=False)
    executor.submit(MagicMock(index=0))
    outcomes = executor.outcomes(lambda frames, written_bytes: stop.ask(1))
    with pytest.raises(StoppedError):
        next(outcomes)
    assert len(waits) < 5


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
def test_local_workers_outlive_what_all_processes_of_a_command_are_sent():
    with cluster_client(JobOptions(workers=1), 1, StopRequest()) as client:
        before: Any = client.run(os.getpid)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            for worker in before.values():
                os.kill(worker, number)
        found = client.submit(os.getpid, pure=False).result(timeout=20)
        assert list(before.values()) == [found]
        after: Any = client.run(os.getpid)
        assert after == before
        masks: Any = client.run(signal.pthread_sigmask, signal.SIG_BLOCK, ())
        assert all(signal.SIGINT in mask for mask in masks.values())
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ())


STARTED_WITHOUT_SIGNALS = """
import multiprocessing, signal, time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from sdr2hdr.jobs.cluster_client import _hear_no_signals

def started():
    process = multiprocessing.get_context("spawn").Process(target=time.sleep, args=(60,))
    process.start()
    status = Path(f"/proc/{process.pid}/status").read_text()
    process.kill()
    process.join()
    return status

if __name__ == "__main__":
    with ThreadPoolExecutor(1, "cluster", _hear_no_signals) as starter:
        print(starter.submit(started).result())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="Linux alone tells another's signal mask")
def test_local_workers_hear_no_ctrl_c_from_their_first_instruction_on(tmp_path: Path):
    """One that was still importing ended with a traceback."""
    script = tmp_path / "start.py"
    script.write_text(STARTED_WITHOUT_SIGNALS)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    said = subprocess.check_output([sys.executable, script], env=environment, text=True)
    blocked = int(next(line for line in said.splitlines() if line.startswith("SigBlk:"))[7:], 16)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        assert blocked >> (number - 1) & 1


@pytest.mark.skipif(sys.platform == "win32", reason="Windows sends Ctrl-C to no single process")
def test_workers_that_start_are_closed_after_a_second_signal(monkeypatch: pytest.MonkeyPatch):
    is_starting, is_closed = threading.Event(), threading.Event()

    class Starting:
        def __init__(self, **options: object) -> None:
            is_starting.set()
            time.sleep(0.3)

        def close(self) -> None:
            is_closed.set()

    def interrupt() -> None:
        is_starting.wait()
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr("distributed.LocalCluster", Starting)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    thread = threading.Thread(target=interrupt)
    thread.start()
    try:
        client = cluster_client(JobOptions(workers=2), 2, StopRequest())
        with pytest.raises(KeyboardInterrupt), client:
            pass
    finally:
        signal.signal(signal.SIGINT, before)
        thread.join()
    assert is_closed.wait(10)


def test_what_cannot_be_reached_is_said(source: Path, tmp_path: Path, monkeypatch):
    conversion = prepare(source, tmp_path / "out.mkv", TWO_THREADS)
    with pytest.raises(BackendUnavailableError, match="nonsense://here"):
        run.convert(conversion, JobOptions(cluster="nonsense://here"))
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "distributed", None)
        with pytest.raises(BackendUnavailableError, match=r"pip install 'sdr2hdr\[cluster\]'"):
            run.convert(conversion, JobOptions(workers=2))
    with pytest.raises(UsageError, match="--workers"):
        JobOptions(cluster="tcp://host:8786", workers=2)
    pictures = prepare(source, tmp_path / "shot_%06d.png", TWO_THREADS)
    with pytest.raises(UsageError, match="--workers"):
        run.convert(pictures, JobOptions(workers=2))


@pytest.mark.parametrize("job", [JobOptions(cluster="nonsense://here"), JobOptions(workers=2)])
def test_no_film_is_looked_through_for_a_cluster_that_is_not_there(
    job: JobOptions, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def look_through(*arguments: object) -> None:
        raise AssertionError("The film is looked through.")

    monkeypatch.setattr(run, "make_plan", look_through)
    if job.workers is not None:
        monkeypatch.setitem(sys.modules, "distributed", None)
    target = tmp_path / "out.mkv"
    with pytest.raises(BackendUnavailableError):
        run.convert(prepare(source, target, TWO_THREADS), job)
    assert not WorkFolder.of(target, None).path.exists()


def test_a_plan_outlives_a_cluster_without_fit_workers(
    source: Path, tmp_path: Path, scheduler: str, monkeypatch: pytest.MonkeyPatch
):
    target = tmp_path / "out.mkv"
    with monkeypatch.context() as patch:
        patch.setattr(settings, "_processor", lambda device: "another one")
        with pytest.raises(BackendUnavailableError):
            run.convert(prepare(source, target, TWO_THREADS), JobOptions(cluster=scheduler))
        assert WorkFolder.of(target, None).plan() is not None


def test_a_wrong_address_is_said_in_one_line(source: Path, tmp_path: Path):
    command = [sys.executable, "-m", "sdr2hdr", "convert", source, tmp_path / "out.mkv"]
    done = subprocess.run(
        [*command, "--model", "bt2408", "--cluster", "foo"], capture_output=True, text=True
    )
    assert done.returncode == 6
    (line,) = done.stderr.splitlines()
    assert "No Dask scheduler answers at foo" in line


def test_the_disk_is_watched_for_workers_too(
    source: Path, tmp_path: Path, scheduler: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("sdr2hdr.jobs.space.free_bytes", lambda folder: (64 << 20) + 1000)
    target, ears = tmp_path / "out.mkv", Ears()
    with pytest.raises(DiskFullError, match="for the next segment"):
        run.convert(prepare(source, target, TWO_THREADS), JobOptions(cluster=scheduler), ears)
    assert "are still to be written" in ears.text
    assert WorkFolder.of(target, None).count_finished() >= 1


def test_workers_that_do_not_start_are_no_fault_of_ours(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def failing(**options: object) -> None:
        raise RuntimeError("Nanny failed to start.") from OSError("no room")

    monkeypatch.setattr("distributed.LocalCluster", failing)
    conversion = prepare(source, tmp_path / "out.mkv", TWO_THREADS)
    with pytest.raises(BackendUnavailableError, match=r"do not start \(no room\)"):
        run.convert(conversion, JobOptions(workers=2))


def test_workers_that_a_signal_ends_as_they_start_are_a_stop(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    stop = StopRequest()

    def failing(**options: object) -> None:
        stop.ask(143)
        raise RuntimeError("Nanny failed to start.")

    monkeypatch.setattr("distributed.LocalCluster", failing)
    conversion = prepare(source, tmp_path / "out.mkv", TWO_THREADS)
    with pytest.raises(StoppedError) as stopped:
        run.convert(conversion, JobOptions(workers=2), stop=stop)
    assert stopped.value.exit_code == 143


def test_errors_go_over_the_wire():
    memory = pickle.loads(pickle.dumps(FrameMemoryError("no room", 64)))
    stopped = pickle.loads(pickle.dumps(StoppedError("stopped", 130)))
    assert (str(memory), memory.tile_px) == ("no room", 64)
    assert (str(stopped), stopped.exit_code) == ("stopped", 130)
