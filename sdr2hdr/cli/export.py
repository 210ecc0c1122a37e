"""`sdr2hdr export`: a method as one ONNX graph."""

from __future__ import annotations

from pathlib import Path

import click

from sdr2hdr.cli.console import Console
from sdr2hdr.cli.parameters import ANY_PATH, output_options, weights_option
from sdr2hdr.errors import OutputError

__all__ = ["command"]


@click.command("export")
@click.argument("model", metavar="MODEL")
@click.argument("target", metavar="OUT.onnx", type=ANY_PATH)
@click.option("--overwrite", is_flag=True, help="Replace an existing file.")
@weights_option
@output_options
def command(
    console: Console, model: str, target: Path, overwrite: bool, weights_dir: Path | None
) -> None:
    """Write MODEL as one ONNX graph, with its colour contract in the graph's metadata.

    MODEL is a name that `sdr2hdr models` lists.
    Input: R'G'B', BT.709, gamma 2.4, 0 to 1, N x 3 x H x W. Output: R'G'B', BT.2020, PQ, 0 to 1.
    """
    if target.suffix.lower() != ".onnx":
        raise OutputError(f"{target} does not end in .onnx, the one format `export` writes.")
    from sdr2hdr.engine.export import export_onnx

    export_onnx(model, target, weights_dir, overwrite=overwrite)
    console.say(f"{target}: {target.stat().st_size} bytes.")
    if console.json:
        console.event("done", {"model": model, "output": str(target)})
