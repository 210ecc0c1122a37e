"""Commands run in the process of the test, and files for them."""

from __future__ import annotations

from pathlib import Path

import pytest

from sdr2hdr.cli import run

__all__ = ["QUICK", "call", "written"]

QUICK = ["--model", "bt2408", "--preset", "ultrafast"]


def call(capfd: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    """Run a command in this process; exit code, stdout, stderr."""
    code = run([str(argument) for argument in arguments])
    out, err = capfd.readouterr()
    return code, out, err


def written(path: Path, content: bytes) -> Path:
    """A file of that content."""
    path.write_bytes(content)
    return path
