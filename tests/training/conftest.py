"""Scenes to train on."""

from __future__ import annotations

from pathlib import Path

import pytest
from exr_files import scene_pixels, write_exr


@pytest.fixture(scope="session")
def data(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    for seed in range(5):
        write_exr(folder / f"place_{seed}.exr", scene_pixels(seed))
    (folder / "scenes.toml").write_text('validation = ["place_4"]\n')
    return folder
