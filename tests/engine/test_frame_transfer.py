"""Copies beside the computation: nothing is read before it is there or overwritten while in use.

A device is simulated whose streams do their work as late or in as wild an order as events allow.
"""

from __future__ import annotations

import dataclasses
import random
from collections import deque
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import pytest
import torch

from sdr2hdr.engine.transfer import PlaneDownload, PlaneUpload
from sdr2hdr.frames import CodedBatch, FrameTime, Timeline
from sdr2hdr.signal import HDR10_SIGNAL, ChromaSiting, CodedSignal, Subsampling

CUDA = torch.device("cuda:0")
SDR_SIGNAL = dataclasses.replace(HDR10_SIGNAL, bit_depth=8, siting=ChromaSiting.LEFT)
GARBAGE = 0xA5


def make_batch(number: int, signal: CodedSignal, size_px: tuple[int, int]) -> CodedBatch:
    """Random codes, other ones for every number."""
    generator = torch.Generator().manual_seed(number)
    dtype = torch.uint8 if signal.bit_depth == 8 else torch.uint16

    def plane(rows: int, columns: int) -> torch.Tensor:
        codes = torch.randint(0, 1 << signal.bit_depth, (2, rows, columns), generator=generator)
        return codes.to(dtype)

    height, width = size_px
    across, down = signal.subsampling.value
    chroma = (-(-height // down), -(-width // across))
    times = (FrameTime(2 * number, 1), FrameTime(2 * number + 1, 1))
    timeline = Timeline(Fraction(1, 25), times)
    return CodedBatch(plane(height, width), plane(*chroma), plane(*chroma), signal, timeline)


def copy_of(batch: CodedBatch) -> CodedBatch:
    luma, cb, cr = (plane.clone() for plane in (batch.luma, batch.cb, batch.cr))
    return dataclasses.replace(batch, luma=luma, cb=cb, cr=cr)


def are_equal(found: CodedBatch, expected: CodedBatch) -> bool:
    return (found.signal, found.timeline) == (expected.signal, expected.timeline) and all(
        one.dtype == other.dtype and torch.equal(one, other)
        for one, other in (
            (found.luma, expected.luma),
            (found.cb, expected.cb),
            (found.cr, expected.cr),
        )
    )


@dataclasses.dataclass
class Happening:
    """An event of the simulated device."""

    has_happened: bool = False


class SimulatedDevice:
    """`CopyCalls` whose work is done when somebody waits for it, streams in random order.

    Args:
        seed: Of the order.
        eagerness: Chance that work is done before anybody waits for it.
        deaf: Calls that do nothing, to see that a test notices.
    """

    def __init__(self, seed: int, eagerness: float, deaf: frozenset[str] = frozenset()) -> None:
        self._random = random.Random(seed)
        self._eagerness = eagerness
        self._deaf = deaf
        self._streams: dict[str, deque[tuple[Callable[[], None], Happening | None]]] = {}
        self.current = self.new_stream()
        self.pinned_bytes: list[int] = []
        self.kept: list[tuple[int, str]] = []
        self.host_waited_for: list[Happening] = []

    def new_stream(self) -> str:
        name = f"stream {len(self._streams)}"
        self._streams[name] = deque()
        return name

    def current_stream(self) -> str:
        return self.current

    def pinned(self, size_bytes: int) -> torch.Tensor:
        self.pinned_bytes.append(size_bytes)
        return torch.full((size_bytes,), GARBAGE, dtype=torch.uint8)

    def copy_up(self, source: torch.Tensor, stream: str) -> torch.Tensor:
        target = torch.full_like(source, GARBAGE)
        self.put(stream, lambda: target.copy_(source))
        return target

    def copy_down(self, source: torch.Tensor, target: torch.Tensor, stream: str) -> None:
        assert source.is_contiguous() and target.is_contiguous()
        self.put(stream, lambda: target.copy_(source))

    def record(self, stream: str) -> Happening:
        event = Happening()
        self.put(stream, lambda: setattr(event, "has_happened", True))
        return event

    def stream_waits(self, stream: str, event: Happening) -> None:
        if "stream_waits" not in self._deaf:
            self.put(stream, lambda: None, event)

    def host_waits(self, event: Happening) -> None:
        if "host_waits" in self._deaf:
            return
        self.host_waited_for.append(event)
        while not event.has_happened:
            assert self.do_something(), "the host waits for what never happens"

    def keep_for(self, tensor: torch.Tensor, stream: str) -> None:
        self.kept.append((tensor.untyped_storage().data_ptr(), stream))

    def put(self, stream: str, work: Callable[[], Any], waits_for: Happening | None = None) -> None:
        self._streams[stream].append((work, waits_for))
        while self._random.random() < self._eagerness and self.do_something():
            pass

    def do_something(self) -> bool:
        """Do the next work of some stream that need not wait."""
        ready = [
            stream
            for stream in self._streams.values()
            if stream and (stream[0][1] is None or stream[0][1].has_happened)
        ]
        if not ready:
            return False
        work, _ = self._random.choice(ready).popleft()
        work()
        return True

    def run_out(self) -> None:
        while self.do_something():
            pass


def compute(device: SimulatedDevice, batch: CodedBatch) -> CodedBatch:
    """A kernel in the current stream: codes at 10 bits, halved; it reads only when it runs."""
    made = [torch.full(plane.shape, 0, dtype=torch.uint16) for plane in planes_of(batch)]

    def kernel() -> None:
        for plane, source in zip(made, planes_of(batch), strict=True):
            plane.copy_((source.to(torch.int32) * 2 + 3).to(torch.uint16))

    device.put(device.current, kernel)
    luma, cb, cr = made
    return dataclasses.replace(batch, luma=luma, cb=cb, cr=cr, signal=HDR10_SIGNAL)


def expected_of(batch: CodedBatch) -> CodedBatch:
    luma, cb, cr = ((p.to(torch.int32) * 2 + 3).to(torch.uint16) for p in planes_of(batch))
    return dataclasses.replace(batch, luma=luma, cb=cb, cr=cr, signal=HDR10_SIGNAL)


def planes_of(batch: CodedBatch) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    return batch.luma, batch.cb, batch.cr


def convert_clip(device: SimulatedDevice) -> int:
    """Upload, compute and download twelve batches.

    Returns:
        How many came out wrong.
    """
    upload, download = PlaneUpload(CUDA, device), PlaneDownload(CUDA, device)
    results: list[tuple[CodedBatch, CodedBatch]] = []
    for number in range(12):
        size_px = (18, 32) if number < 6 else (38, 20)
        batch = make_batch(number, SDR_SIGNAL, size_px)
        expected = expected_of(batch)
        there = upload.upload(batch)
        for plane in planes_of(batch):
            # The decoder goes on with its memory at once.
            plane.fill_(0)
        results.append((download.download(compute(device, there)), expected))
    device.run_out()
    # Compared last: nothing may have been overwritten in the meantime.
    return sum(not are_equal(found, expected) for found, expected in results)


@pytest.mark.parametrize("eagerness", [0.0, 0.3, 0.9])
def test_codes_come_through_in_any_order_that_events_allow(eagerness: float):
    for seed in range(10):
        assert convert_clip(SimulatedDevice(seed, eagerness)) == 0


@pytest.mark.parametrize("deaf", ["stream_waits", "host_waits"])
def test_the_simulation_notices_a_missing_wait(deaf: str):
    wrong = [convert_clip(SimulatedDevice(s, 0.3, frozenset({deaf}))) for s in range(5)]
    assert all(count > 0 for count in wrong)


def test_a_buffer_is_filled_again_only_after_its_copy():
    device = SimulatedDevice(0, 0.0)
    upload = PlaneUpload(CUDA, device)
    for number in range(2):
        upload.upload(make_batch(number, SDR_SIGNAL, (8, 8)))
    assert device.host_waited_for == []
    upload.upload(make_batch(2, SDR_SIGNAL, (8, 8)))
    assert len(device.host_waited_for) == 1
    assert device.host_waited_for[0].has_happened


def test_pinned_memory_is_two_buffers_up_and_one_down_however_long_the_clip():
    device = SimulatedDevice(0, 0.5)
    upload, download = PlaneUpload(CUDA, device), PlaneDownload(CUDA, device)
    for number in range(20):
        there = upload.upload(make_batch(number, SDR_SIGNAL, (64, 96)))
        download.download(compute(device, there))
    up_bytes = 2 * (64 * 96 + 2 * 32 * 48)
    assert sorted(device.pinned_bytes) == [up_bytes] * 2 + [2 * up_bytes]


def test_memory_is_kept_for_the_streams_that_use_it_besides_their_own():
    device = SimulatedDevice(0, 0.0)
    there = PlaneUpload(CUDA, device).upload(make_batch(0, SDR_SIGNAL, (8, 8)))
    assert device.kept == [(there.luma.untyped_storage().data_ptr(), device.current)]


def test_planes_lie_in_one_copy_up():
    device = SimulatedDevice(0, 1.0)
    signal = dataclasses.replace(HDR10_SIGNAL, subsampling=Subsampling.YUV422)
    batch = make_batch(3, signal, (7, 11))
    there = PlaneUpload(CUDA, device).upload(copy_of(batch))
    assert are_equal(there, batch)
    assert len({plane.untyped_storage().data_ptr() for plane in planes_of(there)}) == 1
    assert all(plane.is_contiguous() for plane in planes_of(there))


def test_cut_out_planes_may_be_uploaded_and_downloaded():
    device = SimulatedDevice(0, 0.2)
    whole = make_batch(4, HDR10_SIGNAL, (16, 20))
    cut = dataclasses.replace(
        whole, luma=whole.luma[:, 2:10, 4:12], cb=whole.cb[:, 1:5, 2:6], cr=whole.cr[:, 1:5, 2:6]
    )
    there = PlaneUpload(CUDA, device).upload(cut)
    device.run_out()
    assert are_equal(there, cut)
    assert are_equal(PlaneDownload(CUDA, device).download(cut), cut)


def test_on_a_cpu_batches_pass_as_they_are():
    batch = make_batch(0, SDR_SIGNAL, (8, 8))
    cpu = torch.device("cpu")
    assert PlaneUpload(cpu).upload(batch) is batch
    assert PlaneDownload(cpu).download(batch) is batch
