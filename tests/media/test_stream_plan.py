"""Before the work starts it is said what becomes of each stream, or the work is refused."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import pytest
from matroska_tracks import with_chapters_inside, with_full_languages
from rich_sources import FAST, Source, make_source

from sdr2hdr.errors import OutputError
from sdr2hdr.media.containers.container_trial import refusal
from sdr2hdr.media.copying.metadata import tags_without_a_place
from sdr2hdr.media.copying.stream_plan import StreamPlan, plan_streams
from sdr2hdr.media.copying.timecode import advance_timecode, counted_faster
from sdr2hdr.media.reading.probe import probe
from sdr2hdr.options import EncodeOptions, ReadOptions, TimeRange

DROPPING = replace(FAST, drop_unsupported=True)


def plan(
    source: Path, target: str, options: EncodeOptions = FAST, time_range: TimeRange | None = None
) -> StreamPlan:
    info = probe(source, ReadOptions())
    return plan_streams(info, source.parent / target, options, time_range or TimeRange())


def actions(made: StreamPlan) -> list[tuple[str, str]]:
    return [(stream.action, stream.codec) for stream in made.streams]


@pytest.fixture(scope="module")
def mkv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    source = Source(
        audio=("aac", "flac"), subtitle="subrip", attachments=True, cover=True, chapters=True
    )
    return make_source(tmp_path_factory.mktemp("mkv") / "in.mkv", source)


@pytest.fixture(scope="module")
def mp4(tmp_path_factory: pytest.TempPathFactory) -> Path:
    source = Source(
        subtitle="mov_text",
        cover=True,
        chapters=True,
        second_video=True,
        video_tags={"timecode": "01:00:00:00"},
    )
    return make_source(tmp_path_factory.mktemp("mp4") / "in.mp4", source)


def test_matroska_to_matroska_keeps_everything(mkv: Path):
    made = plan(mkv, "out.mkv")
    assert actions(made) == [
        ("convert", "hevc"),
        ("copy", "aac"),
        ("copy", "flac"),
        ("copy", "subrip"),
        ("copy", made.streams[4].codec),
        ("attach", "mjpeg"),
    ]
    assert made.notices == ()
    assert made.container_format == "matroska"


def test_attachments_in_mp4_are_refused_in_one_message(mkv: Path):
    with pytest.raises(OutputError, match=r"\.mp4 cannot hold everything") as caught:
        plan(mkv, "out.mp4")
    message = str(caught.value)
    assert "#4" in message and "attachment" in message
    assert "--drop-unsupported" in message and ".mkv" in message
    assert "#1" not in message and "#2" not in message, "AAC and FLAC go into MP4"


def test_another_container_is_named_than_the_one_that_cannot(tmp_path: Path):
    source = make_source(tmp_path / "in.mov", Source(audio=("adpcm_ima_qt",)))
    with pytest.raises(OutputError, match=r"^\.mkv cannot hold .* such as \.mov,"):
        plan(source, "out.mkv")
    assert actions(plan(source, "out.mov")) == [("convert", "hevc"), ("copy", "adpcm_ima_qt")]


def test_no_container_is_named_where_none_can(tmp_path: Path):
    source = make_source(tmp_path / "in.avi", Source(audio=("adpcm_ms",)))
    for target in ("out.mkv", "out.mov", "out.mp4"):
        with pytest.raises(OutputError, match=r"No container here does; .* FLAC, subtitles: SRT\)"):
            plan(source, target)


def test_channels_that_nobody_has_named_are_refused_for_that(tmp_path: Path):
    """MP4 holds PCM; what it does not hold are six channels of which Matroska says no more."""
    source = make_source(tmp_path / "in.mkv", Source(audio=("pcm_s16le",), audio_layout="5.1"))
    with pytest.raises(OutputError, match=r"MP4 must say which channel is which.*6 channels"):
        plan(source, "out.mp4")


def test_mov_names_the_audio_too(mkv: Path):
    with pytest.raises(OutputError) as caught:
        plan(mkv, "out.mov")
    assert "#2" in str(caught.value) and "#4" in str(caught.value), "MOV has no FLAC"


def test_drop_unsupported_turns_refusals_into_warnings(mkv: Path):
    made = plan(mkv, "out.mp4", DROPPING)
    assert [action for action, _ in actions(made)] == [
        *("convert", "copy", "copy", "convert-subtitle", "drop", "copy")
    ]
    assert [notice.severity for notice in made.notices] == ["warning", "notice"]
    assert "#4" in made.notices[0].text
    assert made.notices[1].text == "Stream #3 subrip: converted to mov_text."


def test_mp4_to_matroska(mp4: Path):
    made = plan(mp4, "out.mkv")
    by_kind = {(stream.source.kind, stream.action) for stream in made.streams}
    assert by_kind == {
        ("video", "convert"),
        ("video", "drop"),
        ("audio", "copy"),
        ("subtitle", "convert-subtitle"),
        ("video", "attach"),
        ("data", "timecode-to-tag"),
        ("data", "chapters"),
    }
    assert made.timecode == "01:00:00:00"
    assert any("only one video stream" in line for line in made.lines)
    (told,) = made.notices
    assert (told.severity, told.text) == ("notice", "Stream #3 mov_text: converted to subrip.")
    assert all(line.startswith("#") for line in made.lines)


def test_mp4_to_mp4_copies_text_and_cover(mp4: Path):
    kept = {stream.source.codec: stream.action for stream in plan(mp4, "out.mp4").streams}
    assert kept["mov_text"] == "copy"
    assert kept["mjpeg"] == "copy"


@pytest.mark.parametrize("target", ["out.mp4", "out.mov"])
def test_ass_in_mp4_is_refused(tmp_path: Path, target: str):
    source = make_source(tmp_path / "in.mkv", Source(audio=(), subtitle="ass"))
    with pytest.raises(OutputError, match="ass"):
        plan(source, target)
    assert plan(source, target, DROPPING).streams[1].action == "drop"
    assert plan(source, "out.mkv").streams[1].action == "copy"


def test_subtitles_that_would_lose_their_place_are_refused(tmp_path: Path):
    cues = ((100, 300, "fine"), (600, 300, r"{\an8}at the top"))
    source = make_source(tmp_path / "in.mkv", Source(audio=(), subtitle="subrip", cues=cues))
    with pytest.raises(OutputError, match=r"lose formatting: \{\\an8\}"):
        plan(source, "out.mp4")
    made = plan(source, "out.mp4", DROPPING)
    assert made.streams[1].action == "convert-subtitle"
    assert "formatting" in made.notices[0].text


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("out.webm", "WebM cannot hold HEVC"),
        ("out.avi", r"\.avi; expected one of \.mkv, \.mp4, \.m4v, \.mov"),
        ("out", "missing; expected one of"),
    ],
)
def test_other_containers_are_refused(mkv: Path, target: str, said: str):
    with pytest.raises(OutputError, match=said):
        plan(mkv, target)


def test_time_range_moves_the_clock_and_the_timecode(mp4: Path):
    made = plan(mp4, "out.mp4", time_range=TimeRange(0.5, 1.25))
    assert (made.shift_seconds, made.start_seconds) == (Fraction(1, 2), 0)
    assert made.end_seconds == Fraction(3, 4)
    assert made.timecode == "01:00:00:15", "the first frame from 0.5 s on is number 15"


@pytest.mark.parametrize(
    ("text", "frames", "rate", "expected"),
    [
        ("00:00:59:24", 1, Fraction(25), "00:01:00:00"),
        ("23:59:59:23", 1, Fraction(24000, 1001), "00:00:00:00"),
        ("00:00:59;29", 1, Fraction(30000, 1001), "00:01:00;02"),
        ("00:09:59;29", 1, Fraction(30000, 1001), "00:10:00;00"),
        ("00:00:00;00", 17982, Fraction(30000, 1001), "00:10:00;00"),
        ("01:00:00;00", 107892, Fraction(30000, 1001), "02:00:00;00"),
        ("00:00:59;59", 1, Fraction(60000, 1001), "00:01:00;04"),
        ("nonsense", 5, Fraction(25), "nonsense"),
    ],
)
def test_advance_timecode(text: str, frames: int, rate: Fraction, expected: str):
    assert advance_timecode(text, frames, rate) == expected


def test_teletext_is_named_where_libav_has_no_decoder_for_it(tmp_path: Path):
    path = tmp_path / "broadcast.ts"
    with av.open(str(path), "w") as out:
        video = out.add_stream("mpeg2video", rate=25)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        text = out.add_mux_stream("dvb_teletext")
        text.time_base = Fraction(1, 90000)
        for number in range(8):
            picture = av.VideoFrame(64, 48, "yuv420p")
            picture.pts, picture.time_base = number, Fraction(1, 25)
            out.mux(video.encode(picture))
            page = av.Packet(b"\x10" + bytes((0x02, 0x2C)) + bytes(44))
            page.stream, page.pts = text, number * 3600
            page.dts = page.pts
            out.mux(page)
        out.mux(video.encode(None))
    with pytest.raises(OutputError, match="teletext"):
        plan(path, "out.mkv")
    assert [line for line in plan(path, "out.mkv", DROPPING).lines if "teletext" in line]


def camera_file(folder: Path, kind: bytes) -> Path:
    """A clip beside a camera's data of some kind: a text track under another name."""
    source = Source(subtitle="mov_text", cues=((0, 500, "f/2.8 ISO 100 1/250 and so on"),))
    path = make_source(folder / "in.mp4", source)
    data = path.read_bytes()
    assert (data.count(b"tx3g"), data.count(b"sbtl")) == (1, 1)
    path.write_bytes(data.replace(b"tx3g", kind).replace(b"sbtl", b"meta"))
    return path


@pytest.mark.parametrize("target", ["out.mov", "out.mp4", "out.mkv"])
@pytest.mark.parametrize("kind", ["mebx", "rtmd", "camm"])
def test_camera_data_that_no_muxer_describes_are_dropped_and_named(
    tmp_path: Path, kind: str, target: str
):
    made = plan(camera_file(tmp_path, kind.encode()), target)
    assert [stream.action for stream in made.streams] == ["convert", "copy", "drop"]
    assert [kind in notice.text for notice in made.notices] == [True]


@pytest.mark.parametrize("target", ["out.mov", "out.mp4"])
def test_camera_data_of_gopro_are_copied(tmp_path: Path, target: str):
    made = plan(camera_file(tmp_path, b"gpmd"), target)
    assert [stream.action for stream in made.streams] == ["convert", "copy", "copy"]
    assert made.notices == ()


def test_camera_data_that_come_late_are_tried_as_well(tmp_path: Path):
    path = camera_file(tmp_path, b"mebx")
    with av.open(str(path)) as container:
        assert refusal(container.streams[2], (), "mov") is not None


@pytest.mark.parametrize(("suffix", "lost"), [("mp4", ()), ("mov", ("show", "season_number"))])
def test_what_quicktime_has_no_place_for_is_known(suffix: str, lost: tuple[str, ...]):
    tags = {"title": "x", "show": "y", "season_number": "1"}
    assert tags_without_a_place(tags, suffix) == lost


@pytest.mark.parametrize(
    ("said", "factor", "expected"),
    [
        ("01:00:00;10", 2, "01:00:00;20"),
        ("00:01:00;02", 2, "00:01:00;04"),
        ("10:00:00:24", 2, "10:00:00:48"),
        ("10:00:00:24", 1, "10:00:00:24"),
        ("none", 2, "none"),
    ],
)
def test_timecode_of_frames_that_were_fields(said: str, factor: int, expected: str):
    assert counted_faster(said, factor) == expected


@pytest.mark.parametrize(
    ("names", "inside", "expected"),
    [
        (("One",), 0, None),
        (("One", "Eins"), 0, "1 further name of chapters."),
        (("One",), 2, "2 chapters inside others."),
        (("One", "Eins", "Un"), 1, "1 chapter inside others and 2 further names of chapters."),
    ],
)
def test_chapters_that_libavformat_does_not_read_are_named(
    tmp_path: Path, names: tuple[str, ...], inside: int, expected: str | None
):
    plain = make_source(tmp_path / "plain.mkv", Source(audio=()))
    path = with_chapters_inside(plain, tmp_path / "in.mkv", names, inside)
    with av.open(str(path)) as container:
        assert [c["metadata"]["title"] for c in container.chapters()] == [names[-1]]
    notices = plan(path, tmp_path / "out.mkv").notices
    head = "Dropped, because libavformat does not read them: "
    said = [each.text.removeprefix(head) for each in notices if each.text.startswith(head)]
    assert said == ([] if expected is None else [expected])


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
def test_a_language_that_loses_its_region_is_named(tmp_path: Path, suffix: str):
    plain = make_source(tmp_path / "plain.mkv", Source(audio=("aac", "aac")))
    said = [("eng", "en"), ("por", "pt-BR"), ("jpn", "ja")]
    path = with_full_languages(plain, tmp_path / "in.mkv", said)
    notices = plan(path, f"out{suffix}").notices
    told = [each for each in notices if "'pt-BR' that is 'por'" in each.text]
    assert list(notices) == told
    assert len(told) == (suffix != ".mkv")
