"""A clip of several segments, and the rule that cuts it into them."""

from __future__ import annotations

from pathlib import Path

import pytest
from long_clips import make_source, use_short_segments


@pytest.fixture
def short_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    use_short_segments(monkeypatch)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_source(tmp_path_factory.mktemp("source"))
