"""What `sdr2hdr exam --publish` is given and says: weights and cards of the networks examined."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING

from sdr2hdr.cli.console import Console
from sdr2hdr.errors import OutputError, UsageError

if TYPE_CHECKING:
    from sdr2hdr.exam.methods import ExamMethod
    from sdr2hdr.exam.results import ExamResult
    from sdr2hdr.exam.sets import ExamSet
    from sdr2hdr.training.recipe import Recipe

__all__ = ["Cards", "make_folder", "publish_all", "recipes_of"]


@dataclass(frozen=True)
class Cards:
    """What is to be published, decided before the exam.

    Attributes:
        folder: Where weights and cards go.
        weights_dir: Where the weights come from; None is the installed ones.
        recipes: What each network was trained with, by its name.
        title: Of the card; None describes the network.
        failures: Known failures to add.
    """

    folder: Path
    weights_dir: Path | None
    recipes: Mapping[str, Recipe]
    title: str | None
    failures: tuple[str, ...]

    def paths(self) -> list[Path]:
        """The files that will be written."""
        from sdr2hdr.networks.weights import weights_files

        return [path for model in self.recipes for path in weights_files(model, self.folder)]


def recipes_of(
    methods: Sequence[ExamMethod], recipe_path: Path | None, title: str | None
) -> dict[str, Recipe]:
    """Read the recipes of the networks that are examined, by name.

    Raises:
        UsageError: There is no network, several where only one can be meant, or no recipe.
    """
    from sdr2hdr.training.recipe_file import find_recipe, read_recipe

    networks = [method.model for method in methods if method.kind == "network"]
    if not networks:
        raise UsageError("There is no network to publish; --model names one.")
    if len(networks) > 1 and (recipe_path or title):
        raise UsageError("--recipe and --title belong to one network; give one --model.")
    return {model: read_recipe(recipe_path or find_recipe(model)) for model in networks}


def make_folder(folder: Path) -> None:
    """Make the folder of what is published, if it is not there.

    Raises:
        OutputError: It cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder} cannot be made: {error.strerror} (--publish).") from error


def publish_all(console: Console, exam: ExamSet, result: ExamResult, cards: Cards) -> None:
    """Write weights and cards, and say what became of each.

    Raises:
        OutputError: They cannot be written.
    """
    from sdr2hdr.exam.publication import publish_examined

    for model, recipe in cards.recipes.items():
        try:
            published = publish_examined(
                cards.folder,
                model,
                cards.weights_dir,
                exam,
                result,
                recipe,
                cards.title,
                cards.failures,
            )
        except OSError as error:
            raise OutputError(
                f"The weights of {model} cannot be written to {cards.folder}: {error.strerror} "
                "(--publish)."
            ) from error
        card = published.card
        text = (
            f"{published.weights}: {card.status}, stored as {card.storage} "
            f"(float16 costs {published.half_costs_db:.4f} dB), SHA-256 {card.sha256[:12]}"
        )
        if console.json:
            console.event(
                "published",
                {
                    "model": model,
                    "weights": str(published.weights),
                    "status": card.status,
                    "storage": card.storage,
                    "float16_costs_db": (
                        published.half_costs_db if isfinite(published.half_costs_db) else None
                    ),
                    "sha256": card.sha256,
                },
            )
        else:
            console.result(text)
