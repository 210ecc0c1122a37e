"""Recipes: everything a training depends on, as values; `recipe_file` reads them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from sdr2hdr.networks.card import Form
from sdr2hdr.training.degradation import Shares

__all__ = [
    "CardTexts",
    "DataRecipe",
    "LossRecipe",
    "OptimiserRecipe",
    "Recipe",
    "ValidationRecipe",
]

_FORMS = {
    "residual": Form.RESIDUAL_BT2446A,
    "refinement": Form.REFINEMENT_BT2446A,
    "direct": Form.DIRECT,
}


@dataclass(frozen=True)
class DataRecipe:
    """How pairs are made.

    Attributes:
        height: Rows of the HDR picture, px; a multiple of 2 x scale.
        width: Columns of the HDR picture, px; likewise.
        operators: Down-conversions and their weights; empty means all, "local_contrast" twice.
        anchors: Looks ("bt2446a", "camera") and their weights.
        camera_operators: Down-conversions that only cameras make: their look is always "camera".
        phones: Share of pictures developed as phones do, in the look "camera".
        graphics: Share of pictures with graphics, or that are some, of those that are no phone's.
        graphic_kinds: What graphics are (`GraphicKind`) and their weights. A network that sees few
            px around a sample can know a whole card from a picture, but not a caption's white from
            a lamp's.
        pairs: Share of samples from `--pairs` where there is `--data` too.
        shard: Pairs in a shard.
        window: Shards that samples are drawn from.
        reuse: Times that a pair is used, on average.
        degradation: Shares of spoilt pictures.
    """

    height: int = 160
    width: int = 256
    operators: dict[str, float] = field(default_factory=dict)
    anchors: dict[str, float] = field(default_factory=lambda: {"bt2446a": 1.0})
    camera_operators: tuple[str, ...] = ()
    phones: float = 0.0
    graphics: float = 0.08
    graphic_kinds: dict[str, float] = field(
        default_factory=lambda: {"caption": 0.4, "panel": 0.3, "card": 0.2, "page": 0.1}
    )
    pairs: float = 0.5
    shard: int = 384
    window: int = 12
    reuse: float = 2.0
    degradation: Shares = field(default_factory=Shares)


@dataclass(frozen=True)
class LossRecipe:
    """Weights of the parts of the loss.

    Attributes:
        l1: Absolute error of PQ R'G'B'.
        l2: Squared error of PQ R'G'B'.
        ictcp: Absolute error of I, Ct / 2 and Cp, as BT.2124 weighs them.
        gradient: Absolute error of the differences between neighbours, in PQ R'G'B'.
        logarithmic: Take the logarithm of each picture's loss, as the mean of PSNR does: a picture
            that can be answered well then counts as much as one that nobody could.
        plain: How much of the loss itself is added to the logarithm. The slope of the logarithm is
            1 / loss, 50 for a picture and 6 for a title card taken for a lamp: this is added to
            both.
        teacher: A network of the same scale that comes with weights: its answer is the target
            instead of the HDR picture. What it answers can be told from SDR, which of many pictures
            made the same SDR cannot. "" is the HDR picture, as is anything where the user's own
            pairs are trained on.
    """

    l1: float = 1.0
    l2: float = 0.0
    ictcp: float = 0.5
    gradient: float = 0.2
    logarithmic: bool = False
    plain: float = 0.0
    teacher: str = ""


@dataclass(frozen=True)
class OptimiserRecipe:
    """How the weights move.

    Attributes:
        batch: Pairs a step.
        learning_rate: Highest.
        final_learning_rate: Where the cosine ends.
        warm_up_steps: Steps in which the rate rises from zero; at most a tenth of the budget.
        weight_decay: AdamW's.
        gradient_norm: Gradients longer than this are shortened.
        ema: Decay of the average of the weights, [0, 1]; it is lower in the first steps.
    """

    batch: int = 3
    learning_rate: float = 5e-4
    final_learning_rate: float = 1e-6
    warm_up_steps: int = 300
    weight_decay: float = 0.0
    gradient_norm: float = 1.0
    ema: float = 0.999


@dataclass(frozen=True)
class ValidationRecipe:
    """How and when the weights are judged.

    Attributes:
        height: Rows of the HDR frames, px; a multiple of 2 x scale.
        width: Columns, px; likewise.
        minutes: Between two validations.
        checkpoint_minutes: Between two checkpoints.
        watch_px: Longer side to which watched pairs are reduced.
    """

    height: int = 192
    width: int = 320
    minutes: float = 15.0
    checkpoint_minutes: float = 5.0
    watch_px: int = 512


@dataclass(frozen=True)
class CardTexts:
    """What the model card says that no program can measure.

    Attributes:
        training_data: Tables with the fields of `networks.card.DataSource`.
    """

    title: str = ""
    licence: str = "MIT"
    known_failures: tuple[str, ...] = ()
    training_data: tuple[dict[str, str], ...] = ()


@dataclass(frozen=True)
class Recipe:
    """A training.

    Attributes:
        form: "residual" (on BT.2446-A), "refinement" (of BT.2446-A's picture, by a network with a
            skip of its own) or "direct". With the first two the last layer starts at zero.
        seed: Of everything random.
        hours: Time budget unless `--hours` or `--steps` says otherwise.
    """

    form: Literal["residual", "refinement", "direct"] = "residual"
    seed: int = 1
    hours: float = 10.0
    data: DataRecipe = field(default_factory=DataRecipe)
    loss: LossRecipe = field(default_factory=LossRecipe)
    optimiser: OptimiserRecipe = field(default_factory=OptimiserRecipe)
    validation: ValidationRecipe = field(default_factory=ValidationRecipe)
    card: CardTexts = field(default_factory=CardTexts)

    @property
    def output_form(self) -> Form:
        """`form` as model cards name it."""
        return _FORMS[self.form]
