"""A method made ready to run: one interface for networks and curves, whatever computes them."""

from __future__ import annotations

from collections.abc import Callable

import torch

from sdr2hdr.colour.look import NETWORK_WHITE_CD_M2
from sdr2hdr.curves import CURVES, CurveFunction, curve_names, load_curve
from sdr2hdr.curves.down_conversion import load_down_conversion, way_back
from sdr2hdr.engine.curve_program import curve_program
from sdr2hdr.engine.placement import Placement, resolve_placement
from sdr2hdr.engine.tile_workers import TileWorkers
from sdr2hdr.engine.tiling import MapBuffers, run_program
from sdr2hdr.engine.torch_backend import MAP_DTYPES, prepare_for_torch, reproducible_kernels
from sdr2hdr.errors import ModelError, Notice, UsageError
from sdr2hdr.frames import RgbBatch
from sdr2hdr.networks.card import Form
from sdr2hdr.networks.registry import NETWORKS, is_network, resolve
from sdr2hdr.networks.stages import Program
from sdr2hdr.networks.weights import load_network
from sdr2hdr.options import EngineOptions
from sdr2hdr.signal import BT709_DISPLAY, HDR_DISPLAY

__all__ = ["CPU_TILE_PX", "CUDA_TILE_PX", "Engine", "load_engine"]

CPU_TILE_PX = 128
"""Longest side of a tile on a CPU. Between 96 and 160 px IRNet-2 and GPGMNet are as fast as they
get: a layer's maps stay in cache, and the halo is still a small part of the work."""

CUDA_TILE_PX = 512
"""On CUDA a tile has to fill the device; memory stays bounded. A guess, not measured."""

_PROBE_SIDE_PX = 64


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
        form: Form = Form.RESIDUAL_BT2446A,
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
            curve: Prepared for torch in fp32, or None.
            form: With a network and a curve: whether their results are added, or the network is
                given the curve's.
            white_cd_m2: See the attributes.
            max_memory_bytes: Bound for the maps, or None.
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
        self._form = form
        self._max_memory_bytes = max_memory_bytes
        on_cpu = placement.device.type == "cpu"
        self._workers = TileWorkers(placement.threads if on_cpu else 1)
        self._layout = (
            torch.contiguous_format if placement.backend == "onnx" else torch.channels_last
        )
        self._buffers = self._new_buffers(MAP_DTYPES[placement.precision])
        self._map_values_per_px = self._measure_maps()

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

    def describe(self) -> str:
        """One line for people."""
        placement = self.placement
        where = str(placement.device)
        if placement.device.type == "cpu":
            where += f" ({placement.threads} thread{'s' if placement.threads > 1 else ''})"
        scale = f" x{self.scale}" if self.scale > 1 else ""
        precision = placement.precision if self._network is not None else "fp32"
        return (
            f"{self.name}{scale}, {placement.backend} on {where}, {precision}, "
            f"tiles of {self.tile_px} px"
        )

    def memory_bytes(self, height_px: int, width_px: int) -> int:
        """Say how much memory the maps of a frame of that size take, as they will be kept.

        The frame before and after comes on top, and the working memory of tiles: tens of MB a
        thread on torch, but on ONNX Runtime, which keeps what it once had, 0.3 GB (1080p) to 1.3
        GB (4K) with IRNet-2 on two threads.

        Raises:
            UsageError: That is more than the bound that was set.
        """
        return self._map_bytes(height_px, width_px, self._map_dtype(height_px, width_px))

    def run(self, batch: RgbBatch) -> RgbBatch:
        """Convert frames, one after another.

        Args:
            batch: (N, 3, H, W), float32, `BT709_DISPLAY`, on any device.

        Returns:
            (N, 3, H x scale, W x scale), float32, [0, 1], `HDR_DISPLAY`, on the batch's device.

        Raises:
            ValueError: The batch has another signal or dtype.
            UsageError: A frame's maps are larger than the bound that was set.
        """
        if batch.signal != BT709_DISPLAY or batch.pixels.dtype != torch.float32:
            raise ValueError(
                f"The batch is {batch.pixels.dtype} of {batch.signal}; "
                f"expected torch.float32 of {BT709_DISPLAY}."
            )
        frames, channels, height_px, width_px = batch.pixels.shape
        dtype = self._map_dtype(height_px, width_px)
        if dtype != self._buffers.dtype:
            self._buffers = self._new_buffers(dtype)
        result = torch.empty(
            (frames, channels, height_px * self.scale, width_px * self.scale),
            device=batch.pixels.device,
        )
        for index in range(frames):
            result[index].copy_(self._run_frame(batch.pixels[index : index + 1])[0])
        return RgbBatch(result, HDR_DISPLAY, batch.timeline)

    def way_back(self) -> CurveFunction:
        """The down-conversion that takes this method's HDR back to its SDR."""
        return load_down_conversion(way_back(self.name))

    @torch.inference_mode()
    def _run_frame(self, pixels: torch.Tensor) -> torch.Tensor:
        pixels = pixels.to(self.device)
        with reproducible_kernels(self.device):
            by_curve = None if self._curve is None else self._compute(self._curve, pixels)
            if self._network is None:
                result = by_curve
            elif by_curve is not None and self._form is Form.REFINEMENT_BT2446A:
                result = self._compute(self._network, by_curve)
            else:
                result = self._compute(self._network, pixels)
                if by_curve is not None:
                    result += by_curve
        if result is None:
            raise ValueError(f"{self.name} has no network and no curve; expected one or both.")
        return result.clamp_(0.0, 1.0)

    def _compute(self, program: Program, pixels: torch.Tensor) -> torch.Tensor:
        return run_program(program, pixels, self.tile_px, self._buffers, self._workers)

    def _new_buffers(self, dtype: torch.dtype) -> MapBuffers:
        return MapBuffers(dtype, self._layout)

    def _measure_maps(self) -> float:
        """Values that the maps between stages hold at most, for each px of the frame."""
        if self._network is None:
            return 0.0
        pixels = torch.full((1, 3, _PROBE_SIDE_PX, _PROBE_SIDE_PX), 0.5, device=self.device)
        buffers = self._new_buffers(self._buffers.dtype)
        with torch.inference_mode():
            run_program(self._network, pixels, self.tile_px, buffers, self._workers)
        return buffers.values / _PROBE_SIDE_PX**2

    def _map_bytes(self, height_px: int, width_px: int, dtype: torch.dtype) -> int:
        return round(self._map_values_per_px * height_px * width_px * dtype.itemsize)

    def _map_dtype(self, height_px: int, width_px: int) -> torch.dtype:
        """What maps are kept in: float16 if a bound asks for it.

        The choice depends on the bound alone, never on the memory that happens to be free, so that
        the same command gives the same bytes. Stages compute in fp32 as before.
        """
        own = MAP_DTYPES[self.precision]
        bound = self._max_memory_bytes
        for dtype in (own, torch.float16):
            if bound is None or self._map_bytes(height_px, width_px, dtype) <= bound:
                return dtype if dtype.itemsize < own.itemsize else own
        needed = self._map_bytes(height_px, width_px, torch.float16)
        raise UsageError(
            f"{self.name} needs {needed / 1e9:.2f} GB for the maps of a frame of "
            f"{width_px}x{height_px}, and {(bound or 0) / 1e9:.2f} GB are allowed; "
            "expected more (--max-memory), or another model."
        )


def load_engine(
    model: str, scale: int, options: EngineOptions, tile_px: int | None = None
) -> Engine:
    """Load a method and make it ready to run.

    Args:
        model: Name of a curve or of a network.
        scale: Magnification, 1 or more.
        options: Where and how precisely; "auto" is resolved here.
        tile_px: Longest side of a tile; None is the device's own.

    Raises:
        ModelError: There is no such method, or it lacks the scale.
        WeightsError: Its weights are missing or corrupted.
        BackendUnavailableError: The backend, device or precision asked for is not available.
    """
    is_curve = model in curve_names()
    if not is_curve and not is_network(model):
        known = ", ".join((*curve_names(), *(spec.name for spec in NETWORKS)))
        raise ModelError(f'There is no model "{model}"; expected one of {known} (--model).')
    placement = resolve_placement(options)
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    if tile_px is None:
        tile_px = CPU_TILE_PX if placement.device.type == "cpu" else CUDA_TILE_PX
    in_torch = Placement("torch", placement.device, "fp32", placement.threads)
    if is_curve:
        if scale < 1:
            raise ModelError(f"Scale {scale} was asked for; expected 1 or more (--scale).")
        return Engine(
            model,
            scale,
            in_torch,
            tile_px,
            network=None,
            curve=prepare_for_torch(curve_program(load_curve(model), scale), in_torch),
            white_cd_m2=CURVES[model].white_cd_m2,
            notices=_curve_notices(model, options),
        )
    spec = resolve(model, scale)
    network, card = load_network(spec.name, options.weights_dir)
    curve: Program | None = None
    if card.form is not Form.DIRECT:
        # A refinement is enlarged by the network, from a picture of the source's size.
        enlarged = scale if card.form is Form.RESIDUAL_BT2446A else 1
        curve = prepare_for_torch(curve_program(load_curve("bt2446a"), enlarged), in_torch)
    return Engine(
        spec.name,
        scale,
        placement,
        tile_px,
        network=_preparation(placement)(network.program(), placement),
        curve=curve,
        form=card.form,
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
