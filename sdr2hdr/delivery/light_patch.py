"""Put the measured light levels where the encoder and the muxer had to leave a placeholder.

The levels are known only when the last picture has been made, and by then the first is encoded. So
every place says 32639 for both until the file is complete; then the true numbers are written over
it, byte for byte, and the checksums of Matroska are renewed. Only where HEVC needs a byte of
emulation prevention between the numbers is the file copied instead.
"""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from sdr2hdr.delivery.target_file import unfinished_file
from sdr2hdr.errors import OutputError, VerificationError
from sdr2hdr.media.bitstreams.hdr10_sei import HdrSei, content_light_payload
from sdr2hdr.media.copying.stream_plan import plan_streams
from sdr2hdr.media.encoding.encoders import UNMEASURED_LIGHT_LEVEL_CD_M2 as PLACEHOLDER
from sdr2hdr.media.hdr10.hdr10_places import Checksum, LevelPlace, LevelPlaces, find_level_places
from sdr2hdr.media.hdr10.hdr10_remux import remux_hdr10
from sdr2hdr.media.hdr10.hdr_source import probe_hdr
from sdr2hdr.options import EncodeOptions, TimeRange
from sdr2hdr.quality.light_levels import LightLevels

__all__ = ["PatchSummary", "patch_light_levels"]

_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True)
class PatchSummary:
    """What was written.

    Attributes:
        max_cll: cd/m2; likewise `max_fall`.
        places: How often, by "container", "stream header" and "frames".
    """

    max_cll: int
    max_fall: int
    places: Mapping[str, int]


def patch_light_levels(path: Path, levels: LightLevels, *, robust: bool = False) -> PatchSummary:
    """Replace the placeholders in a complete file that has not got its final name yet.

    All places are found and checked before the first is written.

    Args:
        path: MP4, MOV or Matroska with HEVC or AV1 (levels in the stream and in the container), or
            with another codec (container only).
        levels: As measured.
        robust: Write the robust figures instead of the exact ones.

    Raises:
        VerificationError: A place is missing or does not hold the placeholder.
        OutputError: The file cannot be written.
        InputError: The file cannot be read.
    """
    max_cll, max_fall = levels.chosen(robust=robust)
    try:
        found = find_level_places(path)
    except ValueError as error:
        raise VerificationError(f"{path.name} is not whole: {error}") from error
    except OSError as error:
        raise OutputError(f"{path} cannot be read again: {error.strerror}.") from error
    _check_complete(path, found)
    is_longer = found.codec == "hevc" and not fits_in_place(max_cll, max_fall)
    try:
        with path.open("r+b") as file:
            _check_placeholders(path, file, found.places)
            if not is_longer:
                for place in found.places:
                    file.seek(place.offset)
                    file.write(_content(place, max_cll, max_fall))
                for checksum in found.checksums:
                    _renew(file, checksum)
        if is_longer:
            # Windows replaces no file that is open.
            _write_again(path, max_cll, max_fall)
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror}.") from error
    return PatchSummary(max_cll, max_fall, _counts(found))


def fits_in_place(max_cll: int, max_fall: int) -> bool:
    """Whether HEVC can hold the four bytes as they are: no 00 00 before a byte up to 03.

    The payload follows the byte 04, its size, and neither number is 0.
    """
    return max_cll % 256 != 0 or max_fall > 3


def _write_again(path: Path, max_cll: int, max_fall: int) -> None:
    """Copy the file with levels that need a byte more than the placeholder has.

    One pair in tens of thousands, and only of very dark programmes.
    """
    source = probe_hdr(path)
    plan = plan_streams(source.info, path, EncodeOptions(), TimeRange())
    with unfinished_file(path, None) as again:
        levels = HdrSei(mastering=None, light=content_light_payload(max_cll, max_fall))
        remux_hdr10(source, plan, again, levels)
        again.replace(path)


def _counts(found: LevelPlaces) -> dict[str, int]:
    return dict(Counter(place.where for place in found.places))


def _check_complete(path: Path, found: LevelPlaces) -> None:
    said = {(place.where, place.what) for place in found.places}
    missing: list[str] = []
    both_elements = {("container", "max_cll"), ("container", "max_fall")}
    if ("container", "both") not in said and not both_elements <= said:
        missing.append("its container (clli, or MaxCLL and MaxFALL)")
    if found.codec == "hevc" and ("stream header", "both") not in said:
        missing.append("its stream header (SEI 144)")
    if found.key_frames == 0:
        missing.append("a key frame")
    if found.key_frames_without:
        missing.append(f"{found.key_frames_without} of {found.key_frames} key frames")
    if missing:
        raise VerificationError(
            f"{path.name} does not say light levels in {' and in '.join(missing)}; expected a "
            f"placeholder of {PLACEHOLDER} there."
        )


def _check_placeholders(path: Path, file: BinaryIO, places: tuple[LevelPlace, ...]) -> None:
    for place in places:
        file.seek(place.offset)
        if file.read(place.size) != _content(place, PLACEHOLDER, PLACEHOLDER):
            raise VerificationError(
                f"{path.name} says other light levels than the placeholder at byte "
                f"{place.offset} ({place.where}); expected {PLACEHOLDER}."
            )


def _content(place: LevelPlace, max_cll: int, max_fall: int) -> bytes:
    if place.what == "both":
        return max_cll.to_bytes(2, "big") + max_fall.to_bytes(2, "big")
    level = max_cll if place.what == "max_cll" else max_fall
    return level.to_bytes(place.size, "big")


def _renew(file: BinaryIO, checksum: Checksum) -> None:
    """Take a CRC-32 anew (RFC 8794, 11.3.1: little endian, over all that follows it)."""
    file.seek(checksum.start)
    left, value = checksum.end - checksum.start, 0
    while left > 0:
        chunk = file.read(min(left, _CHUNK_BYTES))
        if not chunk:
            break
        value = zlib.crc32(chunk, value)
        left -= len(chunk)
    file.seek(checksum.offset)
    file.write(value.to_bytes(4, "little"))
