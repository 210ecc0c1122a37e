"""Which dispositions of a stream (commentary, forced, for the hearing impaired) a container says.

A trial with a stream's first packets shows none of them where a subtitle is converted, so they are
listed: Matroska has a flag for each (RFC 9559, 5.1.4.1), MP4 names roles (`kind`, ISO/IEC 14496-12
and the roles of DASH), and in a MOV libavformat only says which tracks are enabled.
"""

from __future__ import annotations

from collections.abc import Mapping

from sdr2hdr.media.source import StreamInfo

__all__ = ["dispositions_without_a_place"]

_OF_A_PROGRAMME = frozenset(
    {
        *("dub", "original", "comment", "lyrics", "karaoke", "forced", "hearing_impaired"),
        *("visual_impaired", "clean_effects", "captions", "descriptions", "dependent"),
        "non_diegetic",
    }
)
"""What a viewer chooses a stream by; the rest is about form, or "default", which all hold."""
_SAID_ALIKE: Mapping[str, str] = {"captions": "hearing_impaired", "descriptions": "visual_impaired"}
"""libavformat reads one role of MP4 and MPEG-TS as two dispositions; one of them is enough."""
_IN_MATROSKA = frozenset(
    {"dub", "original", "comment", "forced", "hearing_impaired", "visual_impaired"}
)
_IN_MP4 = frozenset({"dub", "comment", "forced", "hearing_impaired", "visual_impaired"})


def dispositions_without_a_place(stream: StreamInfo, container_format: str) -> tuple[str, ...]:
    """The dispositions of a stream that a container does not say, by libavformat's names.

    Args:
        stream: Of the source.
        container_format: libavformat's name of the target's muxer.
    """
    if stream.kind == "data":
        # Nobody chooses those, and libavformat reads marks where some cameras have something else.
        return ()
    held = _held(stream.kind, container_format)
    return tuple(
        name
        for name in stream.dispositions
        if name in _OF_A_PROGRAMME
        and name not in held
        and _SAID_ALIKE.get(name) not in held.intersection(stream.dispositions)
    )


def _held(kind: str, container_format: str) -> frozenset[str]:
    if container_format == "matroska":
        return _IN_MATROSKA | {"descriptions"} if kind == "subtitle" else _IN_MATROSKA
    return _IN_MP4 | {"captions", "descriptions"} if container_format == "mp4" else frozenset()
