"""The command line: the only home of Click and rich.

No command imports torch, onnxruntime, colour or av before it has work for them, so that `--help`
is instant.
"""

from __future__ import annotations

import importlib
import signal
import sys
from pathlib import Path

import click

from sdr2hdr.cli.console import Console
from sdr2hdr.cli.signals import Interrupted, SignalRaiser, Terminated, termination_signals
from sdr2hdr.cli.standard_streams import (
    FullOutputError,
    let_go,
    let_go_if_full,
    prepare_standard_streams,
)
from sdr2hdr.errors import OutputError, Sdr2HdrError, StoppedError, UsageError
from sdr2hdr.version import __version__

__all__ = ["main"]

EXIT_BUG = 1
EXIT_INTERRUPTED = 130

COMMANDS = {
    "convert": "Convert SDR video to HDR10.",
    "upscale": "Convert SDR video to HDR10 at 2 or 4 times its size.",
    "plan": "Look through a source and write down how it will be converted.",
    "merge": "Join the segments of a plan that were converted elsewhere.",
    "clean": "List and remove what unfinished conversions have kept.",
    "models": "List the methods: networks and curves.",
    "info": "Show how a file would be read.",
    "export": "Write a method as one ONNX graph.",
    "check": "Check that files are HDR10 wherever a player looks.",
    "retag": "Measure a PQ file and say HDR10 everywhere in a copy of it.",
    "evaluate": "Measure an HDR video or picture against its reference.",
    "exam": "Examine the methods on held-out pictures; publish weights with their scores.",
    "train": "Train a network on HDR pictures or on your own pairs.",
    "bench": "Measure how fast a method or a conversion is here.",
}


class LazyGroup(click.Group):
    """A group that imports a command's module only when that command is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names in the order a user meets them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name, or None."""
        if cmd_name not in COMMANDS:
            return None
        return importlib.import_module(f"sdr2hdr.cli.{cmd_name}").command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="sdr2hdr")
def group() -> None:
    """Convert SDR video to HDR10 with neural networks or the ITU's curves.

    Results go to standard output, messages to standard error. Exit codes: 0 done, 1 a fault of
    ours, 2 usage, 3 input, 4 input is HDR already, 5 output, 6 model or backend, 7 verification,
    8 part of a batch or job failed, 9 a gate was not met, 10 locked by another run, 129, 130 and
    143 interrupted.
    """


def main() -> None:
    """Run the command line and exit with the code that belongs to what happened."""
    numbers, raiser = termination_signals(), SignalRaiser()
    if signal.getsignal(signal.SIGINT) in (signal.default_int_handler, signal.SIG_DFL):
        # A shell has it ignored for what a script starts in the background.
        numbers = (signal.SIGINT, *numbers)
    try:
        for number in numbers:
            signal.signal(number, raiser)
        prepare_standard_streams()
        code = run(sys.argv[1:])
    except (Interrupted, Terminated) as late:
        # Another than the one that is being told of.
        code = late.exit_code
    finally:
        # The command has ended: what comes now changes nothing.
        for number in numbers:
            signal.signal(number, signal.SIG_IGN)
    sys.exit(code)


def run(arguments: list[str]) -> int:
    """Run one command and give its exit code; every error has been said when this returns."""
    console = Console()
    try:
        return code_of(console, arguments)
    except BrokenPipeError as error:
        return lost_output(console, error)
    finally:
        console.close()
        let_go_if_full(sys.stdout)


def code_of(console: Console, arguments: list[str]) -> int:
    """The same, as long as standard output takes what is said.

    Raises:
        BrokenPipeError: It does not.
    """
    try:
        # A copy, since Click takes out of the list what it has read.
        with group.make_context("sdr2hdr", list(arguments), obj=console) as context:
            check_working_folder()
            group.invoke(context)
        # A command has not ended well before all that it said is taken.
        print(end="", flush=True)
    except click.exceptions.Exit as leaving:
        return leaving.exit_code
    except click.ClickException as error:
        error.show()
        # Where Click does not understand the arguments, the console has not been told of --json.
        if console.json or "--json" in arguments:
            content = {"text": error.format_message(), "exit_code": error.exit_code}
            console.event("error", content)
        return error.exit_code
    except Sdr2HdrError as error:
        console.error(error)
        return error.exit_code
    except StoppedError as stopped:
        return console.stopped(str(stopped), stopped.exit_code)
    except (KeyboardInterrupt, click.Abort):
        return console.stopped(
            "Interrupted; nothing half written was left behind.", EXIT_INTERRUPTED
        )
    except Terminated as terminated:
        return console.stopped(
            "Terminated; nothing half written was left behind.", terminated.exit_code
        )
    except BrokenPipeError:
        raise
    except Exception as error:
        console.bug(error)
        return EXIT_BUG
    return 0


def check_working_folder() -> None:
    """Refuse to work where no library that looks around itself can be loaded.

    Raises:
        UsageError: The working folder has been removed, by its name or for good.
    """
    try:
        Path.cwd()
    except OSError as error:
        raise UsageError(
            f"The working folder cannot be found: {error.strerror}. It was removed, or made anew "
            "under the same name; expected one that is there: change into it (cd) again."
        ) from error


def lost_output(console: Console, lost: BrokenPipeError) -> int:
    """Say that standard output takes nothing any more, and give the exit code."""
    let_go(sys.stdout)
    found = "was closed by the program that reads it; expected it to read to the end"
    if isinstance(lost, FullOutputError):
        found = f"cannot be written: {lost.strerror}; expected a place for all results"
    error = OutputError(
        f"Standard output {found}. An unfinished conversion goes on with the same command."
    )
    console.error(error)
    return error.exit_code
