"""Closed captions and AFD inside the pictures: each stays with its frame, or its loss is said."""

from __future__ import annotations

from pathlib import Path

import av
import pytest
from av.sidedata.sidedata import Type
from captioned_clips import (
    captions_of,
    decoded_captions,
    decoded_side_data,
    write_captioned,
)

import sdr2hdr
from sdr2hdr.media.bitstreams.hdr10_obu import ITUT_T35, metadata_unit
from sdr2hdr.media.bitstreams.user_data import caption_payloads, with_user_data
from sdr2hdr.options import ConvertOptions, EncodeOptions, ReadOptions, TimeRange
from sdr2hdr.pipeline import prepare

FAST = EncodeOptions(preset="ultrafast")
FRAMES = 9


def converted(source: Path, target: Path, **changes) -> list[bytes]:
    options = ConvertOptions(**{"model": "bt2408", "encode": FAST, **changes})
    sdr2hdr.convert(source, target, options)
    return decoded_captions(target)


@pytest.mark.parametrize(
    ("suffix", "codec", "preset"),
    # Presets with B-frames, so that packets come in another order than frames.
    [
        *((suffix, "hevc", "medium") for suffix in (".mkv", ".mp4", ".mov")),
        *((suffix, "av1", "10") for suffix in (".mkv", ".mp4")),
    ],
)
def test_every_frame_keeps_its_captions(tmp_path: Path, suffix: str, codec, preset: str):
    source = write_captioned(tmp_path / "in.ts", FRAMES)
    wanted = [captions_of(number) for number in range(FRAMES)]
    assert decoded_captions(source) == wanted
    encode = EncodeOptions(codec=codec, preset=preset)
    assert converted(source, tmp_path / f"out{suffix}", encode=encode) == wanted


def test_captions_lie_before_the_frame_that_is_shown():
    """Packets of AV1 begin with frames that are shown later; older decoders give those the text."""
    delimiter, hidden, shown = b"\x12\x00", b"\x32\x01\x10", b"\x32\x01\x20"
    caption = caption_payloads(captions_of(0))[0]
    data = with_user_data("av1", delimiter + hidden + shown, [caption])
    head = delimiter + hidden
    assert data.startswith(head) and data.endswith(shown)
    assert data[len(head) : -len(shown)] == metadata_unit(ITUT_T35, caption)


@pytest.mark.parametrize("every", [1, 2])
def test_every_frame_keeps_its_active_format_beside_its_captions(tmp_path: Path, every: int):
    source = write_captioned(tmp_path / "in.ts", FRAMES, every=every, active_format=10)
    wanted = decoded_captions(source)
    assert decoded_side_data(source, Type.AFD) == [bytes((10,))] * FRAMES
    assert converted(source, tmp_path / "out.mkv") == wanted
    assert decoded_side_data(tmp_path / "out.mkv", Type.AFD) == [bytes((10,))] * FRAMES


def test_every_frame_of_av1_has_its_active_format(tmp_path: Path):
    """libavcodec reads captions out of AV1, and no AFD."""
    source = write_captioned(tmp_path / "in.ts", FRAMES, first=FRAMES, active_format=10)
    options = ConvertOptions(model="bt2408", encode=EncodeOptions(codec="av1", preset="10"))
    sdr2hdr.convert(source, tmp_path / "out.mkv", options)
    with av.open(str(tmp_path / "out.mkv")) as container:
        packets = [bytes(packet) for packet in container.demux(video=0) if packet.size]
    unit = metadata_unit(ITUT_T35, b"\xb5\0\x31DTG1\x41\xfa")
    assert [packet.count(unit) for packet in packets] == [1] * FRAMES


def test_the_loss_of_an_active_format_is_said(tmp_path: Path):
    source = write_captioned(tmp_path / "in.ts", FRAMES, first=FRAMES, active_format=8)
    options = ConvertOptions(model="bt2408", encode=EncodeOptions(codec="prores-422hq"))
    notices = prepare(source, tmp_path / "out.mov", options).notices
    said = [notice for notice in notices if "carries an active format description" in notice.text]
    assert [notice.severity for notice in said] == ["warning"]


def test_frames_without_captions_have_none(tmp_path: Path):
    source = write_captioned(tmp_path / "in.ts", FRAMES, every=3)
    wanted = [captions_of(number) if number % 3 == 0 else b"" for number in range(FRAMES)]
    options = ReadOptions(batch_frames=4)
    assert converted(source, tmp_path / "out.mkv", read=options) == wanted


def test_a_range_has_the_captions_of_its_frames(tmp_path: Path):
    source = write_captioned(tmp_path / "in.mkv", FRAMES)
    options = ReadOptions(time_range=TimeRange(0.12, 0.28))
    wanted = [captions_of(number) for number in range(3, 7)]
    assert converted(source, tmp_path / "out.mkv", read=options) == wanted


@pytest.mark.parametrize("mode", ["frame", "field"])
def test_deinterlaced_frames_keep_captions_once(tmp_path: Path, mode):
    source = write_captioned(tmp_path / "in.mkv", FRAMES, interlaced=True)
    found = converted(source, tmp_path / "out.mkv", read=ReadOptions(deinterlace=mode))
    wanted = [captions_of(number) for number in range(FRAMES)]
    assert found[:: 1 if mode == "frame" else 2] == wanted
    if mode == "field":
        assert set(found[1::2]) == {b""}


def test_more_than_a_message_holds_are_several():
    captions = captions_of(0, constructs=40)
    first, second = caption_payloads(captions)
    assert first[:8] == second[:8] == b"\xb5\0\x31GA94\x03"
    assert (first[8] & 31, second[8] & 31) == (31, 9)
    assert first[10:-1] + second[10:-1] == captions


@pytest.mark.parametrize(
    ("name", "start"),
    [("closed captions", {"first": 12}), ("AFD", {"active_format": 8, "first_active": 12})],
)
@pytest.mark.parametrize(("suffix", "codec"), [(".mkv", "hevc"), (".mov", "prores-422hq")])
def test_the_loss_of_what_begins_late_is_said_once(
    tmp_path: Path, suffix, codec, name: str, start: dict[str, int]
):
    source = write_captioned(tmp_path / "in.ts", 20, **{"first": 20, **start})
    options = ConvertOptions(model="bt2408", encode=EncodeOptions(codec=codec))
    target = tmp_path / f"out{suffix}"
    before = prepare(source, target, options).notices
    after = sdr2hdr.convert(source, target, options).notices
    told = [notice for notice in (*before, *after) if name in notice.text]
    assert [notice.severity for notice in told] == ["warning"] * (codec != "hevc")


@pytest.mark.parametrize(
    ("name", "codec", "is_said"),
    [
        ("out.mkv", "hevc", False),
        ("out.mov", "prores-422hq", True),
        ("out.mkv", "av1", False),
        ("out_%03d.png", None, True),
        ("-", None, True),
    ],
)
def test_their_loss_is_said(tmp_path: Path, name: str, codec: str | None, is_said: bool):
    source = write_captioned(tmp_path / "in.ts", FRAMES)
    target = Path(name) if name == "-" else tmp_path / name
    encode = EncodeOptions() if codec is None else EncodeOptions(codec=codec)
    prepared = prepare(source, target, ConvertOptions(model="bt2408", encode=encode))
    said = [notice for notice in prepared.notices if "closed captions" in notice.text]
    assert [notice.severity for notice in said] == ["warning"] * is_said
