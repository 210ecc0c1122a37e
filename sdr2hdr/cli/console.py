"""What the user sees: results on stdout, messages and progress on stderr, JSON for scripts."""

from __future__ import annotations

import json
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from sdr2hdr.errors import Notice, OutputError, Sdr2HdrError

if TYPE_CHECKING:
    from rich.table import Table

    from sdr2hdr.pipeline import Progress

__all__ = ["Console"]

SECONDS_BETWEEN_JSON_PROGRESS = 1.0


@dataclass
class Console:
    """Where everything the program says goes; configured once, by the command's options.

    Attributes:
        json: Results are JSON Lines on stdout; no progress bar.
        quiet: Only errors are said.
        verbose: Details are said as well.
        log: Open log file that repeats every message with its time.
    """

    json: bool = False
    quiet: bool = False
    verbose: bool = False
    log: TextIO | None = field(default=None, repr=False)
    log_file: Path | None = None

    def configure(self, *, json: bool, quiet: bool, verbose: bool, log_file: Path | None) -> None:
        """Take what the command's options say.

        Raises:
            OutputError: The log file cannot be written.
        """
        self.json, self.quiet, self.verbose = json, quiet, verbose
        self.log_file = log_file
        if log_file is not None:
            try:
                self.log = log_file.open("a", encoding="utf-8", errors="backslashreplace")
            except OSError as error:
                raise OutputError(
                    f"The log file {log_file} cannot be written: {error.strerror}; "
                    "--log-file names another."
                ) from error

    def close(self) -> None:
        """Close the log file."""
        if self.log is not None:
            # What it has not taken yet it does not take now.
            with suppress(OSError):
                self.log.close()
            self.log = None

    def say(self, text: str) -> None:
        """A message for people, on stderr."""
        self.record(text)
        if not self.quiet:
            print(text, file=sys.stderr)

    def detail(self, text: str) -> None:
        """A message for the curious: with `--verbose` only, always in the log."""
        self.record(text)
        if self.verbose and not self.quiet:
            print(text, file=sys.stderr)

    def notice(self, notice: Notice, source: Path | None = None) -> None:
        """A notice or warning about one input."""
        self.say(f"{notice.severity}: {notice.text}")
        if self.json:
            self.event(
                notice.severity,
                {"text": notice.text} | ({} if source is None else {"input": str(source)}),
            )

    def error(self, error: Sdr2HdrError, source: Path | None = None) -> None:
        """An error in one sentence, whatever the verbosity."""
        # Many a text begins with the name.
        is_named = source is None or str(error).startswith(f"{source} ")
        name = "" if is_named else f"{source}: "
        self.record(f"error: {name}{error}")
        print(f"error: {name}{error}", file=sys.stderr)
        if self.json:
            about = {"text": str(error), "exit_code": error.exit_code}
            self.event("error", about | ({} if source is None else {"input": str(source)}))

    def stopped(self, text: str, exit_code: int) -> int:
        """Say that the command ends because the user asked it to, and give the exit code."""
        self.say(text)
        if self.json:
            self.event("stopped", {"text": text, "exit_code": exit_code})
        return exit_code

    def bug(self, error: Exception, source: Path | None = None) -> None:
        """A fault of ours: one sentence for the user, the traceback in a file."""
        name = "" if source is None else f"{source}: "
        place = self._keep_trace("".join(traceback.format_exception(error)))
        text = f"This is a fault of sdr2hdr ({type(error).__name__}: {error})."
        details = f"The details are in {place}." if place else "No file takes the details."
        print(f"error: {name}{text} {details}", file=sys.stderr)
        if self.json:
            about = {"text": text, "exit_code": 1, "log": place}
            self.event("error", about | ({} if source is None else {"input": str(source)}))

    def _keep_trace(self, trace: str) -> str | None:
        """Write a traceback into the log, or else a file of its own, and give its name."""
        self.record(trace)
        if self.log is not None:
            return self.log.name
        try:
            with tempfile.NamedTemporaryFile(
                "w",
                prefix="sdr2hdr-",
                suffix=".log",
                delete=False,
                encoding="utf-8",
                errors="backslashreplace",
            ) as file:
                file.write(trace)
        except OSError:
            return None
        return file.name

    def result(self, text: str) -> None:
        """A result for people, on stdout."""
        print(text)

    def table(self, table: Table) -> None:
        """A result for people, in columns as wide as the terminal allows."""
        from rich.console import Console as RichConsole

        class Terminal(RichConsole):
            def on_broken_pipe(self) -> None:
                # The one that is underway; rich would end the program, with a code of its own.
                raise

        terminal = Terminal()
        if not terminal.is_terminal:
            # A pipe or a file has no width: nothing is folded.
            terminal = Terminal(width=400)
        terminal.print(table)

    def event(self, kind: str, content: Mapping[str, object]) -> None:
        """A result for scripts: one JSON object, one line.

        In ASCII, which every encoding of standard output holds: a name that is no text is escaped
        too, byte for byte as `os.fsdecode` gives it.
        """
        print(json.dumps({"event": kind, **content}), flush=True)

    def record(self, text: str) -> None:
        """Repeat a message in the log file; one that cannot be written is given up, and said so."""
        if self.log is None:
            return
        try:
            print(time.strftime("%Y-%m-%dT%H:%M:%S%z"), text, file=self.log, flush=True)
        except OSError as error:
            name = self.log.name
            self.close()
            self.say(
                f"warning: The log file {name} takes no more: {error.strerror}; going on without "
                "it. --log-file names another."
            )

    @contextmanager
    def progress(self, source: Path) -> Iterator[Callable[[Progress], None]]:
        """Show how far a conversion is: a bar on a terminal, events with `--json`, or nothing."""
        if self.json:
            yield self.json_progress(source)
        elif sys.stderr.isatty() and not self.quiet:
            with terminal_progress(source) as show:
                yield show
        else:
            yield lambda progress: None

    def json_progress(self, source: Path) -> Callable[[Progress], None]:
        """Progress as events, at most one a second in each stage."""
        last: tuple[str, float] | None = None

        def show(progress: Progress) -> None:
            nonlocal last
            if last is not None and last[0] == progress.stage:
                # Less than nothing: the stage has begun anew.
                since_seconds = progress.elapsed_seconds - last[1]
                if 0.0 <= since_seconds < SECONDS_BETWEEN_JSON_PROGRESS:
                    return
            last = (progress.stage, progress.elapsed_seconds)
            self.event(
                "progress",
                {
                    "input": str(source),
                    "stage": progress.stage,
                    "frames": progress.frames,
                    "frame_count": progress.frame_count,
                    "resumed_frames": progress.resumed_frames,
                    "elapsed_seconds": round(progress.elapsed_seconds, 3),
                    "left_seconds": left_seconds(progress),
                    "written_bytes": progress.written_bytes,
                },
            )

        return show


@contextmanager
def terminal_progress(source: Path) -> Iterator[Callable[[Progress], None]]:
    """A bar for each stage with frames, frames a second, time left and size."""
    from rich.console import Console as RichConsole
    from rich.filesize import decimal
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
    from rich.progress import Progress as RichProgress

    with RichProgress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TextColumn("{task.fields[left]}"),
        TextColumn("{task.fields[size]}"),
        console=RichConsole(stderr=True),
        transient=True,
    ) as bar:
        task = bar.add_task(source.name, total=None, rate="", left="", size="")

        def show(progress: Progress) -> None:
            own_frames = progress.frames - progress.resumed_frames
            frames_per_second = own_frames / max(progress.elapsed_seconds, 1e-9)
            left = left_seconds(progress)
            is_planning = progress.stage == "plan"
            bar.update(
                task,
                description=f"{source.name} (looking through)" if is_planning else source.name,
                completed=progress.frames,
                total=progress.frame_count,
                rate=f"{frames_per_second:.2f} fps",
                left="" if left is None else f"{timedelta(seconds=round(left))}",
                size="" if is_planning else decimal(progress.written_bytes),
            )

        yield show


def left_seconds(progress: Progress) -> float | None:
    """How long the stage will still take at the rate of this run; None if that cannot be told."""
    own_frames = progress.frames - progress.resumed_frames
    if progress.frame_count is None or own_frames <= 0:
        return None
    left_frames = max(0, progress.frame_count - progress.frames)
    return round(progress.elapsed_seconds / own_frames * left_frames, 3)
