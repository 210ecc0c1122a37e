"""Time single frames: ours, and the plain network on the whole frame, turn by turn."""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sdr2hdr.bench.child import Child, ChildDied
from sdr2hdr.bench.machine import processor_features, processor_name
from sdr2hdr.bench.request import MethodRequest
from sdr2hdr.curves import curve_names
from sdr2hdr.errors import FrameMemoryError, Notice, UsageError
from sdr2hdr.methods import check_is_method
from sdr2hdr.networks.registry import NETWORKS, NetworkSpec, is_network, resolve, resolve_exactly
from sdr2hdr.networks.weights import find_card

__all__ = ["FrameBench", "bench_frames", "megabytes", "method_request", "with_weights"]

REFERENCE_TURNS = 2
"""Frames of the reference; ours come before, between and after them."""


@dataclass(frozen=True)
class FrameBench:
    """What was measured.

    Attributes:
        seconds_per_frame: Median of all frames, the first (which warms up) left out.
        reference_seconds_per_frame: Median; None if not asked for, or if it did not fit in memory.
        peak_rss_bytes: Greatest memory of the process that computed our frames.
        gflops_per_second: Multiply-adds of the *trained* form, times two, a second: a rate of
            useful work, which a collapsed network can raise above the machine's own.
        machine_gflops_per_second: Of a matrix multiply in the same precision with all threads.
        how: Backend, device, precision, tile and threads, as the engine resolved them.
        random_weights: Whether the network has no weights and was given random ones.
    """

    request: MethodRequest
    frames: int
    seconds_per_frame: float
    reference_seconds_per_frame: float | None
    peak_rss_bytes: int | None
    reference_peak_rss_bytes: int | None
    gflops_per_second: float | None
    machine_gflops_per_second: float
    how: Mapping[str, Any]
    random_weights: bool
    processor: str
    processor_features: tuple[str, ...]
    notices: tuple[Notice, ...]

    @property
    def speedup(self) -> float | None:
        """How many times as fast as the reference; from one run, so that both saw one machine."""
        if self.reference_seconds_per_frame is None:
            return None
        return self.reference_seconds_per_frame / self.seconds_per_frame

    def content(self) -> dict[str, object]:
        """All of it as JSON has it; MB are 1e6 bytes."""
        request = self.request
        return {
            "model": request.model,
            "scale": request.scale,
            "width_px": request.width_px,
            "height_px": request.height_px,
            "frames": self.frames,
            "seconds_per_frame": self.seconds_per_frame,
            "reference_seconds_per_frame": self.reference_seconds_per_frame,
            "speedup": self.speedup,
            "peak_rss_mb": megabytes(self.peak_rss_bytes),
            "reference_peak_rss_mb": megabytes(self.reference_peak_rss_bytes),
            "gflops_per_second": self.gflops_per_second,
            "gflops_counted": "multiply-adds of the trained form x 2",
            "machine_gflops_per_second": self.machine_gflops_per_second,
            **self.how,
            "random_weights": self.random_weights,
            "processor": self.processor,
            "processor_features": list(self.processor_features),
        }


def method_request(request: MethodRequest) -> MethodRequest:
    """Resolve a request's model: its own name, its scale, and whether weights are missing.

    Raises:
        ModelError: There is no such method, it lacks the scale, or a family of networks has
            several scales.
    """
    check_is_method(request.model)
    if request.model in curve_names():
        return request
    scale = request.scale
    known = [s for s in NETWORKS if s.name == request.model and scale in (1, s.scale)]
    spec = known[0] if known else _of_family(request)
    folder = request.engine.weights_dir
    return replace(
        request,
        model=spec.name,
        scale=spec.scale,
        random_weights=find_card(spec.name, folder) is None,
    )


def bench_frames(
    request: MethodRequest,
    frames: int,
    *,
    reference: bool,
    on_step: Callable[[str], None] = lambda step: None,
) -> FrameBench:
    """Measure a method.

    Args:
        request: From `method_request`.
        frames: Of ours that are timed in each turn, 1 or more.
        reference: Whether to run the plain network too; then there are three turns of ours.
        on_step: Told what comes next.

    Raises:
        UsageError: A reference was asked for and the method is a curve.
        Sdr2HdrError: As `load_engine`.
    """
    spec = _network_of(request)
    if reference and spec is None:
        raise UsageError(
            f"{request.model} is a curve, which has no trained form; leave out --reference."
        )
    ours: list[float] = []
    with ExitStack() as stack:
        request = with_weights(request, stack)
        on_step("loading")
        our_child = stack.enter_context(Child("our frames", "a smaller --size or --tile"))
        our_child.ask(do="ours", request=request.content())
        our_child.ask(do="frames", count=1)
        theirs = _Reference(
            stack.enter_context(Child("the reference", "a smaller --size")) if reference else None
        )
        while True:
            on_step("frames")
            answer = our_child.ask(do="frames", count=frames)
            ours += answer["seconds"]
            if not theirs.take_turn(request, on_step):
                break
        on_step("a matrix multiply")
        with Child("a matrix multiply") as child:
            multiplied = child.ask(
                do="multiply",
                precision=answer["precision"],
                device=answer["device"],
                threads=answer["threads"],
            )
    notices = list(theirs.notices)
    if answer["ran_out"]:
        notices.append(
            Notice(
                "warning",
                f"Memory did not suffice; frames were started again with tiles of "
                f"{answer['tile_px']} px.",
            )
        )
    seconds = statistics.median(ours)
    macs = 0 if spec is None else spec.macs_per_pixel * request.height_px * request.width_px
    how = ("backend", "device", "precision", "tile_px", "threads")
    return FrameBench(
        request=request,
        frames=len(ours),
        seconds_per_frame=seconds,
        reference_seconds_per_frame=statistics.median(theirs.seconds) if theirs.seconds else None,
        peak_rss_bytes=answer["peak_rss_bytes"],
        reference_peak_rss_bytes=theirs.peak_rss_bytes,
        gflops_per_second=2 * macs / seconds / 1e9 if macs else None,
        machine_gflops_per_second=multiplied["gflops"],
        how={name: answer[name] for name in how},
        random_weights=request.random_weights,
        processor=processor_name(),
        processor_features=tuple(processor_features()),
        notices=tuple(notices),
    )


class _Reference:
    """The plain network, whose frames are computed turn by turn.

    Attributes:
        seconds: Of each frame so far.
        peak_rss_bytes: Greatest memory of its process, after the last of them.
        notices: Why there are no more of them.
    """

    def __init__(self, child: Child | None) -> None:
        """Take the process to compute in, or None if nobody asked for a reference."""
        self.seconds: list[float] = []
        self.peak_rss_bytes: int | None = None
        self.notices: list[Notice] = []
        self._child = child

    def take_turn(self, request: MethodRequest, on_step: Callable[[str], None]) -> bool:
        """Compute a frame, unless there were enough or there is no memory for it; say whether."""
        if self._child is None or len(self.seconds) == REFERENCE_TURNS:
            return False
        on_step("a frame of the reference")
        try:
            if not self.seconds:
                self._child.ask(do="reference", request=request.content())
            told = self._child.ask(do="frames", count=1)
        except (ChildDied, FrameMemoryError) as error:
            self.notices.append(Notice("warning", str(error)))
            return False
        self.seconds += told["seconds"]
        self.peak_rss_bytes = told["peak_rss_bytes"]
        return True


def with_weights(request: MethodRequest, stack: ExitStack) -> MethodRequest:
    """Give a network that has no weights random ones, in a folder that the stack removes."""
    if not request.random_weights:
        return request
    folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="sdr2hdr-bench-"))
    with Child("random weights") as child:
        child.ask(do="weights", model=request.model, folder=folder)
    return request.in_folder(Path(folder))


def _network_of(request: MethodRequest) -> NetworkSpec | None:
    return None if request.model in curve_names() else resolve_exactly(request.model)


def _of_family(request: MethodRequest) -> NetworkSpec:
    """The network that a family's name and a scale mean.

    Raises:
        ModelError: There is none, or the scale decides and was not given.
    """
    if request.scale == 1 and is_network(request.model):
        return resolve_exactly(request.model)
    return resolve(request.model, request.scale)


def megabytes(count_bytes: int | None) -> float | None:
    """Bytes as MB of 1e6 bytes."""
    return None if count_bytes is None else count_bytes / 1e6
