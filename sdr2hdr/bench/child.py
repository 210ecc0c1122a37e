"""A process that measures, as seen from the one that asks."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any, Self

from sdr2hdr import errors
from sdr2hdr.errors import Sdr2HdrError
from sdr2hdr.interrupts import interrupts_kept_from_new_processes

__all__ = ["Child", "ChildDied"]


class ChildDied(Sdr2HdrError):  # noqa: N818 - says what happened
    """A measuring process ended without an answer, most likely for want of memory."""


class Child:
    """A `worker` process; use it in a `with` block, which ends it."""

    def __init__(self, purpose: str, sparing: str | None = None) -> None:
        """Name, in messages, what it is for, and which option's value needs less memory, if any."""
        self._purpose, self._sparing = purpose, sparing

    def __enter__(self) -> Self:
        """Start it."""
        with interrupts_kept_from_new_processes():
            self._process = subprocess.Popen(
                [sys.executable, "-m", "sdr2hdr.bench.worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                encoding="utf-8",
            )
        return self

    def __exit__(self, *exception: object) -> None:
        self._process.kill()
        # Closes the pipes as well.
        self._process.communicate()

    def ask(self, **request: Any) -> dict[str, Any]:
        """Send a request and wait for its answer.

        Raises:
            Sdr2HdrError: What the process said went wrong, as the same class.
            ChildDied: It ended without an answer.
        """
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None and stdout is not None
        try:
            stdin.write(json.dumps(request) + "\n")
            stdin.flush()
            line = stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            code = self._process.wait()
            advice = "" if self._sparing is None else f"; {self._sparing} needs less"
            raise ChildDied(
                f"The process for {self._purpose} ended with code {code} before it was "
                f"done, most likely for want of memory{advice}."
            )
        return self.answered(json.loads(line))

    @staticmethod
    def answered(answer: dict[str, Any]) -> dict[str, Any]:
        """Give an answer back, or raise the error that it is."""
        if "error" in answer:
            raise getattr(errors, answer["error"], Sdr2HdrError)(*answer["arguments"])
        return answer
