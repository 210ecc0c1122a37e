"""What the user may choose, as frozen values; "auto" and None are resolved once, into new ones."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from sdr2hdr.signal import ChromaSiting, ColourRange, Matrix, Primaries, Transfer

__all__ = [
    "BackendName",
    "ColourOverrides",
    "ConvertOptions",
    "DeinterlaceMode",
    "EncodeOptions",
    "EngineOptions",
    "PrecisionName",
    "ReadOptions",
    "SuperWhite",
    "TimeRange",
]

BackendName = Literal["auto", "torch", "onnx"]
PrecisionName = Literal["auto", "fp32", "bf16", "fp16"]
DeinterlaceMode = Literal["frame", "field", "off"]
SuperWhite = Literal["clip", "scale"]


@dataclass(frozen=True)
class ColourOverrides:
    """How to read the source, whatever its tags say; None keeps the tag or the guess."""

    matrix: Matrix | None = None
    colour_range: ColourRange | None = None
    primaries: Primaries | None = None
    transfer: Transfer | None = None
    siting: ChromaSiting | None = None


@dataclass(frozen=True)
class TimeRange:
    """The part of the source to convert, [start, end) in seconds from the start of the file."""

    start_seconds: float | None = None
    end_seconds: float | None = None

    def __post_init__(self) -> None:
        if self.start_seconds is not None and self.start_seconds < 0:
            raise ValueError(f"Start is {self.start_seconds} s; expected 0 or more.")
        start = self.start_seconds or 0.0
        if self.end_seconds is not None and self.end_seconds <= start:
            raise ValueError(f"End is {self.end_seconds} s; expected more than {start} s.")


@dataclass(frozen=True)
class ReadOptions:
    """How the source is decoded.

    Attributes:
        video_stream: Which of the file's video streams, counted from 0; None takes the default.
        deinterlace: "frame" gives one frame a frame, "field" one a field, "off" leaves combing.
        strict: A damaged frame is an error instead of a count in the report.
        threads: Decoder threads; None lets the decoder choose.
        batch_frames: Frames per batch.
    """

    video_stream: int | None = None
    colour: ColourOverrides = field(default_factory=ColourOverrides)
    time_range: TimeRange = field(default_factory=TimeRange)
    deinterlace: DeinterlaceMode = "frame"
    strict: bool = False
    threads: int | None = None
    batch_frames: int = 1


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
    """

    codec: str | None = None
    quality: float | None = None
    preset: str | None = None
    encoder_params: str = ""
    mastering: str = "p3-d65-1000"
    threads: int | None = None
    drop_unsupported: bool = False


@dataclass(frozen=True)
class EngineOptions:
    """Where and how precisely a method is computed.

    Attributes:
        device: "auto", "cpu", "cuda" or "cuda:N".
        weights_dir: Folder to read weights from instead of the installed ones.
        threads: Threads of the network on a CPU; None takes all cores.
        max_memory_bytes: Upper bound for the engine's own buffers; None takes what is free.
    """

    backend: BackendName = "auto"
    device: str = "auto"
    precision: PrecisionName = "auto"
    weights_dir: Path | None = None
    threads: int | None = None
    max_memory_bytes: int | None = None


@dataclass(frozen=True)
class ConvertOptions:
    """Everything one conversion needs to know.

    Attributes:
        model: Name of the method: a network or a curve.
        scale: Magnification, 1 for `convert`.
        super_white: "clip" codes above nominal white, or "scale" the signal so that they stay.
        light_log: Where to write the light of every frame (.csv or .json), None for nowhere.
        robust_light_levels: Store light levels that a few odd pixels cannot move.
        overwrite: Replace an existing output once the new one is whole.
        temp_dir: Folder of the unfinished file; None is the output's own folder.
    """

    model: str
    scale: int = 1
    super_white: SuperWhite = "clip"
    read: ReadOptions = field(default_factory=ReadOptions)
    encode: EncodeOptions = field(default_factory=EncodeOptions)
    engine: EngineOptions = field(default_factory=EngineOptions)
    light_log: Path | None = None
    robust_light_levels: bool = False
    overwrite: bool = False
    temp_dir: Path | None = None
