"""torch modules as ONNX graphs."""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections.abc import Iterator, Sequence

import onnx
import torch
from torch import nn

__all__ = ["module_to_onnx"]

_AXES = ("batch", "channels", "height", "width")
_OPSET = 18


def module_to_onnx(
    module: nn.Module, examples: Sequence[torch.Tensor], input_names: Sequence[str], output: str
) -> onnx.ModelProto:
    """Express a module as an ONNX graph with dynamic batch, height and width.

    Args:
        module: In eval mode; takes as many tensors as there are examples, gives one.
        examples: (N, C, H, W) or (N, K) each, N of 2 or more and the same in all.
        input_names: One for each example.
        output: Name of the result.

    Returns:
        The graph, its weights inside.
    """
    dynamic = torch.export.Dim.DYNAMIC
    axes = tuple(
        {0: dynamic, 2: dynamic, 3: dynamic} if e.ndim == 4 else {0: dynamic} for e in examples
    )
    with _quiet_exporter(), torch.no_grad():
        program = torch.onnx.export(
            _Listed(module),
            (tuple(examples),),
            dynamo=True,
            dynamic_shapes=(axes,),
            input_names=list(input_names),
            output_names=[output],
            opset_version=_OPSET,
            external_data=False,
            verbose=False,
        )
    assert program is not None
    graph = program.model_proto
    _name_axes(graph)
    return graph


class _Listed(nn.Module):
    """A module that takes its tensors as one tuple, so that any number of them can be dynamic."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, inputs: tuple[torch.Tensor, ...]) -> torch.Tensor:
        return self.module(*inputs)


@contextlib.contextmanager
def _quiet_exporter() -> Iterator[None]:
    """Keep back what the exporter says about itself: nothing of it concerns the user."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def _name_axes(model: onnx.ModelProto) -> None:
    """Call the dynamic axes by what they are, instead of the exporter's s77 and s53."""
    names: dict[str, str] = {}
    for value in model.graph.input:
        for axis, dimension in zip(_AXES, value.type.tensor_type.shape.dim, strict=False):
            if dimension.dim_param:
                names.setdefault(dimension.dim_param, axis)
    for value in (*model.graph.input, *model.graph.output, *model.graph.value_info):
        for dimension in value.type.tensor_type.shape.dim:
            if dimension.dim_param in names:
                dimension.dim_param = names[dimension.dim_param]
    for value in model.graph.output:
        for axis, dimension in zip(_AXES, value.type.tensor_type.shape.dim, strict=False):
            if dimension.dim_param and dimension.dim_param not in names.values():
                dimension.dim_param = f"output_{axis}"
    del model.graph.value_info[:]
