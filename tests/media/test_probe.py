from __future__ import annotations

import struct
import subprocess
import sys
import wave
import zlib
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.stream import Disposition
from source_clips import Clip, add_video, decoded, encode_video, spoil, write_clip

from sdr2hdr.errors import InputError, Sdr2HdrError, UsageError
from sdr2hdr.media.containers.isobmff import find_box, make_box
from sdr2hdr.media.reading.probe import probe
from sdr2hdr.media.reading.still_images import write_png
from sdr2hdr.media.source import SourceInfo
from sdr2hdr.options import ReadOptions

H264 = Clip(codec="libx264", options={"qp": "20"}, pts=range(12))
DEFAULTS = ReadOptions()


def texts(info: SourceInfo) -> str:
    return "\n".join(notice.text for notice in info.notices)


def write_wave(path: Path) -> None:
    with wave.open(str(path), "w") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(bytes(8000))


def add_tone(out: av.container.OutputContainer, stream: av.AudioStream) -> None:
    for number in range(20):
        frame = av.AudioFrame(format="fltp", layout="mono", samples=1024)
        frame.planes[0].update(bytes(4096))
        frame.sample_rate, frame.pts = 48000, number * 1024
        frame.time_base = Fraction(1, 48000)
        out.mux(stream.encode(frame))
    out.mux(stream.encode(None))


def two_videos(
    path: Path, clips: tuple[Clip, Clip], flags: tuple[Disposition, Disposition]
) -> Path:
    with av.open(str(path), "w") as out:
        streams = [add_video(out, clip) for clip in clips]
        for stream, flag in zip(streams, flags, strict=True):
            stream.disposition = flag
        for stream, clip in zip(streams, clips, strict=True):
            encode_video(out, stream, clip)
    return path


def write_clean_aperture(path: Path, width: int, height: int, right: int, down: int) -> None:
    """Add `clap` (ISO/IEC 14496-12:2022, 12.1.4) to the first track, whose index comes last."""
    data = bytearray(path.read_bytes())
    place = [b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd", b"avc1"]
    boxes = find_box(bytes(data), place)
    content = struct.pack(">IIIIiIiI", width, 1, height, 1, right, 1, down, 1)
    clap = make_box(b"clap", content)
    for box in boxes:
        data[box.start : box.start + 4] = struct.pack(">I", box.end - box.start + len(clap))
    data[boxes[-1].end : boxes[-1].end] = clap
    path.write_bytes(data)


class TestRefusals:
    def test_missing_file(self, tmp_path):
        with pytest.raises(InputError, match="does not exist"):
            probe(tmp_path / "none.mp4", DEFAULTS)

    def test_sequence_of_pictures(self, tmp_path):
        with pytest.raises(InputError, match="names a sequence of pictures, which is not read"):
            probe(tmp_path / "shot_%04d.png", DEFAULTS)

    @pytest.mark.parametrize(
        ("given", "message"),
        [
            ("https://e.org/a%d8.mp4", "https://e.org/a%d8.mp4 is a URL.*on disk. Download it"),
            ("rtmp://e.org/live", "rtmp://e.org/live is a URL"),
            ("file:///films/a.mov", "file:///films/a.mov is a URL.*on disk. Give its path alone"),
            ("-", "- is standard input, which is not read.*to a file first"),
            ("a:b.mp4", "a:b.mp4 does not exist"),
        ],
    )
    def test_what_is_no_file_on_disk(self, given, message):
        with pytest.raises(InputError, match=message):
            probe(Path(given), DEFAULTS)

    def test_folder(self, tmp_path):
        with pytest.raises(InputError, match="is a folder"):
            probe(tmp_path, DEFAULTS)

    @pytest.mark.parametrize(
        ("name", "content", "message"),
        [
            ("empty.mp4", b"", "is empty"),
            ("text.mp4", b"These are words.\n" * 90, "is a text file"),
            ("umlaut.mkv", "Größe\n".encode() * 2000, "is a text file"),
            ("film.srt", b"1\n00:00:01,000 --> 00:00:02,000\nhello\n", "is a text file"),
            ("zeros.mkv", bytes(4000), "not a media file"),
            ("noise.mp4", bytes(range(1, 256)) * 20, "not a media file"),
        ],
    )
    def test_no_media(self, tmp_path, name, content, message):
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(InputError, match=message) as caught:
            probe(path, DEFAULTS)
        assert str(path) in str(caught.value)
        assert caught.value.exit_code == 3

    def test_audio_alone(self, tmp_path):
        write_wave(tmp_path / "a.wav")
        with pytest.raises(InputError, match="holds only audio; expected a video stream"):
            probe(tmp_path / "a.wav", DEFAULTS)

    def test_cover_art_is_no_video(self, tmp_path):
        path = tmp_path / "a.m4a"
        art = Clip(codec="mjpeg", pixel_format="yuvj420p", pts=(0,), colour_range=2)
        with av.open(str(path), "w", format="mp4") as out:
            tone = out.add_stream("aac", rate=48000, layout="mono")
            picture = add_video(out, art)
            picture.disposition = Disposition.attached_pic
            encode_video(out, picture, art)
            add_tone(out, tone)
        with pytest.raises(InputError, match="only audio and cover art"):
            probe(path, DEFAULTS)

    def test_every_truncation_of_a_header_is_an_error_of_the_input(self, tmp_path):
        for suffix in ("mp4", "mkv", "avi", "ts"):
            data = write_clip(tmp_path / f"whole.{suffix}", H264).read_bytes()
            path = tmp_path / f"cut.{suffix}"
            for length in (1, 4, 8, 12, 40, 100, 188, 300, 400):
                path.write_bytes(data[:length])
                with pytest.raises(InputError):
                    probe(path, DEFAULTS)

    def test_truncated_mp4_without_index_says_so(self, tmp_path):
        data = write_clip(tmp_path / "whole.mp4", H264).read_bytes()
        path = tmp_path / "cut.mp4"
        path.write_bytes(data[: len(data) // 2])
        with pytest.raises(InputError, match="no readable index"):
            probe(path, DEFAULTS)

    def test_video_without_a_whole_frame(self, tmp_path):
        path = write_clip(tmp_path / "a.mp4", H264)
        spoil(path, range(12))
        with pytest.raises(InputError, match=r"No frame .*h264.* can be decoded"):
            probe(path, DEFAULTS)

    def test_what_is_known_by_name_alone_is_not_called_damaged(self, tmp_path):
        clip = Clip("libwebp_anim", "bgra", muxer="webp")
        path = write_clip(tmp_path / "a.webp", clip)
        with pytest.raises(InputError, match=r"No frame .*of a kind that .* cannot decode"):
            probe(path, DEFAULTS)

    def test_unreadable_file(self, tmp_path, monkeypatch):
        path = write_clip(tmp_path / "a.mp4", H264)

        def refuse(*_args, **_named):
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(Path, "open", refuse)
        with pytest.raises(InputError, match="Permission denied"):
            probe(path, DEFAULTS)

    @pytest.mark.parametrize("wanted", [1, 7])
    def test_video_stream_out_of_range(self, tmp_path, wanted):
        path = write_clip(tmp_path / "a.mp4", H264)
        with pytest.raises(UsageError, match=rf"--video-stream {wanted} .* has 1 video stream"):
            probe(path, replace(DEFAULTS, video_stream=wanted))


def test_noise_in_a_file_never_ends_in_a_traceback(tmp_path):
    import random

    source = random.Random(3)
    for suffix in ("mp4", "mkv", "ts"):
        data = write_clip(tmp_path / f"whole.{suffix}", H264).read_bytes()
        path = tmp_path / f"noise.{suffix}"
        for _ in range(25):
            noisy = bytearray(data)
            for _ in range(source.choice((3, 30, 300))):
                noisy[source.randrange(len(noisy))] = source.randrange(256)
            path.write_bytes(noisy)
            try:
                probe(path, DEFAULTS)
            except Sdr2HdrError as error:
                assert error.exit_code in (3, 4)


class TestStreams:
    def test_streams_chapters_and_metadata(self, tmp_path):
        path = tmp_path / "a.mkv"
        with av.open(str(path), "w") as out:
            out.metadata["title"] = "A film"
            video = add_video(out, H264)
            tone = out.add_stream("aac", rate=48000, layout="mono")
            tone.metadata.update(language="ger", title="Kommentar")
            tone.disposition = Disposition.comment
            out.add_attachment("some.ttf", "application/x-truetype-font", b"font")
            out.set_chapters(
                [
                    {
                        "id": 1,
                        "start": 100,
                        "end": 250,
                        "time_base": Fraction(1, 1000),
                        "metadata": {"title": "First"},
                    }
                ]
            )
            encode_video(out, video, H264)
            add_tone(out, tone)
        info = probe(path, DEFAULTS)
        assert [stream.kind for stream in info.streams] == ["video", "audio", "attachment"]
        sound = info.streams[1]
        assert (sound.codec, sound.language, sound.title) == ("aac", "ger", "Kommentar")
        assert "comment" in sound.dispositions
        assert info.metadata["title"] == "A film"
        (chapter,) = info.chapters
        assert (chapter.start_seconds, chapter.end_seconds, chapter.title) == (0.1, 0.25, "First")
        assert "matroska" in info.container
        assert info.size_bytes == path.stat().st_size

    def test_cover_art_is_passed_over(self, tmp_path):
        path = tmp_path / "a.mp4"
        art = Clip("mjpeg", "yuvj420p", width_px=320, height_px=240, pts=(0,), colour_range=2)
        flags = (Disposition.attached_pic, Disposition.default)
        info = probe(two_videos(path, (art, H264), flags), DEFAULTS)
        assert info.video.width_px == 64
        assert info.video.ordinal == 0
        assert [stream.is_cover_art for stream in info.streams] == (
            [index != info.video.index for index in range(2)]
        )
        assert "dropped" not in texts(info)

    def test_larger_of_two_videos_is_taken_and_the_other_named(self, tmp_path):
        both = (Disposition.default, Disposition.default)
        clips = (H264, replace(H264, width_px=96))
        path = two_videos(tmp_path / "a.mp4", clips, both)
        info = probe(path, DEFAULTS)
        assert (info.video.width_px, info.video.ordinal, info.video.index) == (96, 1, 1)
        warned = [notice for notice in info.notices if notice.severity == "warning"]
        assert "64x48" in warned[0].text
        assert "--video-stream" in warned[0].text
        chosen = probe(path, replace(DEFAULTS, video_stream=0))
        assert (chosen.video.width_px, chosen.video.ordinal) == (64, 0)

    def test_default_flag_goes_before_size(self, tmp_path):
        clips = (H264, replace(H264, width_px=96))
        path = two_videos(tmp_path / "a.mkv", clips, (Disposition.default, Disposition(0)))
        assert probe(path, DEFAULTS).video.width_px == 64

    def test_few_large_stills_do_not_win_over_the_film(self, tmp_path):
        both = (Disposition.default, Disposition.default)
        stills = replace(H264, width_px=128, height_px=96, pts=(0, 11))
        path = two_videos(tmp_path / "a.mp4", (H264, stills), both)
        assert probe(path, DEFAULTS).video.width_px == 64


class TestVideo:
    @pytest.mark.parametrize("suffix", ["mp4", "mkv"])
    def test_aspect_ratio(self, tmp_path, suffix):
        def set_aspect(stream: av.VideoStream) -> None:
            stream.codec_context.sample_aspect_ratio = Fraction(16, 15)

        path = write_clip(tmp_path / f"a.{suffix}", replace(H264, set_up=set_aspect))
        assert probe(path, DEFAULTS).video.sample_aspect_ratio == Fraction(16, 15)
        square = write_clip(tmp_path / f"b.{suffix}", H264)
        assert probe(square, DEFAULTS).video.sample_aspect_ratio == 1

    @pytest.mark.parametrize("is_mirrored", [False, True])
    @pytest.mark.parametrize("degrees", [0, 90, 180, 270])
    def test_rotation(self, tmp_path, degrees, is_mirrored):
        def turn(stream: av.VideoStream) -> None:
            stream.set_display_rotation(degrees, hflip=is_mirrored)

        path = write_clip(tmp_path / "a.mp4", replace(H264, set_up=turn))
        video = probe(path, DEFAULTS).video
        assert (video.rotation_degrees, video.is_mirrored) == (degrees, is_mirrored)

    @pytest.mark.parametrize(("degrees", "nearest"), [(30, 0), (50, 90), (-10, 0)])
    def test_a_turn_between_quarters_is_told(self, tmp_path, degrees, nearest):
        def turn(stream: av.VideoStream) -> None:
            stream.set_display_rotation(degrees)

        path = write_clip(tmp_path / "a.mp4", replace(H264, set_up=turn))
        info = probe(path, DEFAULTS)
        off = abs(degrees - nearest)
        assert f"display matrix is {off} degrees off a quarter turn" in info.notices[0].text
        assert f"shown turned by {nearest} degrees" in info.notices[0].text

    def test_a_quarter_turn_is_taken_over_in_silence(self, tmp_path):
        def turn(stream: av.VideoStream) -> None:
            stream.set_display_rotation(90, hflip=True)

        path = write_clip(tmp_path / "a.mp4", replace(H264, set_up=turn))
        assert not [each for each in probe(path, DEFAULTS).notices if "turn" in each.text]

    def test_a_picture_upside_down_is_turned_and_mirrored(self, tmp_path):
        def flip(stream: av.VideoStream) -> None:
            stream.set_display_rotation(0, vflip=True)

        path = write_clip(tmp_path / "a.mp4", replace(H264, set_up=flip))
        video = probe(path, DEFAULTS).video
        assert (video.rotation_degrees, video.is_mirrored) == (180, True)

    @pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts"])
    def test_constant_rate(self, tmp_path, suffix):
        clip = replace(
            H264, rate=Fraction(30000, 1001), time_base=Fraction(1001, 30000), pts=range(20)
        )
        video = probe(write_clip(tmp_path / f"a.{suffix}", clip), DEFAULTS).video
        assert video.average_rate is not None
        assert float(video.average_rate) == pytest.approx(29.97, abs=0.01)
        assert video.variable_rate is False
        if suffix == "mp4":
            assert video.frame_count == 20
        assert video.duration_seconds == pytest.approx(20 * 1001 / 30000, abs=0.04)

    @pytest.mark.parametrize(
        ("pixel_format", "height_px", "rate"),
        [("yuv411p", 480, Fraction(30000, 1001)), ("yuv420p", 576, Fraction(25))],
    )
    def test_raw_dv(self, tmp_path, pixel_format, height_px, rate):
        clip = Clip("dvvideo", pixel_format, 720, height_px, range(3), 1 / rate, rate)
        video = probe(write_clip(tmp_path / "a.dv", clip), DEFAULTS).video
        assert video.average_rate == rate
        assert video.field_order == "bottom"

    def test_a_program_stream_starts_with_its_first_frame_even_without_a_time(self, tmp_path):
        clip = Clip("mpeg2video", options={"bf": "2"}, pts=range(20))
        path = write_clip(tmp_path / "a.vob", clip)
        whole = probe(path, DEFAULTS)
        data = bytearray(path.read_bytes())
        place = data.index(b"\0\0\1\xe0")
        # ISO/IEC 13818-1, 2.4.3.6: no PTS_DTS_flags, and stuffing where the times were.
        data[place + 7] &= 0x3F
        times = slice(place + 9, place + 9 + data[place + 8])
        data[times] = b"\xff" * data[place + 8]
        path.write_bytes(data)
        info = probe(path, DEFAULTS)
        (first, *_) = decoded(path)
        assert first.pts * info.video.time_base == info.start_seconds
        assert info.start_seconds == whole.start_seconds

    @pytest.mark.parametrize(
        ("element", "side"),
        [(0x54CC, "left"), (0x54BB, "top"), (0x54DD, "right"), (0x54AA, "bottom")],
    )
    def test_cropping_in_matroska_is_told(self, tmp_path, element, side):
        path = write_clip(tmp_path / "a.mkv", H264)
        assert "crops" not in texts(probe(path, DEFAULTS))
        # DisplayUnit, which says "unknown", gives its place (RFC 9559, 5.1.4.1.28).
        before, after = path.read_bytes().split(b"\x54\xb2\x81\x04")
        path.write_bytes(before + element.to_bytes(2, "big") + b"\x81\x06" + after)
        info = probe(path, DEFAULTS)
        (notice,) = [n for n in info.notices if "crops" in n.text]
        assert notice.severity == "warning"
        assert f": 6 px at the {side}." in notice.text
        assert "all 64x48 px" in notice.text
        assert info.video.width_px == 64

    def test_the_tracks_of_matroska_are_found_however_much_comes_before(self, tmp_path):
        """As pictures and fonts that a tool put in front."""
        path = write_clip(tmp_path / "a.mkv", replace(H264, muxer_options={"live": "1"}))
        data = path.read_bytes().replace(b"\x54\xb2\x81\x04", b"\x54\xdd\x81\x06")
        tracks = data.rindex(b"\x16\x54\xae\x6b")
        void = b"\xec" + (1 << 56 | 5_000_000).to_bytes(8, "big") + bytes(5_000_000)
        path.write_bytes(data[:tracks] + void + data[tracks:])
        assert ": 6 px at the right." in texts(probe(path, DEFAULTS))

    def test_a_clean_aperture_in_mp4_is_told(self, tmp_path):
        path = write_clip(tmp_path / "a.mp4", H264)
        write_clean_aperture(path, 64, 48, 0, 0)
        assert "crops" not in texts(probe(path, DEFAULTS))
        path = write_clip(tmp_path / "b.mp4", H264)
        write_clean_aperture(path, 52, 43, 2, -1)
        info = probe(path, DEFAULTS)
        (notice,) = [n for n in info.notices if "crops" in n.text]
        assert notice.severity == "warning"
        sides = "8 px at the left, 4 px at the right, 1.5 px at the top, 3.5 px at the bottom"
        assert sides in notice.text
        assert info.video.colour.origins["matrix"] == "stream"

    @pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts"])
    def test_variable_rate(self, tmp_path, suffix):
        pts = (0, 40, 80, 240, 280, 300, 600)
        clip = replace(H264, time_base=Fraction(1, 1000), pts=pts)
        assert probe(write_clip(tmp_path / f"a.{suffix}", clip), DEFAULTS).video.variable_rate

    def test_long_constant_stream_is_not_looked_through(self, tmp_path):
        clip = replace(H264, width_px=16, height_px=16, pts=range(400))
        path = write_clip(tmp_path / "a.mkv", clip)
        assert probe(path, DEFAULTS).video.variable_rate is None

    def test_clock_of_a_transport_stream(self, tmp_path):
        path = write_clip(tmp_path / "a.ts", H264)
        info = probe(path, DEFAULTS)
        assert info.start_seconds > 0
        assert info.video.start_pts is not None
        assert info.video.start_pts * info.video.time_base == info.start_seconds

    def test_other_containers_start_at_zero(self, tmp_path):
        clip = replace(H264, pts=range(5, 15))
        info = probe(write_clip(tmp_path / "a.mkv", clip), DEFAULTS)
        assert info.start_seconds == 0
        assert info.video.start_pts == 200

    def test_damaged_start(self, tmp_path):
        path = write_clip(tmp_path / "a.mp4", replace(H264, options={"qp": "20", "g": "4"}))
        spoil(path, [0, 1, 2])
        assert probe(path, DEFAULTS).video.width_px == 64

    def test_alpha_is_dropped_with_a_warning(self, tmp_path):
        clip = Clip(pixel_format="yuva420p")
        assert "alpha channel of yuva420p" in texts(
            probe(write_clip(tmp_path / "a.mkv", clip), DEFAULTS)
        )

    @pytest.mark.parametrize("codec", ["libvpx", "libvpx-vp9"])
    def test_alpha_that_the_decoder_leaves_is_dropped_with_a_warning(self, tmp_path, codec):
        clip = Clip(codec, "yuva420p", options={"auto-alt-ref": "0"})
        told = texts(probe(write_clip(tmp_path / "a.webm", clip), DEFAULTS))
        assert "The alpha channel of the video is dropped." in told
        opaque = probe(write_clip(tmp_path / "b.webm", Clip(codec, "yuv420p")), DEFAULTS)
        assert "alpha" not in texts(opaque)

    def test_name_with_a_colon_and_a_percent_sign(self, tmp_path):
        folder = tmp_path / "a:b %03d"
        folder.mkdir()
        path = write_clip(tmp_path / "a.mp4", H264).rename(folder / "c:d%02d.mp4")
        assert probe(path, DEFAULTS).video.width_px == 64


def test_a_recording_that_begins_between_key_frames_is_told(tmp_path):
    whole = Clip(codec="libx264", options={"qp": "20", "g": "10", "bf": "0"}, pts=range(30))
    path = write_clip(tmp_path / "whole.ts", whole)
    info = probe(path, DEFAULTS)
    assert "between key frames" not in texts(info)
    with av.open(str(path)) as container:
        places = [packet.pos for packet in container.demux(video=0) if packet.size]
    cut = tmp_path / "cut.ts"
    cut.write_bytes(path.read_bytes()[places[4] :])
    told = texts(probe(cut, DEFAULTS))
    # Frames 4 to 9; the next is a key frame.
    assert "The first 0.240 s of the video (6 packets) cannot be decoded" in told
    assert len(decoded(cut)) == 20


def test_a_photograph_says_how_it_was_held(tmp_path: Path):
    """EXIF's orientation 6, a quarter turn to the right; PyAV has no name for that side data."""
    with av.open(str(tmp_path / "plain.jpg"), "w", format="image2") as container:
        video = container.add_stream("mjpeg", rate=1)
        video.width, video.height, video.pix_fmt = 32, 16, "yuvj420p"
        container.mux(video.encode(av.VideoFrame(32, 16, "yuvj420p")))
        container.mux(video.encode(None))
    plain = (tmp_path / "plain.jpg").read_bytes()
    orientation = struct.pack("<2sHIHHHIHHI", b"II", 42, 8, 1, 0x0112, 3, 1, 6, 0, 0)
    exif = b"Exif\0\0" + orientation
    held = plain[:2] + struct.pack(">2sH", b"\xff\xe1", 2 + len(exif)) + exif + plain[2:]
    (tmp_path / "held.jpg").write_bytes(held)
    turns = [
        probe(tmp_path / name, ReadOptions()).video.rotation_degrees
        for name in ("plain.jpg", "held.jpg")
    ]
    assert turns == [0, 270]


def test_a_picture_with_a_colour_profile_is_read(tmp_path: Path):
    """PyAV freed the profile's name, and the frame once more: every command died by a signal."""
    path = tmp_path / "photo.png"
    write_png(path, np.zeros((16, 32, 3), np.uint8))
    chunk = b"iCCP" + b"Display P3\0\0" + zlib.compress(bytes(128))
    chunk = struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
    png = path.read_bytes()
    path.write_bytes(png[:33] + chunk + png[33:])
    done = subprocess.run(
        [sys.executable, "-m", "sdr2hdr", "info", path], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
