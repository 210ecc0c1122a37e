"""The training loop: steps, averages, checkpoints, validation, and what is written down of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch

from sdr2hdr.errors import OutputError, Sdr2HdrError
from sdr2hdr.heap import keep_large_blocks
from sdr2hdr.networks.card import Score
from sdr2hdr.networks.network import Network
from sdr2hdr.networks.registry import build
from sdr2hdr.training.checkpoint import (
    Progress,
    holds_checkpoint,
    load_checkpoint,
    save_checkpoint,
)
from sdr2hdr.training.forms import keep_last_layer_exact, predict
from sdr2hdr.training.initialisation import start_as_curve
from sdr2hdr.training.job import TrainingJob
from sdr2hdr.training.losses import total_loss
from sdr2hdr.training.publishing import Run, publish
from sdr2hdr.training.randomness import generator
from sdr2hdr.training.records import Table, has_matplotlib, plot_lines
from sdr2hdr.training.schedule import LapClock, learning_rate
from sdr2hdr.training.shards import PairPlan, Shards
from sdr2hdr.training.start_weights import load_start_weights
from sdr2hdr.training.synthesis import PairFiles, read_pair
from sdr2hdr.training.teacher import load_teacher
from sdr2hdr.training.validation import (
    CURVES,
    Frame,
    Judgement,
    frames_of_pairs,
    judge,
    make_frame_set,
)
from sdr2hdr.training.weight_average import WeightAverage

__all__ = ["Report", "make_folders", "train"]

_STEPS_BETWEEN_ROWS = 50


@dataclass(frozen=True)
class Report:
    """How a training stands; given to `show` now and then.

    Attributes:
        share_done: Of the budget, [0, 1].
        loss: Mean since the last report; None while pairs are waited for.
        text: Something to tell the user in words, or "".
    """

    step: int
    share_done: float
    seconds: float
    loss: float | None = None
    text: str = ""


class _Training:
    """The things a training consists of, and what is done with them between steps."""

    def __init__(
        self, job: TrainingJob, show: Callable[[Report], None], stop: Callable[[], None]
    ) -> None:
        self.job, self.show, self.stop = job, show, stop
        self.is_between_steps = True
        recipe = job.recipe
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        torch.manual_seed(recipe.seed)
        self.network = _fresh_network(job, self.device)
        is_resumed = job.resume and holds_checkpoint(job.out)
        if job.start_from and not is_resumed:
            load_start_weights(job.start_from, self.network)
        self.optimiser = torch.optim.AdamW(
            self.network.parameters(),
            lr=recipe.optimiser.learning_rate,
            weight_decay=recipe.optimiser.weight_decay,
        )
        teacher = recipe.loss.teacher
        self.teacher = load_teacher(teacher, job.spec, self.device) if teacher else None
        self.average = WeightAverage(self.network, recipe.optimiser.ema)
        self.progress = Progress(job.spec.name, job.fingerprint())
        if job.resume and not is_resumed:
            self.tell("There is no checkpoint to go on from: beginning anew.")
        elif is_resumed:
            self.progress = load_checkpoint(
                job.out, self.progress, self.network, self.average, self.optimiser
            )
        if not has_matplotlib():
            self.tell("Plots name no lines without matplotlib (pip install 'sdr2hdr[train]').")
        self.log = Table(
            job.out / "log.csv",
            ("step", "seconds", "learning_rate", "loss", "gradient_norm", "seconds_per_step"),
            keep_until_step=self.progress.step,
        )
        self.validation_frames = self._validation_frames()
        self.watch_frames = _first_frames(job.watch, "--watch", job)
        self.curves = self._judge_curves()
        groups = self.curves["bt2446a"][0].by_group_db
        self.scores = Table(
            job.out / "validation.csv",
            (
                "step",
                "seconds",
                "psnr_db",
                *(f"{name}_psnr_db" for name in CURVES),
                "watch_psnr_db",
                *(f"watch_{name}_psnr_db" for name in CURVES),
                *groups,
                *(f"watch {frame.name}" for frame in self.watch_frames),
            ),
            keep_until_step=self.progress.step,
        )

    def _validation_frames(self) -> Iterable[Frame]:
        job, recipe = self.job, self.job.recipe
        if not job.validation:
            return _first_frames(job.pairs[-8:], "--pairs", job)
        self.tell("Making validation frames.")
        return make_frame_set(job.validation, recipe, job.spec.scale, job.cache, self.stop)

    def _judge_curves(self) -> dict[str, tuple[Judgement, Judgement | None]]:
        scale = self.job.spec.scale
        return {
            name: (
                judge(curve, self.validation_frames, scale),
                judge(curve, self.watch_frames, scale) if self.watch_frames else None,
            )
            for name, curve in CURVES.items()
        }

    def tell(self, text: str) -> None:
        progress = self.progress
        done = self.job.budget.share_done(progress.step, progress.seconds)
        self.show(Report(progress.step, done, progress.seconds, text=text))

    def wait(self) -> None:
        """Called while pairs are waited for."""
        self.stop()
        self.tell("")

    def step(self, sdr: torch.Tensor, hdr: torch.Tensor) -> tuple[float, float]:
        """Train on one batch; gives the loss and the gradient's length."""
        recipe, progress = self.job.recipe, self.progress
        # Dropout's choices belong to the step, so that resuming repeats them.
        torch.manual_seed(int(generator(recipe.seed, "step", progress.step).integers(2**62)))
        done = self.job.budget.share_done(progress.step, progress.seconds)
        for group in self.optimiser.param_groups:
            group["lr"] = learning_rate(recipe.optimiser, progress.step, done)
        sdr = sdr.to(self.device, memory_format=torch.channels_last)
        target = hdr if self.teacher is None else self.teacher(sdr)
        target = target.to(self.device, memory_format=torch.channels_last)
        prediction = predict(self.network, sdr, recipe.output_form)
        loss = total_loss(prediction, target, recipe.loss)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        length = torch.nn.utils.clip_grad_norm_(
            self.network.parameters(), recipe.optimiser.gradient_norm
        )
        if not torch.isfinite(length):
            best = self.job.out / "weights"
            raise Sdr2HdrError(
                f"Training diverged at step {progress.step}: the gradient is {float(length)}. "
                'Begin anew with a lower "learning_rate" (--recipe) in another folder (--out)'
                + (f", from the weights in {best} (--start-from)." if progress.best_step else ".")
            )
        # Half a step is nothing to go on from.
        self.is_between_steps = False
        self.optimiser.step()
        self.average.update(self.network)
        progress.step += 1
        self.is_between_steps = True
        return float(loss.detach()), float(length)

    def save(self) -> None:
        save_checkpoint(self.job.out, self.progress, self.network, self.average, self.optimiser)
        plot_lines(self.job.out / "loss.png", {"loss": self.log.column("loss")})

    def validate(self) -> None:
        """Judge the averaged weights, write it down, and keep them if they are the best."""
        job, progress = self.job, self.progress
        network = _fresh_network(job, self.device)
        network.load_state_dict(self.average.tensors)
        network.eval()

        def method(sdr: torch.Tensor) -> torch.Tensor:
            self.stop()
            form = job.recipe.output_form
            return predict(network, sdr.to(self.device), form).cpu()

        found = judge(method, self.validation_frames)
        watched = judge(method, self.watch_frames) if self.watch_frames else None
        row: dict[str, object] = {
            "step": progress.step,
            "seconds": round(progress.seconds, 1),
            "psnr_db": round(found.mean_db, 4),
        }
        row |= {name: round(value, 4) for name, value in found.by_group_db.items()}
        text = f"validation {found.mean_db:.2f} dB"
        for name, (curve, on_watch) in self.curves.items():
            row[f"{name}_psnr_db"] = round(curve.mean_db, 4)
            text += f", {name} {curve.mean_db:.2f}"
            if on_watch is not None:
                row[f"watch_{name}_psnr_db"] = round(on_watch.mean_db, 4)
        if watched is not None:
            row["watch_psnr_db"] = round(watched.mean_db, 4)
            row |= {f"watch {name}": round(value, 4) for name, value in watched.by_frame_db.items()}
            text += f"; watched pairs {watched.mean_db:.2f} dB"
            for name, (_, on_watch) in self.curves.items():
                if on_watch is not None:
                    text += f", {name} {on_watch.mean_db:.2f}"
        self.scores.add(row)
        if progress.best_psnr_db is None or found.mean_db > progress.best_psnr_db:
            progress.best_psnr_db, progress.best_step = found.mean_db, progress.step
            self._publish(found, watched)
        lines = ["psnr_db", *(f"{name}_psnr_db" for name in CURVES)]
        lines += [f"watch_{name}" for name in lines]
        plot_lines(job.out / "validation.png", {name: self.scores.column(name) for name in lines})
        self.tell(text)

    def _publish(self, found: Judgement, watched: Judgement | None) -> None:
        """Keep the best weights; real pairs are reported beside but never decide."""
        size = self.job.recipe.validation
        data = f"{found.frames} held-out frames of {size.width}x{size.height}"
        if not self.job.validation:
            data = f"{found.frames} of the pairs that were trained on, reduced"
        scores = [Score("mean PSNR of PQ R'G'B'", "dB", data, found.mean_db)]
        if watched is not None:
            data = f"{watched.frames} real pairs never trained on, reduced"
            scores.append(Score("mean PSNR of PQ R'G'B'", "dB", data, watched.mean_db))
        job, progress = self.job, self.progress
        run = Run(
            *(progress.step, progress.seconds, torch.get_num_threads(), self.device.type),
            own_pairs=len(job.pairs),
            is_all_own=not job.training and not job.start_from,
        )
        publish(job.out / "weights", job.spec, self.average.tensors, job.recipe, run, scores)


def train(
    job: TrainingJob,
    show: Callable[[Report], None],
    stop: Callable[[], None] = lambda: None,
) -> Progress:
    """Train until the budget is used up, or `stop` raises.

    Files in `job.out`: `checkpoint/`, `weights/` (the best so far), `log.csv`, `validation.csv`,
    `loss.png`, `validation.png`. An interrupted training writes a checkpoint before it ends, unless
    the interruption came in the middle of a step: then the last one stays.

    Args:
        job: What to train, on what, where and how long.
        show: Called now and then with how it stands.
        stop: Called between steps and between frames of a validation; may raise.

    Raises:
        UsageError: The recipe's teacher is of another scale.
        InputError: Data or checkpoint cannot be read, or do not fit.
        OutputError: `job.out` or `job.cache` cannot be written, or `job.out` holds a training and
            `resume` is not set.
        Sdr2HdrError: The training diverged.
    """
    keep_large_blocks()
    if job.pairs:
        # The user's own HDR pictures are what is to be learned.
        loss = replace(job.recipe.loss, teacher="")
        job = replace(job, recipe=replace(job.recipe, loss=loss))
    if job.threads is not None:
        torch.set_num_threads(job.threads)
    make_folders(job)
    if holds_checkpoint(job.out) and not job.resume:
        raise OutputError(
            f"{job.out} holds a training already; --resume goes on with it, --out names another."
        )
    plan = PairPlan(job.training, job.pairs, job.recipe.data, job.spec.scale, job.recipe.seed)
    with _failed_writes_told(job):
        training = _Training(job, show, stop)
        with Shards(plan, job.cache / "shards", job.recipe.optimiser.batch) as shards:
            try:
                _run(training, shards)
            finally:
                if training.progress.step > 0 and training.is_between_steps:
                    training.save()
    return training.progress


def make_folders(job: TrainingJob) -> None:
    """Make the folders that a training writes to, if they are not there.

    Raises:
        OutputError: One cannot be made.
    """
    for folder, option in ((job.out, "--out"), (job.cache, "--cache")):
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"{folder} cannot be made: {error.strerror} ({option}).") from error


@contextmanager
def _failed_writes_told(job: TrainingJob) -> Iterator[None]:
    """Tell what the system says of logs, plots, weights, checkpoints and pairs in our own words.

    Raises:
        OutputError: One of them cannot be written; the training is kept as far as it can be.
    """
    try:
        yield
    except BrokenPipeError:
        # Whoever was to be told of progress has left.
        raise
    except OSError as error:
        raise OutputError(
            f"{error.filename or job.out} cannot be written: {error.strerror or error} (--out, "
            "--cache)."
        ) from error


def _run(training: _Training, shards: Shards) -> None:
    job, progress = training.job, training.progress
    settings = job.recipe.validation
    saved_seconds = progress.seconds
    losses: list[float] = []
    lengths: list[float] = []
    measured_seconds = 0.0
    if job.start_from and progress.step == 0 and job.budget.steps != 0:
        # The start is the best so far, and stays it unless training betters it.
        training.validate()
    clock = LapClock()
    training.network.train()
    while job.budget.share_done(progress.step, progress.seconds) < 1.0:
        training.stop()
        sdr, hdr = shards.batch(progress.step, waiting=training.wait)
        loss, length = training.step(sdr, hdr)
        taken = clock.lap_seconds()
        progress.seconds += taken
        measured_seconds += taken
        losses.append(loss)
        lengths.append(length)
        if progress.step % _STEPS_BETWEEN_ROWS == 0:
            mean = sum(losses) / len(losses)
            training.log.add(
                {
                    "step": progress.step,
                    "seconds": round(progress.seconds, 1),
                    "learning_rate": f"{training.optimiser.param_groups[0]['lr']:.4g}",
                    "loss": f"{mean:.6f}",
                    "gradient_norm": f"{sum(lengths) / len(lengths):.4f}",
                    "seconds_per_step": f"{measured_seconds / len(losses):.4f}",
                }
            )
            done = job.budget.share_done(progress.step, progress.seconds)
            training.show(Report(progress.step, done, progress.seconds, mean))
            losses, lengths, measured_seconds = [], [], 0.0
        if progress.seconds - progress.validated_seconds >= settings.minutes * 60.0:
            training.validate()
            progress.validated_seconds = progress.seconds
            training.network.train()
            progress.seconds += clock.lap_seconds()
        if progress.seconds - saved_seconds >= settings.checkpoint_minutes * 60.0:
            training.save()
            saved_seconds = progress.seconds
    training.validate()


def _fresh_network(job: TrainingJob, device: torch.device) -> Network:
    network = build(job.spec).to(device)
    for parameter in network.parameters():
        if parameter.ndim == 4:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
    keep_last_layer_exact(network)
    if job.recipe.form != "direct":
        start_as_curve(network)
    return network


def _first_frames(files: Sequence[PairFiles], option: str, job: TrainingJob) -> list[Frame]:
    """The first picture of each pair that an option names, at most as large as the recipe says."""
    pairs = [read_pair(each, option=option)[0] for each in files]
    names = [each.sdr.stem for each in files]
    return frames_of_pairs(names, pairs, job.recipe.validation.watch_px, job.spec.scale)
