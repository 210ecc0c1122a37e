"""A device that is none: tensors that say they are on CUDA, computed on the CPU.

`with PretendCuda() as device:` refuses what a CUDA build would, a computation that mixes tensors of
both devices, and counts the copies between them and how often the host has to wait. Values are
those of the CPU, so results can be compared. All calls from Python are seen; those inside of torch
are torch's own affair.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves, tree_map

__all__ = ["CUDA", "PretendCuda", "on_host"]

CUDA = torch.device("cuda:0")
_TENSOR = torch.Tensor

_WAITS = {
    _TENSOR.item: "item",
    _TENSOR.tolist: "item",
    _TENSOR.__bool__: "item",
    _TENSOR.__int__: "item",
    _TENSOR.__float__: "item",
    _TENSOR.__index__: "item",
    _TENSOR.nonzero: "nonzero",
    torch.nonzero: "nonzero",
    torch.bincount: "bincount",
    _TENSOR.bincount: "bincount",
    _TENSOR.masked_select: "mask",
    torch.masked_select: "mask",
    _TENSOR.unique: "unique",
    torch.unique: "unique",
    torch.equal: "equal",
    torch.allclose: "equal",
}
"""Calls whose result, or its shape, the host has to see before it goes on."""

_MOVES = {_TENSOR.to, _TENSOR.copy_, _TENSOR.cpu}
_INDEXING = {_TENSOR.__getitem__, _TENSOR.__setitem__}


class _OnDevice(torch.Tensor):
    """A CPU tensor that says otherwise."""

    __torch_function__ = torch._C._disabled_torch_function_impl

    @property
    def device(self) -> torch.device:  # type: ignore[override]
        return CUDA

    @property
    def is_cuda(self) -> bool:  # type: ignore[override]
        return True


class PretendCuda(TorchFunctionMode):
    """Makes, moves and watches tensors while it is entered; in the thread that entered it.

    Attributes:
        counts: Copies "up" and "down", and by kind how often the host had to wait.
    """

    def __init__(self) -> None:
        super().__init__()
        self.counts: Counter[str] = Counter()

    def __enter__(self):
        self._module_to = nn.Module.to
        nn.Module.to = lambda module, *args, **kwargs: self._move(module, *args, **kwargs)
        return super().__enter__()

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)
        nn.Module.to = self._module_to

    def put(self, tensor: torch.Tensor) -> torch.Tensor:
        """A tensor on the device, with the memory of one on the CPU; not counted."""
        return tensor.as_subclass(_OnDevice)

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)]
        there = [tensor for tensor in tensors if isinstance(tensor, _OnDevice)]
        asked = next((value for value in (*args, *kwargs.values()) if _is_device(value)), None)
        if func in _MOVES:
            return self._moved(func, asked, args, kwargs)
        if there:
            strangers = [t for t in tensors if not isinstance(t, _OnDevice) and t.ndim > 0]
            if strangers:
                raise RuntimeError(f"{func} of tensors on {CUDA} and on the CPU")
            if func is _TENSOR.numpy:
                raise TypeError("A tensor on CUDA is no array; expected `cpu()` first.")
            self._count_wait(func, args)
        if "device" in kwargs and kwargs["device"] is not None:
            kwargs["device"] = torch.device("cpu")
        result = func(*args, **kwargs)
        if not there and not _is_cuda(asked):
            return result
        return tree_map(self._on_device, result)

    def _count_wait(self, func: Any, args: tuple[Any, ...]) -> None:
        if func in _WAITS:
            self.counts[_WAITS[func]] += 1
        if func in _INDEXING:
            places = [leaf for leaf in tree_leaves(args[1]) if isinstance(leaf, torch.Tensor)]
            if any(place.dtype in (torch.bool, torch.uint8) for place in places):
                # Where a mask is set decides on shapes.
                self.counts["mask"] += 1

    def _moved(
        self, func: Any, asked: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> torch.Tensor:
        first = args[0]
        was_there = isinstance(first, _OnDevice)
        if func is _TENSOR.copy_:
            if was_there != isinstance(args[1], _OnDevice):
                self.counts["up" if was_there else "down"] += 1
            return func(*args, **kwargs)
        if func is _TENSOR.cpu:
            asked = "cpu"
        # What is left says of which dtype and how laid out; `non_blocking` has no meaning here.
        args = tuple(value for value in args[1:] if isinstance(value, torch.dtype))
        kwargs = {
            name: kwargs[name] for name in ("dtype", "copy", "memory_format") if name in kwargs
        }
        goes_there = was_there if asked is None else _is_cuda(asked)
        result = _TENSOR.to(first, *args, **kwargs) if args or kwargs else first
        if goes_there == was_there:
            return self._on_device(result) if goes_there else result
        self.counts["up" if goes_there else "down"] += 1
        result = result.clone().as_subclass(torch.Tensor)
        return self._on_device(result) if goes_there else result

    def _on_device(self, leaf: Any) -> Any:
        is_plain = isinstance(leaf, torch.Tensor) and not isinstance(leaf, _OnDevice)
        return leaf.as_subclass(_OnDevice) if is_plain else leaf

    def _move(self, module: nn.Module, *args: Any, **kwargs: Any) -> nn.Module:
        if not any(_is_cuda(value) for value in (*args, *kwargs.values())):
            return self._module_to(module, *args, **kwargs)
        for part in module.modules():
            for own in (part._parameters, part._buffers):
                for name, value in own.items():
                    if value is not None:
                        own[name] = self._on_device(value.detach())  # type: ignore[assignment]
        return module


def on_host(tensor: torch.Tensor) -> torch.Tensor:
    """The values of a tensor that may be on the device, without counting."""
    return tensor.as_subclass(torch.Tensor)


def _is_device(value: Any) -> bool:
    return isinstance(value, torch.device) or (
        isinstance(value, str) and value.split(":")[0] in ("cpu", "cuda")
    )


def _is_cuda(value: Any) -> bool:
    return _is_device(value) and str(value).startswith("cuda")
