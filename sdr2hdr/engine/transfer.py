"""Coded planes to a CUDA device and back, while the device computes.

A plane of codes is a quarter of its float32 (an eighth at 8 bits), so planes are what crosses the
bus. A copy runs beside the computation only from or to pinned memory and in a stream of its own.
So there are pinned buffers, two up that are used in turn and one down, and events say who may go
on:

    up      host fills a buffer when the copy out of it two batches ago is done;
            computation waits for the copy.
    down    the copy waits for the computation;
            the host reads the buffer when the copy is done.

Pinned memory is bounded by these buffers of the largest batch that came: 4:2:0 at 4K takes
2 x 12.4 MB up at 8 bits and 24.9 MB down, a frame a batch; torch rounds each up to a power of
two. On the device a batch is kept as long as somebody holds it.

On a CPU device there is nothing to copy: batches pass as they are.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import torch

from sdr2hdr.frames import CodedBatch

__all__ = ["CopyCalls", "CudaCopyCalls", "PlaneDownload", "PlaneUpload"]

_BUFFERS = 2
"""Up: one is filled by the host while the other is copied."""

_ALIGNMENT_BYTES = 256
"""Where planes begin in a buffer: more than any dtype needs, and whole memory transactions."""


class CopyCalls(Protocol):
    """What a transfer asks of the device; streams and events are whatever it makes them."""

    def new_stream(self) -> Any:
        """A queue of work of its own."""
        ...

    def current_stream(self) -> Any:
        """The queue that the calling thread computes in."""
        ...

    def pinned(self, size_bytes: int) -> torch.Tensor:
        """Host memory that the device can reach, (size_bytes,) uint8, of any content."""
        ...

    def copy_up(self, source: torch.Tensor, stream: Any) -> torch.Tensor:
        """Put a copy from pinned memory to new device memory into a stream, and give the latter."""
        ...

    def copy_down(self, source: torch.Tensor, target: torch.Tensor, stream: Any) -> None:
        """Put a copy from the device to pinned memory into a stream; both are contiguous."""
        ...

    def record(self, stream: Any) -> Any:
        """An event that happens when all that is in the stream now is done."""
        ...

    def stream_waits(self, stream: Any, event: Any) -> None:
        """Let what is put into a stream from now on begin after an event."""
        ...

    def host_waits(self, event: Any) -> None:
        """Come back when an event has happened."""
        ...

    def keep_for(self, tensor: torch.Tensor, stream: Any) -> None:
        """Do not use a tensor's memory again before what is in the stream now is done."""
        ...


class CudaCopyCalls:
    """`CopyCalls` of a CUDA device."""

    def __init__(self, device: torch.device) -> None:
        """Set the device."""
        self._device = device

    def new_stream(self) -> torch.cuda.Stream:
        """See `CopyCalls`."""
        return torch.cuda.Stream(self._device)

    def current_stream(self) -> torch.cuda.Stream:
        """See `CopyCalls`."""
        return torch.cuda.current_stream(self._device)

    def pinned(self, size_bytes: int) -> torch.Tensor:
        """See `CopyCalls`."""
        return torch.empty(size_bytes, dtype=torch.uint8, pin_memory=True)

    def copy_up(self, source: torch.Tensor, stream: torch.cuda.Stream) -> torch.Tensor:
        """See `CopyCalls`."""
        # Allocated in the copy's stream: its memory is free there, whatever else still runs.
        with torch.cuda.stream(stream):
            target = torch.empty(source.shape, dtype=source.dtype, device=self._device)
            return target.copy_(source, non_blocking=True)

    def copy_down(
        self, source: torch.Tensor, target: torch.Tensor, stream: torch.cuda.Stream
    ) -> None:
        """See `CopyCalls`."""
        with torch.cuda.stream(stream):
            target.copy_(source, non_blocking=True)

    def record(self, stream: torch.cuda.Stream) -> torch.cuda.Event:
        """See `CopyCalls`."""
        # Who waits for a blocking event sleeps; else it would take a core from the encoder.
        event = torch.cuda.Event(blocking=True)
        event.record(stream)
        return event

    def stream_waits(self, stream: torch.cuda.Stream, event: torch.cuda.Event) -> None:
        """See `CopyCalls`."""
        stream.wait_event(event)

    def host_waits(self, event: torch.cuda.Event) -> None:
        """See `CopyCalls`."""
        event.synchronize()

    def keep_for(self, tensor: torch.Tensor, stream: torch.cuda.Stream) -> None:
        """See `CopyCalls`."""
        tensor.record_stream(stream)


@dataclass(frozen=True)
class _Layout:
    """Where the planes of a batch lie in one buffer.

    Attributes:
        starts: Of each plane, bytes.
        size_bytes: Of the buffer.
    """

    shapes: tuple[torch.Size, ...]
    dtypes: tuple[torch.dtype, ...]
    starts: tuple[int, ...]
    size_bytes: int

    @staticmethod
    def of(planes: Sequence[torch.Tensor]) -> _Layout:
        starts, end = [], 0
        for plane in planes:
            starts.append(end)
            size_bytes = plane.numel() * plane.dtype.itemsize
            end += -(-size_bytes // _ALIGNMENT_BYTES) * _ALIGNMENT_BYTES
        return _Layout(
            tuple(plane.shape for plane in planes),
            tuple(plane.dtype for plane in planes),
            tuple(starts),
            end,
        )

    def planes_in(self, memory: torch.Tensor) -> list[torch.Tensor]:
        """The planes as views of memory, (size_bytes or more,) uint8."""
        found = []
        for shape, dtype, start in zip(self.shapes, self.dtypes, self.starts, strict=True):
            end = start + math.prod(shape) * dtype.itemsize
            found.append(memory[start:end].view(dtype).view(shape))
        return found


class _Pinned:
    """Pinned memory that grows to the largest batch, and the last use that the device makes of it.

    Attributes:
        copied: Event of the copy to or from it; None before the first.
    """

    def __init__(self, calls: CopyCalls) -> None:
        self._calls = calls
        self._memory: torch.Tensor | None = None
        self.copied: Any = None

    def take(self, size_bytes: int) -> torch.Tensor:
        """Give the memory when no copy uses it any more."""
        if self.copied is not None:
            self._calls.host_waits(self.copied)
            self.copied = None
        if self._memory is None or self._memory.numel() < size_bytes:
            self._memory = self._calls.pinned(size_bytes)
        return self._memory[:size_bytes]


class PlaneUpload:
    """Puts batches on a device, in order; for one thread."""

    def __init__(self, device: torch.device, calls: CopyCalls | None = None) -> None:
        """Prepare to upload.

        Args:
            device: Where to; a CPU takes batches as they are.
            calls: What to ask of the device; None is CUDA.
        """
        self._calls: CopyCalls | None = None
        if device.type == "cpu":
            return
        self._calls = calls or CudaCopyCalls(device)
        self._stream = self._calls.new_stream()
        self._buffers = [_Pinned(self._calls) for _ in range(_BUFFERS)]
        self._number = 0

    def upload(self, batch: CodedBatch) -> CodedBatch:
        """Begin to copy a batch to the device.

        Args:
            batch: On the host, and its planes may be changed as soon as this returns; one that is
                on a device already is given as it is.

        Returns:
            The same codes on the device. What the calling thread computes from them in its current
            stream begins when they are there; other streams have to wait for that one.
        """
        calls = self._calls
        if calls is None or batch.luma.device.type != "cpu":
            return batch
        planes = (batch.luma, batch.cb, batch.cr)
        layout = _Layout.of(planes)
        buffer = self._buffers[self._number % _BUFFERS]
        self._number += 1
        memory = buffer.take(layout.size_bytes)
        for own, plane in zip(layout.planes_in(memory), planes, strict=True):
            own.copy_(plane)
        # One copy and one allocation for all three planes.
        there = calls.copy_up(memory, self._stream)
        buffer.copied = calls.record(self._stream)
        current = calls.current_stream()
        calls.stream_waits(current, buffer.copied)
        calls.keep_for(there, current)
        luma, cb, cr = layout.planes_in(there)
        return replace(batch, luma=luma, cb=cb, cr=cr)


class PlaneDownload:
    """Brings batches to the host; for one thread, which waits while others use the device."""

    def __init__(self, device: torch.device, calls: CopyCalls | None = None) -> None:
        """Prepare to download.

        Args:
            device: Where from; a CPU's batches are given as they are.
            calls: What to ask of the device; None is CUDA.
        """
        self._calls: CopyCalls | None = None
        if device.type == "cpu":
            return
        self._calls = calls or CudaCopyCalls(device)
        self._stream = self._calls.new_stream()
        self._buffer = _Pinned(self._calls)

    def download(self, batch: CodedBatch) -> CodedBatch:
        """Copy a batch to the host, when what computes it is done.

        Args:
            batch: On the device, computed in the calling thread's current stream.

        Returns:
            The same codes in host memory that nobody else writes to.
        """
        calls = self._calls
        if calls is None:
            return batch
        planes = [plane.contiguous() for plane in (batch.luma, batch.cb, batch.cr)]
        layout = _Layout.of(planes)
        memory = self._buffer.take(layout.size_bytes)
        calls.stream_waits(self._stream, calls.record(calls.current_stream()))
        for plane, own in zip(planes, layout.planes_in(memory), strict=True):
            calls.copy_down(plane, own, self._stream)
        calls.host_waits(calls.record(self._stream))
        # Out of the pinned buffer, which the next batch needs, into memory of their own.
        luma, cb, cr = (plane.clone() for plane in layout.planes_in(memory))
        return replace(batch, luma=luma, cb=cb, cr=cr)
