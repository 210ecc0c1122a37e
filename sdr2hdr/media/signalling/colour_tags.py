"""Decide once how the source's codes are read: from options, tags, codec rules, picture size."""

from __future__ import annotations

from collections.abc import Sequence

from sdr2hdr.errors import AlreadyHdrError, UsageError
from sdr2hdr.media.bitstreams.bits import UNSPECIFIED, HeaderColour
from sdr2hdr.media.signalling.colour_codes import (
    UNKNOWN_CODES,
    WIDE_MATRICES,
    WIDE_PRIMARIES,
    WIDE_TRANSFERS,
    matrix_name,
    primaries_name,
    transfer_name,
)
from sdr2hdr.media.signalling.colour_decision import ColourDecision
from sdr2hdr.media.signalling.colour_facts import ColourTags, PictureFacts, Tag
from sdr2hdr.media.source import ColourReading, Origin
from sdr2hdr.options import ColourOverrides
from sdr2hdr.signal import CodedSignal, Matrix, Primaries, Transfer

__all__ = ["read_colour"]

CODECS_WITH_COLOUR = frozenset(
    {"dvvideo", "mjpeg", "mpeg1video", "mpeg2video", "mpeg4", "prores", "vc1", "vp8", "vp9"}
)
"""Codecs whose decoder reads colour from the stream itself (beside those of `header_colour`)."""


def read_colour(
    facts: PictureFacts,
    header: HeaderColour | None,
    frame: ColourTags | None,
    containers: Sequence[ColourTags],
    overrides: ColourOverrides,
) -> ColourReading:
    """Decide how the source is read.

    Args:
        facts: Codec, size, rate and pixel format.
        header: What the coded stream's own header says, None if there is none or it is unread.
        frame: Tags of the first decoded frame, None if none could be decoded.
        containers: Tags of the stream as the demuxer gives them, and as the file holds them.
        overrides: What the user says; each field replaces its tag.

    Raises:
        AlreadyHdrError: A tag says PQ, HLG, BT.2020, P3 or another wide gamut, and no option
            says otherwise.
        InputError: A tag names something that is neither HDR nor can be read.
        UsageError: An option contradicts the pixel format, or names HDR.
    """
    _check_overrides(overrides, facts)
    sources = _sources(facts, header, frame, containers)
    _refuse_hdr(sources, overrides, facts)
    decision = ColourDecision(facts, overrides)
    matrix = decision.matrix(_first(sources, "matrix", facts))
    primaries = decision.primaries(_first(sources, "primaries", facts))
    if matrix is None:
        matrix = decision.matrix_from_primaries(primaries)
    if primaries is None:
        primaries = decision.primaries_from_matrix(matrix)
    transfer = decision.transfer(_first(sources, "transfer", facts))
    colour_range = decision.colour_range(sources)
    siting = decision.siting(header)
    decision.tell_guesses(matrix, primaries, transfer, colour_range, siting)
    signal = CodedSignal(
        matrix=matrix,
        colour_range=colour_range,
        primaries=primaries,
        transfer=transfer,
        siting=siting,
        subsampling=facts.layout.subsampling,
        bit_depth=facts.layout.bit_depth,
    )
    return ColourReading(signal, decision.origins, tuple(decision.notices))


def _check_overrides(overrides: ColourOverrides, facts: PictureFacts) -> None:
    if overrides.transfer is Transfer.PQ:
        raise UsageError("--transfer pq says that the input is HDR; expected an SDR transfer.")
    wide = overrides.primaries
    if wide is Primaries.BT2020 or wide is Primaries.P3_D65:
        raise UsageError(
            f"--primaries {wide.name} says that the input has a wide gamut already; "
            "expected BT.709 or BT.601 primaries."
        )
    if overrides.matrix is Matrix.BT2020_NCL:
        raise UsageError("--matrix bt2020 says that the input has a wide gamut already.")
    matrix = overrides.matrix
    if matrix is not None and facts.layout.is_rgb != (matrix is Matrix.RGB):
        found = "RGB" if facts.layout.is_rgb else "Y'CbCr"
        name = matrix_name(matrix.value)
        raise UsageError(f"--matrix {name} does not fit: the decoder gives {found} pixels.")


Sources = tuple[tuple[Origin, ColourTags], ...]


def _sources(
    facts: PictureFacts,
    header: HeaderColour | None,
    frame: ColourTags | None,
    containers: Sequence[ColourTags],
) -> Sources:
    """All tags there are, the most trusted first."""
    found: list[tuple[Origin, ColourTags]] = []
    if header is not None:
        full_range = header.is_full_range
        found.append(
            (
                "stream",
                ColourTags(
                    UNSPECIFIED if header.primaries is None else header.primaries,
                    UNSPECIFIED if header.transfer is None else header.transfer,
                    UNSPECIFIED if header.matrix is None else header.matrix,
                    0 if full_range is None else 1 + full_range,
                ),
            )
        )
    if frame is not None:
        # What the header does not hold but a frame does was handed on from the container.
        in_stream = header is None and facts.codec in CODECS_WITH_COLOUR
        found.append(("stream" if in_stream else "container", frame))
    found.extend(("container", tags) for tags in containers)
    return tuple(found)


def _first(sources: Sources, name: str, facts: PictureFacts) -> Tag | None:
    for origin, tags in sources:
        code = getattr(tags, name)
        if code in UNKNOWN_CODES:
            continue
        if code == 0 and (name != "matrix" or not facts.layout.is_rgb):
            continue
        if facts.codec == "vp8" and origin == "stream" and name == "matrix":
            origin = "codec default"
        return Tag(code, origin)
    return None


def _refuse_hdr(sources: Sources, overrides: ColourOverrides, facts: PictureFacts) -> None:
    """Any place that says HDR makes the file HDR: tags get lost far more often than invented."""
    checks = (
        ("transfer", WIDE_TRANSFERS, transfer_name, overrides.transfer),
        ("primaries", WIDE_PRIMARIES, primaries_name, overrides.primaries),
        ("matrix", WIDE_MATRICES, matrix_name, overrides.matrix),
    )
    found: dict[str, str] = {}
    for name, wide, name_of, override in checks:
        if override is not None or (name == "matrix" and facts.layout.is_rgb):
            continue
        for _, tags in sources:
            code = getattr(tags, name)
            if code in wide:
                found.setdefault(name, name_of(code))
    if found:
        tagged = ", ".join(f"{name} {value}" for name, value in found.items())
        raise AlreadyHdrError(
            f"The video is tagged {tagged}; expected SDR in BT.709 or BT.601: it is HDR or wide "
            f"gamut already. If the tags are wrong, {_options(tuple(found))} say how to read it."
        )
    if (
        facts.has_hdr_metadata
        and overrides.transfer is None
        and _first(sources, "transfer", facts) is None
    ):
        raise AlreadyHdrError(
            "The video carries HDR metadata (mastering display, HDR10+ or Dolby Vision) and no "
            "transfer tag; expected SDR. If it is SDR, --transfer bt1886 says so."
        )


def _options(names: tuple[str, ...]) -> str:
    options = [f"--{name}" for name in names]
    return options[0] if len(options) == 1 else f"{', '.join(options[:-1])} and {options[-1]}"
