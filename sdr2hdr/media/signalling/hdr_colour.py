"""Decide how the codes of an HDR picture are read; all that is not PQ is refused."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sdr2hdr.errors import InputError, Notice
from sdr2hdr.media.bitstreams.bits import UNSPECIFIED
from sdr2hdr.media.pixel_formats import Arrangement, PixelLayout
from sdr2hdr.media.signalling.colour_codes import (
    AV_RANGES,
    HLG_CODE,
    MATRICES,
    NEAREST_SITINGS,
    PQ_CODE,
    PRIMARIES,
    UNKNOWN_CODES,
    matrix_name,
    primaries_name,
    transfer_name,
)
from sdr2hdr.media.signalling.colour_facts import ColourTags
from sdr2hdr.signal import (
    ChromaSiting,
    CodedSignal,
    ColourRange,
    Matrix,
    Primaries,
    Subsampling,
    Transfer,
)

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

__all__ = ["read_hdr_colour"]

# Rec. ITU-T H.273 (07/2021), Tables 2, 3 and 4
_HDR_PRIMARIES = PRIMARIES | {9: Primaries.BT2020, 12: Primaries.P3_D65}
_HDR_MATRICES = MATRICES | {9: Matrix.BT2020_NCL}

_UNSAID = UNKNOWN_CODES | {0}
_RANGES = {code: colour_range for colour_range, code in AV_RANGES.items()}


def read_hdr_colour(
    path: Path,
    frame: VideoFrame,
    containers: Sequence[ColourTags],
    layout: PixelLayout,
    *,
    siting_codes: Sequence[int | None],
    is_still: bool,
    assume_pq: bool,
) -> tuple[CodedSignal, tuple[Notice, ...]]:
    """Read the tags of a decoded frame, and of the container where the frame has none.

    Primaries and matrix that are not tagged are BT.2020's. A still of more than 8 bits without a
    transfer tag is taken as PQ, with a warning, because TIFF and DPX cannot say it.

    Args:
        path: For messages.
        frame: The first frame.
        containers: Tags of the stream as the demuxer gives them, and as the file holds them.
        layout: Of the frame's pixel format.
        siting_codes: H.273 chroma sample location type from the stream's header, then from the
            container; None where unsaid.
        is_still: Whether the file is a still picture.
        assume_pq: Take any file without a transfer tag as PQ.

    Raises:
        InputError: The transfer is not PQ, or primaries or matrix are none that can be read.
    """
    tags = (ColourTags.of(frame), *containers)
    transfer = _first_said(each.transfer for each in tags)
    notices = _check_transfer(path, transfer, layout, is_still, assume_pq)
    signal = CodedSignal(
        matrix=_matrix(path, _first_said(each.matrix for each in tags), layout),
        colour_range=_range(tags, layout),
        primaries=_primaries(path, _first_said(each.primaries for each in tags)),
        transfer=Transfer.PQ,
        siting=_siting(siting_codes, layout),
        subsampling=layout.subsampling,
        bit_depth=layout.bit_depth,
    )
    return signal, notices


def _first_said(codes: Iterable[int]) -> int:
    return next((code for code in codes if code not in _UNSAID), UNSPECIFIED)


def _check_transfer(
    path: Path, code: int, layout: PixelLayout, is_still: bool, assume_pq: bool
) -> tuple[Notice, ...]:
    if code == PQ_CODE:
        return ()
    if code == HLG_CODE:
        raise InputError(
            f"{path} is {transfer_name(code)}; expected PQ. HLG is light relative to a display: "
            "convert it to PQ for one display first."
        )
    if code not in _UNSAID:
        raise InputError(
            f"{path} is SDR (transfer {transfer_name(code)}); expected HDR in PQ. "
            "`sdr2hdr convert` makes HDR of an SDR video."
        )
    if assume_pq:
        return ()
    if is_still and layout.bit_depth > 8:
        return (
            Notice(
                "warning",
                f"{path} has no transfer tag and {layout.bit_depth} bits; taken as PQ. "
                "--assume-pq takes it without this warning.",
            ),
        )
    raise InputError(
        f"{path} has no transfer tag and {layout.bit_depth} bits; expected HDR tagged as PQ. "
        "--assume-pq reads it as PQ."
    )


def _matrix(path: Path, code: int, layout: PixelLayout) -> Matrix:
    if layout.is_rgb:
        return Matrix.RGB
    if code in _UNSAID or layout.arrangement is Arrangement.GREY:
        return Matrix.BT2020_NCL
    if code not in _HDR_MATRICES:
        raise InputError(
            f"{path} has the matrix {matrix_name(code)}; expected BT.2020 non-constant luminance, "
            "BT.709, BT.601 or RGB."
        )
    return _HDR_MATRICES[code]


def _primaries(path: Path, code: int) -> Primaries:
    if code in _UNSAID:
        return Primaries.BT2020
    if code not in _HDR_PRIMARIES:
        raise InputError(
            f"{path} has the primaries {primaries_name(code)}; expected BT.2020, P3-D65, BT.709 "
            "or BT.601."
        )
    return _HDR_PRIMARIES[code]


def _range(tags: Sequence[ColourTags], layout: PixelLayout) -> ColourRange:
    for each in tags:
        if each.colour_range in _RANGES:
            return _RANGES[each.colour_range]
    is_full = layout.is_rgb or layout.is_full_range or layout.arrangement is Arrangement.GREY
    return ColourRange.FULL if is_full else ColourRange.LIMITED


def _siting(codes: Sequence[int | None], layout: PixelLayout) -> ChromaSiting:
    """The first that says it; else left, the rule of H.264, H.265, AV1 and VP9 where none is sent.

    Other formats than 4:2:0 have none to say.
    """
    if layout.subsampling is not Subsampling.YUV420:
        return ChromaSiting.LEFT
    said = next((code for code in codes if code is not None), None)
    return ChromaSiting.LEFT if said is None else NEAREST_SITINGS.get(said, ChromaSiting.LEFT)
