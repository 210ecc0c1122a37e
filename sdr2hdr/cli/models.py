"""`sdr2hdr models`: every method that `--model` knows."""

from __future__ import annotations

from pathlib import Path

import click

from sdr2hdr.cli.console import Console
from sdr2hdr.cli.parameters import output_options, weights_option

__all__ = ["command"]


@click.command("models")
@weights_option
@output_options
def command(console: Console, weights_dir: Path | None) -> None:
    """List the methods: networks, with the state of their weights, and curves."""
    methods = [*curve_rows(), *network_rows(weights_dir)]
    if console.json:
        for method in methods:
            console.event("model", method)
        return
    from rich.console import Console as RichConsole
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for heading in ("name", "kind", "scale", "params", "MACs/px", "weights", "licence"):
        table.add_column(heading, justify="right" if heading in ("params", "MACs/px") else "left")
    for method in methods:
        table.add_row(
            str(method["name"]),
            str(method["kind"]),
            "any" if method["scale"] is None else f"x{method['scale']}",
            f"{method['params']:,}",
            f"{method['macs_per_pixel']:,}",
            "none yet" if method["weights"] is None else str(method["weights"]),
            str(method["licence"] or "-"),
        )
    RichConsole().print(table)


def curve_rows() -> list[dict[str, object]]:
    """The curves: nothing trained, any scale (after bicubic upscaling)."""
    from sdr2hdr.curves import CURVES

    return [
        {
            "name": curve.name,
            "kind": "curve",
            "title": curve.title,
            "source": curve.source,
            "scale": None,
            "params": 0,
            "macs_per_pixel": 0,
            "weights": "not needed",
            "licence": "MIT",
        }
        for curve in CURVES.values()
    ]


def network_rows(weights_dir: Path | None) -> list[dict[str, object]]:
    """The networks, and whether this installation has weights for them."""
    from sdr2hdr.networks.registry import NETWORKS
    from sdr2hdr.networks.weights import find_card

    rows = []
    for spec in NETWORKS:
        card = find_card(spec.name, weights_dir)
        rows.append(
            {
                "name": spec.name,
                "kind": "network",
                "title": None if card is None else card.title,
                "scale": spec.scale,
                "params": spec.parameters,
                "macs_per_pixel": spec.macs_per_pixel,
                "weights": None if card is None else card.status,
                "licence": None if card is None else card.licence,
            }
        )
    return rows
