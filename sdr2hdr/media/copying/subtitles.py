"""Timed text between MP4's `mov_text` and Matroska's SubRip, and whether anything is lost.

`mov_text` samples: 3GPP TS 26.245 clause 5 (text sample, `styl`), as Apple's QuickTime text uses
them. SubRip has no standard; the tags are those that players agree on: b, i, u and font color.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass

from sdr2hdr.media.containers.isobmff import boxes_in, make_box

__all__ = [
    "MOV_TEXT_HEADER",
    "ConvertedCue",
    "converted_cue",
    "mov_text_is_empty",
    "mov_text_to_subrip",
    "subrip_to_mov_text",
]

_BOLD, _ITALIC, _UNDERLINE = 1, 2, 4
_FACES = (("b", _BOLD), ("i", _ITALIC), ("u", _UNDERLINE))
_FONT_SIZE = 18
_LONGEST_TEXT_BYTES = 0xFFFF
"""Of a `mov_text` sample, whose text has a length of 16 bits."""
_WHITE = (255, 255, 255, 255)
_TAG = re.compile(
    r"<(?P<close>/?)(?P<name>b|i|u|s|font)(?P<attributes>\s[^>]*)?>|\{\\[^}]*\}", re.IGNORECASE
)
_COLOUR = re.compile(r"""^\s+color\s*=\s*["']?#?([0-9a-f]{6})["']?\s*$""", re.IGNORECASE)

MOV_TEXT_HEADER = "\n".join(
    (
        "[Script Info]",
        "ScriptType: v4.00+",
        "PlayResX: 384",
        "PlayResY: 288",
        "[V4+ Styles]",
        "Format: Name, Fontname, Fontsize, PrimaryColour, SecondaryColour, OutlineColour, "
        "BackColour, Bold, Italic, Underline, StrikeOut, ScaleX, ScaleY, Spacing, Angle, "
        "BorderStyle, Outline, Shadow, Alignment, MarginL, MarginR, MarginV, Encoding",
        f"Style: Default,Sans-Serif,{_FONT_SIZE},&H00ffffff,&H00ffffff,&H00000000,&Hff000000,"
        "0,0,0,0,100,100,0,0,1,1,0,2,10,10,10,1",
        "[Events]",
        "Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text",
        "",
    )
).encode()
"""What libav makes a `mov_text` track's description from: white text, at the bottom, centred."""


@dataclass(frozen=True)
class ConvertedCue:
    """A subtitle in its new form.

    Attributes:
        data: Text and formatting, as far as they can be read.
        lost: What of it the new form cannot say, "" if nothing.
        is_damaged: It was not whole.
    """

    data: bytes
    lost: str
    is_damaged: bool = False


@dataclass(frozen=True)
class _Style:
    face: int = 0
    colour: tuple[int, int, int, int] = _WHITE


def converted_cue(data: bytes, container_format: str) -> ConvertedCue | None:
    """A text subtitle in the form of the target; None where it shows nothing.

    Args:
        data: A SubRip cue for MP4 and MOV, a `mov_text` sample for Matroska.
        container_format: Of the target.
    """
    if container_format == "matroska":
        return None if mov_text_is_empty(data) else mov_text_to_subrip(data)
    return subrip_to_mov_text(data)


def mov_text_is_empty(sample: bytes) -> bool:
    """Whether a `mov_text` sample only says that nothing is shown."""
    return len(sample) < 2 or sample[:2] == b"\0\0"


def mov_text_to_subrip(sample: bytes) -> ConvertedCue:
    """A `mov_text` sample as the text of a SubRip cue.

    Args:
        sample: Text length (16 bits), text in UTF-8 or, with a byte order mark, UTF-16, boxes.

    Returns:
        The cue, with what comes before the damage of a sample that is damaged.
    """
    length = int.from_bytes(sample[:2], "big")
    raw = sample[2 : 2 + length]
    utf16 = raw[:2] in (b"\xfe\xff", b"\xff\xfe")
    text = raw.decode("utf-16" if utf16 else "utf-8", errors="replace")
    styles = [_Style()] * len(text)
    lost: list[str] = []
    is_damaged = 2 + length > len(sample)
    try:
        for box in boxes_in(sample, 2 + length):
            if box.name == b"styl":
                _apply_styles(sample[box.content : box.end], styles)
            elif box.name != b"encd":
                lost.append(box.name.decode("latin-1"))
    except (ValueError, struct.error):
        is_damaged = True
    return ConvertedCue(_tagged(text, styles).encode(), ", ".join(lost), is_damaged)


def subrip_to_mov_text(data: bytes) -> ConvertedCue:
    """The text of a SubRip cue as a `mov_text` sample; b, i, u and font color become `styl`."""
    source = data.decode("utf-8", errors="replace").replace("\r\n", "\n").strip("\n\0")
    text: list[str] = []
    styles: list[_Style] = []
    open_faces = {name: 0 for name, _ in _FACES}
    colours: list[tuple[int, int, int, int]] = []
    lost: list[str] = []
    position = 0
    for match in [*_TAG.finditer(source), None]:
        part = source[position : match.start() if match else len(source)]
        face = sum(bit for name, bit in _FACES if open_faces[name] > 0)
        text.append(part)
        styles += [_Style(face, colours[-1] if colours else _WHITE)] * len(part)
        if match is None:
            break
        position = match.end()
        name, closes = (match["name"] or "").lower(), bool(match["close"])
        if name in open_faces:
            open_faces[name] = max(0, open_faces[name] + (-1 if closes else 1))
        elif name == "font" and closes:
            del colours[-1:]
        elif name == "font" and (colour := _COLOUR.match(match["attributes"] or "")):
            red, green, blue = bytes.fromhex(colour[1])
            colours.append((red, green, blue, 255))
        else:
            if name == "font":
                colours.append(colours[-1] if colours else _WHITE)
            if not closes:
                lost.append(match[0])
    whole = "".join(text)
    kept = whole.encode()[:_LONGEST_TEXT_BYTES].decode(errors="ignore")
    if len(kept) < len(whole):
        lost.append(f"text beyond {_LONGEST_TEXT_BYTES} bytes")
    encoded = kept.encode()
    sample = struct.pack(">H", len(encoded)) + encoded + _style_box(styles[: len(kept)])
    return ConvertedCue(sample, ", ".join(lost))


def _apply_styles(records: bytes, styles: list[_Style]) -> None:
    """Give text the styles of a `styl` box's content.

    Raises:
        struct.error: It is too short.
    """
    (count,) = struct.unpack_from(">H", records)
    for record in range(count):
        first, last, _, face, _, *colour = struct.unpack_from(">HHHBB4B", records, 2 + 12 * record)
        red, green, blue, alpha = colour
        for position in range(first, min(last, len(styles))):
            styles[position] = _Style(face & 7, (red, green, blue, alpha))


def _tagged(text: str, styles: list[_Style]) -> str:
    """Text with SubRip tags around each run of one style."""
    result: list[str] = []
    start = 0
    while start < len(text):
        style, end = styles[start], start
        while end < len(text) and styles[end] == style:
            end += 1
        names = [name for name, bit in _FACES if style.face & bit]
        opening = "".join(f"<{name}>" for name in names)
        closing = "".join(f"</{name}>" for name in reversed(names))
        if style.colour[:3] != _WHITE[:3]:
            opening = '<font color="#{:02x}{:02x}{:02x}">'.format(*style.colour[:3]) + opening
            closing += "</font>"
        result.append(f"{opening}{text[start:end]}{closing}")
        start = end
    return "".join(result)


def _style_box(styles: list[_Style]) -> bytes:
    """A `styl` box for the runs that differ from the track's own style, or nothing."""
    records: list[bytes] = []
    start = 0
    while start < len(styles):
        style, end = styles[start], start
        while end < len(styles) and styles[end] == style:
            end += 1
        if style != _Style():
            records.append(
                struct.pack(">HHHBB4B", start, end, 1, style.face, _FONT_SIZE, *style.colour)
            )
        start = end
    return (
        make_box(b"styl", struct.pack(">H", len(records)) + b"".join(records)) if records else b""
    )
