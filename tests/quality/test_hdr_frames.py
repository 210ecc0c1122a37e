from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
import torch
from clips import Tags
from hdr_files import BT2020_XY, flat_planes, write_exr, write_still, write_video

from sdr2hdr.errors import InputError
from sdr2hdr.frames import CodedBatch
from sdr2hdr.media.hdr10.hdr_frames import LinearLight, open_hdr
from sdr2hdr.signal import ChromaSiting, ColourRange, Matrix, Primaries, Subsampling, Transfer

RGB_PQ = Tags(primaries=9, transfer=16, matrix=0, colour_range=2)
# Without B frames: of a clip this short x265 leaves decoding times uninitialised otherwise.
QUIET_X265 = "log-level=none:lossless=1:bframes=0"


def codes_16(height: int = 12, width: int = 20) -> np.ndarray:
    generator = np.random.default_rng(3)
    return generator.integers(0, 65536, (height, width, 3)).astype(np.uint16)


def only_frame(path: Path, *, assume_pq: bool = False) -> CodedBatch:
    with open_hdr(path, assume_pq=assume_pq) as file:
        (frame,) = file.frames
    assert isinstance(frame, CodedBatch)
    return frame


def test_video_gives_its_codes_in_order(tmp_path: Path):
    sent = [flat_planes(100 + 10 * number, 500, 530) for number in range(5)]
    path = write_video(tmp_path / "clip.mkv", sent)
    with open_hdr(path) as file:
        assert (file.width_px, file.height_px) == (64, 48)
        assert file.notices == ()
        frames = list(file.frames)
    assert len(frames) == 5
    for frame, planes in zip(frames, sent, strict=True):
        assert isinstance(frame, CodedBatch)
        for plane, expected in zip((frame.luma, frame.cb, frame.cr), planes, strict=True):
            np.testing.assert_array_equal(plane[0].numpy(), expected)
    signal = frames[0].signal
    assert signal.transfer is Transfer.PQ
    assert signal.primaries is Primaries.BT2020
    assert signal.matrix is Matrix.BT2020_NCL
    assert signal.colour_range is ColourRange.LIMITED
    assert (signal.subsampling, signal.bit_depth) == (Subsampling.YUV420, 10)


@pytest.mark.parametrize(
    ("location", "siting"), [("2", ChromaSiting.TOP_LEFT), (None, ChromaSiting.LEFT)]
)
def test_chroma_siting_comes_from_the_stream(
    tmp_path: Path, location: str | None, siting: ChromaSiting
):
    parameters = QUIET_X265 + ("" if location is None else f":chromaloc={location}")
    path = write_video(
        tmp_path / "clip.mp4",
        [flat_planes(300), flat_planes(400)],
        codec="libx265",
        codec_options=(("preset", "ultrafast"), ("x265-params", parameters)),
    )
    with open_hdr(path) as file:
        assert file.frame_count == 2
        frames = list(file.frames)
    assert frames[0].signal.siting is siting
    assert [int(frame.luma[0, 5, 5]) for frame in frames] == [300, 400]


@pytest.mark.parametrize(
    ("location", "siting"), [("topleft", ChromaSiting.TOP_LEFT), ("center", ChromaSiting.CENTRE)]
)
def test_chroma_siting_that_only_the_container_says_is_taken(
    tmp_path: Path, location: str, siting: ChromaSiting
):
    path = write_video(
        tmp_path / "clip.mkv",
        [flat_planes(300)],
        codec_options=(("chroma_sample_location", location),),
    )
    assert only_frame(path).signal.siting is siting


def tagged_by_the_container(folder: Path, tags: tuple[int, int, int]) -> Path:
    """H.265 whose header is silent about colour, in Matroska that is not."""
    silent = write_video(
        folder / "silent.mkv",
        [flat_planes(300)],
        Tags(2, 2, 2),
        codec="libx265",
        codec_options=(("preset", "ultrafast"), ("x265-params", QUIET_X265)),
    )
    path = folder / "tagged.mkv"
    with av.open(str(silent)) as reader, av.open(str(path), "w") as writer:
        stream = reader.streams.video[0]
        copy = writer.add_stream_from_template(stream, opaque=True)
        context = copy.codec_context
        context.color_primaries, context.color_trc, context.colorspace = tags
        for packet in reader.demux(stream):
            if packet.size:
                packet.stream = copy
                writer.mux(packet)
    return path


def test_colour_that_only_the_container_says_is_taken(tmp_path: Path):
    frame = only_frame(tagged_by_the_container(tmp_path, (12, 16, 9)))
    assert frame.signal.transfer is Transfer.PQ
    assert frame.signal.primaries is Primaries.P3_D65


def test_a_transfer_that_only_the_container_says_is_no_missing_one(tmp_path: Path):
    path = tagged_by_the_container(tmp_path, (9, 18, 9))
    with pytest.raises(InputError, match="HLG"), open_hdr(path, assume_pq=True):
        pass


def test_png_tagged_as_pq(tmp_path: Path):
    sent = codes_16()
    frame = only_frame(write_still(tmp_path / "still.png", sent, RGB_PQ))
    assert frame.signal.matrix is Matrix.RGB
    assert frame.signal.colour_range is ColourRange.FULL
    assert frame.signal.bit_depth == 16
    for plane, channel in ((frame.luma, 1), (frame.cb, 2), (frame.cr, 0)):
        np.testing.assert_array_equal(plane[0].numpy(), sent[..., channel])


def test_tiff_cannot_say_pq_and_is_taken_with_a_warning(tmp_path: Path):
    sent = codes_16()
    path = write_still(tmp_path / "still.tif", sent, tags=None)
    with open_hdr(path) as file:
        assert [notice.severity for notice in file.notices] == ["warning"]
        assert "--assume-pq" in file.notices[0].text
        (frame,) = file.frames
    np.testing.assert_array_equal(frame.luma[0].numpy(), sent[..., 1])
    with open_hdr(path, assume_pq=True) as file:
        assert file.notices == ()


def test_exr_gives_its_light_and_its_header(tmp_path: Path):
    sent = np.random.default_rng(4).normal(1.0, 2.0, (9, 13, 3)).astype(np.float32)
    with open_hdr(write_exr(tmp_path / "still.exr", sent, white_cd_m2=100.0)) as file:
        assert (file.width_px, file.height_px, file.frame_count) == (13, 9, 1)
        (light,) = file.frames
    assert isinstance(light, LinearLight)
    torch.testing.assert_close(light.pixels, torch.from_numpy(sent).permute(2, 0, 1)[None])
    assert light.chromaticities == pytest.approx(BT2020_XY, abs=1e-6)
    assert light.white_cd_m2 == 100.0


def test_exr_without_attributes(tmp_path: Path):
    path = write_exr(tmp_path / "still.exr", np.ones((4, 4, 3), np.float32), None, None)
    with open_hdr(path) as file:
        (light,) = file.frames
    assert isinstance(light, LinearLight)
    assert (light.chromaticities, light.white_cd_m2) == (None, None)


def sdr_video(folder: Path) -> Path:
    return write_video(folder / "sdr.mkv", [flat_planes(300)], Tags())


def hlg_video(folder: Path) -> Path:
    return write_video(folder / "hlg.mkv", [flat_planes(300)], Tags(9, 18, 9))


def untagged_video(folder: Path) -> Path:
    return write_video(folder / "untagged.mkv", [flat_planes(300)], Tags(2, 2, 2))


def constant_luminance_video(folder: Path) -> Path:
    return write_video(folder / "cl.mkv", [flat_planes(300)], Tags(9, 16, 10))


def film_primaries(folder: Path) -> Path:
    return write_video(folder / "film.mkv", [flat_planes(300)], Tags(8, 16, 9))


def untagged_8_bits(folder: Path) -> Path:
    return write_still(folder / "still.png", np.zeros((8, 8, 3), np.uint8), tags=None)


def exr_with_holes(folder: Path) -> Path:
    return write_exr(folder / "holes.exr", np.full((4, 4, 3), np.nan, np.float32))


def exr_without_light(folder: Path) -> Path:
    return write_exr(folder / "dark.exr", np.ones((4, 4, 3), np.float32), white_cd_m2=-1.0)


def text(folder: Path) -> Path:
    path = folder / "text.mkv"
    path.write_text("hello, world\n" * 99)
    return path


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (sdr_video, ("SDR", "BT.709", "sdr2hdr convert")),
        (hlg_video, ("HLG", "expected PQ")),
        (untagged_video, ("no transfer tag", "--assume-pq")),
        (constant_luminance_video, ("constant luminance", "non-constant")),
        (film_primaries, ("generic film", "BT.2020")),
        (untagged_8_bits, ("8 bits", "--assume-pq")),
        (exr_with_holes, ("not numbers",)),
        (exr_without_light, ("-1.0 cd/m2",)),
        (text, ("text file",)),
    ],
)
def test_files_that_are_refused(tmp_path: Path, make, words: tuple[str, ...]):
    path = make(tmp_path)
    with pytest.raises(InputError) as caught, open_hdr(path) as file:
        list(file.frames)
    assert str(path) in str(caught.value)
    for word in words:
        assert word in str(caught.value)


def test_untagged_video_can_be_declared_pq(tmp_path: Path):
    frame = only_frame(untagged_video(tmp_path), assume_pq=True)
    assert frame.signal.transfer is Transfer.PQ
    assert frame.signal.primaries is Primaries.BT2020
    assert frame.signal.matrix is Matrix.BT2020_NCL


def test_a_tag_is_stronger_than_the_assumption(tmp_path: Path):
    with pytest.raises(InputError, match="SDR"), open_hdr(sdr_video(tmp_path), assume_pq=True):
        pass


def test_damage_ends_the_reading(tmp_path: Path):
    """Zeros in the middle break the chain of NAL unit lengths."""
    noise = np.random.default_rng(5)
    frames = [
        tuple(noise.integers(64, 940, plane.shape).astype(np.uint16) for plane in flat_planes(0))
        for _ in range(12)
    ]
    path = write_video(
        tmp_path / "clip.mp4",
        frames,
        codec="libx265",
        codec_options=(("preset", "ultrafast"), ("x265-params", "log-level=none")),
    )
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 600] = bytes(600)
    path.write_bytes(content)
    with pytest.raises(InputError, match="cannot be decoded at frame"), open_hdr(path) as file:
        list(file.frames)
