"""A method made ready to run: one interface for networks and curves, whatever computes them."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace

import torch

from sdr2hdr.colour.look import NETWORK_WHITE_CD_M2
from sdr2hdr.colour.transfer import pq_eotf
from sdr2hdr.curves import CURVES, CurveFunction, curve_names, load_curve
from sdr2hdr.curves.down_conversion import load_down_conversion, way_back
from sdr2hdr.engine.cuda_graphs import graphs_for
from sdr2hdr.engine.curve_program import curve_program
from sdr2hdr.engine.on_curve import add_curve
from sdr2hdr.engine.out_of_memory import allocation_failures_named
from sdr2hdr.engine.placement import Placement, resolve_placement
from sdr2hdr.engine.temporal import ShotMemory, preroll_frames
from sdr2hdr.engine.tile_choice import SMALLEST_TILE_PX, choose_tile_px
from sdr2hdr.engine.tile_workers import TileWorkers
from sdr2hdr.engine.tiling import MapBuffers, reach_px, run_program
from sdr2hdr.engine.torch_backend import MAP_DTYPES, prepare_for_torch, reproducible_kernels
from sdr2hdr.engine.vector_chain import vectors_in_chain
from sdr2hdr.errors import FrameMemoryError, ModelError, Notice, UsageError
from sdr2hdr.frames import RgbBatch
from sdr2hdr.heap import keep_large_blocks
from sdr2hdr.methods import check_is_method
from sdr2hdr.networks.card import Form
from sdr2hdr.networks.collapse import collapse
from sdr2hdr.networks.registry import resolve
from sdr2hdr.networks.stages import Program
from sdr2hdr.networks.weights import load_network
from sdr2hdr.options import EngineOptions
from sdr2hdr.signal import BT709_DISPLAY, HDR_DISPLAY
from sdr2hdr.wording import how_many

__all__ = ["Engine", "load_engine", "margin_px"]

_GIVEN_TILE_PX = 256
"""Tiles of the curve whose picture a network is given, whatever the network's own are: at the end
of a tile some logarithms are rounded the other way, and after five modules in bfloat16 one sample
out of 400 has another code of 10 bits."""

_PROBE_SIDE_PX = 64

_WORKING_BYTES = 64 << 20
_WORKING_MAPS = 12
"""Working memory of a thread: this, and so many float32 maps of its tile as wide as those between
stages. IRNet-2, IRNet-5 x4 and GPGMNet x4 in bf16 and fp32, on two threads, took at most 105 MB a
thread in tiles of 128 px, 209 MB in 240 and 296 MB in 320."""

MARGIN_PX = 8
"""A network's frame is given a margin as wide as the network reaches, or this if that is less.
White and grey by GPGMNet x2 and x4 and IRNet-5 x2, which reach 13 to 40 px: the four outermost
rows are within 0.4 codes of 10 bits in the mean, and any sample within 2.1, of what 48 px give.
With 4 px that would be 3.4 and 16, with 12 px 0.5 and 0.6."""


class Engine:
    """A method on a backend, with its buffers; made by `load_engine`.

    An engine keeps the memory of its maps from frame to frame, so one thread at a time may use it.

    Attributes:
        name: The method's own name, with its scale if it has several.
        scale: Output samples per input sample, along each side.
        placement: Backend, device, precision and threads.
        tile_px: Longest side of a tile, input px.
        white_cd_m2: Where the method puts SDR white; for networks, where it is meant to be.
        notices: What the user should know about how the method runs.
    """

    def __init__(
        self,
        name: str,
        scale: int,
        placement: Placement,
        tile_px: int,
        *,
        network: Program | None,
        curve: Program | None,
        white_cd_m2: float = NETWORK_WHITE_CD_M2,
        max_memory_bytes: int | None = None,
        notices: tuple[Notice, ...] = (),
    ) -> None:
        """Put an engine together.

        Args:
            name: See the attributes.
            scale: See the attributes.
            placement: See the attributes.
            tile_px: See the attributes.
            network: Prepared for the placement, or None.
            curve: Prepared for torch in fp32, or None; with a network, what it is given instead
                of the source.
            white_cd_m2: See the attributes.
            max_memory_bytes: Bound for the maps and tiles, or None.
            notices: See the attributes.
        """
        self.name = name
        self.scale = scale
        self.placement = placement
        self.tile_px = tile_px
        self.white_cd_m2 = white_cd_m2
        self.notices = notices
        self._network = network
        self._curve = curve
        self._margin_px = 0 if network is None else margin_px(network)
        self._max_memory_bytes = max_memory_bytes
        on_cpu = placement.device.type == "cpu"
        self._workers = TileWorkers(placement.threads if on_cpu else 1)
        self._layout = (
            torch.contiguous_format if placement.backend == "onnx" else torch.channels_last
        )
        self._forget()
        self._map_values_per_px, self._map_channels = self._measure_maps()

    def white_of(self, signal: float) -> float:
        """Where the method puts grey of this R' = G' = B', cd/m²; a network, where it is meant to.

        Args:
            signal: Of `BT709_DISPLAY`, [0, 1]; 1.0 is `white_cd_m2`.
        """
        if signal == 1.0:
            return self.white_cd_m2
        curve = load_curve(self.name if self.name in curve_names() else "bt2446a")
        return float(pq_eotf(curve(torch.full((1, 3, 1, 1), signal))).amax())

    @property
    def backend(self) -> str:
        """Name of the backend: "torch" or "onnx"."""
        return self.placement.backend

    @property
    def device(self) -> torch.device:
        """Where the method is computed."""
        return self.placement.device

    @property
    def precision(self) -> str:
        """Of a network's inside: "fp32", "bf16" or "fp16"."""
        return self.placement.precision

    @property
    def is_curve(self) -> bool:
        """Whether the method is a curve alone, which gives no light above `white_cd_m2`."""
        return self._network is None

    @property
    def preroll_frames(self) -> int:
        """Frames of a shot to compute before one, so that a `ShotMemory` is as from its start."""
        return 0 if self._network is None else preroll_frames(vectors_in_chain(self._network))

    def describe(self) -> str:
        """One line for people."""
        placement = self.placement
        where = str(placement.device)
        if placement.device.type == "cpu":
            where += f" ({how_many(placement.threads, 'thread')})"
        scale = f" x{self.scale}" if self.scale > 1 else ""
        precision = placement.precision if self._network is not None else "fp32"
        return (
            f"{self.name}{scale}, {placement.backend} on {where}, {precision}, "
            f"tiles of {self.tile_px} px"
        )

    def memory_bytes(self, height_px: int, width_px: int) -> int:
        """Say how much memory a frame of that size takes, besides itself and its result.

        That is the maps between stages, and the working memory of tiles on torch. ONNX Runtime
        keeps what it once had on top: 0.3 GB (1080p) to 1.3 GB (4K) with IRNet-2 on two threads.

        Raises:
            UsageError: That is more than the bound that was set, with the smallest tiles too.
        """
        return self._needed_bytes(height_px, width_px, self.tile_px_for(height_px, width_px))

    def tile_px_for(self, height_px: int, width_px: int) -> int:
        """Longest side of the tiles of a frame of that size: `tile_px`, or less under a bound.

        It depends on the bound alone, never on the memory that happens to be free, so that the
        same command gives the same bytes.

        Raises:
            UsageError: The smallest tiles need more than the bound that was set.
        """
        bound = self._max_memory_bytes
        tile_px = self.tile_px
        while bound is not None and self._needed_bytes(height_px, width_px, tile_px) > bound:
            if tile_px // 2 < SMALLEST_TILE_PX:
                needed = self._needed_bytes(height_px, width_px, tile_px)
                raise UsageError(
                    f"{self.name} needs {needed / 1e9:.2f} GB for a frame of "
                    f"{width_px}x{height_px}, and {bound / 1e9:.2f} GB are allowed; "
                    "expected more (--max-memory), or another model."
                )
            tile_px //= 2
        return tile_px

    def with_tiles(self, tile_px: int) -> Engine:
        """The same method with tiles of another size; it shares this one's layers and threads."""
        other = copy.copy(self)
        other.tile_px = tile_px
        other._forget()
        return other

    def run(self, batch: RgbBatch, memory: ShotMemory | None = None) -> RgbBatch:
        """Convert frames, one after another.

        Args:
            batch: (N, 3, H, W), float32, `BT709_DISPLAY`, on any device.
            memory: Of the shot that the frames belong to, told of every frame; None takes each
                frame for itself.

        Returns:
            (N, 3, H x scale, W x scale), float32, [0, 1], `HDR_DISPLAY`, on the batch's device.

        Raises:
            ValueError: The batch has another signal or dtype.
            UsageError: A frame needs more memory than the bound that was set.
            FrameMemoryError: There was no memory left; nothing of the engine's own is kept.
        """
        if batch.signal != BT709_DISPLAY or batch.pixels.dtype != torch.float32:
            raise ValueError(
                f"The batch is {batch.pixels.dtype} of {batch.signal}; "
                f"expected torch.float32 of {BT709_DISPLAY}."
            )
        frames, channels, height_px, width_px = batch.pixels.shape
        tile_px = self.tile_px_for(height_px, width_px)
        try:
            with allocation_failures_named(self.name, tile_px):
                result = torch.empty(
                    (frames, channels, height_px * self.scale, width_px * self.scale),
                    device=batch.pixels.device,
                )
                for index in range(frames):
                    frame = slice(index, index + 1)
                    self._run_frame(batch.pixels[frame], result[frame], tile_px, memory)
                    if memory is not None:
                        memory.end_frame()
        except FrameMemoryError:
            self._forget()
            raise
        return RgbBatch(result, HDR_DISPLAY, batch.timeline)

    def way_back(self) -> CurveFunction:
        """The down-conversion that takes this method's HDR back to its SDR."""
        return load_down_conversion(way_back(self.name))

    @torch.inference_mode()
    def _run_frame(
        self,
        pixels: torch.Tensor,
        result: torch.Tensor,
        tile_px: int,
        memory: ShotMemory | None,
    ) -> None:
        pixels = pixels.to(self.device)
        smooth = None if memory is None else memory.smooth
        own = result if result.device == self.device else None
        if self._graphs is not None:
            self._graphs.begin_frame(pixels.shape[2], pixels.shape[3])
        with reproducible_kernels(self.device):
            for program, margin in self._programs:
                is_last = program is self._programs[-1][0]
                pixels = run_program(
                    program,
                    pixels,
                    tile_px if is_last else _GIVEN_TILE_PX,
                    self._buffers,
                    self._workers,
                    smooth,
                    own if is_last else None,
                    margin,
                )
        pixels.clamp_(0.0, 1.0)
        if own is None:
            result.copy_(pixels)

    def _forget(self) -> None:
        """Begin anew with what is kept from frame to frame: maps' memory, and graphs on CUDA."""
        self._buffers = MapBuffers(MAP_DTYPES[self.precision], self._layout)
        self._graphs = graphs_for(self.placement)
        self._programs = [
            (program if self._graphs is None else self._graphs.wrap(program), margin)
            for program, margin in ((self._curve, 0), (self._network, self._margin_px))
            if program is not None
        ]

    def _measure_maps(self) -> tuple[float, int]:
        """Values of all maps between stages for each px of a frame, and channels of the widest."""
        if self._network is None:
            return 0.0, 3 * self.scale**2
        pixels = torch.full((1, 3, _PROBE_SIDE_PX, _PROBE_SIDE_PX), 0.5, device=self.device)
        buffers = self._buffers
        with torch.inference_mode():
            run_program(self._network, pixels, self.tile_px, buffers, self._workers)
        return buffers.values / _PROBE_SIDE_PX**2, max(buffers.channels, 3 * self.scale**2)

    def _needed_bytes(self, height_px: int, width_px: int, tile_px: int) -> int:
        around_px = 2 * self._margin_px
        values = self._map_values_per_px * (height_px + around_px) * (width_px + around_px)
        maps = values * self._buffers.dtype.itemsize
        tile_px = min(tile_px, max(height_px, width_px))
        tile = _WORKING_BYTES + tile_px**2 * self._map_channels * _WORKING_MAPS * 4
        return round(maps) + self._workers.threads * tile


def margin_px(network: Program) -> int:
    """Width of the margin that a network's frames are given; see `MARGIN_PX`."""
    return min(reach_px(network), MARGIN_PX)


def load_engine(
    model: str, scale: int, options: EngineOptions, tile_px: int | None = None
) -> Engine:
    """Load a method and make it ready to run.

    Args:
        model: Name of a curve or of a network.
        scale: Magnification, 1 or more.
        options: Where and how precisely; "auto" is resolved here, for a network that gives the
            picture itself to nothing less than fp32 on a CPU.
        tile_px: Longest side of a tile; None is what was tuned or suits the cache.

    Raises:
        ModelError: There is no such method, or it lacks the scale.
        WeightsError: Its weights are missing or corrupted.
        BackendUnavailableError: The backend, device or precision asked for is not available.
    """
    check_is_method(model)
    is_curve = model in curve_names()
    placement = resolve_placement(options)
    keep_large_blocks()
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    in_torch = Placement("torch", placement.device, "fp32", placement.threads)
    if is_curve:
        if scale < 1:
            raise ModelError(f"Scale {scale} was asked for; expected 1 or more (--scale).")
        return Engine(
            model,
            scale,
            in_torch,
            tile_px or choose_tile_px(model, in_torch),
            network=None,
            curve=prepare_for_torch(curve_program(load_curve(model), scale), in_torch),
            white_cd_m2=CURVES[model].white_cd_m2,
            notices=_curve_notices(model, options),
        )
    spec = resolve(model, scale)
    network, card = load_network(spec.name, options.weights_dir)
    if card.form is Form.DIRECT and (options.precision, placement.precision) == ("auto", "bf16"):
        # bfloat16's 8 bits are enough for a correction of a curve, not for the picture itself.
        placement = replace(placement, precision="fp32")
    program = _preparation(placement)(collapse(network), placement)
    given: Program | None = None
    if card.form is not Form.DIRECT:
        # A refinement is enlarged by the network, from a picture of the source's size.
        enlarged = scale if card.form is Form.RESIDUAL_BT2446A else 1
        curve = prepare_for_torch(curve_program(load_curve("bt2446a"), enlarged), in_torch)
        if card.form is Form.RESIDUAL_BT2446A:
            program = add_curve(program, curve)
        else:
            given = curve
    return Engine(
        spec.name,
        scale,
        placement,
        tile_px or choose_tile_px(spec.name, placement),
        network=program,
        curve=given,
        max_memory_bytes=options.max_memory_bytes,
    )


def _preparation(placement: Placement) -> Callable[[Program, Placement], Program]:
    if placement.backend == "torch":
        return prepare_for_torch
    from sdr2hdr.engine.onnx_backend import prepare_for_onnx

    return prepare_for_onnx


def _curve_notices(model: str, options: EngineOptions) -> tuple[Notice, ...]:
    """Say what of the options a curve does not follow."""
    asked = []
    if options.backend == "onnx":
        asked.append("--backend onnx")
    if options.precision in ("bf16", "fp16"):
        asked.append(f"--precision {options.precision}")
    if not asked:
        return ()
    text = f"Curves are always computed by torch in fp32; {' and '.join(asked)} does nothing here."
    return (Notice("notice", f"{model}: {text}"),)
