from __future__ import annotations

import os

import numpy as np
import pytest
import torch
from exr_files import scene_pixels, write_exr

from sdr2hdr.colour.primaries import rgb_to_rgb_matrix
from sdr2hdr.errors import InputError
from sdr2hdr.media.reading.still_images import read_linear_picture, write_png
from sdr2hdr.signal import Primaries
from sdr2hdr.training.pictures import read_hdr_pictures, read_sdr_pictures
from sdr2hdr.training.randomness import generator
from sdr2hdr.training.scenes import (
    ALWAYS_EXCLUDED,
    Manifest,
    Referral,
    find_scenes,
    is_excluded,
    read_manifest,
    split_scenes,
)
from sdr2hdr.training.views import look, look_straight, prepare

BT709 = np.array([[0.64, 0.33], [0.30, 0.60], [0.15, 0.06], [0.3127, 0.3290]])
BT2020 = np.array([[0.708, 0.292], [0.170, 0.797], [0.131, 0.046], [0.3127, 0.3290]])

KEPT_OUT = [
    "uhdr_lamps",
    "uhdr_night_highrise",
    "pq_rooftop_day_014",
    "pq_rooftop_clouds_100",
    "hlg_rooftop_overcast_040",
    "hlg_clouds_003",
    "pq_fort_flag",
]


@pytest.mark.parametrize("name", KEPT_OUT)
def test_the_exams_real_pictures_are_never_trained_on(name: str, tmp_path):
    assert is_excluded(name)
    for kept_out in (name, "meadow", "street"):
        write_exr(tmp_path / "display" / f"{kept_out}.exr", scene_pixels(1, 4, 4))
    # A manifest cannot let them in.
    (tmp_path / "scenes.toml").write_text(f'validation = ["street"]\nscene = ["{name}"]\n')
    names = {scene.name for scene in find_scenes(tmp_path)}
    assert names == {"meadow", "street"}


def test_the_list_of_what_is_kept_out_stands():
    assert set(ALWAYS_EXCLUDED) >= {
        "uhdr_*",
        "pq_rooftop_*",
        "hlg_rooftop_*",
        "hlg_clouds_*",
        "pq_fort_flag*",
    }


def test_a_folder_of_nothing_but_kept_out_pictures_is_refused(tmp_path):
    write_exr(tmp_path / "uhdr_lamps.exr", scene_pixels(1, 4, 4))
    with pytest.raises(InputError, match="holds no picture to train on"):
        find_scenes(tmp_path)


def test_groups_stay_on_one_side(tmp_path):
    for name in ("inn_a", "inn_b", "lake", "night", "wood"):
        write_exr(tmp_path / f"{name}.exr", scene_pixels(1, 4, 4))
    manifest = Manifest(validation=("inn_a", "night"), groups=(("inn_*",),))
    split = split_scenes(find_scenes(tmp_path, manifest), manifest)
    assert {scene.name for scene in split.validation} == {"inn_a", "night"}
    assert {scene.name for scene in split.training} == {"lake", "wood"}


def test_without_names_a_tenth_of_the_groups_is_held_out(tmp_path):
    for index in range(20):
        write_exr(tmp_path / f"place_{index}.exr", scene_pixels(1, 4, 4))
    split = split_scenes(find_scenes(tmp_path, Manifest()), Manifest())
    assert (len(split.training), len(split.validation)) == (18, 2)


def test_a_name_that_is_no_utf_8_is_a_group_too(tmp_path):
    for name in ("place", os.fsdecode(b"place_\xff")):
        write_exr(tmp_path / f"{name}.exr", scene_pixels(1, 4, 4))
    split = split_scenes(find_scenes(tmp_path, Manifest()), Manifest())
    assert (len(split.training), len(split.validation)) == (1, 1)
    numbers = {generator(1, scene.name).random() for scene in (*split.training, *split.validation)}
    assert len(numbers) == 2


def test_everything_held_out_is_refused(tmp_path):
    write_exr(tmp_path / "only.exr", scene_pixels(1, 4, 4))
    manifest = Manifest(validation=("only",))
    with pytest.raises(InputError, match="held out"):
        split_scenes(find_scenes(tmp_path, manifest), manifest)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [("exclude = 3", "not a list"), ("secret = []", '"secret"'), ("a = [", "cannot be read")],
)
def test_a_wrong_manifest_is_refused(text: str, complaint: str, tmp_path):
    (tmp_path / "scenes.toml").write_text(text)
    with pytest.raises(InputError, match=complaint):
        read_manifest(tmp_path)


def test_the_packages_own_manifest_holds_scenes_out_and_groups_places(tmp_path):
    manifest = read_manifest(tmp_path)
    assert len(manifest.validation) >= 12
    assert any("brown_photostudio_*" in group for group in manifest.groups)


def test_exr_is_read_exactly(tmp_path):
    pixels = scene_pixels(3, 10, 14)
    pixels[0, 0] = (-0.25, 1000.0, 3e4)
    write_exr(tmp_path / "scene.exr", pixels, BT2020)
    picture = read_linear_picture(tmp_path / "scene.exr")
    np.testing.assert_array_equal(picture.pixels, pixels)
    assert picture.chromaticities is not None
    np.testing.assert_allclose(picture.chromaticities, BT2020, atol=1e-6)


def test_primaries_come_from_the_header_or_else_the_referral(tmp_path):
    pixels = scene_pixels(3, 4, 6)
    write_exr(tmp_path / "plain.exr", pixels)
    write_exr(tmp_path / "said.exr", pixels, BT709)
    planar = pixels.transpose(2, 0, 1)[None]
    matrix = rgb_to_rgb_matrix(Primaries.BT709, Primaries.BT2020)
    converted = np.einsum("ij,njhw->nihw", matrix, planar)
    (display,) = read_hdr_pictures(tmp_path / "plain.exr", Referral.DISPLAY)
    (scene,) = read_hdr_pictures(tmp_path / "plain.exr", Referral.SCENE)
    (said,) = read_hdr_pictures(tmp_path / "said.exr", Referral.DISPLAY)
    np.testing.assert_allclose(display, planar, rtol=1e-6)
    np.testing.assert_allclose(scene, converted, rtol=1e-5)
    np.testing.assert_allclose(said, converted, rtol=1e-4)


def test_damaged_exr_is_an_input_error(tmp_path):
    write_exr(tmp_path / "scene.exr", scene_pixels(3, 10, 14))
    content = (tmp_path / "scene.exr").read_bytes()
    (tmp_path / "scene.exr").write_bytes(content[:60])
    with pytest.raises(InputError):
        read_linear_picture(tmp_path / "scene.exr")


@pytest.mark.parametrize("referral", list(Referral))
def test_light_that_is_no_number_is_an_input_error(tmp_path, referral):
    """Trainings took it, and judged themselves by it: every figure was "nan"."""
    pixels = scene_pixels(3, 10, 14)
    pixels[4, 5, 1] = np.nan
    write_exr(tmp_path / "scene.exr", pixels)
    with pytest.raises(InputError, match="not numbers"):
        next(read_hdr_pictures(tmp_path / "scene.exr", referral))


@pytest.mark.parametrize(("greatest", "expected"), [(30.0, 65504.0), (1e6, 1e6)])
def test_infinite_light_is_the_greatest_that_a_file_can_say(tmp_path, greatest, expected):
    """In P3 it met itself with opposite signs in the matrix, and was no number."""
    p3 = np.array([(0.68, 0.32), (0.265, 0.69), (0.15, 0.06), (0.3127, 0.329)])
    pixels = scene_pixels(3, 10, 14)
    pixels[0, 0] = greatest
    pixels[4, 5] = (np.inf, np.inf, -np.inf)
    write_exr(tmp_path / "scene.exr", pixels, p3)
    read = read_linear_picture(tmp_path / "scene.exr").pixels
    np.testing.assert_array_equal(read[4, 5], np.array([1, 1, -1]) * expected)
    np.testing.assert_array_equal(read[0], pixels[0])
    (light,) = read_hdr_pictures(tmp_path / "scene.exr", Referral.SCENE)
    assert torch.isfinite(light).all()


@pytest.mark.parametrize(
    "chromaticities",
    [np.zeros((4, 2)), np.full((4, 2), 0.3), np.array([*BT709[:3], (np.nan, 0.3)])],
)
def test_primaries_that_make_no_colour_are_an_input_error(tmp_path, chromaticities):
    write_exr(tmp_path / "scene.exr", scene_pixels(3, 10, 14), chromaticities)
    with pytest.raises(InputError, match="chromaticities"):
        read_linear_picture(tmp_path / "scene.exr")


def test_stills_are_srgb_and_become_gamma_24_in_8_bits(tmp_path):
    ramp = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, axis=2)
    write_png(tmp_path / "ramp.png", np.repeat(ramp, 4, axis=0))
    (signal,) = read_sdr_pictures(tmp_path / "ramp.png")
    codes = np.arange(256) / 255.0
    light = np.where(codes <= 0.04045, codes / 12.92, ((codes + 0.055) / 1.055) ** 2.4)
    np.testing.assert_allclose(signal[0, 0, 0], np.round(light ** (1 / 2.4) * 255) / 255, atol=1e-6)
    with pytest.raises(InputError, match="expected PQ or HLG"):
        next(read_hdr_pictures(tmp_path / "ramp.png", Referral.DISPLAY))


def test_a_view_looks_where_it_says():
    # Light that depends on the direction alone: right of centre is brighter, above is redder.
    height, width = 64, 128
    latitude = (0.5 - (np.arange(height) + 0.5) / height) * np.pi
    longitude = ((np.arange(width) + 0.5) / width) * 2 * np.pi
    ahead = np.cos(latitude)[:, None] * np.cos(longitude)[None]
    right = np.cos(latitude)[:, None] * np.sin(longitude)[None]
    up = np.sin(latitude)[:, None] * np.ones(width)[None]
    light = torch.from_numpy(np.stack((up, right, ahead))[None].astype(np.float32)) + 2.0
    scene = prepare(light, None)
    assert scene.is_panorama
    view = look_straight(scene, 45, 45, yaw_degrees=0.0)[0] - 2.0
    np.testing.assert_allclose(view[:, 22, 22], [0.0, 0.0, 1.0], atol=0.02)
    half = np.tan(np.radians(85 / 2)) * (1 - 1 / 45)
    edge = np.array([0.0, half, 1.0]) / np.hypot(half, 1.0)
    np.testing.assert_allclose(view[:, 22, 44], edge, atol=0.03)
    assert view[0, 0, 22] > 0.5
    turned = look_straight(scene, 45, 45, yaw_degrees=90.0)[0] - 2.0
    np.testing.assert_allclose(turned[:, 22, 22], [0.0, 1.0, 0.0], atol=0.02)


@pytest.mark.parametrize("size", [(64, 128), (80, 100)])
def test_random_views_are_light_of_the_scene(size):
    light = torch.from_numpy(scene_pixels(4, *size)).permute(2, 0, 1)[None]
    scene = prepare(light, None)
    for seed in range(10):
        view = look(scene, 32, 48, generator(seed))
        assert view.shape == (1, 3, 32, 48)
        assert torch.isfinite(view).all()
        assert view.min() >= 0.0
        assert view.max() <= 1.5 * light.max()
        assert torch.equal(view, look(scene, 32, 48, generator(seed)))


@pytest.mark.parametrize("size", [(1, 1), (1, 2), (1, 40), (40, 1), (2, 2)])
def test_a_picture_of_a_pixel_can_be_looked_at(size):
    """One in the data folder ended a training as a fault of the program, when it was drawn."""
    scene = prepare(torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(1)), None)
    views = [look(scene, 32, 48, generator(seed)) for seed in range(6)]
    for view in (*views, look_straight(scene, 32, 48, 0.0)):
        assert view.shape == (1, 3, 32, 48)
        assert torch.isfinite(view).all()
