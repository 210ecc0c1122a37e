"""A training that is interrupted, and goes on."""

from __future__ import annotations

import csv
import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from small_trainings import SMALL, job, silent

from sdr2hdr.cli import run
from sdr2hdr.errors import InputError, OutputError, Sdr2HdrError
from sdr2hdr.jobs.lock import output_lock
from sdr2hdr.training import checkpoint, loop
from sdr2hdr.training.checkpoint import Progress, load_checkpoint, save_checkpoint
from sdr2hdr.training.loop import train
from sdr2hdr.training.records import Table
from sdr2hdr.training.weight_average import WeightAverage


def weights_of(out: Path) -> dict[str, torch.Tensor]:
    return load_file(out / "checkpoint" / "state.safetensors")


def steps_in(table: Path) -> list[int]:
    with table.open() as file:
        return [int(row["step"]) for row in csv.DictReader(file)]


def test_a_resumed_training_equals_an_uninterrupted_one_bit_for_bit(data, tmp_path, monkeypatch):
    train(job(data, tmp_path / "whole"), silent)

    own_step = loop._Training.step

    def interrupted(training, sdr, hdr):
        if training.progress.step == 3:
            raise KeyboardInterrupt
        return own_step(training, sdr, hdr)

    with monkeypatch.context() as patch:
        patch.setattr(loop._Training, "step", interrupted)
        with pytest.raises(KeyboardInterrupt):
            train(job(data, tmp_path / "halves"), silent)
    assert weights_of(tmp_path / "halves")
    # The cache is only a cache.
    progress = train(
        job(data, tmp_path / "halves", resume=True, cache=tmp_path / "new cache"), silent
    )
    assert progress.step == 8
    whole, halves = weights_of(tmp_path / "whole"), weights_of(tmp_path / "halves")
    assert whole.keys() == halves.keys()
    for name, tensor in whole.items():
        assert torch.equal(tensor, halves[name]), name


def test_gpgmnet_resumes_bit_for_bit_too(data, tmp_path, monkeypatch):
    recipe = dataclasses.replace(SMALL, form="direct")
    whole = job(data, tmp_path / "whole", "gpgmnet-x2", 2, recipe=recipe)
    train(whole, silent)
    own_step = loop._Training.step

    def interrupted(training, sdr, hdr):
        if training.progress.step == 1:
            raise KeyboardInterrupt
        return own_step(training, sdr, hdr)

    halves = dataclasses.replace(whole, out=tmp_path / "halves")
    with monkeypatch.context() as patch:
        patch.setattr(loop._Training, "step", interrupted)
        with pytest.raises(KeyboardInterrupt):
            train(halves, silent)
    train(dataclasses.replace(halves, resume=True), silent)
    expected, found = weights_of(tmp_path / "whole"), weights_of(tmp_path / "halves")
    assert all(torch.equal(tensor, found[name]) for name, tensor in expected.items())


def test_a_checkpoint_survives_a_crash_while_the_next_is_written(tmp_path, monkeypatch):
    network = torch.nn.Conv2d(3, 3, 1)
    average, progress = WeightAverage(network, 0.9), Progress("irnet1", "abc", step=5)
    optimiser = torch.optim.AdamW(network.parameters(), lr=0.1)
    network(torch.rand(1, 3, 4, 4)).mean().backward()
    optimiser.step()
    save_checkpoint(tmp_path, progress, network, average, optimiser)
    kept = network.weight.detach().clone()
    with torch.no_grad():
        network.weight.add_(1.0)
    progress.step = 6

    def crash(*arguments, **named):
        raise OSError(28, "No space left on device")

    for victim in ("safetensors.torch.save", "shutil.rmtree", "json.dumps"):
        with monkeypatch.context() as patch:
            patch.setattr(victim, crash)
            with pytest.raises(OSError, match="No space"):
                save_checkpoint(tmp_path, progress, network, average, optimiser)
        found = load_checkpoint(tmp_path, Progress("irnet1", "abc"), network, average, optimiser)
        assert found.step == 5
        assert torch.equal(network.weight, kept)
    # Between the two renames the old one is found under its other name.
    (tmp_path / "checkpoint").rename(tmp_path / checkpoint._OLD_NAME)
    assert (
        load_checkpoint(tmp_path, Progress("irnet1", "abc"), network, average, optimiser).step == 5
    )


def test_the_old_checkpoint_is_found_until_there_is_a_new_one(data, tmp_path, monkeypatch):
    """After a kill between the two renames it was removed before the next had its name."""
    network = torch.nn.Conv2d(3, 3, 1)
    average, progress = WeightAverage(network, 0.9), Progress("irnet1", "abc", step=5)
    optimiser = torch.optim.AdamW(network.parameters(), lr=0.1)
    save_checkpoint(tmp_path, progress, network, average, optimiser)
    (tmp_path / "checkpoint").rename(tmp_path / checkpoint._OLD_NAME)
    (tmp_path / "checkpoint.1.tmp").mkdir()

    def crash(*arguments):
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", crash)
        with pytest.raises(OSError, match="Input/output"):
            save_checkpoint(tmp_path, progress, network, average, optimiser)
    found = load_checkpoint(tmp_path, Progress("irnet1", "abc"), network, average, optimiser)
    assert found.step == 5
    with pytest.raises(OutputError, match="--resume"):
        train(job(data, tmp_path), silent)
    save_checkpoint(tmp_path, progress, network, average, optimiser)
    assert [path.name for path in tmp_path.glob("checkpoint*")] == ["checkpoint"]


def test_a_checkpoint_of_another_recipe_or_none_is_refused(tmp_path):
    network = torch.nn.Conv2d(3, 3, 1)
    average = WeightAverage(network, 0.9)
    optimiser = torch.optim.AdamW(network.parameters(), lr=0.1)
    with pytest.raises(InputError, match="no checkpoint"):
        load_checkpoint(tmp_path, Progress("irnet1", "abc"), network, average, optimiser)
    save_checkpoint(tmp_path, Progress("irnet1", "abc"), network, average, optimiser)
    with pytest.raises(InputError, match="--recipe"):
        load_checkpoint(tmp_path, Progress("irnet1", "xyz"), network, average, optimiser)


@pytest.mark.parametrize(
    ("name", "spoil", "complaint"),
    [
        ("state.json", lambda old: old.replace(b'"step": 0', b'"step": null'), '"step" is null'),
        ("state.json", lambda old: old[:9], "not JSON"),
        ("state.safetensors", lambda old: old[:99], "damaged.*--start-from"),
        ("state.safetensors", lambda old: old.replace(b"average.b", b"average.c"), "damaged"),
        ("state.safetensors", lambda old: old.replace(b"network.b", b"network.c"), "damaged"),
    ],
)
def test_a_damaged_checkpoint_is_an_input_error(name, spoil, complaint, tmp_path):
    """Some were faults of the program, and an average that was not there went unnoticed."""
    network = torch.nn.Conv2d(3, 3, 1)
    average = WeightAverage(network, 0.9)
    optimiser = torch.optim.AdamW(network.parameters(), lr=0.1)
    progress = Progress("irnet1", "abc")
    save_checkpoint(tmp_path, progress, network, average, optimiser)
    path = tmp_path / "checkpoint" / name
    path.write_bytes(spoil(path.read_bytes()))
    with pytest.raises(InputError, match=complaint):
        load_checkpoint(tmp_path, progress, network, average, optimiser)


def test_a_running_training_is_not_overwritten(data, tmp_path):
    (tmp_path / "checkpoint").mkdir()
    with pytest.raises(OutputError, match="--resume"):
        train(job(data, tmp_path), silent)


def test_half_a_step_is_not_kept(data, tmp_path, monkeypatch):
    """Ctrl-C between the optimiser and the average left a checkpoint with one of them a step on."""
    validation = dataclasses.replace(SMALL.validation, checkpoint_minutes=0.0)
    own_update, updates = WeightAverage.update, list[int]()

    def interrupted(average, network):
        updates.append(average.updates)
        if len(updates) == 4:
            raise KeyboardInterrupt
        own_update(average, network)

    monkeypatch.setattr(WeightAverage, "update", interrupted)
    with pytest.raises(KeyboardInterrupt):
        recipe = dataclasses.replace(SMALL, validation=validation)
        train(job(data, tmp_path, recipe=recipe), silent)
    state = json.loads((tmp_path / "checkpoint" / "state.json").read_text())
    assert (state["step"], state["average_updates"]) == (3, 3)
    assert int(weights_of(tmp_path)["optimiser.0.step"]) == 3


def test_tables_have_the_rows_of_an_undisturbed_training(data, tmp_path, monkeypatch):
    """A resumed one counted its steps anew; one that had ended was judged in a second row."""
    monkeypatch.setattr(loop, "_STEPS_BETWEEN_ROWS", 2)

    own_step = loop._Training.step
    for end in (3, 5):

        def interrupted(training, sdr, hdr, end=end):
            if training.progress.step == end:
                raise KeyboardInterrupt
            return own_step(training, sdr, hdr)

        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(loop._Training, "step", interrupted)
            train(job(data, tmp_path / "halves", resume=end > 3), silent)
    for _ in range(2):
        train(job(data, tmp_path / "halves", resume=True), silent)
    assert steps_in(tmp_path / "halves" / "log.csv") == [2, 4, 6, 8]
    assert steps_in(tmp_path / "halves" / "validation.csv") == [8]


def test_a_resumed_training_is_validated_when_it_would_have_been(data, tmp_path, monkeypatch):
    """The time to the next validation began anew with each `--resume`."""
    monkeypatch.setattr(loop.LapClock, "lap_seconds", lambda clock: 60.0)
    validation = dataclasses.replace(SMALL.validation, minutes=3.0)
    small = dataclasses.replace(SMALL, validation=validation)
    train(job(data, tmp_path / "whole", recipe=small), silent)
    own_step = loop._Training.step

    def interrupted(training, sdr, hdr):
        if training.progress.step == 4:
            raise KeyboardInterrupt
        return own_step(training, sdr, hdr)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(loop._Training, "step", interrupted)
        train(job(data, tmp_path / "halves", recipe=small), silent)
    train(job(data, tmp_path / "halves", recipe=small, resume=True), silent)
    assert steps_in(tmp_path / "whole" / "validation.csv") == [3, 5, 7, 8]
    assert steps_in(tmp_path / "halves" / "validation.csv") == [3, 5, 7, 8]


def test_a_training_that_left_no_checkpoint_begins_anew_and_says_so(data, tmp_path):
    """`--resume` ended with code 3: the one command of a job that may be killed at any time."""
    said = list[str]()
    progress = train(
        job(data, tmp_path, steps=1, resume=True), lambda report: said.append(report.text)
    )
    assert progress.step == 1
    assert said[0] == "There is no checkpoint to go on from: beginning anew."


def test_start_weights_are_read_once(data, tmp_path, monkeypatch):
    """Each validation read them again: one that they were gone for ended a training of hours."""
    own = Path(__file__).parents[2] / "weights" / "irnet1.safetensors"
    start = tmp_path / "start.safetensors"
    start.write_bytes(own.read_bytes())
    own_step = loop._Training.step

    def interrupted(training, sdr, hdr):
        start.unlink(missing_ok=True)
        if training.progress.step == 1:
            raise KeyboardInterrupt
        return own_step(training, sdr, hdr)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(loop._Training, "step", interrupted)
        train(job(data, tmp_path / "out", steps=2, start_from=(start,)), silent)
    progress = train(job(data, tmp_path / "out", steps=2, start_from=(start,), resume=True), silent)
    assert progress.step == 2
    assert steps_in(tmp_path / "out" / "validation.csv") == [0, 2]


def test_a_divergence_tells_a_way_out_that_there_is(data, tmp_path, monkeypatch):
    """It told to go on with a lower learning rate, which a checkpoint of another recipe refuses."""
    monkeypatch.setattr(loop, "total_loss", lambda prediction, *_: prediction.sum() * torch.nan)
    with pytest.raises(Sdr2HdrError, match=r"diverged at step 0.*Begin anew.*\(--out\)\.$"):
        train(job(data, tmp_path), silent)


@pytest.mark.parametrize("taken", ["log.csv", "validation.csv", "cache/shards", "weights"])
def test_what_cannot_be_written_is_an_output_error(taken, data, tmp_path):
    """Each of these ended as a fault of the program."""
    place = tmp_path / taken
    place.parent.mkdir(parents=True, exist_ok=True)
    if place.suffix:
        place.mkdir()
    else:
        place.touch()
    with pytest.raises(OutputError, match=rf"{taken}.* cannot be written.*--out"):
        train(job(data, tmp_path, steps=1), silent)


def test_a_full_disk_at_a_checkpoint_is_an_output_error(data, tmp_path, monkeypatch):
    """Safetensors tells it by an error of its own, which ended as a fault of the program."""
    own_write = Path.write_bytes

    def full(path, content):
        if path.name == "state.safetensors":
            raise OSError(28, "No space left on device", str(path))
        return own_write(path, content)

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OutputError, match=r"state\.safetensors cannot be written: No space"):
        train(job(data, tmp_path, steps=1), silent)


def test_a_table_of_somebody_else_is_not_replaced(data, tmp_path):
    """It ended as a fault of the program."""
    (tmp_path / "log.csv").write_text("shot,grade\n1,warm\n")
    with pytest.raises(OutputError, match=r"log\.csv is no table of a training"):
        train(job(data, tmp_path), silent)
    assert (tmp_path / "log.csv").read_text() == "shot,grade\n1,warm\n"


def test_a_table_survives_a_crash_as_it_is_opened(tmp_path, monkeypatch):
    path = tmp_path / "log.csv"
    table = Table(path, ("step", "loss"), keep_until_step=0)
    for step in (1, 2, 3):
        table.add({"step": step, "loss": 0.5})

    def crash(*arguments, **named):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("csv.DictWriter.writerows", crash)
        with pytest.raises(OSError, match="No space"):
            Table(path, ("step", "loss"), keep_until_step=2)
    assert steps_in(path) == [1, 2, 3]
    Table(path, ("step", "loss"), keep_until_step=2)
    assert steps_in(path) == [1, 2]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows sends Ctrl-C to no single process")
def test_ctrl_c_ends_between_steps_and_says_how_to_go_on(data, tmp_path, capsys, monkeypatch):
    recipe, out = tmp_path / "small.toml", tmp_path / "run"
    recipe.write_text(
        "[data]\nheight = 32\nwidth = 48\nshard = 6\noperators = {hable = 1.0}\n"
        "[optimiser]\nbatch = 2\n[validation]\nheight = 32\nwidth = 48\n"
    )
    command = ["train", "irnet1", "--data", str(data), "--out", str(out), "--steps", "4"]
    own_update, updates = WeightAverage.update, list[int]()

    def interrupted(average, network):
        updates.append(average.updates)
        if len(updates) == 2:
            os.kill(os.getpid(), signal.SIGINT)
        own_update(average, network)

    with monkeypatch.context() as patch:
        patch.setattr(WeightAverage, "update", interrupted)
        assert run([*command, "--recipe", str(recipe)]) == 130
    said = capsys.readouterr().err
    assert "Once more stops at once" in said and f"{out} holds a checkpoint" in said
    assert "--resume" in said
    assert json.loads((out / "checkpoint" / "state.json").read_text())["step"] == 2
    assert run([*command, "--recipe", str(recipe), "--resume"]) == 0


def test_two_trainings_do_not_share_a_folder(data, tmp_path, capsys):
    """They mixed their tables, and each ended on a checkpoint that the other had removed."""
    out = tmp_path / "run"
    out.mkdir()
    command = ["train", "irnet1", "--data", str(data), "--out", str(out), "--steps", "0"]
    with output_lock(out / "checkpoint"):
        assert run(command) == 10
    assert f"{out / 'checkpoint'} is being written by another run" in capsys.readouterr().err


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="asks /proc who is at work")
def test_the_process_that_makes_pairs_ends_with_a_killed_training(data, tmp_path):
    """It made its shard to the end, which takes minutes, in the folder that --resume works in."""
    recipe = tmp_path / "small.toml"
    recipe.write_text(
        "[data]\nheight = 32\nwidth = 48\nshard = 20000\noperators = {hable = 1.0}\n"
        "[validation]\nheight = 32\nwidth = 48\n"
    )
    command = [sys.executable, "-m", "sdr2hdr", "train", "irnet1", "--data", data, "--recipe"]
    with subprocess.Popen(
        [*command, recipe, "--out", tmp_path / "run"], start_new_session=True
    ) as training:
        while 19 not in nicenesses_in(training.pid):
            assert training.poll() is None
            time.sleep(0.1)
        time.sleep(3.0)
        training.kill()
    last_seconds = time.monotonic() + 20.0
    while (left := nicenesses_in(training.pid)) and time.monotonic() < last_seconds:
        time.sleep(0.1)
    with suppress(ProcessLookupError):
        os.killpg(training.pid, signal.SIGKILL)
    assert left == []


def nicenesses_in(session: int) -> list[int]:
    """Of each process in a session, as proc(5) has it."""
    found = []
    for file in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            fields = file.read_text().rpartition(")")[2].split()
            if int(fields[3]) == session and fields[0] != "Z":
                found.append(int(fields[16]))
    return found
