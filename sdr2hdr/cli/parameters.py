"""Command-line options that several commands share, and the values they turn into."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable
from functools import wraps
from math import isfinite
from pathlib import Path
from typing import Any, TypeVar

import click

from sdr2hdr.cli.console import Console
from sdr2hdr.errors import OutputError
from sdr2hdr.media.encoding.encoders import DEFAULT_CODEC, ENCODERS
from sdr2hdr.media.mastering import MASTERING_DISPLAYS, mastering_display
from sdr2hdr.options import (
    ColourOverrides,
    EncodeOptions,
    EngineOptions,
    ReadOptions,
    TimeRange,
)
from sdr2hdr.signal import ChromaSiting, ColourRange, Matrix, Primaries, Transfer

__all__ = [
    "ANY_PATH",
    "POSITIVE_NUMBER",
    "THREADS",
    "SecondsType",
    "check_open_log",
    "colour_options",
    "combined",
    "drop_unsupported_option",
    "encode_options",
    "engine_options",
    "output_options",
    "parse_colour",
    "parse_encode",
    "parse_engine",
    "parse_read",
    "read_options",
    "weights_option",
]


class AnyPath(click.Path):
    """A path, which is there or not; "" is none, though Python takes it for the working folder."""

    def __init__(self) -> None:
        super().__init__(path_type=Path, readable=False)

    def convert(
        self,
        value: str | os.PathLike[str],
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> Any:
        """The path."""
        if not os.fspath(value):
            self.fail("the path is empty; expected a name, or . for this folder", param, ctx)
        return super().convert(value, param, ctx)


ANY_PATH = AnyPath()
"""Click would take a file that may not be read for a fault of the whole command line."""

THREADS = click.IntRange(1, 1024)
"""More is a slip of the keyboard, and what counts in C overflows."""

MATRICES = {"bt709": Matrix.BT709, "bt601": Matrix.BT601}
RANGES = {member.value: member for member in ColourRange}
PRIMARIES = {
    "bt709": Primaries.BT709,
    "bt601-525": Primaries.BT601_525,
    "bt601-625": Primaries.BT601_625,
}
TRANSFERS = {
    member.value: member
    for member in (Transfer.BT1886, Transfer.GAMMA22, Transfer.GAMMA28, Transfer.SRGB)
}
SITINGS = {
    "left": ChromaSiting.LEFT,
    "centre": ChromaSiting.CENTRE,
    "top-left": ChromaSiting.TOP_LEFT,
}
Command = TypeVar("Command", bound=Callable[..., Any])


class FiniteRange(click.FloatRange):
    """Click's own range, which lets "nan" pass every bound."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """A number within the bounds that is neither infinite nor "nan"."""
        number = super().convert(value, param, ctx)
        if not isfinite(number):
            self.fail(f"{value!r} is not a finite number.", param, ctx)
        return number


POSITIVE_NUMBER = FiniteRange(0, min_open=True)


class SecondsType(click.ParamType):
    """A time: seconds, or [hours:]minutes:seconds."""

    name = "time"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Seconds of "90", "1:30" or "0:01:30.5"."""
        if isinstance(value, float):
            return value
        match = re.fullmatch(r"(?:(?:(\d+):)?(\d+):)?(\d+(?:\.\d*)?)", value.strip())
        parts = [float(part) for part in match.groups() if part] if match else []
        if not parts or any(part >= 60 for part in parts[1:]):
            expected = "seconds or [H:]MM:SS[.fff], with less than 60 behind a colon"
            self.fail(f"{value!r} is not a time; expected {expected}.", param, ctx)
        hours, minutes, seconds = (0.0, 0.0, *parts)[-3:]
        return hours * 3600 + minutes * 60 + seconds


class BytesType(click.ParamType):
    """A size of memory: a number with K, M, G or T (powers of 1024), or bytes without."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Bytes of "3G", "800M" or "1048576"."""
        if isinstance(value, int):
            return value
        match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]?)(?:i?B)?", value.strip(), re.IGNORECASE)
        if match is None:
            self.fail(f"{value!r} is not a size; expected a number with K, M, G or T.", param, ctx)
        number, unit = match.groups()
        size_bytes = float(number) * 1024 ** " KMGT".index(unit.upper() or " ")
        if not size_bytes < 1 << 63:
            self.fail(f"{value!r} is more than 64 bits of bytes; expected less.", param, ctx)
        if size_bytes < 1:
            self.fail(f"{value!r} is no memory at all; expected a byte or more.", param, ctx)
        return int(size_bytes)


def combined(*options: Callable[[Command], Command]) -> Callable[[Command], Command]:
    """Several options as one decorator, listed in this order by `--help`."""

    def decorate(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


def output_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """How the program talks; the command gets the configured `Console` first."""

    @click.option("--json", is_flag=True, help="Results as JSON Lines on standard output.")
    @click.option("-q", "--quiet", is_flag=True, help="Say errors only.")
    @click.option("-v", "--verbose", is_flag=True, help="Say more.")
    @click.option(
        "--log-file",
        type=click.Path(dir_okay=False, path_type=Path),
        help="Append every message, with its time, to this file.",
    )
    @click.pass_obj
    @wraps(command)
    def configured(
        console: Console,
        *args: Any,
        json: bool,
        quiet: bool,
        verbose: bool,
        log_file: Path | None,
        **kwargs: Any,
    ) -> Any:
        if log_file is not None:
            check_log_file(log_file, kwargs.values())
        console.configure(json=json, quiet=quiet, verbose=verbose, log_file=log_file)
        return command(console, *args, **kwargs)

    return configured


def check_log_file(log_file: Path, values: Iterable[object]) -> None:
    """Refuse to append messages to a file that a command reads or writes.

    Args:
        log_file: Where messages are to go.
        values: Of the command's arguments and options; paths count, and those in tuples.

    Raises:
        OutputError: It is one of them.
    """
    from sdr2hdr.delivery.target_file import is_same_file

    for value in values:
        for path in value if isinstance(value, tuple) else (value,):
            if not isinstance(path, Path):
                continue
            if path.absolute() == log_file.absolute() or is_same_file(path, log_file):
                raise OutputError(
                    f"The log file {log_file} is what the command reads or writes itself; "
                    "--log-file names another."
                )


def check_open_log(console: Console, paths: Iterable[Path]) -> None:
    """The same for names that a command has not been given but finds; the log says nothing of it.

    Raises:
        OutputError: The log file is one of them.
    """
    if console.log_file is None:
        return
    try:
        check_log_file(console.log_file, paths)
    except OutputError:
        console.close()
        raise


colour_options = combined(
    click.option(
        "--video-stream", type=click.IntRange(0), metavar="N", help="Video stream, from 0."
    ),
    click.option("--matrix", type=click.Choice(list(MATRICES)), help="Read with this matrix."),
    click.option(
        "--range", "colour_range", type=click.Choice(list(RANGES)), help="Read with this range."
    ),
    click.option(
        "--primaries", type=click.Choice(list(PRIMARIES)), help="Read with these primaries."
    ),
    click.option("--transfer", type=click.Choice(list(TRANSFERS)), help="Read with this transfer."),
    click.option(
        "--siting", type=click.Choice(list(SITINGS)), help="Read with this chroma siting."
    ),
)

read_options = combined(
    click.option("--start", type=SecondsType(), help="Convert from this time on, as 90 or 1:30."),
    click.option("--end", type=SecondsType(), help="Convert up to this time."),
    colour_options,
    click.option(
        "--deinterlace",
        type=click.Choice(["frame", "field", "off"]),
        default="frame",
        show_default=True,
        help="Interlaced input: one frame a frame, one a field, or as it is.",
    ),
    click.option(
        "--deband",
        is_flag=True,
        help="8-bit input: smooth the bands of shallow gradients; texture stays.",
    ),
    click.option("--strict", is_flag=True, help="A damaged frame is an error."),
)

drop_unsupported_option = click.option(
    "--drop-unsupported",
    is_flag=True,
    help="Drop streams that the output's container cannot hold.",
)

encode_options = combined(
    click.option(
        "--codec",
        type=click.Choice(list(ENCODERS)),
        help=f"What encodes the video; {DEFAULT_CODEC} by default, in every container.",
    ),
    click.option(
        "--quality",
        type=float,
        metavar="N",
        help="The encoder's number for quality; less is better and larger. "
        "[default: the encoder's own; 16, a CRF, for hevc]",
    ),
    click.option(
        "--preset",
        metavar="NAME",
        help="The encoder's speed. [default: the encoder's own; medium for hevc]",
    ),
    click.option(
        "--encoder-params",
        default="",
        metavar="K=V:...",
        help="Passed to the encoder after our own parameters.",
    ),
    click.option(
        "--mastering",
        default="p3-d65-1000",
        show_default=True,
        metavar="NAME|VALUES",
        help=f"The mastering display to name: {', '.join(MASTERING_DISPLAYS)}, or "
        '"G(x,y)B(x,y)R(x,y)WP(x,y)L(max,min)" as for x265.',
    ),
    drop_unsupported_option,
)

weights_option = click.option(
    "--weights-dir",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder with weights to use instead of the installed ones (also SDR2HDR_WEIGHTS).",
)

engine_options = combined(
    click.option(
        "--backend",
        type=click.Choice(["auto", "torch", "onnx"]),
        default="auto",
        show_default=True,
        help="What computes the network.",
    ),
    click.option(
        "--device", default="auto", show_default=True, metavar="auto|cpu|cuda[:N]", help="Where."
    ),
    click.option(
        "--precision",
        type=click.Choice(["auto", "fp32", "bf16", "fp16"]),
        default="auto",
        show_default=True,
        help="Of the network's convolutions; auto is fp16 on CUDA, bf16 on a CPU that has it, else "
        "fp32. Half precision moves single samples by up to 3 codes of 10 bits, by up to 7 at the "
        "edges of letters.",
    ),
    weights_option,
    click.option("--threads", type=THREADS, metavar="N", help="Threads of each stage."),
    click.option("--max-memory", type=BytesType(), help="Bound for the network's buffers, as 3G."),
)


def parse_colour(given: dict[str, Any]) -> ColourOverrides:
    """Overrides from the values of `colour_options`."""

    def member(members: dict[str, Any], name: str) -> Any:
        return None if given[name] is None else members[given[name]]

    return ColourOverrides(
        matrix=member(MATRICES, "matrix"),
        colour_range=member(RANGES, "colour_range"),
        primaries=member(PRIMARIES, "primaries"),
        transfer=member(TRANSFERS, "transfer"),
        siting=member(SITINGS, "siting"),
    )


def parse_read(given: dict[str, Any]) -> ReadOptions:
    """Reading options from the values of `read_options` and `--threads`.

    Raises:
        UsageError: The time range is empty, or no file can have it.
    """
    return ReadOptions(
        video_stream=given["video_stream"],
        colour=parse_colour(given),
        time_range=TimeRange(given["start"], given["end"]),
        deinterlace=given["deinterlace"],
        deband=given["deband"],
        strict=given["strict"],
        threads=given["threads"],
    )


def parse_encode(given: dict[str, Any]) -> EncodeOptions:
    """Encoding options from the values of `encode_options` and `--threads`.

    Raises:
        UsageError: There is no such mastering display.
    """
    mastering_display(given["mastering"])
    return EncodeOptions(
        codec=given["codec"],
        quality=given["quality"],
        preset=given["preset"],
        encoder_params=given["encoder_params"],
        mastering=given["mastering"],
        threads=given["threads"],
        drop_unsupported=given["drop_unsupported"],
    )


def parse_engine(given: dict[str, Any]) -> EngineOptions:
    """Engine options from the values of `engine_options`."""
    return EngineOptions(
        backend=given["backend"],
        device=given["device"],
        precision=given["precision"],
        weights_dir=given["weights_dir"],
        threads=given["threads"],
        max_memory_bytes=given["max_memory"],
    )
