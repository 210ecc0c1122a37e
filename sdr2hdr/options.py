"""What the user may choose, as frozen values; "auto" and None are resolved once, into new ones."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from sdr2hdr.errors import UsageError
from sdr2hdr.signal import ChromaSiting, ColourRange, Matrix, Primaries, Transfer

__all__ = [
    "BackendName",
    "ColourOverrides",
    "ConvertOptions",
    "DeinterlaceMode",
    "EncodeOptions",
    "EngineOptions",
    "JobOptions",
    "Look",
    "PrecisionName",
    "ReadOptions",
    "SuperWhite",
    "TimeRange",
]

BackendName = Literal["auto", "torch", "onnx"]
PrecisionName = Literal["auto", "fp32", "bf16", "fp16"]
DeinterlaceMode = Literal["frame", "field", "off"]
SuperWhite = Literal["clip", "scale"]

_PEAK_RANGE_CD_M2 = (100.0, 10_000.0)
_WHITE_RANGE_CD_M2 = (10.0, 10_000.0)
_LARGEST_EXPOSURE_STOPS = 10.0
_LATEST_SECONDS = 1e9
"""Some 30 years: what 64 bits hold of any clock's ticks, nanoseconds too."""


@dataclass(frozen=True)
class ColourOverrides:
    """How to read the source, whatever its tags say; None keeps the tag or the guess."""

    matrix: Matrix | None = None
    colour_range: ColourRange | None = None
    primaries: Primaries | None = None
    transfer: Transfer | None = None
    siting: ChromaSiting | None = None

    def __post_init__(self) -> None:
        _check_types(self)


@dataclass(frozen=True)
class TimeRange:
    """The part of the source to convert, [start, end) in seconds from the start of the file.

    Raises:
        UsageError: It is empty, or begins or ends at no time that a file can have.
    """

    start_seconds: float | None = None
    end_seconds: float | None = None

    def __post_init__(self) -> None:
        _check_types(self)
        if self.start_seconds is not None and self.start_seconds < 0:
            raise UsageError(f"Start is {self.start_seconds} s; expected 0 or more (--start).")
        start = self.start_seconds or 0.0
        if self.end_seconds is not None and self.end_seconds <= start:
            raise UsageError(f"End is {self.end_seconds} s; expected more than {start} s (--end).")
        for name, seconds in (("start", self.start_seconds), ("end", self.end_seconds)):
            if seconds is not None and not seconds <= _LATEST_SECONDS:
                raise UsageError(
                    f"{name.capitalize()} is {seconds:g} s; expected {_LATEST_SECONDS:g} at most "
                    f"(--{name})."
                )


@dataclass(frozen=True)
class ReadOptions:
    """How the source is decoded.

    Attributes:
        video_stream: Which of the file's video streams, counted from 0; None takes the default.
        deinterlace: "frame" gives one frame a frame, "field" one a field, "off" leaves combing.
        deband: Smooth the bands of an 8-bit source.
        strict: A damaged frame is an error instead of a count in the report.
        threads: Decoder threads; None lets the decoder choose.
        batch_frames: Frames per batch.

    Raises:
        UsageError: A video stream below 0, fewer than one thread or frame, or no such way to
            deinterlace.
    """

    video_stream: int | None = None
    colour: ColourOverrides = field(default_factory=ColourOverrides)
    time_range: TimeRange = field(default_factory=TimeRange)
    deinterlace: DeinterlaceMode = "frame"
    deband: bool = False
    strict: bool = False
    threads: int | None = None
    batch_frames: int = 1

    def __post_init__(self) -> None:
        _check_types(self)
        if self.video_stream is not None and self.video_stream < 0:
            raise UsageError(
                f"The video stream is {self.video_stream}; expected 0 or more (--video-stream)."
            )
        _check_threads(self.threads)
        if self.batch_frames < 1:
            raise UsageError(f"A batch has {self.batch_frames} frames; expected 1 or more.")
        _check_name("The way to deinterlace", self.deinterlace, DeinterlaceMode, "--deinterlace")


@dataclass(frozen=True)
class EncodeOptions:
    """How the HDR video is encoded.

    Attributes:
        codec: Name of the encoder; None takes HEVC, which every container holds.
        quality: The encoder's own number for constant quality; None takes its default.
        preset: The encoder's speed preset; None takes its default.
        encoder_params: "key=value:key=value", passed to the encoder after our own.
        mastering: The display to name: one of ours by name, or values as x265 takes them.
        threads: Encoder threads; None lets the encoder choose.
        drop_unsupported: Drop, with a warning, streams that the container cannot hold.

    Raises:
        UsageError: Fewer than one thread.
    """

    codec: str | None = None
    quality: float | None = None
    preset: str | None = None
    encoder_params: str = ""
    mastering: str = "p3-d65-1000"
    threads: int | None = None
    drop_unsupported: bool = False

    def __post_init__(self) -> None:
        _check_types(self)
        _check_threads(self.threads)


@dataclass(frozen=True)
class EngineOptions:
    """Where and how precisely a method is computed.

    Attributes:
        device: "auto", "cpu", "cuda" or "cuda:N".
        weights_dir: Folder to read weights from instead of the installed ones.
        threads: Threads of the network on a CPU; None takes all cores.
        max_memory_bytes: Upper bound for the engine's own buffers; None takes what is free.

    Raises:
        UsageError: There is no such backend or precision, or fewer than one thread.
    """

    backend: BackendName = "auto"
    device: str = "auto"
    precision: PrecisionName = "auto"
    weights_dir: Path | None = None
    threads: int | None = None
    max_memory_bytes: int | None = None

    def __post_init__(self) -> None:
        _check_types(self)
        _check_threads(self.threads)
        _check_name("The backend", self.backend, BackendName, "--backend")
        _check_name("The precision", self.precision, PrecisionName, "--precision")


@dataclass(frozen=True)
class Look:
    """What the user asks of the picture, in light.

    Attributes:
        peak_cd_m2: No channel exceeds it, [100, 10000] cd/m2. It lowers the method's peak and
            never raises it.
        reference_white_cd_m2: Where SDR white shall land before the roll-off, [10, 10000] cd/m2;
            None leaves it where the method puts it. All light is multiplied alike.
        exposure_stops: Doublings of light on top of that, [-10, 10].
        limit_gamut: Keep all colours inside these primaries, within the BT.2020 container.

    Raises:
        UsageError: A value is out of range.
    """

    peak_cd_m2: float = 1000.0
    reference_white_cd_m2: float | None = None
    exposure_stops: float = 0.0
    limit_gamut: Literal["p3-d65"] | None = None

    def __post_init__(self) -> None:
        _check_types(self)
        _check_range("Peak", self.peak_cd_m2, _PEAK_RANGE_CD_M2, "cd/m2", "--peak")
        if self.reference_white_cd_m2 is not None:
            _check_range(
                "Reference white",
                self.reference_white_cd_m2,
                _WHITE_RANGE_CD_M2,
                "cd/m2",
                "--reference-white",
            )
        stops = _LARGEST_EXPOSURE_STOPS
        _check_range("Exposure", self.exposure_stops, (-stops, stops), "stops", "--exposure")
        if self.limit_gamut not in (None, "p3-d65"):
            raise UsageError(
                f"Gamut limit is {self.limit_gamut!r}; expected p3-d65. --limit-gamut sets it."
            )

    def gain(self, method_white_cd_m2: float) -> float:
        """What all light is multiplied by before the roll-off."""
        asked = self.reference_white_cd_m2
        white = 1.0 if asked is None else asked / method_white_cd_m2
        return white * 2.0**self.exposure_stops


@dataclass(frozen=True)
class ConvertOptions:
    """Everything one conversion needs to know.

    Attributes:
        model: Name of the method: a network or a curve.
        scale: Magnification, 1 for `convert`.
        super_white: "clip" codes above nominal white, or "scale" the signal so that they stay.
        look: What is done in light after the method.
        dither: Add deterministic noise before rounding to 10 bits.
        verify_roundtrip: Take the method's HDR back to SDR and report the difference.
        light_log: Where to write the light of every frame (.csv or .json), None for nowhere.
        robust_light_levels: Store light levels that a few odd pixels cannot move.
        verify: Read the finished file again and keep it only if it is as promised.
        overwrite: Replace an existing output, and an existing light log, once the new one is whole.
        temp_dir: Folder of the work folder; None is the output's own folder.
        temporal: Keep what networks take from the whole frame steady along a shot.
        max_flicker: Refuse a result of which a shot flickers more than this many times what its
            source does; None accepts any.

    Raises:
        UsageError: The greatest flicker is not positive, or there is no such way with super-white.
    """

    model: str
    scale: int = 1
    super_white: SuperWhite = "clip"
    read: ReadOptions = field(default_factory=ReadOptions)
    encode: EncodeOptions = field(default_factory=EncodeOptions)
    engine: EngineOptions = field(default_factory=EngineOptions)
    look: Look = field(default_factory=Look)
    dither: bool = False
    verify_roundtrip: bool = False
    light_log: Path | None = None
    robust_light_levels: bool = False
    verify: bool = True
    overwrite: bool = False
    temp_dir: Path | None = None
    temporal: bool = True
    max_flicker: float | None = None

    def __post_init__(self) -> None:
        _check_types(self)
        _check_name("Super-white", self.super_white, SuperWhite, "--super-white")
        if self.max_flicker is not None and not self.max_flicker > 0:
            raise UsageError(
                f"The greatest flicker is {self.max_flicker:g}; expected more than 0 "
                "(--max-flicker)."
            )


@dataclass(frozen=True)
class JobOptions:
    """How a conversion is carried out, whatever it gives.

    Attributes:
        resume: Go on with what an earlier run of the same command has finished.
        plan: A plan made before, None to make one.
        segments: First and last segment of the plan to convert, and nothing else; None converts
            all and makes the output.
        allow_mixed: Take segments from machines whose libraries, weights or processors differ
            from those that the plan was made with.
        cluster: Address of a Dask scheduler whose workers convert, as "tcp://host:8786".
        workers: Convert in that many processes of this machine instead, each with its share of the
            threads.

    Raises:
        UsageError: Both a cluster and local workers, or fewer than one worker.
    """

    resume: bool = True
    plan: Path | None = None
    segments: tuple[int, int] | None = None
    allow_mixed: bool = False
    cluster: str | None = None
    workers: int | None = None

    def __post_init__(self) -> None:
        _check_types(self)
        if self.cluster is not None and self.workers is not None:
            raise UsageError(
                "Both a cluster and local workers were asked for; expected --cluster or --workers."
            )
        if self.workers is not None and self.workers < 1:
            raise UsageError(f"{self.workers} workers were asked for; expected 1 or more.")


def _check_types(options: Any) -> None:
    """Hold what types say: a script is not always checked by a tool that reads them."""
    hints = get_type_hints(type(options))
    for each in fields(options):
        value, hint = getattr(options, each.name), hints[each.name]
        kinds = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
        if not any(_is_of(value, kind) for kind in kinds):
            raise UsageError(f"{each.name} is {value!r}; expected {each.type}.")


def _is_of(value: object, kind: Any) -> bool:
    if get_origin(kind) is Literal:
        # Names have messages of their own.
        return True
    return isinstance(value, (int, float) if kind is float else get_origin(kind) or kind)


def _check_threads(threads: int | None) -> None:
    if threads is not None and threads < 1:
        raise UsageError(f"{threads} threads were asked for; expected 1 or more (--threads).")


def _check_name(what: str, name: str, names: object, option: str) -> None:
    known = get_args(names)
    if name not in known:
        raise UsageError(f"{what} is {name!r}; expected one of {', '.join(known)} ({option}).")


def _check_range(
    name: str, value: float, allowed: tuple[float, float], unit: str, option: str
) -> None:
    lowest, highest = allowed
    if not lowest <= value <= highest:
        raise UsageError(
            f"{name} is {value:g} {unit}; expected {lowest:g} to {highest:g}. {option} sets it."
        )
