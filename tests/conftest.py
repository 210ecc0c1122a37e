"""What holds for every test: no logged errors, and CUDA tests that cannot pass by skipping."""

from __future__ import annotations

import logging
import os
import signal
import warnings
from types import ModuleType

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    marked = [item for item in items if item.get_closest_marker("cuda")]
    if not marked or os.environ.get("SDR2HDR_REQUIRE_CUDA"):
        return
    import torch

    if not torch.cuda.is_available():
        for item in marked:
            item.add_marker(pytest.mark.skip(reason="no CUDA device on this machine"))


def pytest_configure() -> None:
    """Hear Ctrl-C, and let programs that tests start: in the background a shell has it ignored."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def no_logged_errors(caplog: pytest.LogCaptureFixture):
    yield
    errors = [record for record in caplog.get_records("call") if record.levelno >= logging.ERROR]
    assert not errors, [record.getMessage() for record in errors]


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory):
    """Exported graphs go to a cache of this run, never to the user's."""
    previous = os.environ.get("SDR2HDR_CACHE")
    os.environ["SDR2HDR_CACHE"] = str(tmp_path_factory.mktemp("cache"))
    yield
    if previous is None:
        del os.environ["SDR2HDR_CACHE"]
    else:
        os.environ["SDR2HDR_CACHE"] = previous


@pytest.fixture(scope="session")
def colour_science() -> ModuleType:
    """The independent reference; it warns about optional packages when first imported."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import colour
    return colour
