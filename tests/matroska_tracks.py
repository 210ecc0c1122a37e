"""Matroska read and made without the package: IDs, languages, flags, chapters, siting."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av


def find_ebml(data: bytes, *path: int) -> bytes:
    """The content of an element of a Matroska file, read independently of the package."""
    for wanted in path:
        position = 0
        while True:
            assert position < len(data), f"no {wanted:#x}"
            width = 8 - data[position].bit_length() + 1
            identifier = int.from_bytes(data[position : position + width], "big")
            position += width
            width = 8 - data[position].bit_length() + 1
            size = int.from_bytes(data[position : position + width], "big") & ((1 << 7 * width) - 1)
            position += width
            if identifier == wanted:
                data = data[position : position + size]
                break
            position += size
    return data


def with_full_languages(source: Path, target: Path, languages: Sequence[tuple[str, str]]) -> Path:
    """A Matroska copy whose tracks have these codes (`Language`) and tags (`LanguageBCP47`)."""
    marks = [
        f"{n}{code}{tag}".ljust(len(code) + 4 + len(tag)) for n, (code, tag) in enumerate(languages)
    ]
    options = {"write_crc32": "0"}
    with av.open(str(source)) as old, av.open(str(target), "w", container_options=options) as new:
        streams = {s.index: new.add_stream_from_template(s, opaque=True) for s in old.streams}
        for index, mark in enumerate(marks):
            streams[index].metadata["language"] = mark
        for packet in old.demux():
            if packet.size:
                packet.stream = streams[packet.stream.index]
                new.mux(packet)
    data = target.read_bytes()
    for mark, (code, tag) in zip(marks, languages, strict=True):
        both = (
            bytes((0x22, 0xB5, 0x9C, 0x80 | len(code)))
            + code.encode()
            + bytes((0x22, 0xB5, 0x9D, 0x80 | len(tag)))
            + tag.encode()
        )
        data = data.replace(bytes((0x22, 0xB5, 0x9C, 0x80 | len(mark))) + mark.encode(), both)
    target.write_bytes(data)
    return target


def with_chapters_inside(source: Path, target: Path, names: Sequence[str], inside: int) -> Path:
    """A Matroska copy with a chapter of several names, which has so many others inside it."""
    room = 100 * "x"
    chapter = {"id": 1, "start": 0, "end": 1, "time_base": Fraction(1), "metadata": {"title": room}}
    options = {"write_crc32": "0"}
    with av.open(str(source)) as old, av.open(str(target), "w", container_options=options) as new:
        streams = {s.index: new.add_stream_from_template(s, opaque=True) for s in old.streams}
        new.set_chapters([chapter])
        for packet in old.demux():
            if packet.size:
                packet.stream = streams[packet.stream.index]
                new.mux(packet)

    def element(identifier: int, content: bytes) -> bytes:
        return bytes((identifier, 0x80 | len(content))) + content

    display, atom, void = 0x80, 0xB6, 0xEC
    before = element(display, element(0x85, room.encode()) + b"\x43\x7c\x83und")
    after = b"".join(element(display, element(0x85, name.encode())) for name in names)
    after += b"".join(
        element(atom, b"\x73\xc4" + bytes((0x81, 2 + n)) + element(0x91, b"\0"))
        for n in range(inside)
    )
    data = target.read_bytes()
    assert data.count(before) == 1
    after += element(void, bytes(len(before) - len(after) - 2))
    target.write_bytes(data.replace(before, after))
    return target


def with_tracks_behind_clusters(source: Path, target: Path) -> Path:
    """A copy whose tracks lie at its end, where mkvpropedit puts what grows; without checksums."""

    def void(size_bytes: int) -> bytes:
        return b"\xec\x01" + (size_bytes - 9).to_bytes(7, "big") + bytes(size_bytes - 9)

    data = source.read_bytes()
    identifier = b"\x16\x54\xae\x6b"
    segment = data.index(b"\x18\x53\x80\x67") + 12
    behind_seek_head = segment + len(find_ebml(data, 0x18538067, 0x114D9B74))
    seek = b"\x53\xab\x84" + identifier + b"\x53\xac\x88" + (len(data) - segment).to_bytes(8, "big")
    seek_head = (
        b"\x11\x4d\x9b\x74"
        + bytes((0x83 + len(seek),))
        + b"\x4d\xbb"
        + bytes((0x80 + len(seek),))
        + seek
    )
    info = data.index(b"\x15\x49\xa9\x66", behind_seek_head)
    content = find_ebml(data, 0x18538067, 0x1654AE6B)
    end = data.index(content) + len(content)
    start = data.rindex(identifier, 0, end - len(content))
    size = b"\x01" + (len(data) + end - start - segment).to_bytes(7, "big")
    head = data[: segment - 8] + size + seek_head
    head += void(info - len(head)) + data[info:start] + void(end - start)
    target.write_bytes(head + data[end:] + data[start:end])
    return target


def add_siting(path: Path, across: int, down: int) -> None:
    """Turn elements of Matroska's Colour that decide nothing here into chroma siting.

    Both are two-byte IDs of one-byte values: Range 0x55B9 and TransferCharacteristics 0x55BA.
    """
    data = bytearray(path.read_bytes())
    for old, new, value in ((b"\x55\xb9", b"\x55\xb7", across), (b"\x55\xba", b"\x55\xb8", down)):
        place = data.index(old + b"\x81")
        data[place : place + 4] = new + b"\x81" + bytes([value])
    path.write_bytes(data)


def track_languages(path: Path) -> list[tuple[str, str]]:
    """Codes and tags of a Matroska file's tracks, read independently of the package."""
    tracks = find_ebml(path.read_bytes(), 0x18538067, 0x1654AE6B)
    found = []
    for part in tracks.split(b"\x22\xb5\x9c")[1:]:
        code = part[1 : 1 + (part[0] & 0x7F)].decode()
        rest = part[1 + len(code) :]
        tag = rest[4 : 4 + (rest[3] & 0x7F)].decode() if rest[:3] == b"\x22\xb5\x9d" else ""
        found.append((code, tag))
    return found


def enabled_tracks(path: Path) -> list[bool]:
    """Whether each track of a Matroska file is to be played, read independently of the package."""
    tracks = find_ebml(path.read_bytes(), 0x18538067, 0x1654AE6B)
    return [b"\xb9\x82\0\0" not in part for part in tracks.split(b"\x73\xc5")[1:]]
