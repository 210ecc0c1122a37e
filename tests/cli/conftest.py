"""A clip for commands."""

from __future__ import annotations

from pathlib import Path

import pytest
from clips import ClipRecipe, make_clip


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return make_clip(tmp_path / "clip.mp4", ClipRecipe(pts=(0, 1, 2), audio_seconds=0.1))
