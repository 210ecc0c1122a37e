"""`sdr2hdr models`: every method that `--model` knows."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from sdr2hdr.cli.console import Console
from sdr2hdr.cli.parameters import output_options, weights_option
from sdr2hdr.errors import ModelError

if TYPE_CHECKING:
    from sdr2hdr.networks.card import ModelCard

__all__ = ["command"]


@click.command("models")
@click.option("--card", "card_of", metavar="NAME", help="Show the model card of this network.")
@weights_option
@output_options
def command(console: Console, card_of: str | None, weights_dir: Path | None) -> None:
    """List the methods: networks, with the state of their weights, and curves.

    With --card, say all that is known about one network's weights: what they were trained on and
    how, what they reached, where they fail.
    """
    if card_of is not None:
        show_card(console, card_of, weights_dir)
        return
    methods = [*curve_rows(), *network_rows(weights_dir)]
    if console.json:
        for method in methods:
            console.event("model", method)
        return
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
    console.table(table)


def show_card(console: Console, name: str, weights_dir: Path | None) -> None:
    """Show a model card: the card itself under `--json`, else text.

    Raises:
        ModelError: There is no network of that name.
        WeightsError: It has no weights, or its card is broken.
    """
    from sdr2hdr.curves import CURVES
    from sdr2hdr.networks.card import card_content
    from sdr2hdr.networks.weights import card_of

    if name in CURVES:
        raise ModelError(
            f"{name} is a curve ({CURVES[name].source}): nothing of it is trained, so it has no "
            "card; --card takes a network."
        )
    card = card_of(name, weights_dir)
    if console.json:
        console.event("card", card_content(card))
        return
    for line in card_lines(card):
        console.result(line)


def card_lines(card: ModelCard) -> list[str]:
    """A card as text, without line breaks inside sentences."""
    run = card.training
    steps = "number of steps not noted" if run.steps is None else f"{run.steps:,} steps"
    ends = " to ".join(
        f"{signal.primaries.name} {signal.transfer.name}" for signal in (card.input, card.output)
    )
    lines = [
        f"{card.name}: {card.title}",
        "",
        f"status        {card.status}",
        f"architecture  {card.architecture}; {card.parameters:,} parameters",
        f"signal        {ends}, scale {card.scale}, {card.form.value}",
        f"licence       {card.licence}",
        f"training      {run.hours:g} hours, {steps}; {run.machine}",
        f"file          stored as {card.storage}, SHA-256 {card.sha256}",
        "",
        "Training data",
    ]
    lines += [f"- {d.content}. {d.source}. {d.licence}" for d in card.training_data]
    lines += ["", "Degradations of SDR"]
    lines += [f"- {text}" for text in card.degradations] or ["- not noted"]
    lines += ["", "Scores"]
    by_data: dict[str, list[str]] = {}
    for score in card.scores:
        unit = f" {score.unit}" if score.unit else ""
        by_data.setdefault(score.data, []).append(f"  {score.value:g}{unit}  {score.metric}")
    for data, scores in by_data.items():
        lines += [f"- {data}", *scores]
    lines += [] if by_data else ["- none"]
    lines += ["", "Known failures", *(f"- {text}" for text in card.known_failures)]
    return lines


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
