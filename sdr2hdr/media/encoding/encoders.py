"""The encoders by name: what each makes, which containers hold it, and what may be chosen.

Nothing here needs libav, so that the command line can list them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from sdr2hdr.errors import OutputError, UsageError
from sdr2hdr.media.targets import target_kind
from sdr2hdr.options import EncodeOptions
from sdr2hdr.signal import HDR10_SIGNAL, CodedSignal, Subsampling

__all__ = [
    "DEFAULT_CODEC",
    "ENCODERS",
    "UNMEASURED_LIGHT_LEVEL_CD_M2",
    "EncoderSpec",
    "QualityScale",
    "choose_encoder",
    "output_signal",
]

DEFAULT_CODEC = "hevc"
"""Into every container, `.mov` too: HDR10 is HEVC, and only that plays wherever HDR10 does."""

UNMEASURED_LIGHT_LEVEL_CD_M2 = 0x7F7F
"""MaxCLL and MaxFALL until they are measured: a mark that is replaced in the finished file.

Above what PQ can hold, so that it is never a measured level; no byte of it is zero, so that a
stream needs no emulation prevention around it.
"""

_HDR_422 = replace(HDR10_SIGNAL, subsampling=Subsampling.YUV422)
"""Chroma lies on every other luma sample of every row (Rec. ITU-R BT.601-7, 2.5.2): top-left."""
_HDR_444 = replace(HDR10_SIGNAL, subsampling=Subsampling.YUV444)

_X265_PRESETS = (
    *("ultrafast", "superfast", "veryfast", "faster", "fast"),
    *("medium", "slow", "slower", "veryslow", "placebo"),
)
_NVENC_PRESETS = tuple(f"p{number}" for number in range(1, 8))
_SVT_PRESETS = tuple(str(number) for number in range(14))


@dataclass(frozen=True)
class QualityScale:
    """An encoder's number for constant quality.

    Attributes:
        best: End of the scale where the picture is best and the file largest.
        worst: The other end.
        default: None where the encoder aims at a bit rate of its own instead.
        meaning: What the encoder calls it.
    """

    best: float
    worst: float
    default: float | None
    meaning: str


@dataclass(frozen=True)
class EncoderSpec:
    """One way to encode.

    Attributes:
        name: As the user says it.
        codec: libav's name of the coded form.
        libav_encoder: libav's name of the encoder.
        description: For a list of encoders.
        extensions: Of the containers that may hold it.
        signal: What the codes mean: what `colour.to_coded` shall make.
        pixel_format: libav's name of the same, as the encoder takes it.
        tag: Four characters that name the codec in MP4, MOV and Matroska's ProRes, "" for none.
        quality: None where the form itself decides the quality.
        presets: Speeds, fastest first or in the encoder's own order; none if it has one speed.
        needs_gpu: Whether it runs on an NVIDIA GPU alone.
        smallest_px: Least width and height that it takes.
        profile: libav's name of the profile where a muxer must be told, "" elsewhere.
    """

    name: str
    codec: str
    libav_encoder: str
    description: str
    extensions: tuple[str, ...]
    signal: CodedSignal
    pixel_format: str
    tag: str
    quality: QualityScale | None = None
    presets: tuple[str, ...] = ()
    default_preset: str = ""
    needs_gpu: bool = False
    smallest_px: tuple[int, int] = (2, 2)
    profile: str = ""

    def quality_of(self, options: EncodeOptions) -> float | None:
        """The chosen quality, else the default, if the encoder has one."""
        if options.quality is not None or self.quality is None:
            return options.quality
        return self.quality.default

    def preset_of(self, options: EncodeOptions) -> str:
        """The chosen preset, or the default."""
        return self.default_preset if options.preset is None else options.preset

    @property
    def choices(self) -> str:
        """What --quality and --preset may be, in words."""
        scale = self.quality
        quality = (
            "no --quality"
            if scale is None
            else f"--quality {scale.best:g} (best) to {scale.worst:g} ({scale.meaning}, by default "
            + ("the codec's own bit rate)" if scale.default is None else f"{scale.default:g})")
        )
        preset = (
            f"--preset {', '.join(self.presets)} ({self.default_preset} by default)"
            if self.presets
            else "no --preset"
        )
        return f"{quality} and {preset}"


def _specs() -> tuple[EncoderSpec, ...]:
    hevc = EncoderSpec(
        name="hevc",
        codec="hevc",
        libav_encoder="libx265",
        description="HEVC Main 10 by x265",
        extensions=(".mkv", ".mp4", ".m4v", ".mov"),
        signal=HDR10_SIGNAL,
        pixel_format="yuv420p10le",
        tag="hvc1",
        quality=QualityScale(0, 51, 16, "x265's CRF"),
        presets=_X265_PRESETS,
        default_preset="medium",
        smallest_px=(16, 16),
    )
    av1 = EncoderSpec(
        name="av1",
        codec="av1",
        libav_encoder="libsvtav1",
        description="AV1 Main, 10 bits, by SVT-AV1",
        extensions=(".mkv", ".mp4"),
        signal=HDR10_SIGNAL,
        pixel_format="yuv420p10le",
        tag="av01",
        # SVT-AV1 takes CRF 0 too, and warns that it is not lossless.
        quality=QualityScale(1, 63, 20, "SVT-AV1's CRF"),
        presets=_SVT_PRESETS,
        default_preset="6",
        # SVT-AV1 4.1 never ends with 16 rows or columns of 128 px or more, nor with 24 of 256.
        smallest_px=(32, 32),
    )
    prores = EncoderSpec(
        name="prores-422hq",
        codec="prores",
        libav_encoder="prores_ks",
        description="Apple ProRes 422 HQ, 10 bits",
        extensions=(".mov", ".mkv"),
        signal=_HDR_422,
        pixel_format="yuv422p10le",
        tag="apch",
        quality=QualityScale(1, 31, None, "a quantiser for every slice"),
    )
    dnxhr = EncoderSpec(
        name="dnxhr-hqx",
        codec="dnxhd",
        libav_encoder="dnxhd",
        description="Avid DNxHR HQX, 4:2:2, 10 bits",
        extensions=(".mov",),
        signal=_HDR_422,
        pixel_format="yuv422p10le",
        tag="AVdh",
        smallest_px=(256, 120),
        profile="DNXHR HQX",
    )
    return (
        hevc,
        replace(
            hevc,
            name="hevc-nvenc",
            libav_encoder="hevc_nvenc",
            description="HEVC Main 10 by an NVIDIA GPU",
            pixel_format="p010le",
            quality=QualityScale(1, 51, 18, "NVENC's constant quality"),
            presets=_NVENC_PRESETS,
            default_preset="p5",
            needs_gpu=True,
        ),
        av1,
        replace(
            av1,
            name="av1-nvenc",
            libav_encoder="av1_nvenc",
            description="AV1 Main, 10 bits, by an NVIDIA GPU",
            pixel_format="p010le",
            smallest_px=(16, 16),
            quality=QualityScale(1, 63, 20, "NVENC's constant quality"),
            presets=_NVENC_PRESETS,
            default_preset="p5",
            needs_gpu=True,
        ),
        prores,
        replace(
            prores,
            name="prores-4444",
            description="Apple ProRes 4444, 10 bits coded",
            signal=_HDR_444,
            pixel_format="yuv444p10le",
            tag="ap4h",
        ),
        dnxhr,
        replace(
            dnxhr,
            name="dnxhr-444",
            description="Avid DNxHR 444, 10 bits",
            signal=_HDR_444,
            pixel_format="yuv444p10le",
            profile="DNXHR 444",
        ),
        # 4:4:4, because an archive should hold what any later 4:2:0 can be made from.
        EncoderSpec(
            name="ffv1",
            codec="ffv1",
            libav_encoder="ffv1",
            description="FFV1 version 3, lossless 4:4:4, 10 bits, for archives",
            extensions=(".mkv",),
            signal=_HDR_444,
            pixel_format="yuv444p10le",
            tag="",
        ),
    )


ENCODERS: Mapping[str, EncoderSpec] = {spec.name: spec for spec in _specs()}
"""What `--codec` may name."""


def choose_encoder(options: EncodeOptions, target: Path) -> EncoderSpec:
    """The encoder for a target, its quality and its preset checked.

    Args:
        options: As the user gave them.
        target: The output as the user named it; its extension is the container.

    Raises:
        UsageError: There is no such encoder, or it has no such quality or preset.
        OutputError: The container cannot hold what it makes.
    """
    name = DEFAULT_CODEC if options.codec is None else options.codec
    spec = ENCODERS.get(name)
    if spec is None:
        raise UsageError(f"The codec is {name!r}; expected one of {', '.join(ENCODERS)} (--codec).")
    suffix = target.suffix.lower()
    if suffix not in spec.extensions:
        others = [other.name for other in ENCODERS.values() if suffix in other.extensions]
        instead = f", or choose {', '.join(others)} with --codec" if others else ""
        raise OutputError(
            f"{suffix or 'A name without an extension'} cannot hold {spec.name} "
            f"({spec.description}); name the output {' or '.join(spec.extensions)}{instead}."
        )
    _check_choices(spec, options)
    return spec


def output_signal(options: EncodeOptions, target: Path) -> CodedSignal:
    """What the codes must mean that a `SegmentWriter` or `Y4mWriter` for this target takes.

    Raises:
        UsageError: As `choose_encoder`.
        OutputError: As `choose_encoder`.
    """
    if target_kind(target) == "pipe":
        return HDR10_SIGNAL
    return choose_encoder(options, target).signal


def _check_choices(spec: EncoderSpec, options: EncodeOptions) -> None:
    scale, found = spec.quality, []
    if options.quality is not None and (
        scale is None or not scale.best <= options.quality <= scale.worst
    ):
        found.append(f"--quality {options.quality:g}")
    if options.preset is not None and options.preset not in spec.presets:
        found.append(f"--preset {options.preset}")
    if found:
        raise UsageError(f"{spec.name} takes {spec.choices}; found {' and '.join(found)}.")
