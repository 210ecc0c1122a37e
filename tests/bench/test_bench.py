"""The bench: what it reports, in processes of its own. No figure of speed is judged."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from sdr2hdr.bench.child import Child, ChildDied
from sdr2hdr.bench.frame_bench import (
    FrameBench,
    _Reference,
    bench_frames,
    method_request,
)
from sdr2hdr.bench.machine import peak_rss_bytes, processor_name
from sdr2hdr.bench.request import MethodRequest
from sdr2hdr.bench.tuning import tune_tiles
from sdr2hdr.bench.worker import Worker
from sdr2hdr.errors import FrameMemoryError, ModelError, OutputError, UsageError, WeightsError
from sdr2hdr.networks.registry import resolve_exactly

CLIP = Path(__file__).parents[1] / "data" / "flower_960x540.mp4"


def small(model: str, **changes) -> MethodRequest:
    # "auto" is bf16 on some processors and fp32 on others.
    changes = {"precision": "fp32"} | changes
    return MethodRequest(model, 1, height_px=48, width_px=64, threads=2, **changes)


@pytest.fixture(scope="module")
def irnet1() -> FrameBench:
    return bench_frames(method_request(small("irnet1")), 1, reference=True)


def test_every_figure_is_there(irnet1: FrameBench):
    content = json.loads(json.dumps(irnet1.content()))
    for name in (
        "seconds_per_frame",
        "reference_seconds_per_frame",
        "speedup",
        "peak_rss_mb",
        "reference_peak_rss_mb",
        "gflops_per_second",
        "machine_gflops_per_second",
    ):
        assert content[name] > 0, name
    assert content["backend"] == "torch"
    assert content["precision"] == "fp32"
    assert content["threads"] == 2
    assert content["tile_px"] >= 16
    assert content["processor"] == processor_name()
    # Three turns of one frame each, since the reference has two.
    assert content["frames"] == 3


def test_figures_belong_together(irnet1: FrameBench):
    assert irnet1.reference_seconds_per_frame is not None
    assert irnet1.gflops_per_second is not None
    assert irnet1.speedup == irnet1.reference_seconds_per_frame / irnet1.seconds_per_frame
    operations = 2 * resolve_exactly("irnet1").macs_per_pixel * 48 * 64
    assert irnet1.gflops_per_second * irnet1.seconds_per_frame * 1e9 == pytest.approx(operations)


def test_a_network_without_weights_gets_random_ones(tmp_path: Path):
    request = method_request(small("irnet1", weights_dir=str(tmp_path)))
    assert request.random_weights
    bench = bench_frames(request, 1, reference=False)
    assert bench.content()["random_weights"] is True
    assert bench.speedup is None
    assert list(tmp_path.iterdir()) == []


def test_a_curve_has_no_reference_and_no_multiply_adds():
    request = method_request(small("bt2408"))
    with pytest.raises(UsageError, match="no trained form"):
        bench_frames(request, 1, reference=True)
    assert bench_frames(request, 1, reference=False).gflops_per_second is None


def test_a_reference_that_does_not_fit_is_told(monkeypatch: pytest.MonkeyPatch):
    """The traceback of the process that measures stood before it."""

    def full(pixels: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory")

    worker, child = Worker(), Child("the reference")
    worker.answer({"do": "reference", "request": small("irnet1").content()})
    worker._method._network = full
    told = [{}, worker.answer({"do": "frames", "count": 1})]
    monkeypatch.setattr(child, "ask", lambda **request: child.answered(told.pop(0)))
    reference = _Reference(child)
    assert not reference.take_turn(small("irnet1"), lambda step: None)
    assert reference.seconds == []
    assert "whole frame of 64x48 by the reference" in reference.notices[0].text


def test_families_and_unknown_names():
    assert method_request(small("irnet5-x4")).scale == 4
    with pytest.raises(ModelError, match="gpgmnet-x2 and gpgmnet-x4"):
        method_request(small("gpgmnet"))
    with pytest.raises(ModelError, match="nosuch"):
        method_request(small("nosuch"))
    with pytest.raises(ModelError, match="works at x1 only"):
        method_request(replace(small("irnet2"), scale=2))


def test_memory_is_that_of_the_child_alone():
    """Linux hands a process's greatest memory on to the processes that it starts."""
    # More than torch takes by itself where it is built for CUDA.
    ballast = bytearray(1_500_000_000)
    with Child("nothing") as child:
        answer = child.ask(do="multiply", precision="fp32", device="cpu", threads=1)
    own = peak_rss_bytes()
    assert own is not None and own > len(ballast)
    assert answer["peak_rss_bytes"] < len(ballast)


@pytest.mark.parametrize(
    ("option", "end"),
    [
        ("a smaller --max-memory", r"memory; a smaller --max-memory needs less\.$"),
        (None, r"memory\.$"),
    ],
)
def test_a_child_that_dies_names_an_option_that_its_command_has(option: str | None, end: str):
    with Child("the conversion", option) as child:
        child._process.kill()
        with pytest.raises(ChildDied, match=r"for the conversion ended .* want of " + end):
            child.ask(do="clip")


def test_an_error_in_the_child_is_the_same_error_here():
    request = small("irnet1", weights_dir="/nonexistent")
    with Child("frames") as child, pytest.raises(WeightsError, match="/nonexistent"):
        child.ask(do="ours", request=request.content())


def test_an_error_with_more_than_a_message_is_the_same_here():
    """Memory that ran out inside a frame ended as a fault of the program."""

    class Method:
        def frame_seconds(self) -> float:
            raise FrameMemoryError("None is left.", 16)

    worker, child = Worker(), Child("frames")
    worker._method = Method()
    answer = json.dumps(worker.answer({"do": "frames", "count": 1}))
    child._process = SimpleNamespace(stdin=io.StringIO(), stdout=io.StringIO(f"{answer}\n"))
    with pytest.raises(FrameMemoryError, match="None is left") as found:
        child.ask(do="frames", count=1)
    assert found.value.tile_px == 16


@pytest.mark.skipif(sys.platform == "win32", reason="Windows sends Ctrl-C to no single process")
def test_the_child_hears_no_ctrl_c(capfd: pytest.CaptureFixture[str]):
    """A terminal sends it to all processes of the command; this one ended with a traceback."""
    with Child("nothing") as child:
        os.kill(child._process.pid, signal.SIGINT)
        child.ask(do="multiply", precision="fp32", device="cpu", threads=1)
    assert capfd.readouterr().err == ""


def test_a_child_that_dies_is_told():
    with Child("frames") as child:
        child._process.kill()
        child._process.wait()
        with pytest.raises(ChildDied, match="frames"):
            child.ask(do="frames", count=1)


def test_tuning_keeps_the_fastest_tile_for_the_engine():
    seconds = tune_tiles(method_request(small("irnet1", tile_px=None)), (32, 48))
    assert set(seconds) == {32, 48}
    best = min(seconds, key=lambda tile_px: seconds[tile_px])
    bench = bench_frames(method_request(small("irnet1")), 1, reference=False)
    assert bench.how["tile_px"] == best


def test_a_tile_that_cannot_be_kept_is_no_fault_of_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    taken = tmp_path / "file"
    taken.write_text("not a folder")
    monkeypatch.setenv("SDR2HDR_CACHE", str(taken / "cache"))
    with pytest.raises(OutputError, match=r"cannot be kept .*SDR2HDR_CACHE names another"):
        tune_tiles(method_request(small("irnet1", tile_px=None)), (32,))


def run_bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "sdr2hdr", "bench", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_a_clip_is_split_into_its_stages():
    done = run_bench("--clip", str(CLIP), "--model", "bt2408", "--end", "0.1", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert list(found["stages"]) == ["decode", "colour in", "network", "colour out", "encode"]
    assert {stage["items"] for stage in found["stages"].values()} == {found["frames"]}
    spent = sum(stage["cpu_seconds"] for stage in found["stages"].values())
    assert spent + found["around_cpu_seconds"] == pytest.approx(found["cpu_seconds"])
    idle = found["cores"] * found["wall_seconds"] - found["cpu_seconds"]
    assert found["idle_seconds"] == pytest.approx(idle)
    assert found["peak_rss_mb"] > 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--size", "1920"], "WIDTHxHEIGHT"),
        (["--clip", str(CLIP), "--reference"], "--reference is for frames"),
        (["--clip", str(CLIP), "--size", "64x64"], "--size is for frames"),
        (["--clip", str(CLIP), "--frames", "2"], "--frames is for frames"),
        (["--clip", str(CLIP), "--start", "5", "--end", "3"], "expected more than 5.0 s (--end)"),
        (["--tune", "--tile", "64"], "--tune looks for the tile"),
        (["--size", "16x16", "--frames", "1", "--start", "1"], "--start is for a clip"),
        (["--size", "16x16", "--frames", "1", "--preset", "fast"], "--preset is for a clip"),
    ],
)
def test_wrong_usage(arguments: list[str], said: str):
    done = run_bench("--model", "irnet1", *arguments)
    assert done.returncode == 2
    assert said in done.stderr


def test_an_unknown_method_is_told_of_curves_too():
    done = run_bench("--model", "nope", "--size", "16x16")
    assert done.returncode == 6
    assert 'no model "nope"; expected one of bt2408' in done.stderr
    assert "gpgmnet-x4 (--model)" in done.stderr
