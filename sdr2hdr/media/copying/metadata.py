"""Tags of a file and its streams: which go along, and which would be untrue in the new file."""

from __future__ import annotations

from collections.abc import Mapping

from sdr2hdr.media.reading.streams import TITLE_READ_FROM_MP4
from sdr2hdr.version import __version__

__all__ = [
    "WRITER_NAME",
    "container_tags",
    "language_in",
    "stream_tags",
    "tags_without_a_place",
]

WRITER_NAME = f"sdr2hdr {__version__}"

_OF_THE_OLD_FILE = frozenset(
    {"major_brand", "minor_version", "compatible_brands", "encoder", "encoding_tool", "duration"}
)
_OF_THE_OLD_STREAM = frozenset(
    {"encoder", "duration", "vendor_id", "rotate", "timecode", "alpha_mode"}
)
_STATISTICS = ("bps", "number_of_", "_statistics_", "source_id")
_ITUNES_TAGS = frozenset(
    {
        *("title", "artist", "album_artist", "composer", "album", "date", "comment", "genre"),
        *("copyright", "grouping", "lyrics", "description", "synopsis", "show", "episode_id"),
        *("network", "keywords", "episode_sort", "season_number", "media_type", "hd_video"),
        *("gapless_playback", "compilation", "track", "disc", "creation_time", "location"),
    }
)
"""What libavformat writes into an MP4's `ilst`; any other key is left out there."""
_QUICKTIME_TAGS = frozenset(
    {
        *("title", "artist", "author", "album", "date", "comment", "genre", "copyright", "make"),
        *("model", "keywords", "creation_time", "location"),
    }
)
"""What it writes into a MOV's `udta`."""


_SPELT_IN_MOV = {
    **{"swe": "sve", "hrv": "hr ", "srp": "sr "},
    **{"fao": "fo ", "gle": "iri", "pan": "pa "},
}
"""QuickTime numbers its languages, and these numbers libavformat calls by no ISO 639-2 code."""
_ISO_639_2 = {spelt: code for code, spelt in _SPELT_IN_MOV.items()}
_IN_MOV = {
    **_SPELT_IN_MOV,
    **{"fre": "fra", "cze": "ces", "rum": "ron", "slo": "slk", "cym": "wel", "sqi": "alb"},
    **{"hye": "arm", "eus": "baq", "mya": "bur", "zho": "chi", "nld": "dut", "kat": "geo"},
    **{"deu": "ger", "ell": "gre", "isl": "ice", "mkd": "mac", "msa": "may", "fas": "per"},
    **{"bod": "tib"},
}
"""Each of the other numbers it knows by one of the language's two codes only."""


def language_in(container_format: str, language: str) -> str:
    """The code by which a container's muxer knows a language; the same language always.

    Args:
        container_format: libavformat's name of the muxer.
        language: ISO 639-2 code, or what libavformat reads in a MOV.

    >>> language_in("mov", "fre"), language_in("mov", "eng"), language_in("mp4", "fre")
    ('fra', 'eng', 'fre')
    >>> language_in("mov", "swe"), language_in("mp4", "sve")
    ('sve', 'swe')
    """
    codes = _IN_MOV if container_format == "mov" else _ISO_639_2
    return codes.get(language, language)


def container_tags(metadata: Mapping[str, str], timecode: str | None) -> dict[str, str]:
    """The tags of the new file.

    Args:
        metadata: Of the source.
        timecode: Already written with the video stream, so not kept here, if there is one.
    """
    tags = {
        key: value
        for key, value in metadata.items()
        if key.lower() not in _OF_THE_OLD_FILE and not (timecode and key.lower() == "timecode")
    }
    return {**tags, "encoding_tool": WRITER_NAME}


def tags_without_a_place(metadata: Mapping[str, str], container_format: str) -> tuple[str, ...]:
    """The source's tags that an MP4 or MOV loses unless it writes keys of its own (`mdta`).

    Args:
        metadata: Of the source.
        container_format: libavformat's name of the muxer.
    """
    placed = _QUICKTIME_TAGS if container_format == "mov" else _ITUNES_TAGS
    return tuple(
        key
        for key in container_tags(metadata, timecode="kept with the video stream")
        if key != "encoding_tool" and key.lower().split("-")[0] not in placed
    )


def stream_tags(
    metadata: Mapping[str, str], container_format: str, *, is_changed: bool
) -> dict[str, str]:
    """The tags of a stream of the new file.

    Args:
        metadata: Of the source's stream.
        container_format: libavformat's name of the new file's muxer.
        is_changed: Re-encoded or cut, so that sizes and counts in tags are no longer true.
    """
    tags = {
        key: language_in(container_format, value) if key.lower() == "language" else value
        for key, value in metadata.items()
        if not (
            key.lower() in (_OF_THE_OLD_STREAM if is_changed else {"duration", "rotate"})
            or (is_changed and key.lower().startswith(_STATISTICS))
        )
    }
    if TITLE_READ_FROM_MP4 in tags and "title" not in tags:
        tags["title"] = tags.pop(TITLE_READ_FROM_MP4)
    return tags
