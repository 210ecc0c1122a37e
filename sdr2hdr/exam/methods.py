"""The methods that are examined, by name: curves, networks, and what a network has to beat."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import torch

from sdr2hdr.curves import curve_names
from sdr2hdr.engine import load_engine
from sdr2hdr.errors import ModelError, WeightsError
from sdr2hdr.frames import STILL_TIMELINE, RgbBatch
from sdr2hdr.methods import check_is_method
from sdr2hdr.networks.gpgmnet import bicubic_upscale
from sdr2hdr.networks.registry import NETWORKS, resolve_exactly
from sdr2hdr.networks.weights import WEIGHTS_VARIABLE, find_card, weights_folder
from sdr2hdr.options import EngineOptions
from sdr2hdr.signal import BT709_DISPLAY

__all__ = ["Answer", "ExamMethod", "MethodKind", "exam_methods"]

Answer = Callable[[torch.Tensor], torch.Tensor]
"""SDR R'G'B' (1, 3, H, W) to PQ R'G'B' (1, 3, H x scale, W x scale), both float32, [0, 1]."""

MethodKind = Literal["curve", "network", "upscaled network"]

_UPSCALED_NETWORK = "irnet2"
"""What super-resolution networks are compared with, after bicubic upscaling."""


@dataclass(frozen=True)
class ExamMethod:
    """A method at a scale.

    Attributes:
        name: The model's, with "bicubic + " before it where the picture is enlarged first.
        model: The model's own name.
    """

    name: str
    model: str
    kind: MethodKind
    scale: int
    answer: Answer


def exam_methods(
    models: Sequence[str], weights_dir: Path | None, device: str, threads: int | None
) -> list[ExamMethod]:
    """Load methods: all curves, the networks asked for, and at scales above 1 what they must beat.

    Args:
        models: Networks' own names; curves may be among them, and are there anyway. None at all
            means every network with weights.
        weights_dir: See `networks.weights`; a comparison that is not there is taken from the
            installed weights.
        device: "cpu" or "cuda".
        threads: Of the networks; None takes all cores.

    Returns:
        Methods by scale, curves first.

    Raises:
        ModelError: There is no such model.
        WeightsError: A model that was asked for has no weights, or no model was and no network
            has any.
    """
    options = EngineOptions(
        backend="torch", device=device, precision="fp32", weights_dir=weights_dir, threads=threads
    )
    if models:
        for name in models:
            check_is_method(name)
        asked = [resolve_exactly(name) for name in models if name not in curve_names()]
    else:
        asked = [spec for spec in NETWORKS if find_card(spec.name, weights_dir) is not None]
        if not asked:
            raise WeightsError(
                f"{weights_folder(weights_dir)} holds no network's weights; expected "
                "NAME.safetensors and NAME.json of one or more. --weights-dir or "
                f"{WEIGHTS_VARIABLE} names another folder, --model with a curve's name examines "
                "the curves alone."
            )
    methods = []
    for scale in sorted({1, *(spec.scale for spec in asked)}):
        networks = [spec.name for spec in asked if spec.scale == scale]
        if scale == 1 and not networks and asked:
            continue
        prefix = "" if scale == 1 else "bicubic + "
        for name in curve_names():
            answer = _answer(name, scale, options)
            methods.append(ExamMethod(prefix + name, name, "curve", scale, answer))
        if scale > 1:
            methods += _upscaled_network(scale, options)
        for name in networks:
            answer = _answer(name, scale, options)
            methods.append(ExamMethod(name, name, "network", scale, answer))
    return methods


def _answer(model: str, scale: int, options: EngineOptions) -> Answer:
    engine = load_engine(model, scale, options)

    def answer(sdr: torch.Tensor) -> torch.Tensor:
        return engine.run(RgbBatch(sdr.contiguous(), BT709_DISPLAY, STILL_TIMELINE)).pixels

    return answer


def _upscaled_network(scale: int, options: EngineOptions) -> list[ExamMethod]:
    """Bicubic upscaling and then the network of scale 1; nothing if that has no weights."""
    for folder in (options.weights_dir, None):
        try:
            card = find_card(_UPSCALED_NETWORK, folder)
        except ModelError:
            continue
        if card is None:
            continue
        convert = _answer(_UPSCALED_NETWORK, 1, replace(options, weights_dir=folder))

        def answer(sdr: torch.Tensor, convert: Answer = convert) -> torch.Tensor:
            return convert(bicubic_upscale(sdr, scale).clamp(0.0, 1.0))

        name = f"bicubic + {_UPSCALED_NETWORK}"
        return [ExamMethod(name, _UPSCALED_NETWORK, "upscaled network", scale, answer)]
    return []
