"""The engine's one interface: curves, networks, precisions, and what it refuses."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from known_network import LARGEST_CORRECTION, MAP_ROUNDING_CODES

from sdr2hdr.colour.convert import to_coded
from sdr2hdr.curves import curve_names, load_curve
from sdr2hdr.engine import load_engine
from sdr2hdr.engine.smaller_tiles import run_with_smaller_tiles
from sdr2hdr.engine.temporal import ShotMemory
from sdr2hdr.engine.tiling import run_program
from sdr2hdr.engine.whole_program import WholeProgram
from sdr2hdr.errors import (
    BackendUnavailableError,
    FrameMemoryError,
    ModelError,
    UsageError,
    WeightsError,
)
from sdr2hdr.frames import RgbBatch
from sdr2hdr.options import EngineOptions
from sdr2hdr.signal import HDR10_SIGNAL, HDR_DISPLAY

CPU = EngineOptions(device="cpu", precision="fp32")
"""Where "auto" is bf16 on some processors and fp32 on others."""


def codes(signal: torch.Tensor) -> torch.Tensor:
    """10-bit full-range codes, not rounded."""
    return signal * 1023


@pytest.fixture(scope="module")
def reference(irnet2, picture) -> torch.Tensor:
    """The network on a whole frame, put together by hand."""
    pixels = picture(101, 147)
    corrected = WholeProgram(irnet2.program(), margin_px=6)(pixels)
    return (load_curve("bt2446a")(pixels) + corrected).clamp(0, 1)


@pytest.mark.parametrize("name", curve_names())
def test_curves_run_through_the_engine(name, picture, batch):
    pixels = picture(45, 70)
    engine = load_engine(name, 1, CPU, tile_px=32)
    result = engine.run(batch(pixels))
    assert result.signal == HDR_DISPLAY
    assert result.pixels.dtype == torch.float32
    torch.testing.assert_close(result.pixels, load_curve(name)(pixels), rtol=0, atol=1e-6)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_curves_enlarge_the_sdr_signal_first(scale, picture, batch):
    pixels = picture(45, 70)
    result = load_engine("bt2408", scale, CPU, tile_px=16).run(batch(pixels)).pixels
    size_px = (45 * scale, 70 * scale)
    enlarged = F.interpolate(pixels, size=size_px, mode="bicubic", align_corners=False)
    expected = load_curve("bt2408")(enlarged.clamp(0, 1))
    assert result.shape == expected.shape
    # Near black, PQ turns rounding of the enlargement (1e-7) into 1e-4.
    bright = enlarged.amin(1, keepdim=True) > 0.05
    assert ((result - expected).abs() * bright).max() < 1e-5
    assert codes(result - expected).abs().max() < 1


def test_irnet2_is_a_residual_on_its_curve(known, reference, picture, batch):
    result = load_engine("irnet2", 1, known, tile_px=48).run(batch(picture(101, 147)))
    assert codes(result.pixels - reference).abs().max() < 2 * MAP_ROUNDING_CODES
    assert codes(load_curve("bt2446a")(picture(101, 147)) - reference).abs().max() > 1


def test_frames_of_a_batch_do_not_touch_one_another(known, picture, batch):
    engine = load_engine("irnet2", 1, known)
    dark = picture(40, 56) * 0.2
    both = engine.run(batch(torch.cat((picture(40, 56), dark))))
    assert torch.equal(both.pixels[1:], engine.run(batch(dark)).pixels)
    assert len(both.timeline) == 2


def test_results_may_be_changed_in_place(known, picture, batch):
    load_engine("irnet2", 1, known).run(batch(picture(16, 16))).pixels.mul_(0.5)


def test_bf16_is_within_a_code(known, reference, picture, batch):
    engine = load_engine("irnet2", 1, replace(known, precision="bf16"))
    assert engine.precision == "bf16"
    result = engine.run(batch(picture(101, 147))).pixels
    distance = codes(result - reference).abs()
    assert 0 < distance.max() < 1
    # Half a unit in bfloat16's last place, of the largest correction.
    assert distance.mean() < 2**-9 * LARGEST_CORRECTION * 1023


def test_bf16_has_the_ramp_of_fp32(known, batch):
    """Every grey of 10 bits, in steps of 4 px: as monotone, and no step wider."""
    ramp = (torch.arange(877) / 876).repeat_interleave(4).expand(1, 3, 16, -1).contiguous()
    answers = [
        load_engine("irnet2", 1, replace(known, precision=precision)).run(batch(ramp))
        for precision in ("fp32", "bf16")
    ]
    coded = [to_coded(answer, HDR10_SIGNAL).luma[0].to(torch.int32) for answer in answers]
    assert (coded[0] - coded[1]).abs().max() <= 1
    exact, half = (luma[8, 2::4].diff() for luma in coded)
    assert exact.min() >= 0
    assert half.min() >= 0
    assert half.max() <= exact.max()
    unrounded = codes(answers[1].pixels - answers[0].pixels)[..., 2::4].diff(dim=3)
    # A step is the difference of two answers, each off by half a unit in bfloat16's last place of
    # the largest correction.
    assert unrounded.square().mean().sqrt() < 2**0.5 * 2**-9 * LARGEST_CORRECTION * 1023


def test_maps_are_kept_in_half_and_a_bound_makes_tiles_smaller(known, reference, picture, batch):
    free = load_engine("irnet2", 1, known, tile_px=64)
    maps = 2 * 64 * 101 * 147 * 2
    needed = free.memory_bytes(101, 147)
    assert maps < needed < maps + 100_000_000 * free.placement.threads
    bound = replace(known, max_memory_bytes=needed - 1)
    engine = load_engine("irnet2", 1, bound, tile_px=64)
    assert engine.tile_px_for(101, 147) == 32
    assert engine.tile_px_for(50, 60) == 64
    assert maps < engine.memory_bytes(101, 147) < needed
    assert codes(engine.run(batch(picture(101, 147))).pixels - reference).abs().max() < 0.05


def test_a_memory_bound_that_is_too_low_is_refused(picture, batch):
    engine = load_engine("irnet2", 1, replace(CPU, max_memory_bytes=1000))
    with pytest.raises(UsageError, match="--max-memory"):
        engine.run(batch(picture(20, 20)))
    with pytest.raises(UsageError, match="3840x2160"):
        engine.memory_bytes(2160, 3840)


def test_one_thread_gives_the_bits_of_two(picture, batch):
    own = torch.get_num_threads()
    try:
        frame = batch(picture(101, 147))
        one, two = (
            load_engine("irnet2", 1, replace(CPU, threads=threads), tile_px=64).run(frame).pixels
            for threads in (1, 2)
        )
    finally:
        torch.set_num_threads(own)
    assert torch.equal(one, two)


def test_describe_names_all_that_was_decided():
    engine = load_engine("irnet2", 1, replace(CPU, threads=1), tile_px=64)
    assert engine.describe() == "irnet2, torch on cpu (1 thread), fp32, tiles of 64 px"
    assert (engine.name, engine.scale, engine.backend, engine.precision, engine.tile_px) == (
        "irnet2",
        1,
        "torch",
        "fp32",
        64,
    )
    assert engine.device == torch.device("cpu")


def test_curves_say_that_they_stay_in_torch():
    engine = load_engine("bt2408", 2, EngineOptions(device="cpu", backend="onnx"))
    assert engine.backend == "torch"
    assert [notice.severity for notice in engine.notices] == ["notice"]
    assert "--backend onnx" in engine.notices[0].text
    assert load_engine("bt2408", 2, CPU).notices == ()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (EngineOptions(device="cpu", precision="fp16"), ["fp16", "--precision"]),
        (EngineOptions(device="cpu", precision="bf16", backend="onnx"), ["bf16", "--backend"]),
        (EngineOptions(device="cpu", precision="fp16", backend="onnx"), ["fp16", "--precision"]),
        (EngineOptions(device="gpu"), ["gpu", "cuda:N", "--device"]),
        (EngineOptions(device="cuda:x"), ["cuda:x", "--device"]),
    ],
)
def test_what_is_not_here_is_refused_by_name(options, words):
    with pytest.raises(BackendUnavailableError) as caught:
        load_engine("irnet2", 1, options)
    assert all(word in str(caught.value) for word in words)
    assert caught.value.exit_code == 6


@pytest.mark.parametrize("backend", ["torch", "onnx"])
def test_cuda_without_a_device_is_refused(backend, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(BackendUnavailableError, match="--device cpu"):
        load_engine("irnet2", 1, EngineOptions(device="cuda", backend=backend))
    assert load_engine("irnet2", 1, EngineOptions()).device.type == "cpu"


def test_a_cuda_device_too_many_is_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(BackendUnavailableError, match="has 1"):
        load_engine("irnet2", 1, EngineOptions(device="cuda:1"))


def test_onnx_runtime_not_installed_is_refused(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(BackendUnavailableError, match="--backend torch"):
        load_engine("irnet2", 1, EngineOptions(device="cpu", backend="onnx"))


def test_unknown_models_scales_and_weights_are_refused(tmp_path: Path):
    with pytest.raises(ModelError, match=r'"irnet9".*bt2446a.*irnet2.*--model'):
        load_engine("irnet9", 1, CPU)
    with pytest.raises(ModelError, match="x2"):
        load_engine("irnet2", 2, CPU)
    with pytest.raises(ModelError, match="--scale"):
        load_engine("bt2408", 0, CPU)
    with pytest.raises(WeightsError):
        load_engine("irnet2", 1, EngineOptions(device="cpu", weights_dir=tmp_path))


def test_a_batch_of_another_signal_is_refused(picture, batch):
    frame = batch(picture(16, 16))
    with pytest.raises(ValueError, match="expected"):
        load_engine("bt2408", 1, CPU).run(RgbBatch(frame.pixels, HDR_DISPLAY, frame.timeline))


def test_a_shot_memory_sees_every_vector_of_every_frame(known, picture, batch):
    class Recorder(ShotMemory):
        def __init__(self) -> None:
            super().__init__()
            self.calls: list[str] = []

        def smooth(self, name: str, vector: torch.Tensor) -> torch.Tensor:
            assert vector.shape == (1, 64)
            self.calls.append(name)
            return super().smooth(name, vector)

        def end_frame(self) -> None:
            self.calls.append("end")
            super().end_frame()

    frames = torch.cat((picture(40, 56), picture(40, 56) * 0.3))
    engine = load_engine("irnet2", 1, known)
    recorder = Recorder()
    smoothed = engine.run(batch(frames), recorder).pixels
    assert recorder.calls == ["gate_0", "gate_1", "end"] * 2
    alone = engine.run(batch(frames)).pixels
    assert torch.equal(smoothed[0], alone[0])
    assert not torch.equal(smoothed[1], alone[1])


@pytest.mark.parametrize(
    "failure",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory."),
        RuntimeError("[enforce fail] DefaultCPUAllocator: not enough memory: you tried to ..."),
    ],
)
def test_a_failed_allocation_halves_the_tile(
    known, failure, reference, picture, batch, monkeypatch
):
    def fail_above_30_px(*arguments, **named):
        if arguments[2] > 30:
            raise failure
        return run_program(*arguments, **named)

    engine = load_engine("irnet2", 1, known, tile_px=100)
    monkeypatch.setattr("sdr2hdr.engine.engine.run_program", fail_above_30_px)
    with pytest.raises(FrameMemoryError, match=r"100 px.*--max-memory") as caught:
        engine.run(batch(picture(101, 147)))
    assert caught.value.tile_px == 100
    assert caught.value.exit_code == 6
    smaller, result = run_with_smaller_tiles(engine, batch(picture(101, 147)))
    assert smaller.tile_px == 25
    assert codes(result.pixels - reference).abs().max() < 0.05


def test_the_smallest_tile_is_the_last_try(known, picture, batch, monkeypatch):
    tried = []

    def fail(program, pixels, tile_px, *rest):
        tried.append(tile_px)
        raise MemoryError

    engine = load_engine("irnet2", 1, known, tile_px=64)
    monkeypatch.setattr("sdr2hdr.engine.engine.run_program", fail)
    with pytest.raises(FrameMemoryError):
        run_with_smaller_tiles(engine, batch(picture(20, 20)))
    assert tried == [64, 32, 16]


def test_other_faults_are_not_taken_for_memory(known, picture, batch, monkeypatch):
    def fail(*arguments):
        raise RuntimeError("shapes do not match")

    engine = load_engine("irnet2", 1, known)
    monkeypatch.setattr("sdr2hdr.engine.engine.run_program", fail)
    with pytest.raises(RuntimeError, match="shapes") as caught:
        engine.run(batch(picture(20, 20)))
    assert not isinstance(caught.value, FrameMemoryError)


@pytest.mark.cuda
@pytest.mark.parametrize("backend", ["torch", "onnx"])
@pytest.mark.parametrize(("precision", "bound_codes"), [("fp32", 1.0), ("fp16", 1.0)])
def test_cuda_is_within_a_code(known, backend, precision, bound_codes, reference, picture, batch):
    options = replace(known, device="cuda", backend=backend, precision=precision)
    engine = load_engine("irnet2", 1, options, tile_px=64)
    result = engine.run(batch(picture(101, 147))).pixels
    assert result.device.type == "cpu"
    assert codes(result - reference).abs().max() <= bound_codes
