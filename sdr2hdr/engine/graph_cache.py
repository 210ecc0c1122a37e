"""Exported graphs, kept between runs: exporting takes about a second each."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

from torch import nn

from sdr2hdr.engine.user_cache import cache_folder
from sdr2hdr.version import __version__
from sdr2hdr.whole_file import write_whole

__all__ = ["GraphCache", "module_key"]

_DIGEST_BYTES = hashlib.sha256().digest_size


def module_key(module: nn.Module, name: str) -> str:
    """Name what a module's graph depends on, in 64 hexadecimal digits.

    That is its weights, its structure, the files that its class and those of its layers are written
    in, this package's version, and the versions of what exports.
    """
    key = hashlib.sha256()
    libraries = [f"{library} {version(library)}" for library in ("torch", "onnx", "onnxscript")]
    sources = {inspect.getfile(type(layer)) for layer in module.modules()}
    for text in (name, repr(module), __version__, *libraries):
        key.update(text.encode() + b"\0")
    for digest in sorted(hashlib.sha256(Path(file).read_bytes()).digest() for file in sources):
        key.update(digest)
    for weight_name, weight in sorted(module.state_dict().items()):
        key.update(f"{weight_name} {weight.dtype} {tuple(weight.shape)}\0".encode())
        key.update(weight.detach().cpu().contiguous().numpy().tobytes())
    return key.hexdigest()


class GraphCache:
    """A folder of graphs, each after the digest of its bytes, so that damage is found."""

    def __init__(self, folder: Path | None = None) -> None:
        """Use `folder`, made when first written to; None is the user's, if there can be one."""
        self._folder = folder

    @property
    def folder(self) -> Path:
        """Where the graphs lie.

        Raises:
            OSError: It is the user's, who has none.
        """
        return self._folder or cache_folder()

    def get(self, key: str, make: Callable[[], bytes]) -> bytes:
        """Give the graph of that key, made and kept if there is none or it is damaged.

        A cache that cannot be written costs time, not the conversion.
        """
        name = f"{key}.graph"
        try:
            kept = (self.folder / name).read_bytes()
        except OSError:
            kept = b""
        digest, graph = kept[:_DIGEST_BYTES], kept[_DIGEST_BYTES:]
        if kept and hashlib.sha256(graph).digest() == digest:
            return graph
        graph = make()
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            write_whole(self.folder / name, hashlib.sha256(graph).digest() + graph)
        except OSError:
            return graph
        return graph
