"""A method as one ONNX graph that carries its colour contract."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import onnx
import torch
from torch import nn

from sdr2hdr.curves import CURVES, curve_names, load_curve
from sdr2hdr.engine.curve_program import EnlargedCurve
from sdr2hdr.engine.engine import margin_px
from sdr2hdr.engine.onnx_graph import module_to_onnx
from sdr2hdr.engine.whole_program import WholeProgram
from sdr2hdr.errors import OutputError, Sdr2HdrError
from sdr2hdr.methods import check_is_method
from sdr2hdr.networks.card import Form, ModelCard
from sdr2hdr.networks.registry import resolve_exactly
from sdr2hdr.networks.weights import load_network
from sdr2hdr.version import __version__
from sdr2hdr.whole_file import check_can_be_a_file, check_is_new, write_whole

__all__ = ["CLOSENESS", "export_onnx"]

CLOSENESS = 1.0 / 1023.0
"""How far a graph's result may be from torch's: one code at 10 bits."""

_CHECKED_SIZES_PX = ((24, 40), (61, 35))
_INPUT_SIGNAL = "R'G'B', BT.709 primaries, display gamma 2.4 (BT.1886), 0 to 1, N x 3 x H x W"
_OUTPUT_SIGNAL = (
    "R'G'B', BT.2020 primaries, PQ (ST 2084), 0 to 1 = 0 to 10000 cd/m2, "
    "N x 3 x (H x scale) x (W x scale)"
)


def export_onnx(
    model: str, target: Path, weights_dir: Path | None = None, *, overwrite: bool = False
) -> None:
    """Write a method as one ONNX graph, checked against torch in ONNX Runtime.

    The graph has everything: a residual network's curve and enlargement, and the clipping to
    [0, 1]. It sees whole frames at once, so its memory grows with the frame.

    Args:
        model: A curve's or a network's own name.
        target: File to write; it appears whole or not at all.
        weights_dir: Folder to read weights from instead of the installed ones.
        overwrite: Replace an existing file.

    Raises:
        OutputError: The target exists, or cannot be written.
        ModelError: There is no such method.
        WeightsError: Its weights are missing or corrupted.
    """
    check_can_be_a_file(target)
    check_is_new(target, overwrite=overwrite)
    method, metadata = _method(model, weights_dir)
    example = torch.rand((2, 3, 32, 48), generator=torch.Generator().manual_seed(0))
    graph = module_to_onnx(method, [example], ["sdr"], "hdr")
    graph.producer_name = "sdr2hdr"
    graph.producer_version = __version__
    graph.doc_string = f"{model}: SDR (BT.709) to HDR10's signal (BT.2020, PQ)"
    onnx.helper.set_model_props(graph, metadata)
    content = graph.SerializeToString()
    _check(model, content, method)
    try:
        write_whole(target, content)
    except OSError as error:
        raise OutputError(f"{target} cannot be written: {error.strerror}.") from error


class _WholeMethod(nn.Module):
    """A method on whole frames, from SDR signal to PQ signal."""

    def __init__(
        self, network: nn.Module | None, curve: nn.Module | None, form: Form = Form.DIRECT
    ) -> None:
        super().__init__()
        self.network = network
        self.curve = curve
        self.form = form

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        by_curve = None if self.curve is None else self.curve(pixels)
        if self.network is None:
            result = by_curve
        elif by_curve is not None and self.form is Form.REFINEMENT_BT2446A:
            result = self.network(by_curve)
        else:
            result = self.network(pixels)
            if by_curve is not None:
                result = result + by_curve
        assert result is not None
        return result.clamp(0.0, 1.0)


def _method(model: str, weights_dir: Path | None) -> tuple[nn.Module, dict[str, str]]:
    """The method as a module, and what its metadata says."""
    check_is_method(model, "MODEL")
    if model in curve_names():
        metadata = {"source": CURVES[model].source, **_metadata(model, 1, "MIT")}
        return _WholeMethod(None, EnlargedCurve(load_curve(model), 1)).eval(), metadata
    network, card = load_network(resolve_exactly(model).name, weights_dir)
    curve = None
    if card.form is not Form.DIRECT:
        enlarged = card.scale if card.form is Form.RESIDUAL_BT2446A else 1
        curve = EnlargedCurve(load_curve("bt2446a"), enlarged)
    program = network.program()
    whole = WholeProgram(program, margin_px(program))
    return _WholeMethod(whole, curve, card.form).eval(), _card_metadata(card)


def _metadata(model: str, scale: int, licence: str) -> dict[str, str]:
    return {
        "model": model,
        "scale": str(scale),
        "licence": licence,
        "input_signal": _INPUT_SIGNAL,
        "output_signal": _OUTPUT_SIGNAL,
        "sdr2hdr_version": __version__,
    }


def _card_metadata(card: ModelCard) -> dict[str, str]:
    return {
        **_metadata(card.name, card.scale, card.licence),
        "title": card.title,
        "status": card.status,
        "architecture": card.architecture,
        "parameters": str(card.parameters),
        "form": f"{card.form.value} (already part of this graph)",
        "training_data": json.dumps([asdict(source) for source in card.training_data]),
        "known_failures": json.dumps(list(card.known_failures)),
        "weights_sha256": card.sha256,
        "tiling": "Give whole frames: the network uses statistics of the whole frame, and tiles "
        "with any halo would differ from one another.",
    }


def _check(model: str, graph: bytes, method: nn.Module) -> None:
    """Compare the graph in ONNX Runtime with the module in torch, at sizes not exported with."""
    from sdr2hdr.engine.onnx_runtime import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    random = torch.Generator().manual_seed(1)
    for height_px, width_px in _CHECKED_SIZES_PX:
        pixels = torch.rand((1, 3, height_px, width_px), generator=random)
        with torch.inference_mode():
            expected = method(pixels)
        (found,) = session.run(None, {"sdr": pixels.numpy()})
        distance = float((torch.from_numpy(found) - expected).abs().max())
        if not distance <= CLOSENESS:
            raise Sdr2HdrError(
                f"The ONNX graph of {model} is {distance * 1023:.2f} codes at 10 bits from torch "
                f"on a frame of {width_px}x{height_px}; expected 1 at most. Nothing was written."
            )
