"""From planes to planes on a device that is none: nothing is mixed, moved or waited for in between.

What a build without CUDA can show: every tensor is made where the batch is, copies between host and
device are those that are meant, and so are the places where the host waits.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from fractions import Fraction

import pytest
import torch
from clips import SDR
from pretend_cuda import CUDA, PretendCuda, on_host

from sdr2hdr.colour import super_white_share, to_coded, to_rgb
from sdr2hdr.colour.active_picture import crop, place_on_black
from sdr2hdr.colour.look import apply_look
from sdr2hdr.curves import curve_names, load_curve
from sdr2hdr.curves.down_conversion import load_down_conversion
from sdr2hdr.engine.cuda_graphs import StageGraphs
from sdr2hdr.engine.curve_program import curve_program
from sdr2hdr.engine.placement import Placement
from sdr2hdr.engine.temporal import ShotMemory
from sdr2hdr.engine.tile_workers import TileWorkers
from sdr2hdr.engine.tiling import MapBuffers, run_program
from sdr2hdr.engine.torch_backend import prepare_for_torch
from sdr2hdr.frames import CodedBatch, FrameTime, Rectangle, RgbBatch, Timeline
from sdr2hdr.networks.collapse import collapse
from sdr2hdr.networks.gpgmnet import GPGMNet
from sdr2hdr.networks.irnet import IRNet
from sdr2hdr.options import Look
from sdr2hdr.quality.flicker import FlickerMeter
from sdr2hdr.quality.light_levels import measure
from sdr2hdr.quality.roundtrip import RoundtripMeter
from sdr2hdr.signal import (
    BT709_DISPLAY,
    HDR10_SIGNAL,
    HDR_DISPLAY,
    CodedSignal,
    Matrix,
    Primaries,
    Subsampling,
    Transfer,
)

TIMES = Timeline(Fraction(1, 25), (FrameTime(0, 1), FrameTime(1, 1)))
SOURCES = {
    "8 bits, 4:2:0": SDR,
    "10 bits, 4:2:2": dataclasses.replace(SDR, bit_depth=10, subsampling=Subsampling.YUV422),
    "601, 4:4:4": dataclasses.replace(
        SDR,
        matrix=Matrix.BT601,
        primaries=Primaries.BT601_525,
        transfer=Transfer.SRGB,
        subsampling=Subsampling.YUV444,
    ),
}
PRORES = dataclasses.replace(HDR10_SIGNAL, subsampling=Subsampling.YUV422, bit_depth=12)


@pytest.fixture(autouse=True)
def one_thread():
    """Pictures this small gain nothing from more; `own_threads` puts the number back."""
    torch.set_num_threads(1)


def coded(signal: CodedSignal, height_px: int = 18, width_px: int = 26) -> CodedBatch:
    generator = torch.Generator().manual_seed(2)
    dtype = torch.uint8 if signal.bit_depth == 8 else torch.uint16

    def plane(rows: int, columns: int) -> torch.Tensor:
        codes = torch.randint(0, 1 << signal.bit_depth, (2, rows, columns), generator=generator)
        return codes.to(dtype)

    chroma = (-(-height_px // signal.subsampling.vertical),)
    chroma = (*chroma, -(-width_px // signal.subsampling.horizontal))
    return CodedBatch(plane(height_px, width_px), plane(*chroma), plane(*chroma), signal, TIMES)


def hdr() -> RgbBatch:
    generator = torch.Generator().manual_seed(4)
    return RgbBatch(torch.rand(2, 3, 18, 26, generator=generator), HDR_DISPLAY, TIMES)


def moved(device: PretendCuda, batch: CodedBatch) -> CodedBatch:
    luma, cb, cr = (device.put(plane.clone()) for plane in (batch.luma, batch.cb, batch.cr))
    return dataclasses.replace(batch, luma=luma, cb=cb, cr=cr)


def same_planes(found: CodedBatch, expected: CodedBatch) -> bool:
    pairs = zip(
        (found.luma, found.cb, found.cr), (expected.luma, expected.cb, expected.cr), strict=True
    )
    return all(one.device == CUDA and torch.equal(on_host(one), other) for one, other in pairs)


def test_the_device_notices_what_cuda_would_refuse():
    with PretendCuda() as device:
        there = device.put(torch.rand(2, 3))
        assert there.device == torch.zeros(2, device=there.device).device == CUDA
        with pytest.raises(RuntimeError, match="and on the CPU"):
            there * torch.ones(3)
        with pytest.raises(RuntimeError, match="and on the CPU"):
            there[torch.tensor([0, 1])]
        with pytest.raises(RuntimeError, match="and on the CPU"):
            torch.cat((there, torch.ones(2, 3)))
        assert not device.counts
        assert float(there.sum()) == float(on_host(there).sum())
        assert there[there > 2.0].numel() == 0
        assert there.cpu().device.type == "cpu"
        assert torch.ones(2).to(CUDA).device == CUDA
        assert device.counts == {"item": 1, "mask": 1, "down": 1, "up": 1}


@pytest.mark.parametrize("super_white", ["clip", "scale"])
@pytest.mark.parametrize("signal", SOURCES.values(), ids=SOURCES)
def test_planes_become_rgb_on_the_device(signal, super_white):
    batch = coded(signal)
    expected = to_rgb(batch, super_white=super_white)
    with PretendCuda() as device:
        found = to_rgb(moved(device, batch), super_white=super_white)
    assert found.pixels.device == CUDA
    torch.testing.assert_close(on_host(found.pixels), expected.pixels, rtol=0, atol=1e-6)
    assert not device.counts


@pytest.mark.parametrize("signal", [HDR10_SIGNAL, PRORES], ids=["4:2:0", "4:2:2"])
def test_rgb_becomes_planes_on_the_device(signal):
    expected = to_coded(hdr(), signal)
    with PretendCuda() as device:
        there = dataclasses.replace(hdr(), pixels=device.put(hdr().pixels))
        found = to_coded(there, signal)
    assert same_planes(found, expected)
    assert not device.counts


def test_dither_is_made_on_the_host_and_copied_once_a_plane():
    expected = to_coded(hdr(), HDR10_SIGNAL, dither=True)
    with PretendCuda() as device:
        there = dataclasses.replace(hdr(), pixels=device.put(hdr().pixels))
        found = to_coded(there, HDR10_SIGNAL, dither=True)
    assert same_planes(found, expected)
    assert device.counts == {"up": 3}


def test_bars_are_cut_off_and_put_back_on_the_device():
    batch, place = coded(SDR), Rectangle(4, 2, 14, 22)
    with PretendCuda() as device:
        inside = crop(moved(device, batch), place)
        found = place_on_black(inside, place, 18, 26)
    assert same_planes(found, place_on_black(crop(batch, place), place, 18, 26))
    assert not device.counts


LOOKS = {
    "exposed": Look(exposure_stops=0.5),
    "rolled off": Look(peak_cd_m2=400.0),
    "in P3": Look(limit_gamut="p3-d65"),
}


@pytest.mark.parametrize("look", LOOKS.values(), ids=LOOKS)
def test_a_look_waits_for_the_pixels_outside_and_nothing_else(look):
    expected = apply_look(hdr(), look, 1000.0)
    with PretendCuda() as device:
        there = dataclasses.replace(hdr(), pixels=device.put(hdr().pixels))
        found = apply_look(there, look, 1000.0)
    assert found.pixels.device == CUDA
    torch.testing.assert_close(on_host(found.pixels), expected.pixels, rtol=0, atol=1e-5)
    assert set(device.counts) <= {"item", "mask"}
    # Whether there are any, which ones, and where they go; of each of the two frames.
    assert device.counts["item"] == 2
    assert device.counts["mask"] <= 3 * 2


def test_light_is_counted_on_the_device_and_one_histogram_a_frame_comes_down():
    expected = measure(hdr().pixels)
    with PretendCuda() as device:
        found = measure(device.put(hdr().pixels))
    assert found == expected
    assert device.counts["down"] == 2
    assert device.counts["up"] == 0
    assert set(device.counts) <= {"down", "bincount"}


def test_the_share_of_super_white_is_one_number():
    with PretendCuda() as device:
        found = super_white_share(moved(device, coded(SDR)))
    assert found == super_white_share(coded(SDR))
    assert sum(device.counts.values()) == 1


def test_round_trip_and_flicker_are_measured_on_the_device():
    """Figures come down; pictures do not."""

    def measured(sdr: RgbBatch, made: RgbBatch):
        flicker, roundtrip = FlickerMeter(), RoundtripMeter(load_down_conversion("bt2408"))
        flicker.add(sdr, made)
        roundtrip.add(sdr, made)
        return flicker.tallies(), roundtrip.tally()

    sdr = RgbBatch(hdr().pixels * 0.9, BT709_DISPLAY, TIMES)
    expected = measured(sdr, hdr())
    with PretendCuda() as device:
        there = dataclasses.replace(sdr, pixels=device.put(sdr.pixels.clone()))
        found = measured(there, dataclasses.replace(hdr(), pixels=device.put(hdr().pixels)))
        counts = device.counts
    assert found == expected
    assert counts["up"] == 0
    # A histogram for each of two frames.
    assert counts["down"] == 2


@pytest.mark.parametrize("name", curve_names())
def test_curves_stay_on_the_device(name, picture):
    pixels = picture(12, 18)
    with PretendCuda() as device:
        found = load_curve(name)(device.put(pixels.clone()))
    torch.testing.assert_close(on_host(found), load_curve(name)(pixels), rtol=0, atol=1e-6)
    assert not device.counts


NETWORKS: dict[str, Callable[[], IRNet | GPGMNet]] = {
    "irnet n=2": lambda: IRNet(2, 16),
    "irnet n=1 x4": lambda: IRNet(1, 16, 4),
    "gpgmnet x2": lambda: GPGMNet(2, modules=2, channels=8),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_with_memory_of_its_shot_stays_on_the_device(name, picture):
    torch.manual_seed(5)
    program = collapse(NETWORKS[name]().eval().requires_grad_(False))
    frames = [picture(20, 30), picture(20, 30) * 0.5]
    scale = 4 if "x4" in name else 2 if "x2" in name else 1

    def run(device: torch.device, frames: list[torch.Tensor]) -> list[torch.Tensor]:
        steps = prepare_for_torch(program, Placement("torch", device, "fp32", 1))
        memory, buffers, workers = ShotMemory(), MapBuffers(), TileWorkers(1)
        results = []
        for pixels in frames:
            output = torch.empty((1, 3, 20 * scale, 30 * scale), device=device)
            with torch.inference_mode():
                run_program(steps, pixels, 16, buffers, workers, memory.smooth, output)
            memory.end_frame()
            results.append(output)
        return results

    expected = run(torch.device("cpu"), frames)
    with PretendCuda() as device:
        found = run(CUDA, [device.put(pixels.clone()) for pixels in frames])
        counts = dict(device.counts)
    for one, other in zip(found, expected, strict=True):
        assert one.device == CUDA
        torch.testing.assert_close(on_host(one), other, rtol=0, atol=2e-3)
    assert not counts


def test_graphs_keep_their_memory_on_the_device(picture):
    class Capture:
        def capture(self, compute):
            result = compute()
            assert result.device == CUDA
            return lambda: result.copy_(compute()), result

    placement = Placement("torch", CUDA, "fp32", 1)
    pixels = picture(24, 24)
    expected = load_curve("bt2446a")(pixels)
    with PretendCuda() as device, torch.inference_mode():
        steps = prepare_for_torch(curve_program(load_curve("bt2446a"), 1), placement)
        graphs = StageGraphs(Capture)
        there = device.put(pixels.clone())
        for _ in range(3):
            graphs.begin_frame(24, 24)
            found = run_program(graphs.wrap(steps), there, 8, MapBuffers(), TileWorkers(1))
    torch.testing.assert_close(on_host(found), expected, rtol=0, atol=1e-6)
    assert not device.counts
