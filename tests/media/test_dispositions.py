"""What a stream is marked as (commentary, forced): kept, or its loss is said."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import av
import pytest
from av.packet import Packet
from av.stream import Disposition
from rich_sources import FAST, Source, make_source

from sdr2hdr.media.copying.dispositions import dispositions_without_a_place
from sdr2hdr.media.copying.stream_plan import plan_streams
from sdr2hdr.media.reading.probe import probe
from sdr2hdr.media.reading.streams import describe_streams
from sdr2hdr.options import ReadOptions, TimeRange

FORMATS = {"matroska": ".mkv", "mp4": ".mp4", "mov": ".mov"}
OF_FORM = {"default", "attached_pic", "timed_thumbnails", "metadata", "still_image", "multilayer"}
MARKS = [mark for mark in Disposition if mark.name and mark.name not in OF_FORM]


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("marked")
    subtitles = {"matroska": "subrip", "mp4": "mov_text", "mov": "mov_text"}
    return {
        name: make_source(
            folder / f"{name}{suffix}", Source(audio=("aac",), subtitle=subtitles[name])
        )
        for name, suffix in FORMATS.items()
    }


def read_back(source: Path, kind: str, marks: Disposition, container_format: str) -> Disposition:
    """The dispositions that a file gives one of its streams which was written with some."""
    written = io.BytesIO()
    with av.open(str(source)) as given, av.open(written, "w", format=container_format) as target:
        copies = {s.index: target.add_stream_from_template(s, opaque=True) for s in given.streams}
        (marked,) = [stream.index for stream in given.streams if stream.type == kind]
        copies[marked].disposition = marks
        for packet in given.demux():
            if packet.size:
                copy = Packet(bytes(packet))
                copy.pts, copy.dts, copy.time_base = packet.pts, packet.dts, packet.time_base
                copy.duration, copy.is_keyframe = packet.duration, packet.is_keyframe
                copy.stream = copies[packet.stream.index]
                target.mux(copy)
    written.seek(0)
    with av.open(written) as back:
        return back.streams[marked].disposition


@pytest.mark.parametrize("container_format", FORMATS)
@pytest.mark.parametrize("kind", ["audio", "subtitle"])
def test_what_is_lost_is_what_cannot_be_read_back(sources, container_format: str, kind: str):
    source = sources[container_format]
    with av.open(str(source)) as given:
        (stream,) = [entry for entry in describe_streams(given) if entry.kind == kind]
    for mark in MARKS:
        marked = replace(stream, dispositions=(mark.name or "",))
        lost = dispositions_without_a_place(marked, container_format)
        is_kept = mark in read_back(source, kind, mark, container_format)
        assert bool(lost) != is_kept, (mark.name, lost)


def test_two_names_of_one_role_are_told_as_one(sources):
    with av.open(str(sources["matroska"])) as given:
        marked = replace(describe_streams(given)[1], dispositions=("hearing_impaired", "captions"))
    assert dispositions_without_a_place(marked, "matroska") == ()
    assert dispositions_without_a_place(marked, "mov") == marked.dispositions


@pytest.mark.parametrize(("suffix", "is_lost"), [(".mkv", False), (".mp4", False), (".mov", True)])
def test_the_loss_is_said_before_the_work_starts(tmp_path: Path, suffix: str, is_lost: bool):
    source = make_source(tmp_path / "in.mkv", Source(audio=("aac", "ac3")))
    info = probe(source, ReadOptions())
    notices = plan_streams(info, tmp_path / f"out{suffix}", FAST, TimeRange()).notices
    told = [notice.text for notice in notices if "marked as" in notice.text]
    assert len(told) == is_lost
    if is_lost:
        assert "#2 ac3" in told[0]
        assert "(comment)" in told[0]
        assert "MOV" in told[0]
