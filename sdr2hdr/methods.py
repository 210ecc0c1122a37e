"""The names of methods: curves and networks alike."""

from __future__ import annotations

from sdr2hdr.curves import curve_names
from sdr2hdr.errors import ModelError
from sdr2hdr.networks.registry import NETWORKS, is_network

__all__ = ["check_is_method"]


def check_is_method(name: str, option: str = "--model") -> None:
    """Refuse a name that is neither a curve's, nor a network's, nor that of a family of networks.

    Args:
        name: As it was given.
        option: What gave it.

    Raises:
        ModelError: There is no method of that name.
    """
    if name in curve_names() or is_network(name):
        return
    known = ", ".join((*curve_names(), *(spec.name for spec in NETWORKS)))
    raise ModelError(f'There is no model "{name}"; expected one of {known} ({option}).')
