"""What is copied arrives byte for byte, when it did, and as what it was."""

from __future__ import annotations

import zlib
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import pytest
from matroska_tracks import (
    enabled_tracks,
    find_ebml,
    track_languages,
    with_full_languages,
    with_tracks_behind_clusters,
)
from rich_sources import (
    FAST,
    FONT,
    Source,
    convert_grey,
    find_box,
    jpeg,
    make_source,
    packets_of,
    seconds_of,
)

import sdr2hdr
from sdr2hdr.delivery.retag import retag
from sdr2hdr.media.containers.matroska_enabled import write_disabled_tracks
from sdr2hdr.media.copying.sound_length import sound_seconds
from sdr2hdr.media.copying.subtitles import mov_text_is_empty
from sdr2hdr.media.hdr10.container_facts import read_container_facts
from sdr2hdr.options import TimeRange

HALF_MILLISECOND = Fraction(1, 2000)


@pytest.mark.parametrize("codec", ["aac", "ac3", "flac", "libopus", "libmp3lame", "pcm_s16le"])
@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_audio_packets_are_identical(tmp_path: Path, codec: str, suffix: str):
    source = make_source(tmp_path / f"in{suffix}", Source(audio=(codec,)))
    target = tmp_path / f"out{suffix}"
    convert_grey(source, target)
    before, after = packets_of(source, "audio"), packets_of(target, "audio")
    assert [data for _, _, data in after] == [data for _, _, data in before]
    assert [start for start, _, _ in after] == [start for start, _, _ in before]


def test_audio_before_zero_keeps_its_place_in_matroska(tmp_path: Path):
    """AAC from an MP4 begins before 0; the video must not move to make room for it."""
    source = make_source(tmp_path / "in.mp4", Source())
    target = tmp_path / "out.mkv"
    convert_grey(source, target)
    before, after = packets_of(source, "audio"), packets_of(target, "audio")
    assert before[0][0] < 0
    assert [data for _, _, data in after] == [data for _, _, data in before]
    assert all(abs(b[0] - a[0]) <= HALF_MILLISECOND for a, b in zip(before, after, strict=True))
    assert seconds_of(target)[0] == seconds_of(source)[0] == 0


@pytest.mark.parametrize("suffixes", [(".mp4", ".mp4"), (".mp4", ".mkv"), (".mkv", ".mov")])
def test_late_audio_stays_late(tmp_path: Path, suffixes: tuple[str, str]):
    late = Source(audio=("aac",), audio_delay_seconds=Fraction(3, 10))
    source = make_source(tmp_path / f"in{suffixes[0]}", late)
    target = tmp_path / f"out{suffixes[1]}"
    convert_grey(source, target)
    offsets = [packets_of(p, "audio")[0][0] - seconds_of(p)[0] for p in (source, target)]
    assert offsets[0] > Fraction(1, 4)
    assert abs(offsets[0] - offsets[1]) <= HALF_MILLISECOND


def test_transport_stream_starts_at_zero_with_its_offsets(tmp_path: Path):
    pts = tuple(60060 + 1001 * n for n in range(20))
    late = Source(bframes=0, pts=pts, audio_delay_seconds=Fraction(21, 10))
    source = make_source(tmp_path / "in.ts", late)
    for suffix in (".mp4", ".mkv"):
        target = tmp_path / f"out{suffix}"
        convert_grey(source, target)
        with av.open(str(source)) as container:
            start = Fraction(container.start_time, 1_000_000)
        assert start > 1
        pairs = zip(seconds_of(source), seconds_of(target), strict=True)
        assert all(abs(before - start - after) <= HALF_MILLISECOND for before, after in pairs)
        before, after = packets_of(source, "audio"), packets_of(target, "audio")
        assert abs(before[0][0] - start - after[0][0]) <= HALF_MILLISECOND
        headers = {len(a[2]) - len(b[2]) for a, b in zip(before, after, strict=True)}
        assert headers == {7}, "the ADTS header of 7 bytes goes, the rest stays"
        assert all(a[2][7:] == b[2] for a, b in zip(before, after, strict=True))


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_languages_titles_dispositions_chapters(tmp_path: Path, suffix: str):
    rich = Source(
        audio=("aac", "ac3"),
        subtitle="subrip" if suffix == ".mkv" else "mov_text",
        chapters=True,
        tags={"title": "A film", "comment": "said", "weather": "rain"},
    )
    source = make_source(tmp_path / f"in{suffix}", rich)
    target = tmp_path / f"out{suffix}"
    summary, _ = convert_grey(source, target)
    assert summary.notices == ()
    with av.open(str(source)) as before, av.open(str(target)) as after:
        assert [s.type for s in after.streams] == [s.type for s in before.streams]
        assert [s.language for s in after.streams] == [s.language for s in before.streams]
        assert [s.disposition for s in after.streams] == [s.disposition for s in before.streams]
        key = "title" if suffix == ".mkv" else "name"
        titles = [s.metadata.get(key) for s in after.streams]
        assert titles[1:3] == ["Sound 0", "Sound 1"]
        chapters = [
            (c["start"] * c["time_base"], c["end"] * c["time_base"], c["metadata"]["title"])
            for c in after.chapters()
        ]
        assert chapters == [
            (0, Fraction(7, 10), "First"),
            (Fraction(7, 10), Fraction(8, 5), "Second"),
        ]
        tags = {key.lower(): value for key, value in after.metadata.items()}
        assert (tags["title"], tags["comment"]) == ("A film", "said")
        assert tags.get("weather") == {k.lower(): v for k, v in before.metadata.items()}.get(
            "weather"
        )


@pytest.mark.parametrize("suffix", [".mp4", ".mov"])
def test_a_long_chapter_stays_in_the_track_that_players_show(tmp_path: Path, suffix: str):
    """A clock common to picture and sound ticks so fast that 31 bits may last for minutes only."""
    hours = Fraction(13 * 3600)
    rich = Source(chapters=True, second_chapter_seconds=hours)
    source = make_source(tmp_path / "in.mkv", rich)
    target = tmp_path / f"out{suffix}"
    convert_grey(source, target)
    # libavformat shows the list of chapters in `udta` unless it finds the track.
    assert b"chpl" in target.read_bytes()
    target.write_bytes(target.read_bytes().replace(b"chpl", b"free"))
    with av.open(str(target)) as after:
        starts = [c["start"] * c["time_base"] for c in after.chapters()]
        titles = [c["metadata"]["title"] for c in after.chapters()]
    assert (starts, titles) == ([0, hours], ["First", "Second"])


def test_free_tags_survive_in_mp4(tmp_path: Path):
    source = make_source(tmp_path / "in.mkv", Source(tags={"weather": "rain"}))
    convert_grey(source, tmp_path / "out.mp4")
    with av.open(str(tmp_path / "out.mp4")) as after:
        assert {k.lower(): v for k, v in after.metadata.items()}["weather"] == "rain"


def test_attachments_and_cover_in_matroska(tmp_path: Path):
    source = make_source(tmp_path / "in.mkv", Source(audio=(), attachments=True, cover=True))
    target = tmp_path / "out.mkv"
    options = sdr2hdr.ConvertOptions("bt2408", encode=FAST)
    sdr2hdr.convert(source, target, options)
    with av.open(str(target)) as container:
        attachment = next(s for s in container.streams if s.type == "attachment")
        assert (attachment.name, attachment.data) == ("some.ttf", FONT)
        assert attachment.mimetype == "application/x-truetype-font"
        cover = container.streams.video[1]
        assert cover.disposition & cover.disposition.attached_pic
        assert cover.metadata["filename"] == "cover.jpg"
        assert next(bytes(p) for p in container.demux(cover) if p.size) == jpeg()


@pytest.mark.parametrize("suffixes", [(".mp4", ".mkv"), (".mkv", ".mp4"), (".mp4", ".mp4")])
def test_cover_art_between_containers(tmp_path: Path, suffixes: tuple[str, str]):
    source = make_source(tmp_path / f"in{suffixes[0]}", Source(cover=True))
    target = tmp_path / f"out{suffixes[1]}"
    convert_grey(source, target)
    with av.open(str(target)) as container:
        pictures = [
            s for s in container.streams.video if s.disposition & s.disposition.attached_pic
        ]
        assert len(pictures) == 1
        assert next(bytes(p) for p in container.demux(pictures[0]) if p.size) == jpeg()


def cues_of(path: Path) -> list[tuple[Fraction, Fraction, str]]:
    found = []
    for start, duration, data in packets_of(path, "subtitle"):
        if path.suffix in (".mp4", ".mov"):
            if mov_text_is_empty(data):
                continue
            data = data[2 : 2 + int.from_bytes(data[:2], "big")]
        found.append((start, duration, data.decode()))
    return found


CUES = [(Fraction(3, 10), Fraction(1, 2)), (Fraction(9, 10), Fraction(2, 5))]


@pytest.mark.parametrize("target_suffix", [".mp4", ".mov", ".mkv"])
def test_subrip(tmp_path: Path, target_suffix: str):
    source = make_source(tmp_path / "in.mkv", Source(subtitle="subrip"))
    target = tmp_path / f"out{target_suffix}"
    convert_grey(source, target)
    cues = cues_of(target)
    assert [cue[:2] for cue in cues] == CUES
    plain = target_suffix != ".mkv"
    assert cues[0][2] == ("Hello world" if plain else "Hello <i>world</i>")
    assert cues[1][2] == ("two\nlines" if plain else "<b>two</b>\nlines")
    with av.open(str(target)) as container:
        assert container.streams.subtitles[0].language == "spa"


def test_mov_text_becomes_subrip(tmp_path: Path):
    cues = ((300, 500, "Hello"), (900, 400, "two\nlines"))
    source = make_source(tmp_path / "in.mp4", Source(subtitle="mov_text", cues=cues))
    target = tmp_path / "out.mkv"
    convert_grey(source, target)
    assert cues_of(target) == [(*CUES[0], "Hello"), (*CUES[1], "two\nlines")]
    with av.open(str(target)) as container:
        subtitle = container.streams.subtitles[0]
        assert subtitle.codec_context.codec.canonical_name == "subrip"
        assert subtitle.language == "spa"


def test_a_damaged_cue_keeps_its_text_and_is_told(tmp_path: Path):
    """A sample that says to hold more text than it does, in the middle of a film."""
    cues = ((300, 500, "Hello"), (900, 400, "two\nlines"))
    source = make_source(tmp_path / "in.mp4", Source(subtitle="mov_text", cues=cues))
    whole = source.read_bytes()
    assert whole.count(b"\0\5Hello") == 1
    source.write_bytes(whole.replace(b"\0\5Hello", b"\0\x7fHello"))
    convert_grey(source, tmp_path / "hdr.mp4")
    converted, _ = convert_grey(source, tmp_path / "out.mkv")
    retagged = retag(tmp_path / "hdr.mp4", tmp_path / "again.mkv")
    told = "Subtitles are damaged and kept as far as they can be read: 1 cue."
    for name, notices in (("out.mkv", converted.notices), ("again.mkv", retagged.notices)):
        assert cues_of(tmp_path / name) == [(*CUES[0], "Hello"), (*CUES[1], "two\nlines")]
        assert told in [each.text for each in notices]


def test_mov_text_is_copied_and_gaps_are_kept(tmp_path: Path):
    source = make_source(tmp_path / "in.mp4", Source(subtitle="mov_text"))
    convert_grey(source, tmp_path / "out.mp4")
    assert cues_of(tmp_path / "out.mp4") == cues_of(source)
    assert [cue[:2] for cue in cues_of(source)] == CUES


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_time_range(tmp_path: Path, suffix: str):
    subtitle = "subrip" if suffix == ".mkv" else "mov_text"
    source = make_source(tmp_path / f"in{suffix}", Source(subtitle=subtitle, chapters=True))
    target = tmp_path / f"out{suffix}"
    convert_grey(source, target, time_range=TimeRange(0.5, 1.0))
    tolerance = Fraction(1, 1000)
    kept = [t for t in seconds_of(source) if Fraction(1, 2) <= t < 1]
    frames = seconds_of(target)
    assert len(frames) == len(kept) == 15
    assert all(abs(a - Fraction(1, 2) - b) <= tolerance for a, b in zip(kept, frames, strict=True))
    inside = [p for p in packets_of(source, "audio") if Fraction(1, 2) <= p[0] < 1]
    sounds = packets_of(target, "audio")
    assert [data for _, _, data in sounds] == [data for _, _, data in inside]
    assert abs(inside[0][0] - Fraction(1, 2) - sounds[0][0]) <= tolerance
    assert [(round(float(a), 3), round(float(b), 3)) for a, b, _ in cues_of(target)] == [
        (0.0, 0.3),
        (0.4, 0.1),
    ]
    with av.open(str(target)) as container:
        chapters = [
            (float(c["start"] * c["time_base"]), float(c["end"] * c["time_base"]))
            for c in container.chapters()
        ]
    assert chapters == [(0.0, pytest.approx(0.2)), (pytest.approx(0.2), pytest.approx(0.5))]


@pytest.mark.parametrize("suffix", [".mp4", ".mov"])
def test_chapters_and_timecode_together(tmp_path: Path, suffix: str):
    """Both are tracks the video refers to; chapters nothing refers to would be subtitles."""
    tagged = Source(audio=(), chapters=True, video_tags={"timecode": "01:00:00:00"})
    source = make_source(tmp_path / "in.mkv", tagged)
    target = tmp_path / f"out{suffix}"
    convert_grey(source, target)
    with av.open(str(target)) as container:
        assert [stream.type for stream in container.streams] == ["video", "data", "data"]
        assert container.streams.video[0].metadata["timecode"] == "01:00:00:00"
        assert [chapter["metadata"]["title"] for chapter in container.chapters()] == [
            "First",
            "Second",
        ]
    assert len(seconds_of(target)) == 48
    references = find_box(target.read_bytes(), b"moov", b"trak", b"tref")
    assert find_box(references, b"tmcd") == b"\0\0\0\3"
    assert find_box(references, b"chap") == b"\0\0\0\2"


def test_cover_art_wins_over_free_tags_in_mp4(tmp_path: Path):
    source = make_source(tmp_path / "in.mkv", Source(audio=(), cover=True, tags={"weather": "wet"}))
    _, plan = convert_grey(source, tmp_path / "out.mp4")
    assert "weather" in plan.notices[0].text.lower()
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert len(container.streams.video) == 2


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_packets_shorter_than_a_tick_do_not_drift(tmp_path: Path, suffix: str):
    """Packets of 40 samples last 0.83 ms (TrueHD's do), so in Matroska many start together."""
    source = make_source(tmp_path / "in.mkv", Source(audio=("pcm_s16le",), audio_block=40))
    target = tmp_path / f"out{suffix}"
    summary, _ = convert_grey(source, target)
    before, after = packets_of(source, "audio"), packets_of(target, "audio")
    assert len(before) == 1920
    assert len({start for start, _, _ in before}) < 1700
    assert b"".join(data for _, _, data in after) == b"".join(data for _, _, data in before)
    if suffix == ".mkv":
        assert [start for start, _, _ in after] == [start for start, _, _ in before]
    assert summary.notices == ()


@pytest.mark.parametrize("suffix", [".mov", ".mp4"])
def test_plain_sound_from_matroska_lasts_to_its_last_sample(tmp_path: Path, suffix: str):
    """Blocks of 1003 samples, 20.9 ms, start and end beside Matroska's milliseconds."""
    recipe = Source(audio=("pcm_s16le",), audio_block=1003, audio_delay_seconds=Fraction(1, 3))
    target = tmp_path / f"out{suffix}"
    convert_grey(make_source(tmp_path / "in.mkv", recipe), target)
    with av.open(str(target)) as container:
        assert container.streams.audio[0].duration == 1.6 * 48000
    assert float(packets_of(target, "audio")[0][0]) == pytest.approx(1 / 3, abs=0.0006)


@pytest.mark.parametrize("codec", ["libopus", "libmp3lame"])
def test_what_nobody_is_to_hear_at_the_end_does_not_lengthen_sound_in_mp4(tmp_path: Path, codec):
    source = make_source(tmp_path / "in.mkv", Source(audio=(codec,), audio_seconds=1.61))
    target = tmp_path / "out.mp4"
    convert_grey(source, target)
    with av.open(str(source)) as container:
        heard = sum(frame.samples for frame in container.decode(audio=0))
    with av.open(str(target)) as container:
        # Matroska rounds where sound begins to a millisecond, 48 samples.
        assert container.streams.audio[0].duration == pytest.approx(heard, abs=48)


@pytest.mark.parametrize(
    ("configurations", "milliseconds"),
    [
        *((range(first, first + 4), (10, 20, 40, 60)) for first in (0, 4, 8)),
        *((range(first, first + 2), (10, 20)) for first in (12, 14)),
        *((range(first, first + 4), (2.5, 5, 10, 20)) for first in (16, 20, 24, 28)),
    ],
)
def test_a_packet_of_opus_lasts_as_its_first_bytes_say(
    configurations: range, milliseconds: tuple[float, ...]
):
    """RFC 6716, Table 2, and 3.2: one frame, two, two of different lengths, or counted ones."""
    context = av.CodecContext.create("opus", "r")
    context.sample_rate = 48000
    for configuration, each in zip(configurations, milliseconds, strict=True):
        for code, second, frames in ((0, 0, 1), (1, 0, 2), (2, 0, 2), (3, 0xC0 | 5, 5)):
            packet = av.Packet(bytes((configuration << 3 | code, second)))
            assert sound_seconds(packet, context) == frames * Fraction(each) / 1000
    assert sound_seconds(av.Packet(b"\0"), context) is None


@pytest.mark.parametrize("is_counted", [True, False])
def test_a_packet_of_opus_lasts_as_long_as_it_is_heard(tmp_path: Path, is_counted: bool):
    """Some writers of Matroska count what is thrown away at the end, others do not."""
    source = make_source(tmp_path / "in.mkv", Source(audio=("libopus",), audio_seconds=1.61))
    with av.open(str(source)) as container:
        context = container.streams.audio[0].codec_context
        last = [packet for packet in container.demux(audio=0) if packet.size][-1]
        unheard = int.from_bytes(bytes(last.get_sidedata("skip_samples"))[4:8], "little")
        assert 0 < unheard < 960
        heard = Fraction(960 - unheard, 48000)
        last.duration = 20 if is_counted else round(heard * 1000)
        assert sound_seconds(last, context) == heard


@pytest.mark.parametrize(
    ("suffix", "codec", "samples"),
    # The first time of Opus, -6.5 ms, is rounded down and the second, 13.5 ms, up.
    [(".mp4", "aac", 1024), (".mov", "aac", 1024), (".mp4", "libopus", 960)],
)
def test_frames_from_matroska_begin_where_those_before_them_end(
    tmp_path: Path, suffix: str, codec: str, samples: int
):
    source = make_source(tmp_path / "in.mkv", Source(audio=(codec,)))
    target = tmp_path / f"out{suffix}"
    convert_grey(source, target)
    times = [start * 48000 for start, _, _ in packets_of(target, "audio")]
    assert {later - earlier for earlier, later in pairwise(times)} == {samples}


@pytest.mark.parametrize(("name", "expected"), [("out.mov", "fra"), ("out.mp4", "fre")])
def test_language_is_kept_by_the_code_that_the_container_knows(
    tmp_path: Path, name: str, expected: str
):
    source = make_source(tmp_path / "source.mkv", Source())
    with av.open(str(source)) as container:
        assert container.streams.audio[0].metadata["language"] == "fre"
    target = tmp_path / name
    sdr2hdr.convert(source, target, sdr2hdr.ConvertOptions("bt2408", encode=FAST))
    with av.open(str(target)) as container:
        assert container.streams.audio[0].metadata["language"] == expected


def test_full_language_tags_stay_in_matroska(tmp_path: Path):
    """Two tracks in Chinese, or in Portuguese, are told apart by them alone."""
    plain = make_source(tmp_path / "plain.mkv", Source(audio=("aac", "aac", "flac")))
    said = [("eng", "en-GB"), ("chi", "zh-Hant"), ("und", "yue"), ("por", "pt-BR")]
    source = with_full_languages(plain, tmp_path / "in.mkv", said)
    assert track_languages(source) == said
    target = tmp_path / "out.mkv"
    convert_grey(source, target)
    assert track_languages(target) == said
    with av.open(str(target)) as container:
        codes = [stream.metadata.get("language") for stream in container.streams]
    assert codes == ["eng", "chi", None, "por"]
    tracks = find_ebml(target.read_bytes(), 0x18538067, 0x1654AE6B)
    assert tracks[:2] == b"\xbf\x84" and tracks[2:6] == zlib.crc32(tracks[6:]).to_bytes(4, "little")


def test_tracks_that_are_not_to_be_played_stay_so(tmp_path: Path):
    recipe = Source(audio=("aac", "ac3", "flac"), attachments=True)
    source = make_source(tmp_path / "in.mkv", recipe)
    write_disabled_tracks(source, {2})
    assert enabled_tracks(source) == [True, True, False, True]
    convert_grey(source, tmp_path / "out.mkv")
    assert enabled_tracks(tmp_path / "out.mkv") == [True, True, False, True]


def test_a_video_of_other_pixels_than_square_that_is_not_to_be_played_stays_so(tmp_path: Path):
    """Both are written into what libavformat leaves free, and the size took all of it."""
    recipe = Source(sample_aspect_ratio=Fraction(16, 15))
    source = make_source(tmp_path / "in.mkv", recipe)
    write_disabled_tracks(source, {0})
    assert enabled_tracks(source) == [False, True]
    target = tmp_path / "out.mkv"
    convert_grey(source, target)
    assert enabled_tracks(target) == [False, True]
    with av.open(str(target)) as container:
        assert container.streams.video[0].sample_aspect_ratio == recipe.sample_aspect_ratio


def test_tracks_behind_the_clusters_are_read(tmp_path: Path):
    """mkvpropedit puts them there; their languages and flags were lost, and `check` saw damage."""
    plain = make_source(tmp_path / "plain.mkv", Source(audio=("aac", "aac")))
    said = [("eng", "en-GB"), ("por", "pt-BR"), ("por", "pt-PT")]
    full = with_full_languages(plain, tmp_path / "full.mkv", said)
    write_disabled_tracks(full, {2})
    source = with_tracks_behind_clusters(full, tmp_path / "in.mkv")
    assert not read_container_facts(source, "matroska", 0).fault
    target = tmp_path / "out.mkv"
    convert_grey(source, target)
    assert track_languages(target) == said
    assert enabled_tracks(target) == [True, True, False]


def test_what_cannot_be_a_language_tag_is_left_out(tmp_path: Path):
    plain = make_source(tmp_path / "plain.mkv", Source())
    said = [("eng", "en-GB"), ("chi", "zh.Hant")]
    target = tmp_path / "out.mkv"
    convert_grey(with_full_languages(plain, tmp_path / "in.mkv", said), target)
    assert track_languages(target) == [("eng", "en-GB"), ("chi", "")]


def test_full_language_tags_become_codes_in_mp4(tmp_path: Path):
    plain = make_source(tmp_path / "plain.mkv", Source())
    said = [("eng", "en-GB"), ("por", "pt-BR")]
    convert_grey(with_full_languages(plain, tmp_path / "in.mkv", said), tmp_path / "out.mp4")
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert [s.metadata["language"] for s in container.streams] == ["eng", "por"]


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
def test_titles_of_tracks_in_mp4_stay_titles(tmp_path: Path, suffix: str):
    title = "L'été, commenté"
    source = make_source(tmp_path / "in.mp4", Source(video_tags={"title": title}))
    target = tmp_path / f"out{suffix}"
    convert_grey(source, target)
    with av.open(str(target)) as container:
        tags = [stream.metadata for stream in container.streams]
    key = "title" if suffix == ".mkv" else "name"
    assert [each.get(key) for each in tags] == [title, "Sound 0"]
