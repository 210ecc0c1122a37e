from __future__ import annotations

import csv
import dataclasses
import json
import os
import shutil
import signal
import sys
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from exr_files import scene_pixels, write_exr
from safetensors.torch import load_file, save_file
from small_trainings import SMALL, job, silent

from sdr2hdr.cli import run
from sdr2hdr.curves.bt2446a import bt2446a
from sdr2hdr.errors import InputError, OutputError, UsageError
from sdr2hdr.media.reading.still_images import write_png
from sdr2hdr.networks.card import Form
from sdr2hdr.networks.gpgmnet import bicubic_upscale
from sdr2hdr.networks.registry import NETWORKS, build, resolve_exactly
from sdr2hdr.networks.weights import load_network
from sdr2hdr.training import loop
from sdr2hdr.training.forms import base_picture, keep_last_layer_exact, predict, zero_last_layer
from sdr2hdr.training.initialisation import start_as_curve
from sdr2hdr.training.job import TrainingJob
from sdr2hdr.training.loop import train
from sdr2hdr.training.losses import total_loss
from sdr2hdr.training.randomness import generator
from sdr2hdr.training.recipe import DataRecipe, LossRecipe, OptimiserRecipe
from sdr2hdr.training.recipe_file import find_recipe, read_recipe
from sdr2hdr.training.scenes import find_scenes
from sdr2hdr.training.schedule import Budget, learning_rate
from sdr2hdr.training.shards import PairPlan, Shards, Window, make_shard
from sdr2hdr.training.synthesis import (
    Pair,
    PairFiles,
    RealPairs,
    SyntheticPairs,
    find_pair_files,
    read_pair,
)
from sdr2hdr.training.validation import Frame, judge, psnr_db
from sdr2hdr.training.weight_average import WeightAverage


def test_thirty_steps_lower_the_loss_and_leave_usable_weights(data, tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "_STEPS_BETWEEN_ROWS", 5)
    progress = train(job(data, tmp_path / "run", steps=30), silent)
    with (tmp_path / "run" / "log.csv").open() as file:
        losses = [float(row["loss"]) for row in csv.DictReader(file)]
    assert len(losses) == 6
    assert np.mean(losses[-2:]) < 0.9 * losses[0]
    with (tmp_path / "run" / "validation.csv").open() as file:
        (row,) = csv.DictReader(file)
    assert float(row["psnr_db"]) > float(row["bt2408_psnr_db"])
    assert progress.best_step == progress.step == 30
    network, card = load_network("irnet1", tmp_path / "run" / "weights")
    assert card.form is Form.RESIDUAL_BT2446A
    assert card.training.steps == 30
    assert {name: t.shape for name, t in network.state_dict().items()} == {
        name: t.shape for name, t in build(resolve_exactly("irnet1")).state_dict().items()
    }
    for name in ("loss.png", "validation.png"):
        assert (tmp_path / "run" / name).read_bytes()[:4] == b"\x89PNG"


def test_fine_tuning_on_own_pairs(tmp_path):
    for index in range(3):
        light = scene_pixels(index, 48, 64)
        write_exr(tmp_path / "hdr" / f"shot_{index}.exr", light)
        (tmp_path / "sdr").mkdir(exist_ok=True)
        codes = np.clip(light, 0.0, 1.0) ** (1 / 2.2) * 255
        write_png(tmp_path / "sdr" / f"shot_{index}.png", codes.astype(np.uint8))
    pairs = find_pair_files(tmp_path / "sdr", tmp_path / "hdr")
    assert [files.sdr.stem for files in pairs] == ["shot_0", "shot_1", "shot_2"]
    start = build(resolve_exactly("irnet1"))
    zero_last_layer(start)
    save_file(start.state_dict(), tmp_path / "start.safetensors")
    tuning = TrainingJob(
        spec=resolve_exactly("irnet1"),
        # Of another scale, and not asked: pairs are what is learned.
        recipe=dataclasses.replace(SMALL, loss=LossRecipe(teacher="irnet5-x2")),
        budget=Budget(steps=4),
        training=(),
        validation=(),
        pairs=pairs,
        watch=pairs,
        out=tmp_path / "out",
        cache=tmp_path / "out" / "cache",
        start_from=(tmp_path / "start.safetensors",),
    )
    progress = train(tuning, silent)
    assert progress.step == 4
    assert progress.best_psnr_db is not None
    _, card = load_network("irnet1", tmp_path / "out" / "weights")
    assert not any("irnet5-x2" in text for text in card.degradations)
    with (tmp_path / "out" / "validation.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["step"] for row in rows] == ["0", "4"]
    assert float(rows[-1]["watch_psnr_db"]) > 5.0
    with pytest.raises(InputError, match="No file"):
        find_pair_files(tmp_path / "sdr", tmp_path / "out")


@pytest.mark.parametrize("starts_from_shipped", [False, True])
def test_a_card_names_what_was_trained_on(starts_from_shipped, data, tmp_path):
    """Of a network trained on own pairs alone it listed the recipe's scenes and operators."""
    recipe = find_recipe("irnet1")
    recipe = dataclasses.replace(SMALL, card=read_recipe(recipe).card)
    shipped = Path(__file__).parents[2] / "weights" / "irnet1.safetensors"
    tuning = job(
        data,
        tmp_path / "out",
        steps=0,
        recipe=recipe,
        training=(),
        validation=(),
        pairs=pair_files(tmp_path, (32, 48), 1),
        start_from=(shipped,) if starts_from_shipped else (),
    )
    train(tuning, silent)
    _, card = load_network("irnet1", tmp_path / "out" / "weights")
    sources = [source.source for source in card.training_data]
    assert sources[-1] == "Own pairs (--pairs)"
    assert "1 SDR and HDR" in card.training_data[-1].content
    # It called them held-out, and of the recipe's size.
    assert card.scores[0].data == "1 of the pairs that were trained on, reduced"
    assert len(sources) == (1 + len(recipe.card.training_data) if starts_from_shipped else 1)
    assert any("hard_clip" in text for text in card.degradations) == starts_from_shipped


def pair_files(folder: Path, size: tuple[int, int], times_as_large: int) -> tuple[PairFiles, ...]:
    """One pair, HDR so many times as large as SDR."""
    height, width = size
    for name in ("sdr", "hdr"):
        (folder / name).mkdir(parents=True)
    write_png(folder / "sdr" / "shot.png", np.full((height, width, 3), 99, np.uint8))
    light = scene_pixels(1, height * times_as_large, width * times_as_large)
    write_exr(folder / "hdr" / "shot.exr", light)
    return find_pair_files(folder / "sdr", folder / "hdr")


@pytest.mark.parametrize("use", ["pairs", "watch"])
def test_pairs_of_another_scale_are_an_input_error(use, data, tmp_path):
    """The curves were judged on them first, which ended as a fault of the program."""
    twice = pair_files(tmp_path / "twice", (32, 48), 2)
    given = {"pairs": pair_files(tmp_path / "once", (32, 48), 1)} | {use: twice}
    with pytest.raises(InputError, match='2 times as large as SDR in the pair "shot"'):
        train(job(data, tmp_path / "out", training=(), validation=(), **given), silent)


@pytest.mark.parametrize(
    ("size", "times_as_large", "complaint"),
    [((32, 48), 2, "2 times as large as .*shot.png"), ((16, 48), 1, "48x16.*48x32")],
)
def test_a_pair_that_cannot_be_used_is_named(size, times_as_large, complaint, tmp_path):
    files = pair_files(tmp_path, size, times_as_large)
    with pytest.raises(InputError, match=f"shot.exr is {complaint}"):
        RealPairs(files, SMALL.data, 1)


def test_a_pixel_format_that_cannot_be_read_is_told_with_its_file(tmp_path):
    files = pair_files(tmp_path, (32, 48), 1)
    encoder = av.CodecContext.create("bmp", "w")
    encoder.width, encoder.height, encoder.pix_fmt = 48, 32, "rgb555le"
    packets = [*encoder.encode(av.VideoFrame(48, 32, "rgb555le")), *encoder.encode(None)]
    files[0].sdr.write_bytes(b"".join(bytes(packet) for packet in packets))
    with pytest.raises(InputError, match=r"shot\.png decodes to pixel format rgb555le"):
        read_pair(files[0])


def test_no_steps_judge_and_write_the_start(data, tmp_path):
    own = Path(__file__).parents[2] / "weights" / "irnet1.safetensors"
    start = build(resolve_exactly("irnet1"))
    save_file(start.state_dict(), tmp_path / "start.safetensors")
    files = (own, tmp_path / "start.safetensors")
    progress = train(job(data, tmp_path / "out", steps=0, start_from=files), silent)
    assert progress.step == 0
    assert progress.best_psnr_db is not None
    found, shipped = load_file(tmp_path / "out" / "weights" / "irnet1.safetensors"), load_file(own)
    for name, tensor in start.state_dict().items():
        mean = (tensor.double() + shipped[name].double()) / 2
        assert torch.equal(found[name], mean.float()), name


def test_a_start_that_training_makes_worse_is_kept(data, tmp_path):
    """The first to be judged were those after some steps, and the best whatever they were."""
    own = Path(__file__).parents[2] / "weights" / "irnet1.safetensors"
    optimiser = dataclasses.replace(SMALL.optimiser, learning_rate=1.0, warm_up_steps=0)
    recipe = dataclasses.replace(SMALL, optimiser=optimiser)
    progress = train(job(data, tmp_path / "out", steps=2, recipe=recipe, start_from=(own,)), silent)
    assert (progress.step, progress.best_step) == (2, 0)
    found = load_file(tmp_path / "out" / "weights" / "irnet1.safetensors")
    assert all(torch.equal(found[name], tensor.float()) for name, tensor in load_file(own).items())


def test_a_network_has_nothing_to_learn_from_itself(data, tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "_STEPS_BETWEEN_ROWS", 1)
    own = Path(__file__).parents[2] / "weights" / "irnet1.safetensors"

    def first_loss(teacher: str) -> float:
        recipe = dataclasses.replace(SMALL, loss=LossRecipe(teacher=teacher))
        out = tmp_path / (teacher or "picture")
        train(job(data, out, steps=1, recipe=recipe, start_from=(own,)), silent)
        with (out / "log.csv").open() as file:
            return float(next(csv.DictReader(file))["loss"])

    assert first_loss("irnet1") < 0.002
    assert first_loss("") > 0.01


def test_shards_depend_on_plan_and_index_alone(data, tmp_path):
    split = job(data, tmp_path).training
    plan = PairPlan(split, (), SMALL.data, 2, seed=4)
    for name in ("a", "b"):
        make_shard(plan.source(), plan, 3, tmp_path / name)
    make_shard(plan.source(), plan, 4, tmp_path / "a")
    first = np.load(tmp_path / "a" / "shard_000003" / "hdr.npy")
    assert first.shape == (8, 3, 32, 48)
    assert np.load(tmp_path / "a" / "shard_000003" / "sdr.npy").shape == (8, 3, 16, 24)
    np.testing.assert_array_equal(first, np.load(tmp_path / "b" / "shard_000003" / "hdr.npy"))
    assert (first != np.load(tmp_path / "a" / "shard_000004" / "hdr.npy")).any()
    assert plan.fingerprint() != dataclasses.replace(plan, seed=5).fingerprint()


def test_shards_of_a_picture_that_was_replaced_are_made_anew(tmp_path):
    """A training went on with the shards of the picture before."""
    picture, video = tmp_path / "place.exr", tmp_path / "sdr.mp4"
    write_exr(picture, scene_pixels(0))
    video.write_bytes(b"")
    of_scene = PairPlan(find_scenes(tmp_path), (), SMALL.data, 1, seed=4)
    of_pair = PairPlan((), (PairFiles(video, picture),), SMALL.data, 1, seed=4)
    before = of_scene.fingerprint(), of_pair.fingerprint()
    assert (of_scene.fingerprint(), of_pair.fingerprint()) == before
    os.utime(picture, ns=(0, 0))
    after = of_scene.fingerprint(), of_pair.fingerprint()
    assert after[0] != before[0]
    assert after[1] != before[1]


def test_frames_of_other_pictures_of_the_same_names_are_made_anew(data, tmp_path):
    """With a shared cache a network was judged on the pictures of the folder before."""
    for seed in range(5):
        write_exr(tmp_path / "other" / f"place_{seed}.exr", scene_pixels(seed + 5))
    found = set()
    for number, folder in enumerate((data, tmp_path / "other", data)):
        out = tmp_path / str(number)
        train(job(folder, out, steps=0, cache=tmp_path / "cache"), silent)
        with (out / "validation.csv").open() as file:
            found.add(next(csv.DictReader(file))["bt2446a_psnr_db"])
    assert len(found) == 2
    assert len(list((tmp_path / "cache").glob("validation_*"))) == 2


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such lock")
def test_trainings_of_one_plan_leave_each_other_alone(data, tmp_path):
    """The second removed what the first was writing, and each the shards that it had done with."""
    plan = PairPlan(job(data, tmp_path).training, (), SMALL.data, 1, seed=4)
    with Shards(plan, tmp_path, batch=2) as first:
        writing = first._folder / "shard_000001.1.tmp"
        writing.mkdir()
        with Shards(plan, tmp_path, batch=2) as second:
            assert writing.is_dir()
            assert second._folder != first._folder
    with Shards(plan, tmp_path, batch=2) as third:
        assert third._folder == first._folder
        assert not writing.exists()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows sends Ctrl-C to no single process")
def test_the_process_that_makes_pairs_hears_no_ctrl_c(data, tmp_path, capfd):
    """A terminal sends it to all processes of the command; this one ended with a traceback."""
    plan = PairPlan(job(data, tmp_path).training, (), SMALL.data, 1, seed=4)
    with Shards(plan, tmp_path / "shards", batch=2) as shards:
        shards.batch(0)
        process = shards._process
        os.kill(process.pid, signal.SIGINT)
        for shard in (tmp_path / "shards").glob("*/shard_000000"):
            shutil.rmtree(shard)
        shards._maps.clear()
        shards.batch(0)
        assert process.is_alive()
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ())
    assert capfd.readouterr().err == ""


def test_a_scene_that_cannot_be_read_is_named_by_the_training(tmp_path, capfd):
    """The process that makes pairs ended with a traceback, and the training with code 1."""
    for seed in range(2):
        write_exr(tmp_path / "data" / f"place_{seed}.exr", scene_pixels(seed))
    broken = tmp_path / "data" / "place_0.exr"
    broken.write_bytes(b"no picture")
    with pytest.raises(InputError, match=str(broken)):
        train(
            dataclasses.replace(
                job(tmp_path / "data", tmp_path / "run"),
                training=find_scenes(tmp_path / "data")[:1],
                validation=find_scenes(tmp_path / "data")[1:],
            ),
            silent,
        )
    assert "Traceback" not in capfd.readouterr().err


def test_a_cache_that_cannot_be_made_is_an_output_error(data, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="--cache"):
        train(job(data, tmp_path / "run", cache=tmp_path / "file" / "cache"), silent)


def test_pictures_of_phones_are_made_where_a_recipe_asks_for_them(data, tmp_path):
    scenes = job(data, tmp_path).training
    above_the_curve = {}
    for share in (0.0, 1.0):
        source = SyntheticPairs(scenes, dataclasses.replace(SMALL.data, phones=share), 1)
        pairs = [source.draw(generator(seed)) for seed in range(6)]
        sdr, hdr = (torch.cat(each) for each in zip(*((p.sdr, p.hdr) for p in pairs), strict=True))
        dark = (sdr > 0.15).all(dim=1) & (sdr < 0.3).all(dim=1)
        above_the_curve[share] = float((hdr - bt2446a(sdr)).mean(dim=1)[dark].mean())
    # Film's look is that of the curve there; that of phones is darker.
    assert abs(above_the_curve[0.0]) < 0.005
    assert above_the_curve[1.0] < -0.015


def test_the_window_of_shards_grows_then_moves():
    recipe = DataRecipe(shard=10, window=3, reuse=2.0)
    windows = [Window.at(step, 2, recipe) for step in (0, 9, 10, 30, 100)]
    assert windows == [Window(0, 1), Window(0, 1), Window(0, 2), Window(1, 4), Window(8, 11)]


@pytest.mark.parametrize("spec", NETWORKS, ids=lambda spec: spec.name)
def test_every_network_has_a_recipe(spec):
    recipe = read_recipe(find_recipe(spec.name))
    assert recipe.data.height % (2 * spec.scale) == 0
    assert recipe.data.width % (2 * spec.scale) == 0
    assert recipe.card.training_data
    assert recipe.form == ("refinement" if spec.kind == "gpgmnet" else "residual")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[data]\nheigth = 3", '"data.heigth"'),
        ("[optimiser]\nbatch = 1.5", "expected a whole number"),
        ("[optimiser]\nbatch = 0", "expected more than 0"),
        ("[data]\nreuse = 0", "expected more than 0"),
        ("[data]\nshard = 0", "expected more than 0"),
        ("seed = -1", "expected a finite number of 0 or more"),
        (f"seed = {2**63}", "expected at most 9223372036854775807"),
        ("hours = nan", "expected more than 0"),
        ("[loss]\nl1 = 0\nictcp = 0\ngradient = 0", '"loss" has no weight above 0'),
        ("[loss]\nl1 = inf", "expected a finite number"),
        ("[data.degradation]\nnoisy = 30", '"data.degradation.noisy" is 30.0; expected 0 to 1'),
        ("[data]\noperators = 3", "expected a table"),
        ("[data]\ncamera_operators = 'hable'", "expected a list"),
        ("[data]\ncamera_operators = ['hablé']", 'has "hablé"; expected bt2446a'),
        ("[data.operators]\nnosuch = 1", 'has "nosuch"; expected bt2446a, bt2446c'),
        ("[data.operators]\nhable = -1", '"data.operators.hable" is -1.0; expected a finite'),
        ("[data.operators]\nhable = 0", "no weight above 0"),
        ("[data.anchors]\nphone = 1", 'has "phone"; expected bt2446a, camera'),
        ("[data]\nanchors = {}", "no weight above 0"),
        ("[[card.training_data]]\nsource = 'own'", "with source; expected content, licence"),
        ('form = "other"', "expected residual or refinement or direct"),
        ("loss = 3", "expected a table"),
        ("[data.graphic_kinds]\npannel = 1", 'has "pannel"; expected caption, panel'),
        ("[", "not TOML"),
    ],
)
def test_a_wrong_recipe_is_a_usage_error(text, complaint, tmp_path):
    path = tmp_path / "recipe.toml"
    path.write_text(text)
    with pytest.raises(UsageError, match=complaint):
        read_recipe(path)


@pytest.mark.parametrize("part", ["data", "validation"])
def test_a_size_that_the_network_cannot_reduce_is_a_usage_error(part, data, tmp_path):
    """The loss was asked to compare pictures of two sizes, a fault of the program."""
    odd = dataclasses.replace(getattr(SMALL, part), height=38)
    recipe = dataclasses.replace(SMALL, **{part: odd})
    with pytest.raises(UsageError, match=f'"{part}" is of 48x38 px; expected multiples of 4 px'):
        job(data, tmp_path, "irnet5-x2", recipe=recipe)


@pytest.fixture(params=["float32", "bfloat16"])
def precision(request, monkeypatch):
    """Training with and without half precision, whatever this processor has."""
    has_it = request.param == "bfloat16"
    monkeypatch.setattr("sdr2hdr.training.forms.computes_bf16", lambda device: has_it)


@pytest.mark.usefixtures("precision")
def test_residual_networks_start_as_the_curve():
    network = build(resolve_exactly("irnet2"))
    start_as_curve(network)
    keep_last_layer_exact(network)
    sdr = torch.rand(1, 3, 16, 24)
    expected = base_picture(sdr, Form.RESIDUAL_BT2446A, 1)
    assert expected is not None
    found = predict(network, sdr, Form.RESIDUAL_BT2446A)
    assert torch.equal(found, expected)


@pytest.mark.usefixtures("precision")
@pytest.mark.parametrize("scale", [2, 4])
def test_refining_networks_start_as_the_curve_enlarged(scale):
    network = build(resolve_exactly(f"gpgmnet-x{scale}")).eval()
    start_as_curve(network)
    keep_last_layer_exact(network)
    sdr = torch.rand(1, 3, 40, 48)
    found = predict(network, sdr, Form.REFINEMENT_BT2446A)
    torch.testing.assert_close(found, bicubic_upscale(bt2446a(sdr), scale), rtol=0, atol=1e-5)


@pytest.mark.usefixtures("precision")
def test_the_last_layer_is_not_rounded_to_bfloat16():
    network = build(resolve_exactly("irnet1"))
    names = list(network.state_dict())
    keep_last_layer_exact(network)
    assert list(network.state_dict()) == names
    output = predict(network, torch.rand(1, 3, 16, 24), Form.DIRECT)
    assert (output != output.to(torch.bfloat16).to(torch.float32)).float().mean() > 0.5


def test_loss_is_zero_on_the_target_and_its_gradient_finite_at_black():
    target = torch.rand(1, 3, 8, 8)
    assert float(total_loss(target, target, LossRecipe(l2=1.0))) == 0.0
    prediction = torch.zeros(1, 3, 8, 8, requires_grad=True)
    total_loss(prediction, target.where(target > 0.5, torch.zeros(())), LossRecipe()).backward()
    assert prediction.grad is not None
    assert torch.isfinite(prediction.grad).all()


def test_the_logarithm_of_the_loss_makes_pictures_count_by_their_ratios():
    target = torch.full((2, 3, 8, 8), 0.5)
    prediction = (target + torch.tensor([0.01, 0.1])[:, None, None, None]).requires_grad_()
    shares = {}
    for logarithmic in (False, True):
        recipe = LossRecipe(ictcp=0.0, gradient=0.0, logarithmic=logarithmic)
        (gradient,) = torch.autograd.grad(total_loss(prediction, target, recipe), prediction)
        each = gradient.abs().sum((1, 2, 3))
        shares[logarithmic] = float(each[0] / each[1])
    assert shares[False] == pytest.approx(1.0)
    assert shares[True] == pytest.approx((0.1 + 0.001) / (0.01 + 0.001), rel=1e-4)


def test_learning_rate_warms_up_and_falls_as_a_cosine():
    recipe = OptimiserRecipe(learning_rate=1.0, final_learning_rate=0.0, warm_up_steps=10)
    assert learning_rate(recipe, 0, 0.0) == pytest.approx(0.1)
    assert learning_rate(recipe, 100, 0.5) == pytest.approx(0.5)
    assert learning_rate(recipe, 100, 1.0) == pytest.approx(0.0)


def test_a_short_training_is_not_all_warm_up():
    """A fine-tuning of two minutes spent three quarters of it there, and 2.5 dB."""
    recipe = OptimiserRecipe(learning_rate=1.0, final_learning_rate=0.0, warm_up_steps=300)
    assert learning_rate(recipe, 20, 0.05) == pytest.approx(0.5, abs=0.01)
    assert learning_rate(recipe, 40, 0.1) == pytest.approx(0.976, abs=0.001)


def test_the_average_follows_the_weights():
    network = torch.nn.Linear(1, 1)
    average = WeightAverage(network, 0.5)
    with torch.no_grad():
        network.weight.fill_(1.0)
        average.tensors["weight"].zero_()
    average.update(network)
    # The first update's decay is 2/11: the average goes 9/11 of the way.
    assert float(average.tensors["weight"]) == pytest.approx(9 / 11)


def test_psnr_of_a_known_error():
    target = torch.full((1, 3, 4, 4), 0.5)
    assert psnr_db(target + 0.1, target) == pytest.approx(20.0, abs=1e-4)
    assert psnr_db(target + 9.0, target) == pytest.approx(-20 * np.log10(0.5), abs=1e-4)


def test_every_frame_counts_in_the_mean_whatever_its_name():
    sdr = torch.full((1, 3, 4, 4), 0.5)
    frames = [Frame("shot", "hable", Pair(sdr, sdr + error)) for error in (0.1, 0.01)]
    found = judge(lambda picture: picture, frames)
    assert found.frames == 2
    assert found.mean_db == pytest.approx(30.0, abs=1e-3)
    assert found.mean_db == pytest.approx(found.by_group_db["hable"])


def test_the_command_refuses_what_makes_no_sense(tmp_path, capsys):
    assert run(["train", "irnet2", "--out", str(tmp_path)]) == 2
    assert "--data" in capsys.readouterr().err
    missing = str(tmp_path / "none")
    assert run(["train", "irnet2", "--data", missing, "--out", str(tmp_path)]) == 3
    assert run(["train", "resnet", "--data", missing, "--out", str(tmp_path)]) == 6


def test_the_command_trains(data, tmp_path, capsys):
    recipe = tmp_path / "small.toml"
    recipe.write_text(
        "[data]\nheight = 32\nwidth = 48\nshard = 6\noperators = {hable = 1.0}\n"
        "[optimiser]\nbatch = 2\n[validation]\nheight = 32\nwidth = 48\n"
    )
    arguments = ["train", "irnet1", "--data", str(data), "--out", str(tmp_path / "run")]
    code = run([*arguments, "--steps", "3", "--recipe", str(recipe), "--json"])
    captured = capsys.readouterr()
    assert code == 0, captured.err
    events = [json.loads(line) for line in captured.out.splitlines()]
    assert events[-1]["event"] == "done"
    assert (events[-1]["steps"], events[-1]["weights"]) == (3, str(tmp_path / "run" / "weights"))
    assert (tmp_path / "run" / "weights" / "irnet1.safetensors").is_file()
