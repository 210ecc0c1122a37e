"""The process that measures: reads requests from standard input, one JSON object a line.

    {"do": "ours" | "reference", "request": {...}}   loads a method
    {"do": "frames", "count": N}                     -> {"seconds": [...], ...how}
    {"do": "multiply", "precision": ..., ...}        -> {"gflops": ...}
    {"do": "tune", "request": {...}, "tiles": [...]} -> {"seconds": {tile: seconds}}
    {"do": "weights", "model": ..., "folder": ...}   writes random weights
    {"do": "clip", ...}                              -> see `clip_worker`

Each answer is one line on standard output and holds the greatest memory so far; an error is
{"error": class, "arguments": [...]}. Whatever libraries print goes to standard error.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sdr2hdr.bench.machine import matrix_multiply_gflops, peak_rss_bytes
from sdr2hdr.bench.request import MethodRequest
from sdr2hdr.errors import Sdr2HdrError

__all__ = ["Worker", "main"]


class Worker:
    """Answers requests, one after another."""

    def __init__(self) -> None:
        self._method: Any = None
        self._answers: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
            "ours": self._load_ours,
            "reference": self._load_reference,
            "frames": self._frames,
            "multiply": self._multiply,
            "tune": self._tune,
            "weights": self._weights,
            "clip": self._clip,
        }

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """Do what a request says; errors that are meant for people become an answer."""
        try:
            answer = self._answers[request["do"]](request)
        except Sdr2HdrError as error:
            # What it is made of anew: some have more than a message.
            return {"error": type(error).__name__, "arguments": error.__reduce__()[1]}
        return answer | {"peak_rss_bytes": peak_rss_bytes()}

    def _load_ours(self, request: dict[str, Any]) -> dict[str, Any]:
        from sdr2hdr.bench.methods import OurFrames

        self._method = OurFrames(MethodRequest(**request["request"]))
        return self._method.describe()

    def _load_reference(self, request: dict[str, Any]) -> dict[str, Any]:
        from sdr2hdr.bench.methods import ReferenceFrames

        self._method = ReferenceFrames(MethodRequest(**request["request"]))
        return self._method.describe()

    def _frames(self, request: dict[str, Any]) -> dict[str, Any]:
        seconds = [self._method.frame_seconds() for _ in range(request["count"])]
        return self._method.describe() | {"seconds": seconds}

    def _multiply(self, request: dict[str, Any]) -> dict[str, Any]:
        gflops = matrix_multiply_gflops(request["precision"], request["device"], request["threads"])
        return {"gflops": gflops}

    def _tune(self, request: dict[str, Any]) -> dict[str, Any]:
        from sdr2hdr.bench.methods import tune

        return {"seconds": tune(MethodRequest(**request["request"]), request["tiles"])}

    def _weights(self, request: dict[str, Any]) -> dict[str, Any]:
        from sdr2hdr.bench.random_weights import write_random_weights

        write_random_weights(request["model"], Path(request["folder"]))
        return {}

    def _clip(self, request: dict[str, Any]) -> dict[str, Any]:
        from sdr2hdr.bench.clip_worker import time_clip

        return time_clip(request)


def main() -> None:
    """Answer until standard input ends."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    worker = Worker()
    for line in sys.stdin:
        print(json.dumps(worker.answer(json.loads(line))), file=answers, flush=True)


if __name__ == "__main__":
    main()
