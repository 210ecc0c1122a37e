from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import av
import pytest
from av.bitstream import BitStreamFilterContext
from matroska_tracks import add_siting
from source_clips import UNTAGGED, Clip, write_clip

from sdr2hdr.errors import AlreadyHdrError, InputError, UsageError
from sdr2hdr.media.bitstreams.bits import HeaderColour
from sdr2hdr.media.pixel_formats import pixel_layout
from sdr2hdr.media.reading.probe import probe
from sdr2hdr.media.signalling.colour_facts import ColourTags, PictureFacts
from sdr2hdr.media.signalling.colour_tags import read_colour
from sdr2hdr.media.source import ColourReading
from sdr2hdr.options import ColourOverrides, ReadOptions
from sdr2hdr.signal import ChromaSiting, ColourRange, Matrix, Primaries, Transfer

H264 = Clip(codec="libx264", options={"qp": "20"}, pts=range(3))
BARE = ColourTags()
SDR = ColourTags(1, 1, 1, 1)


def reading(
    width_px: int = 1920,
    height_px: int = 1080,
    rate: Fraction | None = Fraction(25),
    tags: ColourTags = BARE,
    overrides: ColourOverrides | None = None,
    header: HeaderColour | None = None,
    container: ColourTags = BARE,
    codec: str = "h264",
    pixel_format: str = "yuv420p",
    **facts,
) -> ColourReading:
    return read_colour(
        PictureFacts(codec, width_px, height_px, rate, pixel_layout(pixel_format), **facts),
        header,
        tags,
        (container,),
        overrides or ColourOverrides(),
    )


NTSC = Fraction(30000, 1001)


@pytest.mark.parametrize(
    ("width_px", "height_px", "rate", "matrix", "primaries"),
    [
        (1920, 1080, 25, Matrix.BT709, Primaries.BT709),
        (1280, 720, NTSC, Matrix.BT709, Primaries.BT709),
        (1280, 536, 24, Matrix.BT709, Primaries.BT709),
        (1080, 720, 30, Matrix.BT709, Primaries.BT709),
        (720, 576, 25, Matrix.BT601, Primaries.BT601_625),
        (720, 576, NTSC, Matrix.BT601, Primaries.BT601_625),
        (720, 608, 25, Matrix.BT601, Primaries.BT601_625),
        (720, 512, NTSC, Matrix.BT601, Primaries.BT601_525),
        (352, 288, None, Matrix.BT601, Primaries.BT601_625),
        (720, 480, 25, Matrix.BT601, Primaries.BT601_525),
        (720, 486, NTSC, Matrix.BT601, Primaries.BT601_525),
        (640, 360, 25, Matrix.BT601, Primaries.BT601_625),
        (640, 360, NTSC, Matrix.BT601, Primaries.BT601_525),
        (640, 428, None, Matrix.BT601, Primaries.BT601_525),
    ],
)
def test_untagged_is_guessed_by_size_and_said(width_px, height_px, rate, matrix, primaries):
    found = reading(width_px, height_px, None if rate is None else Fraction(rate))
    signal = found.signal
    assert (signal.matrix, signal.primaries) == (matrix, primaries)
    assert signal.transfer is Transfer.BT1886
    assert signal.colour_range is ColourRange.LIMITED
    assert signal.siting is ChromaSiting.LEFT
    assert found.origins["matrix"] == found.origins["primaries"] == "guess"
    (notice,) = found.notices
    assert notice.severity == "warning"
    assert f"{width_px}x{height_px}" in notice.text
    for option in ("--matrix", "--primaries", "--transfer"):
        assert option in notice.text


def test_whole_tags_need_no_notice():
    found = reading(tags=SDR)
    assert found.notices == ()
    assert set(found.origins) == {"matrix", "primaries", "transfer", "colour_range", "siting"}


@pytest.mark.parametrize(
    ("code", "transfer"),
    [
        (1, Transfer.BT1886),
        (4, Transfer.GAMMA22),
        (5, Transfer.GAMMA28),
        (6, Transfer.BT1886),
        (7, Transfer.BT1886),
        (13, Transfer.SRGB),
        (14, Transfer.BT1886),
        (15, Transfer.BT1886),
    ],
)
def test_transfers(code, transfer):
    assert reading(tags=replace(SDR, transfer=code)).signal.transfer is transfer


@pytest.mark.parametrize("code", [8, 9, 10, 11, 12, 17, 19])
def test_transfers_that_are_not_read(code):
    tags = replace(SDR, transfer=code)
    with pytest.raises(InputError, match="--transfer"):
        reading(tags=tags)
    overridden = reading(tags=tags, overrides=ColourOverrides(transfer=Transfer.SRGB))
    assert overridden.signal.transfer is Transfer.SRGB


@pytest.mark.parametrize(
    ("code", "primaries"),
    [
        (1, Primaries.BT709),
        (5, Primaries.BT601_625),
        (6, Primaries.BT601_525),
        (7, Primaries.BT601_525),
        (22, Primaries.BT601_525),
    ],
)
def test_primaries(code, primaries):
    assert reading(tags=replace(SDR, primaries=code)).signal.primaries is primaries


@pytest.mark.parametrize("code", [4, 8, 30])
def test_primaries_that_are_not_read(code):
    with pytest.raises(InputError, match="--primaries"):
        reading(tags=replace(SDR, primaries=code))


@pytest.mark.parametrize(("code", "matrix"), [(1, "BT709"), (5, "BT601"), (6, "BT601")])
def test_matrices(code, matrix):
    assert reading(tags=replace(SDR, matrix=code)).signal.matrix is Matrix[matrix]


@pytest.mark.parametrize("code", [4, 7, 8, 11, 12, 13])
def test_matrices_that_are_not_read(code):
    with pytest.raises(InputError, match="--matrix"):
        reading(tags=replace(SDR, matrix=code))


def test_rgb_tag_on_luma_and_chroma_is_no_tag():
    found = reading(tags=replace(SDR, matrix=0))
    assert found.signal.matrix is Matrix.BT709
    assert found.origins["matrix"] == "guess"
    assert "No tag for matrix" in found.notices[0].text


HDR_TAGS = [
    ("transfer", 16),
    ("transfer", 18),
    ("primaries", 9),
    ("primaries", 10),
    ("primaries", 11),
    ("primaries", 12),
    ("matrix", 9),
    ("matrix", 10),
    ("matrix", 14),
]


@pytest.mark.parametrize(("name", "code"), HDR_TAGS)
@pytest.mark.parametrize("place", ["header", "frame", "container"])
def test_hdr_anywhere_is_refused(name, code, place):
    hdr = replace(SDR, **{name: code})
    header = HeaderColour(hdr.primaries, hdr.transfer, hdr.matrix) if place == "header" else None
    with pytest.raises(AlreadyHdrError, match=f"--{name}") as caught:
        reading(
            header=header,
            tags=hdr if place == "frame" else SDR,
            container=hdr if place == "container" else SDR,
        )
    assert caught.value.exit_code == 4


@pytest.mark.parametrize(("name", "code"), HDR_TAGS)
def test_an_option_outweighs_a_wrong_tag(name, code):
    options = {
        "transfer": Transfer.BT1886,
        "primaries": Primaries.BT709,
        "matrix": Matrix.BT709,
    }
    overrides = ColourOverrides(**{name: options[name]})
    found = reading(tags=replace(SDR, **{name: code}), overrides=overrides)
    assert getattr(found.signal, name) is options[name]
    assert found.origins[name] == "option"


def test_hdr_metadata_without_a_transfer_tag_is_refused():
    with pytest.raises(AlreadyHdrError, match="HDR metadata"):
        reading(has_hdr_metadata=True)
    assert reading(has_hdr_metadata=True, tags=SDR).signal.transfer is Transfer.BT1886
    overrides = ColourOverrides(transfer=Transfer.BT1886)
    assert reading(has_hdr_metadata=True, overrides=overrides).origins["transfer"] == "option"


@pytest.mark.parametrize(
    "overrides",
    [
        ColourOverrides(transfer=Transfer.PQ),
        ColourOverrides(primaries=Primaries.BT2020),
        ColourOverrides(primaries=Primaries.P3_D65),
        ColourOverrides(matrix=Matrix.BT2020_NCL),
        ColourOverrides(matrix=Matrix.RGB),
    ],
)
def test_options_that_name_what_cannot_be(overrides):
    with pytest.raises(UsageError):
        reading(overrides=overrides)


def test_every_option_wins():
    overrides = ColourOverrides(
        matrix=Matrix.BT601,
        colour_range=ColourRange.FULL,
        primaries=Primaries.BT601_625,
        transfer=Transfer.GAMMA22,
        siting=ChromaSiting.TOP_LEFT,
    )
    found = reading(tags=SDR, header=HeaderColour(1, 1, 1, False, 1), overrides=overrides)
    signal = found.signal
    assert (signal.matrix, signal.colour_range) == (Matrix.BT601, ColourRange.FULL)
    assert (signal.primaries, signal.transfer) == (Primaries.BT601_625, Transfer.GAMMA22)
    assert signal.siting is ChromaSiting.TOP_LEFT
    assert set(found.origins.values()) == {"option"}


def test_the_stream_goes_before_the_container():
    found = reading(header=HeaderColour(6, 6, 6, True), tags=SDR, container=SDR)
    assert found.signal.matrix is Matrix.BT601
    assert found.signal.colour_range is ColourRange.FULL
    assert found.origins["matrix"] == "stream"
    silent = reading(header=HeaderColour(), tags=BARE, container=SDR)
    assert silent.origins["matrix"] == "container"


@pytest.mark.parametrize(
    ("tags", "size", "matrix", "primaries"),
    [
        (ColourTags(matrix=6), (720, 480), Matrix.BT601, Primaries.BT601_525),
        (ColourTags(matrix=5), (720, 576), Matrix.BT601, Primaries.BT601_625),
        (ColourTags(matrix=6), (1920, 1080), Matrix.BT601, Primaries.BT709),
        (ColourTags(matrix=1), (720, 480), Matrix.BT709, Primaries.BT709),
        (ColourTags(primaries=5), (1920, 1080), Matrix.BT601, Primaries.BT601_625),
        (ColourTags(primaries=1), (640, 480), Matrix.BT709, Primaries.BT709),
    ],
)
def test_partial_tags_are_completed_by_what_goes_with_them(tags, size, matrix, primaries):
    signal = reading(*size, tags=tags).signal
    assert (signal.matrix, signal.primaries) == (matrix, primaries)


@pytest.mark.parametrize(
    ("codec", "pixel_format", "siting", "origin"),
    [
        ("h264", "yuv420p", ChromaSiting.LEFT, "codec default"),
        ("hevc", "yuv420p10le", ChromaSiting.LEFT, "codec default"),
        ("mpeg2video", "yuv420p", ChromaSiting.LEFT, "codec default"),
        ("mpeg1video", "yuv420p", ChromaSiting.CENTRE, "codec default"),
        ("mjpeg", "yuvj420p", ChromaSiting.CENTRE, "codec default"),
        ("mjpeg", "yuvj422p", ChromaSiting.CENTRE, "codec default"),
        ("mjpeg", "yuvj411p", ChromaSiting.CENTRE, "codec default"),
        ("dvvideo", "yuv411p", ChromaSiting.LEFT, "codec default"),
        ("prores", "yuv422p10le", ChromaSiting.LEFT, "codec default"),
        ("ffv1", "yuv420p", ChromaSiting.LEFT, "guess"),
        ("ffv1", "yuv444p", ChromaSiting.LEFT, "codec default"),
    ],
)
def test_siting_by_codec(codec, pixel_format, siting, origin):
    found = reading(tags=SDR, codec=codec, pixel_format=pixel_format)
    assert found.signal.siting is siting
    assert found.origins["siting"] == origin
    assert bool(found.notices) == (origin == "guess")


@pytest.mark.parametrize(
    ("code", "siting"), [(0, "LEFT"), (1, "CENTRE"), (2, "TOP_LEFT"), (3, "TOP_LEFT")]
)
def test_siting_from_the_header(code, siting):
    found = reading(tags=SDR, header=HeaderColour(1, 1, 1, False, code), siting=1)
    assert found.signal.siting is ChromaSiting[siting]
    assert found.origins["siting"] == "stream"
    assert bool(found.notices) == (code == 3)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (3, "top-left, half a column of luma away"),
        (4, "left, half a row of luma away"),
        (5, "centre, half a row of luma away"),
    ],
)
def test_a_siting_that_is_not_kept_is_told_with_how_far_it_is_away(code, words):
    found = reading(tags=SDR, header=HeaderColour(1, 1, 1, False, code))
    (notice,) = found.notices
    assert f"type {code} is read as the nearest of types 0 to 2, {words};" in notice.text


def test_full_range_by_pixel_format():
    found = reading(tags=replace(SDR, colour_range=0), pixel_format="yuvj420p")
    assert found.signal.colour_range is ColourRange.FULL
    assert reading(pixel_format="gbrp").signal.colour_range is ColourRange.FULL


@pytest.mark.parametrize(
    ("codec", "colour_range"),
    [("tiff", ColourRange.FULL), ("rawvideo", ColourRange.FULL), ("h264", ColourRange.LIMITED)],
)
def test_range_of_untagged_grey(codec, colour_range):
    found = reading(codec=codec, tags=replace(SDR, colour_range=0), pixel_format="gray")
    assert found.signal.colour_range is colour_range


def test_rgb_pixels_need_no_matrix_tag():
    found = reading(tags=replace(SDR, matrix=2), pixel_format="gbrp10le", codec="ffv1")
    assert found.signal.matrix is Matrix.RGB
    assert found.notices == ()


class TestFiles:
    @pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts"])
    @pytest.mark.parametrize("codec", ["libx264", "libx265", "mpeg2video"])
    def test_tags_come_through(self, tmp_path, suffix, codec):
        options = {"x265-params": "log-level=none"} if codec == "libx265" else {}
        clip = replace(H264, codec=codec, tags=(5, 4, 6), options=options, pts=range(20))
        found = probe(write_clip(tmp_path / f"a.{suffix}", clip), ReadOptions()).video.colour
        assert found.signal.matrix is Matrix.BT601
        assert found.signal.primaries is Primaries.BT601_625
        assert found.signal.transfer is Transfer.GAMMA22
        assert found.signal.colour_range is ColourRange.LIMITED
        assert found.origins["matrix"] == "stream"

    @pytest.mark.parametrize("codec", ["libx264", "ffv1"])
    @pytest.mark.parametrize("tags", [(9, 16, 9), (9, 18, 9), (9, 14, 9), (12, 1, 1)])
    def test_hdr_files_are_refused(self, tmp_path, codec, tags):
        path = write_clip(tmp_path / "a.mkv", Clip(codec=codec, tags=tags, pts=range(3)))
        with pytest.raises(AlreadyHdrError):
            probe(path, ReadOptions())

    @pytest.mark.parametrize("suffix", ["mov", "mkv"])
    def test_container_that_knows_more_than_prores(self, tmp_path, suffix):
        clip = Clip("prores_ks", "yuv422p10le", tags=(9, 16, 9), pts=range(2))
        with pytest.raises(AlreadyHdrError):
            probe(write_clip(tmp_path / f"a.{suffix}", clip), ReadOptions())

    @pytest.mark.parametrize("suffix", ["mp4", "mkv"])
    def test_container_that_knows_more_than_the_stream(self, tmp_path, suffix):
        path = write_clip(tmp_path / "a.mp4", replace(H264, tags=(9, 16, 9)))
        strip = "colour_primaries=2:transfer_characteristics=2:matrix_coefficients=2"
        target = tmp_path / f"b.{suffix}"
        with av.open(str(path)) as source, av.open(str(target), "w") as out:
            stream = source.streams.video[0]
            copy = out.add_stream_from_template(stream)
            bsf = BitStreamFilterContext(f"h264_metadata={strip}", stream, copy)
            for packet in source.demux(stream):
                if packet.dts is not None:
                    for filtered in bsf.filter(packet):
                        filtered.stream = copy
                        out.mux(filtered)
        with pytest.raises(AlreadyHdrError):
            probe(target, ReadOptions())

    def test_untagged_file_is_warned_of(self, tmp_path):
        clip = replace(H264, tags=UNTAGGED, colour_range=0)
        info = probe(write_clip(tmp_path / "a.mp4", clip), ReadOptions())
        assert info.video.colour.signal.matrix is Matrix.BT601
        assert any("No tag for matrix" in notice.text for notice in info.notices)

    def test_full_range(self, tmp_path):
        clip = replace(H264, pixel_format="yuvj420p", colour_range=2)
        colour = probe(write_clip(tmp_path / "a.mp4", clip), ReadOptions()).video.colour
        assert colour.signal.colour_range is ColourRange.FULL

    @pytest.mark.parametrize(("across", "down", "type_"), [(1, 1, 2), (1, 2, 0), (2, 2, 1)])
    def test_siting_of_matroska(self, tmp_path, across, down, type_):
        path = write_clip(tmp_path / "a.mkv", Clip(pts=range(2)))
        add_siting(path, across, down)
        colour = probe(path, ReadOptions()).video.colour
        assert colour.signal.siting is ChromaSiting(type_)
        assert colour.origins["siting"] == "container"
